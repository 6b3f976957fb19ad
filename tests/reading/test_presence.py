from collections.abc import Callable

import pytest

from bimip.domain.conversations.membership import NOBODY
from bimip.domain.core.ids import ConversationId, DeviceId, Millis, UserId
from bimip.domain.core.records import Changes, Conversation, Device, Group, Member, Role, Table
from bimip.domain.state.intents import NONE
from bimip.reading.presence import (
    AT_ONCE,
    Sight,
    find_user,
    read_intent,
    read_last_seen,
    read_seen,
    read_sight,
    read_sight_and_last,
    read_viewers,
    read_witnesses,
)
from bimip.storage.memory import MemoryStore
from tests.kit.contacts import with_contacts

ANN, BOB, CAROL = UserId(1), UserId(2), UserId(3)
EVERYBODY = {UserId(number) for number in range(1000)}


def friends() -> MemoryStore:
    return with_contacts(("ann", "bob"), ("ann", "carol"))


def test_viewers_and_whom_one_sees_are_those_who_are_there() -> None:
    store = friends()

    assert read_viewers(store, ANN, UserId(0), EVERYBODY) == (
        [Sight(BOB, is_shown=True, last_seen=True), Sight(CAROL, is_shown=True, last_seen=True)],
        None,
    )
    assert read_viewers(store, ANN, UserId(0), {CAROL}).found == [Sight(CAROL, is_shown=True, last_seen=True)]
    assert [sight.user for sight in read_seen(store, BOB, UserId(0), EVERYBODY).found] == [ANN]
    assert read_seen(store, BOB, UserId(0), {CAROL}).found == []


def test_many_are_read_a_slice_at_a_time() -> None:
    store = with_contacts(*[("ann", f"u{number}") for number in range(2 * AT_ONCE + 5)])
    behind: UserId | None = UserId(0)
    found: list[Sight] = []
    slices = 0
    while behind is not None:
        sights, behind = read_viewers(store, ANN, behind, EVERYBODY)
        found += sights
        slices += 1

    assert len({sight.user for sight in found}) == len(found) == 2 * AT_ONCE + 5
    assert slices == 3


def test_strangers_and_nobody_see_nothing() -> None:
    store = friends()

    for viewer, owner in ((BOB, CAROL), (BOB, NOBODY)):
        assert read_sight_and_last(store, viewer, owner) == (Sight(owner, is_shown=False, last_seen=False), Millis(0))


def test_the_last_device_that_was_there_counts() -> None:
    store = friends()
    store.begin()
    devices = {
        (BOB, "phone"): Device(DeviceId(1), Millis(0), Millis(900)),
        (BOB, "laptop"): Device(DeviceId(2), Millis(0), Millis(1200)),
        (CAROL, "phone"): Device(DeviceId(3), Millis(0), Millis(5000)),
    }
    store.apply(Changes(puts={Table.DEVICES: dict(devices)}))
    store.commit()

    assert read_last_seen(store, BOB) == 1200
    assert read_last_seen(store, ANN) == 0


def test_a_user_is_found_by_name_or_is_nobody() -> None:
    store = friends()

    assert (find_user(store, "carol"), find_user(store, "dave")) == (CAROL, NOBODY)
    assert read_intent(store, CAROL) == NONE


def cost(store: MemoryStore, read: Callable[[], object]) -> int:
    """How many records were read."""
    before = store.read_counts.records
    read()
    return store.read_counts.records - before


def test_of_whom_one_is_told_each_record_is_read_once() -> None:
    store = friends()
    per_viewer = 2 + 2 + 2 * 2  # what each has of the other; whether the owner is visible; two settings, and exceptions
    several = cost(store, lambda: read_viewers(store, ANN, UserId(0), EVERYBODY))
    one = cost(store, lambda: read_viewers(store, ANN, UserId(0), {CAROL}))

    assert several - one == cost(store, lambda: read_sight(store, BOB, ANN)) == per_viewer


@pytest.mark.parametrize("role", [Role.MEMBER, Role.NONE])
def test_who_sees_what_is_done_in_a_conversation_costs_one_read_more_than_of_one_alone(role: Role) -> None:
    """Who reads a feed no more has a record there still."""
    store = friends()
    store.begin()
    feed = Conversation(1, 0, (NOBODY, ANN))  # type: ignore[arg-type]  # plain numbers
    readers = {(2, number): Member(role, 1, 0, 0) for number in range(2, 300)}  # type: ignore[arg-type]
    store.apply(
        Changes(
            puts={
                Table.CONVERSATIONS: {(1,): Conversation(1, 0, (ANN, BOB)), (2,): feed},  # type: ignore[arg-type]
                Table.MEMBERS: dict(readers),
            }
        )
    )
    store.commit()
    alone = cost(store, lambda: read_witnesses(store, ANN, None, BOB))

    assert cost(store, lambda: read_witnesses(store, ANN, ConversationId(1), NOBODY)) == alone + 1
    assert read_witnesses(store, ANN, ConversationId(2), NOBODY) == []
    assert cost(store, lambda: read_witnesses(store, ANN, ConversationId(2), NOBODY)) < 150  # of 298 readers


def test_who_may_see_what_somebody_does_is_the_peer_or_a_small_group() -> None:
    store = friends()
    store.begin()
    large = tuple(map(UserId, range(1, 40)))
    member = Member(Role.MEMBER, since=1, upto=0, joined=0)  # type: ignore[arg-type]  # plain numbers
    store.apply(
        Changes(
            puts={
                Table.CONVERSATIONS: {
                    (1,): Conversation(1, 0, (ANN, BOB)),  # type: ignore[arg-type]
                    (2,): Conversation(1, 0, ()),  # type: ignore[arg-type]
                    (3,): Conversation(1, 0, ()),  # type: ignore[arg-type]
                },
                Table.GROUPS: {(2,): Group("small", (ANN, BOB, CAROL), 1), (3,): Group("large", large, 1)},  # type: ignore[arg-type]
                Table.MEMBERS: {(2, ANN): member},
            }
        )
    )
    store.commit()

    found = [read_witnesses(store, ANN, number, NOBODY) for number in (1, 2, 3)]  # type: ignore[arg-type]
    assert found == [[BOB], [BOB, CAROL], []]
    assert read_witnesses(store, ANN, None, CAROL) == [CAROL]
    assert read_witnesses(store, ANN, None, NOBODY) == read_witnesses(store, ANN, None, ANN) == []
