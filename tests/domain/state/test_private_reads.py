"""What is read while no receipts are sent stays among its reader's devices, whatever is set and said afterwards."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationOffset
from bimip.domain.core.records import ReceiptKind
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.lifecycle import IMPLIED
from bimip.domain.state.private_reads import split
from tests.domain.state.test_settings import ONE, People


def test_nothing_is_private_of_who_never_turned_receipts_off() -> None:
    people = People()
    wrote = [(people.ann.user, ConversationOffset(place)) for place in range(1, 6)]
    with people.ledger.store.snapshot() as view:
        changes = StateChanges(view)

        assert split(view, changes, ONE, people.bob.user, ReceiptKind.READ, wrote) == (((1, 5),), ())
        assert changes.puts() == []


def test_turning_receipts_on_publishes_nothing_of_before_and_off_takes_nothing_back() -> None:
    people = People()
    people.say(people.bob, ReceiptKind.READ, 1, 2)
    people.change(people.bob, 1, send_read_receipts=False)
    people.say(people.bob, ReceiptKind.READ, 1, 5)
    people.change(people.bob, 2, send_read_receipts=True)
    people.say(people.bob, ReceiptKind.PLAYED, 5, 7)
    people.say(people.bob, ReceiptKind.READ, 1, 8)

    assert people.state(people.ann) == {
        ("public", ReceiptKind.DELIVERED): set(range(1, 9)),
        ("public", ReceiptKind.READ): {1, 2, 6, 7, 8},
        ("public", ReceiptKind.PLAYED): {5, 6, 7},
    }
    assert people.state(people.bob) == {
        ("public", ReceiptKind.READ): {1, 2, 6, 7, 8},
        ("private", ReceiptKind.READ): {3, 4, 5},
        ("public", ReceiptKind.PLAYED): {5, 6, 7},
    }


said = st.lists(
    st.tuples(st.sampled_from([ReceiptKind.READ, ReceiptKind.PLAYED]), st.integers(1, 10), st.booleans()), max_size=12
)


@given(said)
def test_what_is_private_is_never_public_and_nothing_is_lost(steps: list[tuple[ReceiptKind, int, bool]]) -> None:
    people = People()
    everything: dict[ReceiptKind, set[int]] = {}
    for stamp, (kind, place, sends) in enumerate(steps, 1):
        people.change(people.bob, stamp, send_read_receipts=sends)
        people.say(people.bob, kind, place, place)
        for implied in IMPLIED[kind][:-1]:
            everything.setdefault(implied, set()).add(place)
    known = people.state(people.bob)
    for kind in (ReceiptKind.READ, ReceiptKind.PLAYED):
        public, private = known.get(("public", kind), set()), known.get(("private", kind), set())

        assert not public & private
        assert public | private == everything.get(kind, set())
        assert people.state(people.ann).get(("public", kind), set()) == public
