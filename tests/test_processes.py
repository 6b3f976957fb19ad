"""Processes that read the store while it cannot be read."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from bimip.processes import through_outages
from bimip.storage.errors import StorageError, StoreDamagedError


class FakeChild:
    def __init__(self) -> None:
        self.starts = 0

    def started(self) -> None:
        self.starts += 1


def failing(*errors: Exception) -> tuple[Callable[..., Any], list[float]]:
    """A process that raises these, one each time it begins, and then ends."""
    left, begun = list(errors), list[float]()

    async def process(_parts: object, _child: object) -> None:
        begun.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if left:
            raise left.pop(0)

    return through_outages(process), begun


AWAY = StorageError("the database is away")


@pytest.mark.parametrize(
    "outage", [AWAY, ExceptionGroup("two", [AWAY, AWAY]), ExceptionGroup("one", [ExceptionGroup("in one", [AWAY])])]
)
async def test_it_begins_again_once_the_store_can_be_read(outage: Exception, autojump_clock: MockClock) -> None:
    process, begun = failing(outage, outage)
    child = FakeChild()
    await process(cast("Any", None), cast("Any", child))

    assert len(begun) == 3
    assert begun[0] < begun[1] < begun[2]
    assert child.starts == 1


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a defect"), StoreDamagedError("a place"), ExceptionGroup("both", [AWAY, RuntimeError("a defect")])],
)
async def test_what_is_a_defect_ends_it(error: Exception, autojump_clock: MockClock) -> None:
    process, begun = failing(error)

    with pytest.raises(type(error)):
        await process(cast("Any", None), cast("Any", FakeChild()))
    assert len(begun) == 1
