"""Floor 3: the SDK, for programs that are a BIMIP device.

It imports `domain`, `session` and its own `wire`, no floor of the server.
"""
