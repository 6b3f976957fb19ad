"""What two users have of each other follows from what they did, and a block shows to nobody but who blocks."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.accounts.erasing import BeginErasing, EraseRecords
from bimip.domain.contacts.access import contact_of, lets_see
from bimip.domain.contacts.roster import ChangeContact, ContactAction, ContactChanged, ForgetContacts
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.decision import StateNews, StateRestarted
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Contact, Standing, Table
from bimip.domain.state.contacts import TAG
from bimip.storage.care.check import PARTS
from tests.domain.support import BEGIN, Ledger, Peer, fault_of

REQUEST, ACCEPT, DENY, REMOVE = (
    ContactAction.REQUEST,
    ContactAction.ACCEPT,
    ContactAction.DENY,
    ContactAction.REMOVE,
)
BLOCK, UNBLOCK, NAME = ContactAction.BLOCK, ContactAction.UNBLOCK, ContactAction.NAME


class World(NamedTuple):
    ledger: Ledger
    peers: dict[str, Peer]

    def do(self, who: str, action: ContactAction, whom: str, **fields: Any) -> Any:
        name = fields.pop("id", f"{who}{self.ledger.batches}")
        digest = repr((action, whom, sorted(fields.items()))).encode()
        peer = self.peers[who]
        return self.ledger.do(ChangeContact(peer.user, peer.device, name, digest, action, whom, **fields))

    def has(self, who: str, whom: str) -> Contact:
        """What one has of the other, without when and by which request."""
        with self.ledger.store.snapshot() as view:
            contact = contact_of(view, self.peers[who].user, self.peers[whom].user)
        return contact._replace(since=Millis(0), request="")

    def sees(self, who: str, whom: str) -> bool:
        with self.ledger.store.snapshot() as view:
            return lets_see(view, self.peers[whom].user, self.peers[who].user)

    def told(self, who: str) -> list[Any]:
        """What a user's devices were told by the last decision."""
        user = self.peers[who].user
        news = [one for decision in self.ledger.decisions for one in decision.news]
        return [one.change for one in news if isinstance(one, StateNews) and one.user == user and one.key[0] == TAG]

    def findings(self) -> list[Any]:
        with self.ledger.store.snapshot() as view:
            return [*PARTS["contacts"](view), *PARTS["states"](view)]


def world(**rules: Any) -> World:
    ledger = Ledger(**rules)
    return World(ledger, {eid: ledger.device(eid) for eid in ("ann", "bob", "cat")})


def test_who_is_accepted_sees_and_is_not_seen() -> None:
    two = world()
    asked = two.do("ann", REQUEST, "bob", id="r1")
    accepted = two.do("bob", ACCEPT, "ann")

    assert asked.contact.standing == Standing.REQUESTED
    assert accepted.contact == Contact(Standing.ACCEPTED, grants=True, since=BEGIN, request="r1")
    assert two.has("ann", "bob") == Contact(Standing.ACCEPTED, granted=True)
    assert two.told("ann") == [Contact(Standing.ACCEPTED, granted=True, since=BEGIN, request="r1")]
    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, False)


def test_a_mutual_request_that_is_accepted_lets_both_see() -> None:
    two = world()
    two.do("ann", REQUEST, "bob", is_mutual=True)
    two.do("bob", ACCEPT, "ann")

    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, True)


def test_a_mutual_accept_of_a_one_way_request_asks_for_the_same_in_return() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", ACCEPT, "ann", is_mutual=True, id="back")

    assert two.has("bob", "ann") == Contact(Standing.REQUESTED, grants=True, is_mutual=True)
    assert two.has("ann", "bob") == Contact(Standing.ASKED, granted=True, is_mutual=True)
    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, False)
    two.do("ann", ACCEPT, "bob")
    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, True)


def test_two_requests_are_an_acceptance() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", REQUEST, "ann")

    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, True)
    assert two.has("ann", "bob") == two.has("bob", "ann") == Contact(Standing.ACCEPTED, grants=True, granted=True)


def test_who_is_denied_is_told_and_may_ask_again() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", DENY, "ann")

    assert two.has("ann", "bob") == Contact(Standing.DENIED)
    assert two.has("bob", "ann") == Contact()
    assert two.told("bob") == [None]
    two.do("ann", REQUEST, "bob")
    assert two.has("bob", "ann") == Contact(Standing.ASKED)


def test_removing_ends_both_directions_and_withdraws_a_request() -> None:
    two = world()
    two.do("ann", REQUEST, "bob", is_mutual=True)
    two.do("bob", ACCEPT, "ann")
    two.do("bob", REMOVE, "ann")

    assert two.has("ann", "bob") == two.has("bob", "ann") == Contact()
    assert two.told("ann") == two.told("bob") == [None]
    two.do("ann", REQUEST, "bob")
    two.do("ann", REMOVE, "bob")
    assert two.has("bob", "ann") == Contact()


def test_removing_who_asks_denies_them() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", REMOVE, "ann")

    assert two.has("ann", "bob") == Contact(Standing.DENIED)


