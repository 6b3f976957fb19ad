"""Floor 5: a kit for authors of other clients, which tries one against PROTOCOL.md.

    python -m bimip.conformance -- node my-client.mjs

README.md here says how a client takes part: what it is told, and what it says, in lines of JSON. The map:

    sequences/    what a server does and what must be true then, a function each; sequence.py: what one is
    play.py       one client, one server, and how a sequence waits for either; playing.py: many at a time
    server.py     the scripted server, on trio-websocket; frames.py: both subprotocols, and fields of later versions
    client.py     the client under test, as a process
    report.py     what is printed; __main__.py: the command
    proxy.py      cuts, delays, splits, duplicates; also for tests against a real server
    vectors/      frames as bytes and as ProtoJSON, written by scripts/generate
    clients/      those that pass: the SDK, bimip.mjs, and one in plain JavaScript

It imports the generated messages and their JSON from `wire`, and the SDK's driver the SDK; no floor of the server.
Each sequence is held by a client that is deliberately wrong in its point (tests/conformance/small_client.py).
"""
