from bimip.client.core.kinds.contacts import CONTACTS, contacts_of
from bimip.client.core.kinds.kind import Table
from bimip.client.events import ContactChanged, KnownContact
from bimip.client.store import Store
from bimip.client.wire.bimip import Contact

ACCEPTED = KnownContact("accepted", sees_you=True, seen=True, name="Bobby", request="r1", time=7)


def test_the_servers_newest_word_counts(store: Store) -> None:
    told = Contact(
        eid="bob", version=3, state="accepted", sees_you=True, seen=True, name="Bobby", id="r1", time=7, stamp=9
    )
    value = CONTACTS.value(told)
    Table(store, CONTACTS).set(("bob",), value)

    assert value == (3, ACCEPTED)
    assert CONTACTS.merge(value, (2, KnownContact("requested"))) == value
    assert contacts_of(store) == {"bob": ACCEPTED}


def test_what_reads_the_same_is_no_event_and_who_is_gone_is_one() -> None:
    assert CONTACTS.event(("bob",), (3, ACCEPTED), (4, ACCEPTED)) is None
    assert CONTACTS.event(("bob",), None, (4, ACCEPTED)) == ContactChanged("bob", ACCEPTED)
    assert CONTACTS.event(("bob",), (4, ACCEPTED), None) == ContactChanged("bob", KnownContact(), is_gone=True)
