"""The payload examples of the source documents 001 and 002, translated by hand from Elixir.

They decode and are accepted, sent by the user whom they name in `from`; what they say of server ids is ignored. The
two lines that stand outside the struct in 001 (`signal_offset`, `user_offset`) are not part of it.
"""

import base64
import json
from typing import Any

import pytest

from bimip.requests.message import check_message, partition_of
from bimip.wire import stored
from bimip.wire.codec import decode, payload_of
from bimip.wire.json import from_json
from bimip.wire.limits import Limits

PAYLOAD = json.dumps({"text": "Hello from BIMIP 👋", "attachments": []}, ensure_ascii=False).encode()
NOW = 1_730_000_000_000
A1 = {"eid": "a@domain.com", "connection_resource_id": "aaaaa1"}
A2 = {"eid": "a@domain.com", "connection_resource_id": "aaaaa2"}
B1 = {"eid": "b@domain.com", "connection_resource_id": "bbbbb1"}


def example(**fields: object) -> dict[str, Any]:
    return {
        "timestamp": NOW,
        "payload": base64.b64encode(PAYLOAD).decode(),
        "encrypted": "",
        "signature": "",
        **fields,
    }


SEED_001_A_TO_B = example(**{"id": "3", "from": A1, "to": B1, "encryption_type": "none", "signal_type": 2})
SEED_001_B_TO_A = example(**{"id": "3", "from": B1, "to": A1, "encryption_type": "", "signal_type": 2})
SEED_002 = example(
    **{
        "id": "1",
        "signal_offset": "5",
        "user_offset": "0",
        "from": A2,
        "to": B1,
        "type": 1,
        "encryption_type": "none",
        "status": 1,
    }
)


@pytest.mark.parametrize("fields", [SEED_001_A_TO_B, SEED_001_B_TO_A, SEED_002], ids=["001 A", "001 B", "002"])
def test_the_example_is_accepted_from_the_user_whom_it_names(fields: dict[str, Any]) -> None:
    sender = fields["from"]
    name, message = payload_of(decode(from_json(json.dumps({"route": 6, "message": fields}))))
    check_message(message, Limits(), sender["eid"])  # type: ignore[arg-type]

    sent = stored.outgoing(message, stored.author_part(sender["eid"], sender["connection_resource_id"]))  # type: ignore[arg-type]
    (kept,) = stored.store([sent], stamps=[(99, "0000000000099", NOW)], conversation="c", conversation_offset=1)
    result = stored.parse(kept)

    assert name == "message"
    assert partition_of(result) == "chat"
    assert (result.id, result.payload, result.to.eid) == (fields["id"], PAYLOAD, fields["to"]["eid"])
    assert getattr(result, "from").connection_resource_id == sender["connection_resource_id"]
    assert (result.signal_offset, result.signal_id, result.HasField("user_offset")) == (99, "0000000000099", False)