def test_what_nobody_asked_for_is_not_accepted_and_not_denied() -> None:
    two = world()

    assert fault_of(two.do("ann", ACCEPT, "bob")) == fault_of(two.do("ann", DENY, "bob")) == "CONFLICT"
    assert fault_of(two.do("ann", REQUEST, "nobody")) == "NOT_FOUND"


def test_what_changes_nothing_is_answered_with_how_it_stands() -> None:
    two = world()
    two.do("ann", REQUEST, "bob", id="r1")
    again = two.do("ann", REQUEST, "bob", id="r2")

    assert (again.contact.standing, again.contact.request) == (Standing.REQUESTED, "r1")
    assert two.told("ann") == two.told("bob") == []
    two.do("bob", ACCEPT, "ann")
    assert two.do("bob", ACCEPT, "ann").contact.grants
    assert two.do("ann", REQUEST, "bob").contact.standing == Standing.ACCEPTED
    assert two.do("cat", REMOVE, "bob").contact == Contact()


def test_who_is_let_see_may_let_the_other_see_without_being_asked_again() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", ACCEPT, "ann")
    two.do("ann", REQUEST, "bob", is_mutual=True)

    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, True)


def test_an_id_sent_again_has_no_effect_and_is_answered_with_how_it_stands() -> None:
    two = world()
    two.do("ann", REQUEST, "bob", id="r1")
    two.do("bob", DENY, "ann")
    again = two.do("ann", REQUEST, "bob", id="r1")

    assert again.duplicate
    assert again.contact.standing == Standing.DENIED
    assert two.has("bob", "ann") == Contact()
    assert fault_of(two.do("ann", REMOVE, "bob", id="r1")) == "CONFLICT"


def test_of_two_names_the_later_stamp_counts() -> None:
    two = world()
    late, early = earliest_stamp(Millis(BEGIN - 1)), earliest_stamp(Millis(BEGIN - 2))
    two.do("ann", NAME, "bob", name="Bobby", stamp=late)
    two.do("ann", NAME, "bob", name="Robert", stamp=early)

    assert two.has("ann", "bob").name.value == "Bobby"
    assert two.has("bob", "ann") == Contact()
    assert two.do("ann", NAME, "bob", name="").contact.name.value == ""
    assert two.has("ann", "bob") == Contact()


def test_a_stamp_ahead_of_the_clock_does_not_win_for_ever() -> None:
    two = world()
    two.do("ann", NAME, "bob", name="Bobby", stamp=Stamp(2**64 - 1))
    two.do("ann", NAME, "bob", name="Robert")

    assert two.has("ann", "bob").name.value == "Robert"


def test_a_block_takes_nothing_back_and_shows_to_nobody_but_who_blocks() -> None:
    two = world()
    two.do("ann", REQUEST, "bob", is_mutual=True)
    two.do("bob", ACCEPT, "ann")
    before = two.has("ann", "bob")
    two.do("bob", BLOCK, "ann")

    assert two.has("ann", "bob") == before
    assert two.told("ann") == []
    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (False, False)
    two.do("bob", UNBLOCK, "ann")
    assert (two.sees("ann", "bob"), two.sees("bob", "ann")) == (True, True)


def test_a_request_of_who_is_blocked_is_never_seen_and_may_be_made_again() -> None:
    two = world()
    two.do("bob", BLOCK, "ann")
    asked = two.do("ann", REQUEST, "bob")

    assert asked.contact.standing == Standing.REQUESTED
    assert two.told("bob") == []
    two.do("bob", UNBLOCK, "ann")
    assert two.has("bob", "ann") == Contact()
    two.do("ann", REQUEST, "bob")
    assert two.has("bob", "ann") == Contact(Standing.ASKED)


def test_a_request_that_waits_is_gone_for_who_blocks_and_waits_for_who_made_it() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.do("bob", BLOCK, "ann")

    assert two.has("bob", "ann") == Contact(blocked=True, blocked_at=BEGIN)
    assert two.has("ann", "bob") == Contact(Standing.REQUESTED)
    assert fault_of(two.do("bob", ACCEPT, "ann")) == "CONFLICT"
    assert fault_of(two.do("bob", REQUEST, "ann")) == "CONFLICT"
    two.do("bob", REMOVE, "ann")
    assert two.has("ann", "bob") == Contact(Standing.REQUESTED)


def test_a_user_has_so_many_contacts_and_no_more() -> None:
    three = world(max_contacts=1)
    three.do("ann", NAME, "bob", name="Bobby")

    assert fault_of(three.do("ann", BLOCK, "cat")) == "CONFLICT"
    three.do("ann", REMOVE, "bob")
    assert isinstance(three.do("ann", BLOCK, "cat"), ContactChanged)


def test_who_asks_does_not_learn_that_the_other_one_takes_no_more() -> None:
    three = world(max_contacts=1)
    three.do("bob", BLOCK, "cat")
    asked = three.do("ann", REQUEST, "bob")

    assert asked.contact.standing == Standing.REQUESTED
    assert three.has("bob", "ann") == Contact()


