import pytest

from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.codec import decode
from bimip.wire.state import delta_part

STORED = stored.store([b"\x0a\x01m"], stamps=[(1, "0000000000001", 2)], conversation="c", conversation_offset=1)
ELEMENT = stored.deliver(STORED[0], 12)


@pytest.mark.parametrize("parts", [0, 1, 5, 300])
def test_a_body_has_its_range_and_its_parts(parts: int) -> None:
    scheme = decode(frames.body("chat", 200, 70_000, pb.IN_TURN, [ELEMENT] * parts))

    assert (scheme.route, scheme.ref) == (10, 0)
    assert (scheme.body.partition, scheme.body.after, scheme.body.upto) == ("chat", 200, 70_000)
    assert [(message.id, message.user_offset) for message in scheme.body.messages] == [("m", 12)] * parts


def test_the_greatest_numbers_fit() -> None:
    body = decode(frames.body("p" * 200, 2**64 - 1, 2**64 - 1, pb.REDELIVERED, [])).body

    assert body == pb.Body(partition="p" * 200, after=2**64 - 1, upto=2**64 - 1, turn=pb.REDELIVERED)


def test_every_kind_of_part_stands_in_its_place() -> None:
    signal = pb.Signal(id="s", status=pb.SENT)
    error = pb.ErrorMessage(code=pb.CONFLICT, message="x" * 300)
    gap = pb.Gap(partition="chat", to=9, reason=pb.EXPIRED)
    item = pb.StateDelta(items=[pb.StateItem(version=9)])
    state = pb.StateDelta(upto=9, items=item.items)
    parts = [
        delta_part(0, 9, [item.SerializeToString()]),
        frames.signal_part(signal),
        ELEMENT,
        frames.error_part(error),
        frames.gap_part("chat", 0, 9, pb.EXPIRED),
        frames.signal_part(signal),
    ]
    body = decode(frames.body("chat", 0, 0, pb.IN_TURN, parts)).body

    assert pb.Body(
        partition="chat",
        messages=pb.Body.FromString(ELEMENT).messages,
        signals=[signal, signal],
        errors=[error],
        gaps=[gap],
        states=[state],
    ) == body  # fmt: skip


def test_the_answer_to_a_fetch_says_how_to_go_on() -> None:
    tail = frames.fetch_part(next_offset=13, next_cursor=b"n", acknowledged=[False], complete=True, ref=8)
    body = decode(frames.body("chat", 0, 0, pb.TURN_FETCH, [ELEMENT], tail=tail)).body

    assert (body.turn, body.next_offset, list(body.acknowledged), body.complete, body.ref) == (2, 13, [False], True, 8)
    assert body.next_cursor == b"n"
    assert len(body.messages) == 1
