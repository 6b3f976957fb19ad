"""What a device may say of its user's settings, with which stamp, and how it is answered."""

import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp, Version
from bimip.domain.state.settings import ChangeSettings, CurrentSettings, PrivacySettings, Setting
from bimip.requests.settings import NAMES, REQUESTS_FOR_A_RESTART
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer

PRESENT = earliest_stamp(Millis(1000))  # as the peer's clock stands


def asked(*payloads: pb.Settings) -> list[ChangeSettings]:
    peer = Peer()
    for payload in payloads:
        peer.take("settings", payload)
    return [one for one in peer.operations() if isinstance(one, ChangeSettings)]


def test_every_setting_has_its_field_in_the_schema_and_in_the_record() -> None:
    fields = {field.number: field.name for field in pb.Settings.DESCRIPTOR.fields}

    assert {setting: fields[setting] for setting in Setting} == NAMES
    assert set(NAMES.values()) | {"stamp"} == set(PrivacySettings._fields)


def test_what_is_given_is_set_and_what_is_absent_is_not() -> None:
    (one,) = asked(pb.Settings(show_read_receipts=False, show_online_status=True, stamp=7))

    assert one.values == ((Setting.SHOW_READ_RECEIPTS, False), (Setting.SHOW_ONLINE_STATUS, True))
    assert one.stamp == 7


def test_none_at_all_asks() -> None:
    (one,) = asked(pb.Settings(version=9))

    assert one.values == ()


@pytest.mark.parametrize("stamp", [0, PRESENT + 1, 2**64 - 1])
def test_a_stamp_that_is_ahead_or_missing_is_the_present(stamp: int) -> None:
    (one,) = asked(pb.Settings(show_last_seen=False, stamp=stamp))

    assert one.stamp == PRESENT


def test_two_without_a_stamp_are_in_the_order_in_which_they_came() -> None:
    one, two = asked(pb.Settings(show_last_seen=False), pb.Settings(show_last_seen=True))

    assert one.stamp < two.stamp


def test_the_answer_says_how_all_stand_in_a_frame_of_its_own() -> None:
    peer = Peer()
    peer.take("settings", pb.Settings(show_last_seen=False, stamp=7))
    peer.decide(CurrentSettings(PrivacySettings(show_last_seen=False, stamp=Stamp(7)), Version(3)))

    assert peer.alone() == [
        (
            "settings",
            pb.Settings(
                send_read_receipts=True,
                show_read_receipts=True,
                show_last_seen=False,
                show_online_status=True,
                stamp=7,
                version=3,
            ),
        )
    ]
    assert peer.weight == 0


def test_sending_all_of_the_state_again_is_charged() -> None:
    peer = Peer()
    peer.take("settings", pb.Settings(show_read_receipts=False))
    peer.decide(CurrentSettings(PrivacySettings(show_read_receipts=False), Version(3), is_restarted=True))

    assert peer.weight == REQUESTS_FOR_A_RESTART