def test_so_many_requests_wait_on_either_side_and_no_more() -> None:
    three = world(max_contact_requests=1)
    three.do("ann", REQUEST, "bob")

    assert fault_of(three.do("ann", REQUEST, "cat")) == "CONFLICT"
    assert three.do("cat", REQUEST, "bob").contact.standing == Standing.REQUESTED
    assert three.has("bob", "cat") == Contact()
    three.do("bob", DENY, "ann")
    three.do("cat", REMOVE, "bob")
    three.do("cat", REQUEST, "bob")
    assert three.has("bob", "cat") == Contact(Standing.ASKED)


def test_a_mutual_accept_beyond_the_others_requests_accepts_and_asks_for_nothing_that_is_seen() -> None:
    three = world(max_contact_requests=1)
    three.do("cat", REQUEST, "ann")
    three.do("ann", REQUEST, "bob")
    three.do("bob", ACCEPT, "ann", is_mutual=True)

    assert three.sees("ann", "bob")
    assert three.has("ann", "bob") == Contact(Standing.ACCEPTED, granted=True)
    assert three.findings() == []


def test_who_is_unknown_is_refused_or_waited_for() -> None:
    two = world(accept_unknown_recipients=True)

    assert isinstance(two.do("ann", REQUEST, "new"), ContactChanged)
    assert fault_of(two.do("ann", REMOVE, "another")) == "NOT_FOUND"


def test_nothing_is_left_of_who_is_erased_and_others_begin_their_state_anew() -> None:
    three = world()
    ann, bob, cat = (three.peers[eid].user for eid in ("ann", "bob", "cat"))
    three.do("ann", REQUEST, "bob", is_mutual=True)
    three.do("bob", ACCEPT, "ann")
    three.do("cat", BLOCK, "ann")
    three.do("ann", NAME, "cat", name="Cat")
    three.do("bob", REQUEST, "cat")
    three.ledger.do(BeginErasing("ann"))
    three.ledger.do(ForgetContacts(ann, (bob, cat)))
    restarted = [one.user for one in three.ledger.decisions[0].news if isinstance(one, StateRestarted)]
    before = three.ledger.everything()
    three.ledger.do(ForgetContacts(ann, (bob, cat)))

    assert three.ledger.everything() == before
    assert restarted == [bob, cat]
    while three.ledger.do(EraseRecords(ann)).more:
        pass
    left = {key for table, key in three.ledger.everything() if table is Table.CONTACTS}
    assert left == {(bob, cat), (cat, bob)}
    assert three.findings() == []


def test_nobody_is_forgotten_who_is_not_being_erased() -> None:
    two = world()
    two.do("ann", REQUEST, "bob")
    two.ledger.do(ForgetContacts(two.peers["bob"].user, (two.peers["ann"].user,)))

    assert two.has("ann", "bob") == Contact(Standing.REQUESTED)


names = st.sampled_from(["ann", "bob", "cat"])
steps = st.tuples(names, st.sampled_from(ContactAction), names, st.booleans()).filter(lambda step: step[0] != step[2])


@given(st.lists(steps, max_size=25), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_both_sides_agree_whatever_happens(done: list[Any], contacts: int, requests: int) -> None:
    three = world(max_contacts=contacts, max_contact_requests=requests)
    agreed: set[tuple[str, str]] = set()  # (who, whom): somebody said that they let them see them
    for who, action, whom, mutual in done:
        if action is ACCEPT or action is REQUEST:
            agreed.add((who, whom))
        three.do(who, action, whom, is_mutual=mutual, name="x")

        assert three.findings() == []
        assert all((who, whom) in agreed for who, whom in _grants(three))


def _grants(three: World) -> Iterator[tuple[str, str]]:
    for who in three.peers:
        for whom in three.peers:
            if three.has(who, whom).grants:
                yield who, whom


@given(st.lists(steps, max_size=10), st.lists(st.tuples(st.sampled_from(ContactAction), st.booleans()), max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_block_looks_like_somebody_who_is_away(before: list[Any], after: list[Any]) -> None:
    """Whatever stood between them, and whatever the blocked one does."""
    seen: list[list[Any]] = []
    for blocks in (True, False):
        two = world()
        for number, (who, action, whom, mutual) in enumerate(before):
            if action is not BLOCK or who == "ann":
                two.do(who, action, whom, is_mutual=mutual, name="x", id=f"b{number}")
        if blocks:
            two.do("bob", BLOCK, "ann")
        two.ledger.last = Stamp(0)  # stamps tell how often somebody asked for one
        two.ledger.now = Millis(BEGIN + 1)
        shown: list[Any] = []
        for number, (action, mutual) in enumerate(after):
            result = two.do("ann", action, "bob", is_mutual=mutual, name="x", id=f"a{number}")
            shown.append((result, two.told("ann"), two.ledger.decisions[0].needs_room))
        seen.append(shown)

    assert seen[0] == seen[1]
