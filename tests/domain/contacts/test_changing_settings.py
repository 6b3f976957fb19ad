"""Exceptions converge as settings do, are bounded, and what follows from a change is told to whom it concerns."""

from itertools import permutations
from typing import Any

import pytest

from bimip.domain.contacts import changing_settings
from bimip.domain.contacts.changing_settings import ChangeException, ChangeSettings, CurrentSettings
from bimip.domain.core.decision import PrivacyNews, StateRestarted
from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp
from bimip.domain.core.operations import Fault, Receipt, Received, Refused, Result
from bimip.domain.core.records import Changes, Contact, ReceiptKind, Table
from bimip.domain.state import privacy_exceptions
from bimip.domain.state.kinds import read_value
from bimip.domain.state.privacy_exceptions import ALLOWED, DENIED, NONE, ExceptionValue, PrivacyException, pack_key
from bimip.domain.state.settings import Audience, Setting
from tests.domain.support import Ledger, Peer


class Household:
    """Ann with a phone and a laptop, who knows bob, carol and dave."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ann, self.bob, self.carol, self.dave = (self.ledger.device(one) for one in ("ann", "bob", "carol", "dave"))
        self.laptop = self.ledger.device("ann", "laptop")

    def ask(self, stamp: int, *, by: Peer | None = None, to: str = "bob", **settings: int) -> Result:
        """Excepts `to` from these settings."""
        who = by or self.ann
        values = tuple((Setting[name.upper()], ExceptionValue(value)) for name, value in settings.items())
        exceptions = (ChangeException(to, values, Stamp(stamp)),) if values else ()
        result: Result = self.ledger.do(ChangeSettings(who.user, who.device, (), Stamp(stamp), exceptions))
        return result

    def set(self, stamp: int, **settings: int) -> CurrentSettings:
        values = tuple((Setting[name.upper()], value) for name, value in settings.items())
        result = self.ledger.do(ChangeSettings(self.ann.user, self.ann.device, values, Stamp(stamp)))
        assert isinstance(result, CurrentSettings)
        return result

    def change(self, stamp: int, **asked: Any) -> CurrentSettings:
        result = self.ask(stamp, **asked)
        assert isinstance(result, CurrentSettings)
        return result

    def have(self, owner: Peer, peer: Peer, contact: Contact | None) -> None:
        self.ledger.commit(Changes(puts={Table.CONTACTS: {(owner.user, peer.user): contact}}))

    @property
    def news(self) -> list[Any]:
        return [news for news in self.ledger.decisions[0].news if isinstance(news, PrivacyNews | StateRestarted)]

    def state(self) -> dict[str, PrivacyException]:
        """What a device of ann's that reads all of its state is told of exceptions."""
        with self.ledger.store.snapshot() as view:
            keys = [key for _, key in view.scan(Table.CHANGES, (self.ann.user,), (self.ann.user + 1,), limit=2000)]
            ours = [key for key in keys if key[0] == privacy_exceptions.TAG]
            read = {privacy_exceptions.unpack_key(key): read_value(view, self.ann.user, key) for key in ours}
            return {view.get(Table.EIDS, (other,)): one for other, one in read.items() if one is not None}


def test_an_exception_is_told_to_the_users_devices_alone_and_kept() -> None:
    house = Household()
    answer = house.change(5, show_last_seen=DENIED)

    assert answer.exceptions[0][:2] == (house.bob.user, PrivacyException(show_last_seen=DENIED, stamp=Stamp(5)))
    assert house.state() == {"bob": PrivacyException(show_last_seen=DENIED, stamp=Stamp(5))}
    assert {news.user for news in house.ledger.decisions[0].news} == {house.ann.user}


def test_who_asks_is_told_of_all_that_there_are() -> None:
    house = Household()
    house.change(5, show_last_seen=DENIED)
    house.change(6, to="carol", send_read_receipts=ALLOWED)
    house.change(7, show_last_seen=NONE)
    (left,) = house.change(8).exceptions

    assert left[:2] == (house.carol.user, PrivacyException(send_read_receipts=ALLOWED, stamp=Stamp(6)))
    assert left.version == house.ledger.get(Table.VERSIONS, house.ann.user, pack_key(house.carol.user))


