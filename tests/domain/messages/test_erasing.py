from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp
from bimip.domain.core.operations import Address, Links
from bimip.domain.core.records import Addressed, Table
from bimip.domain.messages.erasing import erase, unmention
from tests.domain.support import Ledger


def test_a_message_without_content_takes_less_room() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1", sent=b"one")
    sent = ledger.send(ann, "bob", "m2", sent=b"two", addresses=(Address("bob", "phone", b"four"),))
    used = ledger.get(Table.USAGE, ann.user)
    with ledger.store.snapshot() as view:
        puts = dict(erase(view, ann.user, sent.stamp, ledger.context))

    assert set(puts) == {Table.BODIES, Table.USAGE, Table.ADDRESSED}
    assert puts[Table.USAGE] == {(ann.user,): used - len(b"two") - len(b"four")}
    assert puts[Table.ADDRESSED] == {(sent.stamp, bob.user): (Addressed(bob.device, None),)}
    assert puts[Table.BODIES][sent.stamp,].endswith(b"/")


def test_of_what_is_not_there_nothing_goes() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    with ledger.store.snapshot() as view:
        assert erase(view, ann.user, Stamp(5), ledger.context) == []


def test_only_who_was_mentioned_is_mentioned_no_more() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(ann, "bob", "m1", links=Links(Stamp(0), ("bob",)))
    where = ConversationId(1), ConversationOffset(1)
    with ledger.store.snapshot() as view:
        assert unmention(view, (ann.user, bob.user), *where) == [(Table.MENTIONS, {(bob.user, *where): None})]
        assert unmention(view, (ann.user,), *where) == []
