"""What a Snapshot may say; what it is answered stands in tests/scenarios/test_snapshots.py."""

import pytest

from bimip.requests.snapshot import check_snapshot, checkpoint_id, named_checkpoint
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from tests.requests.support import Peer


@pytest.mark.parametrize(("partition", "offset"), [("chat", 1), ("my-own_2", 2**64 - 1)])
def test_an_id_leads_back_to_its_place(partition: str, offset: int) -> None:
    assert named_checkpoint(checkpoint_id(partition, offset), "id") == (partition, offset)


@pytest.mark.parametrize("text", ["chat", ":3", "chat:", "chat:-3", "chat:3x", "chat:٣", "chat:" + "9" * 21])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="INVALID"):
        named_checkpoint(text, "id")


def test_an_id_stands_for_its_partition_and_offset() -> None:
    asked = pb.Snapshot(id="chat:7")
    check_snapshot(asked, Limits())

    assert (asked.partition, asked.offset) == ("chat", 7)


def test_an_empty_log_has_an_answer() -> None:
    peer = Peer()
    peer.take("snapshot", pb.Snapshot(partition="chat"))

    ((name, answer),) = peer.alone()
    assert name == "snapshot"
    assert (answer.partition, answer.offset, answer.checksum, answer.matches) == ("chat", 0, bytes(16), False)
