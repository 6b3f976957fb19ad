"""What is said of a contact is checked, becomes one operation, and is answered with how it stands."""

import pytest

from bimip.domain.contacts.roster import ChangeContact, ContactAction, ContactChanged
from bimip.domain.core.ids import Millis, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import Done
from bimip.domain.core.records import Changes, Contact, Standing, Table, User
from bimip.wire import bimip_pb2 as pb
from bimip.wire.limits import Limits
from tests.requests.support import Peer, with_a_laptop

Action = pb.Contact.Action


def asked(**fields: object) -> Peer:
    peer = Peer()
    peer.take("contact", pb.Contact(**fields))  # type: ignore[arg-type]  # the fields of the schema
    return peer


def test_a_request_is_answered_with_how_it_stands() -> None:
    peer = asked(action=Action.REQUEST, eid="zoe\u0308", id="r1", mutual=True)
    [operation] = peer.operations()

    assert isinstance(operation, ChangeContact)
    assert operation[2:3] + operation[4:8] == ("r1", ContactAction.REQUEST, "zoë", True, "")
    stands = Contact(
        Standing.REQUESTED,
        grants=True,
        granted=True,
        is_mutual=True,
        blocked=True,
        since=Millis(9),
        request="r0",
        name=LastWrite("Zoe", Stamp(7)),
    )
    peer.decide(ContactChanged(stands, Version(4), duplicate=True))
    assert peer.alone() == [
        (
            "contact",
            pb.Contact(
                action=Action.REQUEST,
                eid="zoë",
                name="Zoe",
                stamp=7,
                mutual=True,
                state="requested",
                id="r1",
                sees_you=True,
                seen=True,
                blocked=True,
                version=4,
                duplicate=True,
                time=9,
            ),
        )
    ]


def test_of_whom_there_is_nothing_the_name_alone_is_told() -> None:
    peer = asked(action=Action.REMOVE, eid="bob", id="r1")
    peer.decide(ContactChanged(Contact(), Version(0)))

    assert peer.alone() == [("contact", pb.Contact(action=Action.REMOVE, eid="bob", id="r1"))]


def test_two_requests_are_the_same_by_what_they_ask_for_and_not_by_when() -> None:
    one, later, other = (
        asked(action=Action.NAME, eid="bob", name=name, stamp=stamp, id="n").operations()[0]
        for name, stamp in (("B", 1), ("B", 2), ("C", 1))
    )

    assert one[3] == later[3] != other[3]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"eid": "bob"}, pb.INVALID, "action"),
        ({"eid": "bob", "action": 77}, pb.INVALID, "action"),
        ({"action": Action.BLOCK}, pb.INVALID, "eid"),
        ({"action": Action.BLOCK, "eid": "ann"}, pb.INVALID, "eid"),
        ({"action": Action.BLOCK, "eid": "b" * 256}, pb.TOO_LARGE, "eid"),
        ({"action": Action.BLOCK, "eid": "bob", "id": "\n"}, pb.INVALID, "id"),
        ({"action": Action.NAME, "eid": "bob", "name": "a\n"}, pb.INVALID, "name"),
        ({"action": Action.NAME, "eid": "bob", "name": "ä" * 128}, pb.TOO_LARGE, "name"),
        ({"action": Action.LIST, "after": "c1"}, pb.INVALID, "after"),
    ],
)
def test_what_may_not_be_so_is_refused_with_its_field(fields: dict[str, object], code: int, field: str) -> None:
    peer = asked(**fields)
    [error] = peer.together().errors

    assert (error.code, error.field) == (code, field)
    assert peer.operations() == []


def with_contacts() -> Peer:
    store = with_a_laptop()
    store.begin()
    users = {eid: User(UserId(number), Millis(0)) for number, eid in ((2, "bob"), (3, "cat"), (4, "dan"))}
    contacts = {(UserId(1), user.number): Contact(Standing.ASKED) for user in users.values()}
    store.apply(
        Changes(
            puts={
                Table.USERS: {(eid,): user for eid, user in users.items()},
                Table.EIDS: {(user.number,): eid for eid, user in users.items()},
                Table.CONTACTS: dict(contacts),
            }
        )
    )
    store.commit()
    return Peer(store)


def listed(**fields: object) -> pb.Contact:
    peer = with_contacts()
    peer.take("contact", pb.Contact(action=Action.LIST, **fields))  # type: ignore[arg-type]  # the fields of the schema
    peer.decide(Done())
    [(_, answer)] = peer.alone()
    return answer  # type: ignore[no-any-return]  # it is the payload


def test_a_list_comes_in_pages_behind_a_name() -> None:
    first = listed(limit=2, id="l")
    second = listed(after="cat")

    assert ([one.eid for one in first.contacts], first.complete, first.id) == (["bob", "cat"], False, "l")
    assert ([one.eid for one in second.contacts], second.complete) == (["dan"], True)
    assert {one.state for one in first.contacts} == {"asked"}
    assert len(listed(limit=Limits().max_fetch + 1).contacts) == 3


def test_a_list_behind_nobody_is_refused() -> None:
    peer = with_contacts()
    peer.take("contact", pb.Contact(action=Action.LIST, after="nobody"))
    peer.decide(Done())
    [error] = peer.together().errors

    assert (error.code, error.field) == (pb.NOT_FOUND, "after")
