"""The public port: floor 4, above the users, who see of it only `bimip.users.connection.Connection`. It speaks
WebSocket; what is asked for by HTTP is handed to `bimip.http`.

    listener.py         accepts sockets, and hands each to a supervised child
    draining.py         accepts nobody and closes everybody, spread over some time
    serving.py          that child: `Gateway.serve_connection`, from a socket's first byte to its last
    upgrade_policy.py   may this request become a connection? subprotocol, origin, token in the header (pure)
    authentication.py   tokens: verified for peers, issued for the command line (pure)
    connection.py       the connection: frames in and out, heartbeat, deadlines, the close
    closing.py          how it ends: what has happened, and what is to be done next (pure)
    pumps.py            the two tasks of what is no socket: a stream in memory
    poller.py           waits for all sockets in one place, and reads from them
    forwarded.py        who a peer behind a proxy is (pure)
    admission.py        how many at once: by user, by address, unauthenticated (only counting)
    upgrade_request.py  a request's head: the opening handshake's bytes, or HTTP's (sans-IO)
    framing.py          WebSocket frames: bytes in, messages out; limits within one message (sans-IO)
    connection_log.py   who came, was refused and left, as so many lines a second
    tls.py              the certificate, and its renewal
    tls_stream.py       TLS over a socket: the handshake's stream, and the records that a connection reads and writes
    wire.py             the little that this floor needs of the codec
    settings.py         what an operator can set

What one peer sends, and however its socket dies, ends that connection and nothing else. Every wait has a deadline, and
every buffer a limit: those over many connections stand in `admission.py`, those within one unfinished message in
`framing.py`, and how fast an authenticated device may ask in `bimip.requests.rates`.
"""
