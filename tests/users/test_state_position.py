"""Where a device stands in the state, in a session whose floor rises at any moment."""

from typing import cast

from bimip.domain.core.ids import Version
from bimip.users.session import Session, StatePage
from bimip.users.state_position import StatePosition


class Standing:
    """A session's state: its head and floor, and a floor that is found on disk while a page is read."""

    def __init__(self, head: int, floor: int = 0, on_disk: int = 0) -> None:
        self.state = self
        self.head = head
        self.state_floor = floor
        self.asked: list[tuple[int, bool]] = []
        self._on_disk = on_disk

    def read_state(self, after: int, *, live: bool, reset: bool) -> StatePage:
        self.asked.append((after, reset))
        self.state_floor = max(self.state_floor, self._on_disk)
        return StatePage(b"whole" if reset else b"live" if live else b"page", Version(self.head), live=True)


def position_at(version: int, standing: Standing) -> StatePosition:
    position = StatePosition(cast("Session", standing))
    position.resume(cast("Session", standing), version, same_epoch=True)
    return position


def read(position: StatePosition, standing: Standing) -> bytes:
    page = position.read(cast("Session", standing))
    position.sent(page)
    return page.part


def test_who_is_at_the_head_is_live_and_who_is_behind_it_is_not() -> None:
    standing = Standing(head=9)

    assert read(position_at(9, standing), standing) == b"live"
    assert read(position_at(8, standing), standing) == b"page"


def test_a_version_that_means_nothing_here_is_sent_all_of_the_state() -> None:
    standing = Standing(head=9, floor=5)

    assert [read(position_at(version, standing), standing) for version in (0, 4, 10)] == [b"whole"] * 3
    assert read(position_at(5, standing), standing) == b"page"


def test_who_is_behind_a_floor_that_rose_is_sent_all_of_the_state_and_whoever_is_not_goes_on() -> None:
    standing = Standing(head=9)
    behind, beyond = position_at(7, standing), position_at(9, standing)
    standing.state_floor = 8

    assert read(behind, standing) == b"whole"
    assert read(beyond, standing) == b"live"
    assert read(behind, standing) == b"live"


def test_a_page_that_was_read_beyond_a_floor_that_nobody_knew_of_is_not_sent() -> None:
    """The store has a commit before anybody is told of it: who read beyond the floor would never be sent all again."""
    standing = Standing(head=9)
    position = position_at(7, standing)
    standing._on_disk = 8

    assert read(position, standing) == b"whole"
    assert standing.asked == [(7, False), (0, True)]
    assert position.version == 9
