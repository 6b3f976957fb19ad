"""Privacy settings converge whatever order they are written in, and receipts obey them in every combination."""

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.contacts.changing_settings import ChangeSettings, CurrentSettings, change_settings
from bimip.domain.contacts.privacy import may_see
from bimip.domain.conversations.groups import CreateGroup
from bimip.domain.core.decision import NOTHING, PrivacyNews, StateNews, StateRestarted
from bimip.domain.core.ids import ConversationId, ConversationOffset, Offset, Stamp, Version
from bimip.domain.core.operations import Acknowledge, Receipt, Received
from bimip.domain.core.records import DamagedRecordError, ReceiptKind, Table
from bimip.domain.state import private_reads, receipts
from bimip.domain.state.kinds import read_value
from bimip.domain.state.lifecycle import IMPLIED
from bimip.domain.state.privacy_exceptions import EXCEPTED
from bimip.domain.state.settings import KEY, Audience, PrivacySettings, Setting, audience_of, settings_of, written
from tests.domain.support import Ledger, Peer

ONE = ConversationId(1)
SEND = Setting.SEND_READ_RECEIPTS


class People:
    """Ann with two devices, Bob and Carol: ten messages of ann's to bob, or to a group of the three; of that the first
    entry is that she created it.
    """

    def __init__(self, *, group: bool = False) -> None:
        self.ledger = Ledger()
        self.ann, self.bob, self.carol = (self.ledger.device(name) for name in ("ann", "bob", "carol"))
        self.laptop = self.ledger.device("ann", "laptop")
        if group:
            self.ledger.do(CreateGroup(self.ann.user, self.ann.device, "r", bytes(8), "trip", ("bob", "carol")))
        for number in range(10):
            self.ledger.send(self.ann, "c1" if group else "bob", f"m{number}")

    def change(self, who: Peer, stamp: int, **values: int) -> CurrentSettings:
        pairs = tuple((Setting[name.upper()], value) for name, value in values.items())
        result = self.ledger.do(ChangeSettings(who.user, who.device, pairs, Stamp(stamp)))
        assert isinstance(result, CurrentSettings)
        return result

    def say(self, who: Peer, kind: ReceiptKind, first: int, last: int) -> None:
        received = (Received(ONE, ConversationOffset(first), ConversationOffset(last)),)
        self.ledger.do(Receipt(who.user, kind, ONE, "", ConversationOffset(0), ((first, last),), received))

    def settings(self, who: Peer) -> PrivacySettings:
        with self.ledger.store.snapshot() as view:
            return settings_of(view, who.user)

    def state(self, viewer: Peer, *, since: int = 0) -> dict[tuple[str, ReceiptKind], set[int]]:
        """What a device of the viewer's that catches up is told of bob's receipts: "public" or "private", and kind."""
        found: dict[tuple[str, ReceiptKind], set[int]] = {}
        with self.ledger.store.snapshot() as view:
            changes = view.scan(Table.CHANGES, (viewer.user, since), (viewer.user + 1,), limit=1000)
            for (user, _), key in changes:
                if key[0] in MAPS and (runs := read_value(view, user, key)):
                    block = receipts.unpack_key(key)
                    assert block.member == self.bob.user
                    places = {place for run in runs for place in range(run.first, run.last + 1)}
                    found.setdefault((MAPS[key[0]], block.kind), set()).update(places)
        return found

    def told(self, viewer: Peer) -> dict[tuple[str, ReceiptKind], set[int]]:
        """What a connected device of the viewer's is told by the last operation, as `state` says it."""
        found: dict[tuple[str, ReceiptKind], set[int]] = {}
        for news in (news for decision in self.ledger.decisions for news in decision.news):
            if isinstance(news, StateNews) and news.user == viewer.user and news.change:
                kind = receipts.unpack_key(news.key).kind
                places = {place for run in news.change for place in range(run.first, run.last + 1)}
                found.setdefault((MAPS[news.key[0]], kind), set()).update(places)
        return found


MAPS = {receipts.TAG: "public", private_reads.TAG: "private"}


def test_all_hold_for_everybody_until_they_are_turned_off() -> None:
    people = People()

    assert people.change(people.ann, 5) == CurrentSettings(PrivacySettings(), Version(0))
    assert (people.ledger.decisions[0].news, people.ledger.decisions[0].writes) == ((), NOTHING)


def test_only_what_is_named_changes_and_only_the_users_devices_are_told() -> None:
    people = People()
    answer = people.change(people.ann, 5, show_last_seen=False)

    assert (
        answer.settings == PrivacySettings(last_seen_to=Audience.NOBODY, stamp=Stamp(5)) == people.settings(people.ann)
    )
    assert people.ledger.decisions[0].news == [
        StateNews(people.ann.user, answer.version, KEY, PrivacySettings(last_seen_to=Audience.NOBODY, stamp=Stamp(5))),
        PrivacyNews(people.ann.user),
    ]
    assert people.settings(people.bob) == PrivacySettings()


writes = st.lists(
    st.tuples(
        st.sampled_from(["ann", "laptop"]), st.sampled_from(EXCEPTED), st.sampled_from(Audience), st.integers(1, 4)
    ),
    min_size=1,
    max_size=6,
)


@given(writes, st.randoms(use_true_random=False))
def test_in_whatever_order_two_devices_write_the_same_stands_in_the_end(written: list[Any], random: Any) -> None:
    shuffled = [*written, *written[:2]]
    random.shuffle(shuffled)
    ends = []
    for order in (written, shuffled):
        people = People()
        for who, setting, value, stamp in order:
            people.change(getattr(people, who), stamp, **{setting.name.lower(): value})
        ends.append(people.settings(people.ann))

    assert ends[0] == ends[1]


