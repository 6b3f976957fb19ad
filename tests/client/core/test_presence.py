"""What a device takes of what it is told of others' presence, and what of it ends by itself."""

from math import inf
from typing import Any

import pytest

from bimip.client.core.presence import MOST_ACTIVITIES, SETTLE_SECONDS, Presence
from bimip.client.events import ActivityChanged, KnownPresence, PresenceChanged
from bimip.client.wire.bimip import Awareness, AwarenessStatus, Identity
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import Status

S = AwarenessStatus


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence(clock: Clock) -> Presence:
    return Presence(clock)


def told(status: AwarenessStatus, eid: str = "bob", **fields: Any) -> Awareness:
    return Awareness(status=status, from_=Identity(eid=eid), **fields)


def take(presence: Presence, *items: Awareness, is_reset: bool = False) -> list[Any]:
    return presence.take(items, is_reset=is_reset)


def test_who_comes_says_how_they_are_and_goes_is_told_once_each(presence: Presence) -> None:
    came, away, gone = told(S.ONLINE, timestamp=5), told(S.AWAY, timestamp=6), told(S.OFFLINE, last_seen=7)

    assert take(presence, came) == [PresenceChanged("bob", Status.ONLINE, since=5)]
    assert take(presence, came) == []
    assert take(presence, away, gone) == [
        PresenceChanged("bob", Status.AWAY, since=6),
        PresenceChanged("bob", Status.OFFLINE, last_seen=7),
    ]
    assert presence.known() == {"bob": KnownPresence(Status.OFFLINE, last_seen=7)}
    assert take(presence, told(S.OFFLINE, "carol")) == []


def test_who_is_named_behind_a_reset_is_not_seen_to_go_and_who_is_not_is(presence: Presence, clock: Clock) -> None:
    take(presence, *(told(S.ONLINE, eid) for eid in ("bob", "carol", "dave", "eve")), told(S.OFFLINE, "eve"))
    assert take(presence, told(S.ONLINE), is_reset=True) == []
    clock.now += SETTLE_SECONDS - 1
    assert presence.expire() == []
    assert take(presence, told(S.ONLINE, "carol")) == []  # others may be named behind her, too
    clock.now += SETTLE_SECONDS - 1
    assert presence.expire() == []
    assert presence.next_end == clock.now + 1
    clock.now += 1

    assert presence.expire() == [PresenceChanged("dave", Status.OFFLINE)]
    assert set(presence.known()) == {"bob", "carol"}
    assert presence.next_end == inf


def test_nobody_is_seen_to_go_while_there_is_no_connection(presence: Presence, clock: Clock) -> None:
    take(presence, told(S.ONLINE))
    take(presence, is_reset=True)
    presence.disconnected()
    clock.now += 2 * SETTLE_SECONDS

    assert presence.expire() == []
    assert set(presence.known()) == {"bob"}
    take(presence, is_reset=True)
    clock.now += SETTLE_SECONDS
    assert presence.expire() == [PresenceChanged("bob", Status.OFFLINE)]


def test_who_types_does_so_until_the_time_is_over(presence: Presence, clock: Clock) -> None:
    typing = told(S.TYPING, conversation="c1", ttl_ms=4000)
    assert take(presence, typing) == [ActivityChanged("bob", "c1", Doing.TYPING)]
    clock.now += 3
    assert take(presence, typing) == []  # it goes on
    clock.now += 3
    assert presence.expire() == []
    assert presence.next_end == clock.now + 1
    clock.now += 1

    assert presence.expire() == [ActivityChanged("bob", "c1", Doing.CANCELLED)]
    assert presence.next_end == inf


def test_another_activity_takes_its_place_and_what_is_of_one_moment_ends_it(presence: Presence) -> None:
    events = take(
        presence,
        told(S.TYPING, conversation="c1"),
        told(S.RECORDING, conversation="c1"),
        told(S.PAUSED, conversation="c1"),
        told(S.CANCELLED, conversation="c1"),
        told(S.CANCELLED, conversation="c1"),
        told(S.TYPING, conversation="c1"),
        told(S.RESUME, conversation="c1"),
        told(S.CANCELLED, conversation="c1"),
        told(S.RESUME, conversation="c1"),
    )

    assert [event.activity.name for event in events] == [
        *("TYPING", "RECORDING", "PAUSED", "CANCELLED", "TYPING", "RESUME", "RESUME")
    ]


def test_a_message_ends_what_its_author_was_doing_there(presence: Presence) -> None:
    assert presence.wrote("bob", "c1") == []
    take(presence, told(S.TYPING, conversation="c1"), told(S.TYPING, conversation="c2"), told(S.TYPING, "carol"))

    assert presence.wrote("bob", "c1") == [ActivityChanged("bob", "c1", Doing.CANCELLED)]
    assert presence.wrote("bob", "c1") == []
    assert presence.wrote("carol", "c3") == [ActivityChanged("carol", "", Doing.CANCELLED)]  # they had none yet
    assert presence.wrote("bob", "c2") == [ActivityChanged("bob", "c2", Doing.CANCELLED)]


def test_only_so_many_activities_are_shown_at_once(presence: Presence) -> None:
    events = take(presence, *(told(S.TYPING, conversation=f"c{number}") for number in range(MOST_ACTIVITIES + 1)))

    assert events[-1] == ActivityChanged("bob", "c0", Doing.CANCELLED)
    assert len(events) == MOST_ACTIVITIES + 2


def test_a_status_of_a_later_version_is_left_out(presence: Presence) -> None:
    assert take(presence, told(S(99)), told(S.ONLINE)) == [PresenceChanged("bob", Status.ONLINE)]
