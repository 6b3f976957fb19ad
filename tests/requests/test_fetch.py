"""What a Fetch may ask for."""

from typing import Any

import pytest

from bimip.requests.fetch import check_fetch
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LIMITS = Limits()
ME = "a@x"


GOOD_FETCHES: list[dict[str, Any]] = [
    {"partition": "chat"},
    {"partition": "chat", "limit": 2**32 - 1, "offset": 2**64 - 1},
    {"partition": "chat", "from": pb.Identity(eid="c@x"), "to": pb.Identity(connection_resource_id="d")},
    {"kind": pb.LOG, "partition": "chat", "backwards": True, "to": pb.Identity(eid=ME, connection_resource_id="d")},
    {"kind": pb.HISTORY, "conversation": "c"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d", "seq_to": "2:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat"},
]


@pytest.mark.parametrize("fields", GOOD_FETCHES, ids=lambda fields: str(fields)[:60])
def test_a_fetch_may_say(fields: dict[str, Any]) -> None:
    check_fetch(pb.Fetch(**fields), LIMITS)


BAD_FETCHES: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": 9}, pb.INVALID, "kind"),
    ({}, pb.INVALID, "partition"),
    ({"kind": pb.LOG}, pb.INVALID, "partition"),
    ({"kind": pb.HISTORY}, pb.INVALID, "conversation"),
    ({"kind": pb.RECEIPTS, "partition": "\n", "conversation": "c"}, pb.INVALID, "partition"),
    ({"kind": pb.BY_SEQ, "partition": "chat", "seq_to": "1:1"}, pb.INVALID, "seq_to"),
    ({"kind": pb.BY_SEQ}, pb.INVALID, "partition"),
    ({"partition": "chat", "from": pb.Identity()}, pb.INVALID, "from.eid"),
    (
        {"partition": "chat", "to": pb.Identity(eid="b", connection_resource_id="")},
        pb.INVALID,
        "to.connection_resource_id",
    ),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_FETCHES, ids=lambda value: str(value)[:60])
def test_a_fetch_may_not_say(fields: dict[str, Any], code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_fetch(pb.Fetch(**fields), LIMITS)

    assert (caught.value.code, caught.value.field) == (code, field)
