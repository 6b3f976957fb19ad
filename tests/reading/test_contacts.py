from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.reading.contacts import read_contacts
from tests.domain.support import Ledger


def test_contacts_are_read_in_pages_with_their_versions_and_none_of_others() -> None:
    ledger = Ledger()
    ann, *others = [ledger.device(eid) for eid in ("ann", "bob", "cat", "dan")]
    for number, peer in enumerate(others):
        ledger.do(ChangeContact(ann.user, ann.device, f"{number}", bytes(8), ContactAction.BLOCK, peer.eid))
    first = read_contacts(ledger.store, ann.user, "", 2)
    rest = read_contacts(ledger.store, ann.user, "cat", 2)

    assert first is not None
    assert [one.peer for one in first.contacts] == [others[0].user, others[1].user]
    assert [one.version for one in first.contacts] == [2, 3]
    assert not first.complete
    assert rest is not None
    assert [one.peer for one in rest.contacts] == [others[2].user]
    assert rest.complete
    assert read_contacts(ledger.store, ann.user, "nobody", 2) is None
    assert read_contacts(ledger.store, others[0].user, "", 2) == ([], True)
