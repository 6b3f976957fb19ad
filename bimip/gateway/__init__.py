"""The WebSocket side of the server: floor 3, above the users, who see of it only `bimip.users.connection.Connection`.

    listener.py         accepts sockets, and hands each to a supervised child
    serving.py          that child: `Gateway.serve_connection`, from a socket's first byte to its last
    handshake.py        may this request become a connection? subprotocol, origin, token in the header (pure)
    authentication.py   tokens: verified for peers, issued for the command line (pure)
    connection.py       the connection: frames in and out, heartbeat, deadlines, the close
    pump.py             runs the WebSocket library's task, and keeps what goes wrong in there from going anywhere else
    stream.py           what the library is given in place of the socket: whole frames or none, nothing after a close
    wire.py             the little that this floor needs of the codec
    settings.py         what an operator can set

What one peer sends, and however its socket dies, ends that connection and nothing else. Every wait has a deadline, and
every buffer a limit; the limits over many connections (by user, by address, the unauthenticated) are to be put into
`Gateway`, those within one unfinished message into `stream.py`.
"""