@pytest.mark.parametrize("order", list(permutations([(3, False), (5, True), (4, False)])))
def test_the_last_write_by_its_stamp_wins(order: Sequence[tuple[int, bool]]) -> None:
    people = People()
    for stamp, value in order:
        people.change(people.ann, stamp, send_read_receipts=value)

    assert people.settings(people.ann) == PrivacySettings(stamp=Stamp(5))


def test_two_settings_that_are_changed_apart_both_count() -> None:
    people = People()
    people.change(people.laptop, 9, show_last_seen=False)
    people.change(people.ann, 3, show_online_status=False)

    assert people.settings(people.ann) == PrivacySettings(
        last_seen_to=Audience.NOBODY, online_status_to=Audience.NOBODY, stamp=Stamp(9)
    )


def test_what_changes_nothing_is_answered_with_how_it_stands_and_told_to_nobody() -> None:
    people = People()
    first = people.change(people.ann, 5, show_last_seen=False)
    again = people.change(people.ann, 4, show_last_seen=True)

    assert again == first
    assert not people.ledger.decisions[0].news


class Damaged:
    """A view whose settings cannot be read."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def get(self, table: Table, key: Any) -> Any:
        if table is Table.SETTINGS:
            raise DamagedRecordError
        return self._view.get(table, key)


def test_settings_that_are_damaged_are_off_until_they_are_set_anew() -> None:
    people = People()
    with people.ledger.store.snapshot() as whole:
        view: Any = Damaged(whole)
        asked = ChangeSettings(people.ann.user, people.ann.device, ((SEND, True),), Stamp(1))
        decision = change_settings(view, asked, people.ledger.context)

        assert not any(audience_of(written(view, people.ann.user, setting)) for setting in Setting)
        assert not may_see(view, people.ann.user, people.bob.user, ReceiptKind.READ)
    assert isinstance(decision.result, CurrentSettings)
    assert decision.result.settings == PrivacySettings(
        Audience.EVERYBODY, Audience.NOBODY, Audience.NOBODY, Audience.NOBODY, visible=False, stamp=Stamp(1)
    )


class Case(NamedTuple):
    """Who looks at bob's receipts, and what he and they have set."""

    sends: bool
    shows: bool
    viewer: str
    kind: ReceiptKind
    group: bool

    @property
    def expected(self) -> dict[tuple[str, ReceiptKind], set[int]]:
        """By the rule itself: DELIVERED is public always; the rest where it is sent and shown, or one's own."""
        own, said = self.viewer == "bob", {3, 4}
        told: dict[tuple[str, ReceiptKind], set[int]] = {}
        for kind in IMPLIED[self.kind]:
            if kind is ReceiptKind.DELIVERED:
                told |= {} if own else {("public", kind): said}
            elif own:
                told["public" if self.sends else "private", kind] = said
            elif self.sends and self.shows:
                told["public", kind] = said
        return {} if self.viewer == "carol" else told  # who wrote none of the messages is not concerned


BOTH = [True, False]
CASES = [Case(*case) for case in product(BOTH, BOTH, ["ann", "bob", "carol"], ReceiptKind, BOTH)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_learns_of_which_receipt_live_and_when_catching_up(case: Case) -> None:
    people = People(group=case.group)
    viewer = getattr(people, case.viewer)
    people.change(people.bob, 1, send_read_receipts=case.sends)
    if viewer is not people.bob:
        people.change(viewer, 1, show_read_receipts=case.shows)
    if case.kind is ReceiptKind.DELIVERED:
        people.ledger.do(Acknowledge(people.bob.user, people.bob.device, "chat", Offset(0), ((3, 4),)))
    else:
        people.say(people.bob, case.kind, 3, 4)

    assert people.told(viewer) == case.expected
    assert people.state(viewer) == case.expected


@pytest.mark.parametrize("group", [True, False])
def test_a_member_who_wrote_and_shows_learns_what_another_who_does_not_show_never_does(*, group: bool) -> None:
    people = People(group=group)
    people.change(people.ann, 1, show_read_receipts=False)
    people.say(people.bob, ReceiptKind.READ, 1, 2)
    head = people.ledger.get(Table.STATES, people.ann.user).head

    assert people.state(people.ann) == {("public", ReceiptKind.DELIVERED): {1, 2}}
    people.change(people.ann, 2, show_read_receipts=True)
    assert people.state(people.ann) == {("public", kind): {1, 2} for kind in IMPLIED[ReceiptKind.READ]}
    assert people.ledger.get(Table.STATES, people.ann.user) == (head + 1, head + 1)


@pytest.mark.parametrize("value", [True, False])
def test_whoever_turns_showing_on_or_off_is_sent_all_of_their_state(*, value: bool) -> None:
    people = People()
    people.say(people.bob, ReceiptKind.READ, 1, 2)
    if value:
        people.change(people.ann, 1, show_read_receipts=False)
    answer = people.change(people.ann, 2, show_read_receipts=value)

    assert answer.is_restarted
    assert people.ledger.decisions[0].news[-1] == StateRestarted(people.ann.user, answer.version)
    assert not people.change(people.ann, 3, show_read_receipts=value).is_restarted
    assert not people.change(people.ann, 4, send_read_receipts=False).is_restarted
