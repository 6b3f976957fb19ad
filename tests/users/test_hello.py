"""What a Hello may say."""

from typing import Any

import pytest

from bimip.users.hello import check_hello
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LIMITS = Limits()


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


def position(**fields: object) -> pb.Position:
    values: dict[str, Any] = {"partition": "chat", **fields}
    return pb.Position(**values)


GOOD_POSITIONS = [
    position(),
    position(offset=0),
    position(offset=5, held=ranges((7, 7), (9, 263))),
    position(start=pb.FIRST),
    position(start=pb.HEAD),
    position(start=pb.LAST, last=50),
    position(seq="1:2:d"),
    position(seq="1:2:d", held=ranges((7, 7))),
]


@pytest.mark.parametrize("good", GOOD_POSITIONS, ids=str)
def test_a_hello_may_say(good: pb.Position) -> None:
    check_hello(pb.Hello(partitions=[good, position(partition="feed")], messages=[pb.Message()]), LIMITS)


BAD_HELLOS: list[tuple[pb.Hello, int, str]] = [
    (pb.Hello(partitions=[position(partition="")]), pb.INVALID, "partitions.partition"),
    (pb.Hello(partitions=[position(), position()]), pb.INVALID, "partitions.partition"),
    (pb.Hello(partitions=[position(partition=str(n)) for n in range(65)]), pb.TOO_LARGE, "partitions"),
    (pb.Hello(partitions=[position(start=9)]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.HEAD, offset=0)]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.FIRST, held=ranges((1, 2)))]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.LAST)]), pb.INVALID, "partitions.last"),
    (pb.Hello(partitions=[position(last=3)]), pb.INVALID, "partitions.last"),
    (pb.Hello(partitions=[position(seq="x")]), pb.INVALID, "partitions.seq"),
    (pb.Hello(partitions=[position(seq="1:2:d", offset=0)]), pb.INVALID, "partitions.seq"),
    (pb.Hello(partitions=[position(offset=5, held=ranges((5, 6)))]), pb.INVALID, "partitions.held"),
    (pb.Hello(partitions=[position(held=ranges((2, 1)))]), pb.INVALID, "partitions.held.to"),
    (pb.Hello(partitions=[position(offset=5, held=ranges((7, 263)))]), pb.TOO_LARGE, "partitions.held"),
    (pb.Hello(partitions=[position(held=ranges((1, 2**64 - 1)))]), pb.TOO_LARGE, "partitions.held"),
    (pb.Hello(agent="x" * 256), pb.TOO_LARGE, "agent"),
]


@pytest.mark.parametrize(("bad", "code", "field"), BAD_HELLOS, ids=lambda value: str(value)[:60])
def test_a_hello_may_not_say(bad: pb.Hello, code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_hello(bad, LIMITS)

    assert (caught.value.code, caught.value.field) == (code, field)
