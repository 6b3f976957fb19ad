"""HTTP/1.1 on the public port: floor 4, below the gateway, which reads the heads, and the API, which answers.

    server.py    one request and its answer: the application is ASGI, the bytes are h11's
    problems.py  errors as RFC 9457 has them, with the codes and sentences of the socket
    origins.py   which web pages may ask (pure)
    assets.py    files that browsers keep, with their tags
    settings.py  what an operator can set

Theory of operation. The port speaks WebSocket and HTTP, so the gateway reads every head and knows by it whose the
request is. What is no WebSocket's comes here, one request at a time; when it is answered and the connection stays, the
bytes behind it go back to the gateway, whose next head may be either's again: a proxy keeps connections and sends over
them what comes.

Rejected: Hypercorn's connection, as the console uses it. It would have to be told that bytes were read already and be
kept from taking WebSockets and HTTP/2 over; it has no deadline for a body or for sending; it is several tasks a
connection, each of which the gateway would have to end in order. h11 is a dependency already and bounds what it is
given, and one exchange with deadlines of our own is this one file.
"""
