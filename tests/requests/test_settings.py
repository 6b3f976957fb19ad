"""What a device may say of its user's settings, with which stamp, and how it is answered."""

import pytest

from bimip.domain.contacts.changing_settings import (
    ChangeException,
    ChangeSettings,
    CurrentException,
    CurrentSettings,
)
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp, UserId, Version
from bimip.domain.state.privacy_exceptions import ExceptionValue, PrivacyException
from bimip.domain.state.settings import Audience, PrivacySettings, Setting
from bimip.requests.settings import AUDIENCES, NAMES, REQUESTS_FOR_A_RESTART
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
    assert [*AUDIENCES.values(), "visible", "stamp"] == list(PrivacySettings._fields)
    assert set(AUDIENCES.values()) < set(fields.values())
    assert {NAMES[setting] for setting in AUDIENCES} < {f.name for f in pb.PrivacyException.DESCRIPTOR.fields}


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
    peer.decide(CurrentSettings(PrivacySettings(last_seen_to=Audience.NOBODY, stamp=Stamp(7)), Version(3)))

    assert peer.alone() == [
        (
            "settings",
            pb.Settings(
                send_read_receipts=True,
                show_read_receipts=True,
                show_last_seen=False,
                show_online_status=True,
                visible=True,
                read_receipts_to=pb.EVERYBODY,
                read_receipts_of=pb.EVERYBODY,
                last_seen_to=pb.NOBODY,
                online_status_to=pb.EVERYBODY,
                stamp=7,
                version=3,
            ),
        )
    ]
    assert peer.weight == 0


def test_sending_all_of_the_state_again_is_charged() -> None:
    peer = Peer()
    peer.take("settings", pb.Settings(show_read_receipts=False))
    peer.decide(CurrentSettings(PrivacySettings(read_receipts_of=Audience.NOBODY), Version(3), is_restarted=True))

    assert peer.weight == REQUESTS_FOR_A_RESTART


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (pb.Settings(last_seen_to=pb.CONTACTS), Audience.CONTACTS),
        (pb.Settings(last_seen_to=pb.CONTACTS, show_last_seen=True), Audience.CONTACTS),
        (pb.Settings(last_seen_to=pb.NOBODY, show_last_seen=False), Audience.NOBODY),
        (pb.Settings(show_last_seen=True), Audience.EVERYBODY),
        (pb.Settings(show_last_seen=False), Audience.NOBODY),
    ],
)
def test_a_switch_is_short_for_its_audience(payload: pb.Settings, value: Audience) -> None:
    (one,) = asked(payload)

    assert one.values == ((Setting.SHOW_LAST_SEEN, value),)


@pytest.mark.parametrize(("audience", "switch"), [(pb.EVERYBODY, False), (pb.CONTACTS, False), (pb.NOBODY, True)])
def test_a_switch_that_contradicts_its_audience_is_refused(audience: pb.Audience, *, switch: bool) -> None:
    peer = Peer()
    peer.take("settings", pb.Settings(last_seen_to=audience, show_last_seen=switch))
    (error,) = peer.together().errors

    assert (error.code, error.field) == (pb.INVALID, "last_seen_to")


def test_an_exception_takes_its_own_stamp_or_that_of_the_settings() -> None:
    exceptions = [
        pb.PrivacyException(eid="bob", show_last_seen=pb.PrivacyException.DENIED, stamp=5),
        pb.PrivacyException(eid="carol", send_read_receipts=pb.PrivacyException.NONE),
    ]
    (one,) = asked(pb.Settings(stamp=7, exceptions=exceptions))

    assert one.exceptions == (
        ChangeException("bob", ((Setting.SHOW_LAST_SEEN, ExceptionValue.DENIED),), Stamp(5)),
        ChangeException("carol", ((Setting.SEND_READ_RECEIPTS, ExceptionValue.NONE),), Stamp(7)),
    )


def test_many_exceptions_are_charged_when_they_are_set_and_when_they_are_told() -> None:
    peer = Peer()
    denied = [
        pb.PrivacyException(eid=f"other{number}", show_last_seen=pb.PrivacyException.DENIED) for number in range(40)
    ]
    peer.take("settings", pb.Settings(exceptions=denied))

    assert peer.weight == 10
    current = CurrentException(UserId(2), PrivacyException(show_last_seen=ExceptionValue.DENIED), Version(1))
    peer.decide(CurrentSettings(PrivacySettings(), Version(3), exceptions=(current,) * 40))
    assert peer.weight == 20
