"""The last events of each device are kept, however often the same happens and whoever comes and goes."""

import pytest

from bimip.domain.core.ids import Millis, UserId
from bimip.users import recorder
from bimip.users.recorder import MOST_EVENTS, Event, FlightRecorder, FlightRecorders

ANN = UserId(1)


def test_what_happens_again_is_one_event_that_says_how_often() -> None:
    kept = FlightRecorder()
    for at, said in ((1, "INVALID"), (5, "INVALID"), (9, "INVALID"), (11, "NOT_FOUND")):
        kept.note(Millis(at), "refused", said)
    kept.note(Millis(12), "sent again", "chat", times=256)
    kept.note(Millis(13), "sent again", "chat", times=4)

    assert kept.events == [
        Event(Millis(1), "refused", "INVALID", 3, Millis(9)),
        Event(Millis(11), "refused", "NOT_FOUND", 1, Millis(11)),
        Event(Millis(12), "sent again", "chat", 260, Millis(13)),
    ]


def test_how_far_it_was_sent_takes_the_place_of_what_was_said_before() -> None:
    kept = FlightRecorder()
    kept.note(Millis(1), "sent", "chat up to 4", joins=True)
    kept.note(Millis(2), "sent", "chat up to 9", joins=True)

    assert kept.events == [Event(Millis(1), "sent", "chat up to 9", 2, Millis(2))]


def test_the_oldest_events_go_and_long_words_are_cut() -> None:
    kept = FlightRecorder()
    for at in range(MOST_EVENTS + 10):
        kept.note(Millis(at), "closed", f"{at} " + "x" * 1000)

    assert (len(kept.events), kept.events[0].at, len(kept.events[0].said)) == (MOST_EVENTS, 10, 160)


def test_a_device_that_comes_again_goes_on_with_its_own_and_of_those_that_went_the_last_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MOST_GONE", 2)
    kept = FlightRecorders()
    first = kept.begin(ANN, "phone")
    first.note(Millis(1), "connected")
    again = kept.begin(ANN, "phone")
    kept.end(ANN, "phone")
    gone = kept.of(ANN, "phone")
    back = kept.begin(ANN, "phone")
    for name in ("a", "b", "c"):
        kept.begin(ANN, name).note(Millis(2), "connected")
        kept.end(ANN, name)

    assert first is again is back
    assert gone == first.events
    assert kept.of(ANN, "phone") == first.events  # it is connected: no others push it out
    assert [len(kept.of(ANN, name)) for name in ("a", "b", "c", "never")] == [0, 1, 1, 0]