@pytest.mark.parametrize("order", list(permutations([("ann", 3, DENIED), ("laptop", 5, ALLOWED), ("ann", 4, NONE)])))
def test_the_last_write_by_its_stamp_counts_whatever_came_first(order: Any) -> None:
    house = Household()
    for device, stamp, value in order:
        house.change(stamp, by=getattr(house, device), show_online_status=value)

    assert house.state() == {"bob": PrivacyException(show_online_status=ALLOWED, stamp=Stamp(5))}


def test_one_that_was_taken_back_is_removed_from_the_state_and_an_older_write_does_not_bring_it_back() -> None:
    house = Household()
    house.change(5, show_online_status=DENIED)
    taken_back = house.change(7, show_online_status=NONE)
    late = house.change(6, by=house.laptop, show_online_status=DENIED)

    assert house.state() == {}
    assert taken_back.exceptions[0].version == late.exceptions[0].version
    assert not [news for news in house.ledger.decisions[0].news if news.user == house.ann.user]


def test_settings_of_one_user_that_are_excepted_apart_from_each_other_both_count() -> None:
    house = Household()
    house.change(9, by=house.laptop, show_last_seen=DENIED)
    house.change(3, show_online_status=ALLOWED)

    assert house.state() == {
        "bob": PrivacyException(show_last_seen=DENIED, show_online_status=ALLOWED, stamp=Stamp(9)),
    }


def test_nobody_and_oneself_are_refused_and_then_nothing_is_set() -> None:
    house = Household()
    bob = ChangeException("bob", ((Setting.SHOW_LAST_SEEN, DENIED),), Stamp(5))
    for eid, fault in (("nobody", Fault.NOT_FOUND), ("ann", Fault.INVALID)):
        asked = ChangeSettings(
            house.ann.user,
            house.ann.device,
            ((Setting.VISIBLE, 0),),
            Stamp(5),
            (bob, ChangeException(eid, ((Setting.SHOW_LAST_SEEN, DENIED),), Stamp(5))),
        )
        refused = house.ledger.do(asked)

        assert isinstance(refused, Refused)
        assert (refused.fault, refused.field) == (fault, "exceptions.eid")
    assert house.state() == {}
    assert house.change(6).settings.visible


def test_where_unknown_recipients_are_accepted_exceptions_may_be_for_them() -> None:
    house = Household()
    house.ledger = Ledger(accept_unknown_recipients=True)
    house.ann = house.ledger.device("ann")
    both = tuple(ChangeException(eid, ((Setting.SHOW_LAST_SEEN, DENIED),), Stamp(5)) for eid in ("new", "newer"))
    house.ledger.do(ChangeSettings(house.ann.user, house.ann.device, (), Stamp(5), both))

    assert set(house.state()) == {"new", "newer"}


def test_exceptions_are_bounded_and_one_that_is_taken_back_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing_settings, "MAX_EXCEPTIONS", 2)
    house = Household()
    house.change(1, to="bob", show_last_seen=DENIED)
    house.change(2, to="carol", show_last_seen=DENIED)
    refused = house.ask(3, to="dave", show_last_seen=DENIED)
    changed = house.change(4, to="carol", show_last_seen=ALLOWED)

    assert isinstance(refused, Refused)
    assert (refused.fault, refused.field) == (Fault.INVALID, "exceptions")
    assert changed.exceptions[0].exception.show_last_seen is ALLOWED
    house.change(5, to="bob", show_last_seen=NONE)
    house.change(6, to="dave", show_last_seen=DENIED)
    assert set(house.state()) == {"carol", "dave"}


