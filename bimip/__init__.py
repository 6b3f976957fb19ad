"""BIMIP: a multi-device instant-messaging server, and its SDK.

Where what is, from the bottom up. A module imports only what lies on its own floor or below; `tests/architecture` holds
that. The head of each package says how what is in it works, and why so.

    floor 0   supervision/   processes: trio tasks in a tree that restarts them. A library of its own
              settings.py    what each floor declares its settings with
              names/         what a user may be called, and how a name is normalised
              wire/          frames, JSON, limits, the stored form of a message: bytes and the schema, no I/O
              domain/        the rules, pure: a view of the store and an operation in, a decision out
    floor 1   concurrency/   what thousands of tasks wait on: timers, versions, rates
              session/       what both ends share: close codes, positions, windows
              storage/       the store: LMDB, memory, and what an operator does with one
    floor 2   journal/       operations wait, are decided and become durable: the one place that writes
              reading/       every question to the store outside the journal, by name
    floor 3   requests/      what can be asked for, a file a route, and how it is answered
              users/         the registry group of a user's devices; each device sends from its position in a log
              push/          what waits for devices that are not connected is pushed
              webhooks/      an operator's back ends are told what happens
              retention/     what is older than its period goes; a user is erased
    floor 4   gateway/       sockets, TLS, WebSocket, tokens, limits before anybody is known
              http/          requests and answers by HTTP on the public port; errors as problem details
              api/           the REST API, on the same requests as the socket
              console/       the operator's HTTP: health, the tree, kills
              web/           the client in JavaScript, and the pages: the demonstration, the messenger
              client/        the SDK, for programs that are a device; knows nothing of the floors of the server
    the whole app.py         the supervision tree: read this first; its head names the files beside it
              config/        the settings: which floor has which, and how files and the environment give them
    floor 5   cli/           the commands
              conformance/   a kit for authors of other clients: sequences, vectors, a proxy
              testing/       servers for the tests of those who build on BIMIP: a plugin of pytest
"""

__version__ = "0.1.0"
