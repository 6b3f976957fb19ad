"""Floor 0, sans-IO: the protocol's bytes, on the server's side.

- `bimip_pb2`   generated from proto/bimip.proto (scripts/generate): `from bimip.wire import bimip_pb2 as pb`
- `errors`      WireError: what the remote did wrong, with the sentence that tells it what to do
- `codec`       a frame to a MessageScheme and back: the envelope's rules
- `json`        the same frames as ProtoJSON, for the subprotocol bimip.v1.json
- `checks`      what any payload may say: names, ids, ranges; the rest lies with its route
- `limits`      how large and how many
- `stored`      the form in which a message is stored once and sent to every reader
- `frames`      the server's batches, made by putting encoded pieces side by side
- `varint`      the one number format that the last two need

What comes in goes through upb's objects: they refuse what is malformed. What goes out on the hot path is
concatenated, because it is mostly bytes that are already there.
"""
