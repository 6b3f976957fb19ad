"""The protocol as typed dataclasses of betterproto2, for the SDK and the tests.

All of it is generated (scripts/generate) from proto/bimip.proto: `from bimip.client.wire import bimip as pb`.
The server's own code for the same schema is `bimip.wire`; tests/wire checks the two against each other.
"""