def test_of_those_that_were_taken_back_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing_settings, "MAX_EXCEPTIONS", 2)
    house = Household()
    others = [house.ledger.device(f"other{number}") for number in range(6)]
    for number, other in enumerate(others):
        house.change(10 + 2 * number, to=other.eid, show_last_seen=DENIED)
        house.change(11 + 2 * number, to=other.eid, show_last_seen=NONE)
    with house.ledger.store.snapshot() as view:
        known = privacy_exceptions.exceptions_of(view, house.ann.user, 100)

    assert list(known) == [other.user for other in others[-3:]]  # the last was made before it was taken back


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"show_last_seen": Audience.NOBODY}, True),
        ({"show_online_status": Audience.CONTACTS}, True),
        ({"visible": 0}, True),
        ({"visible": 1}, False),
        ({"send_read_receipts": Audience.NOBODY}, False),
        ({"show_read_receipts": Audience.NOBODY}, False),
    ],
)
def test_what_others_see_at_once_is_news_to_who_shows_it(settings: dict[str, int], *, expected: bool) -> None:
    house = Household()
    house.set(5, **settings)

    assert (PrivacyNews(house.ann.user) in house.news) is expected


def test_an_exception_is_news_of_one_viewer() -> None:
    house = Household()
    house.change(5, show_online_status=DENIED)

    assert house.news == [PrivacyNews(house.ann.user, house.bob.user)]
    house.change(6, send_read_receipts=DENIED)
    assert house.news == []


@pytest.mark.parametrize(
    ("audience", "exception", "expected"),
    [
        (Audience.EVERYBODY, DENIED, True),
        (Audience.EVERYBODY, ALLOWED, False),
        (Audience.NOBODY, ALLOWED, True),
        (Audience.NOBODY, DENIED, False),
        (Audience.CONTACTS, ALLOWED, True),
        (Audience.CONTACTS, DENIED, False),
    ],
)
def test_an_exception_restarts_the_state_where_other_receipts_are_shown_by_it(
    audience: Audience, exception: ExceptionValue, *, expected: bool
) -> None:
    house = Household()
    house.set(4, show_read_receipts=audience)

    assert house.change(5, show_read_receipts=exception).is_restarted is expected
    assert house.change(6, show_read_receipts=NONE).is_restarted is expected


def test_who_is_excepted_learns_of_what_is_read_from_now_on_and_of_nothing_before() -> None:
    house = Household()
    for number in range(6):
        house.ledger.send(house.bob, "ann", f"m{number}")
    one = ConversationId(1)

    def read(first: int, last: int) -> None:
        received = (Received(one, ConversationOffset(first), ConversationOffset(last)),)
        reading = Receipt(house.ann.user, ReceiptKind.READ, one, "", ConversationOffset(0), ((first, last),), received)
        house.ledger.do(reading)

    read(1, 2)
    house.change(5, send_read_receipts=DENIED)
    read(1, 4)
    house.change(6, send_read_receipts=NONE)
    read(1, 5)
    house.have(house.ann, house.bob, Contact(blocked=True))
    read(1, 6)
    house.have(house.ann, house.bob, None)
    read(1, 6)
    known = house.ledger.get(Table.RECEIPTS, one, house.ann.user, ReceiptKind.READ, 0)

    assert [(run.first, run.last) for run in known] == [(1, 2), (5, 5)]


def test_a_block_by_either_makes_reading_private_of_who_never_set_anything() -> None:
    house = Household()
    house.ledger.send(house.bob, "ann", "m1")
    house.have(house.ann, house.bob, Contact(blocked=True))
    one, received = ConversationId(1), (Received(ConversationId(1), ConversationOffset(1), ConversationOffset(1)),)
    reading = Receipt(house.ann.user, ReceiptKind.READ, one, "", ConversationOffset(1), (), received)
    house.ledger.do(reading)
    house.have(house.ann, house.bob, None)
    house.ledger.do(reading)

    assert house.ledger.get(Table.RECEIPTS, one, house.ann.user, ReceiptKind.READ, 0) is None
    assert house.ledger.get(Table.PRIVATE_READS, one, house.ann.user, ReceiptKind.READ, 0)
