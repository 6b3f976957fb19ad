from bimip.wire import bimip_pb2 as pb
from bimip.wire.limits import Limits


def test_the_client_is_told_every_limit_that_hello_has_room_for() -> None:
    told = Limits().told()

    assert [field.name for field in pb.Limits.DESCRIPTOR.fields] == list(told)
    assert [field.name for field, _ in pb.Limits(**told).ListFields()] == list(told)


def test_times_are_told_in_milliseconds_and_kept_in_seconds() -> None:
    told = Limits(grace_seconds=12.5, heartbeat_seconds=0.1).told()

    assert (told["grace_period_ms"], told["heartbeat_ms"]) == (12_500, 100)


def test_a_window_bounds_what_is_held() -> None:
    assert Limits(window_entries=7).max_held == 7


def test_what_cannot_be_sent_is_a_contradiction() -> None:
    assert not Limits().contradictions()
    assert len(Limits(max_message_bytes=2000, max_frame_bytes=2000, window_bytes=1999).contradictions()) == 2
