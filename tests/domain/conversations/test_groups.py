"""Groups: who may do what, what each change leaves behind, and that none has a second effect."""

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest

from bimip.domain.conversations.groups import (
    RIGHTS,
    AddMembers,
    CreateGroup,
    EventKind,
    GroupChanged,
    GroupEvent,
    RemoveMember,
    RenameGroup,
    SetRole,
)
from bimip.domain.conversations.membership import SMALL_GROUP, membership_of
from bimip.domain.core.decision import LogNews, StateNews
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Receipt, Refused
from bimip.domain.core.records import ReceiptKind, Role, Table
from bimip.domain.state import receipts
from bimip.domain.state.groups import GroupState
from tests.domain.support import Ledger, Peer, fault_of

GROUP = ConversationId(1)
OWNER, ADMIN, MEMBER = "olga", "adam", "mary"


class World:
    """Olga owns a group with Adam, its admin, and Mary; Nina is in none."""

    def __init__(self, **rules: Any) -> None:
        self.ledger = Ledger(**rules)
        self.peers = {name: self.ledger.device(name) for name in (OWNER, ADMIN, MEMBER, "nina", "paul")}
        self.asked = 0
        self.create(OWNER, "trip", ADMIN, MEMBER)
        self.set_role(OWNER, ADMIN, Role.ADMIN)

    def ask(self, kind: type, who: str, *what: Any, request: str = "") -> Any:
        self.asked += 1
        peer = self.peers[who]
        digest = blake2b(repr((kind, what)).encode(), digest_size=8).digest()
        return self.ledger.do(kind(peer.user, peer.device, request or f"r{self.asked}", digest, *what))

    def create(self, who: str, title: str, *eids: str, request: str = "") -> Any:
        return self.ask(CreateGroup, who, title, eids, request=request)

    def add(self, who: str, *eids: str, request: str = "") -> Any:
        return self.ask(AddMembers, who, GROUP, eids, request=request)

    def remove(self, who: str, eid: str, request: str = "") -> Any:
        return self.ask(RemoveMember, who, GROUP, eid, request=request)

    def rename(self, who: str, title: str, request: str = "") -> Any:
        return self.ask(RenameGroup, who, GROUP, title, request=request)

    def set_role(self, who: str, eid: str, role: Role, request: str = "") -> Any:
        return self.ask(SetRole, who, GROUP, eid, role, request=request)

    def roles(self) -> dict[str, str]:
        """Who is in the group, and as what."""
        group = self.ledger.get(Table.GROUPS, GROUP)
        found = {name: peer.user for name, peer in self.peers.items()}
        roles = {name: self.ledger.get(Table.MEMBERS, GROUP, user) for name, user in found.items()}
        assert sorted(user for name, user in found.items() if roles[name] and roles[name].role) == list(group.members)
        return {name: Role(member.role).name for name, member in roles.items() if member and member.role}

    def told(self) -> dict[str, GroupState]:
        """What those for whom the group looks different are told."""
        names = {peer.user: name for name, peer in self.peers.items()}
        return {names[news.user]: news.change for news in self.ledger.decisions[0].news if isinstance(news, StateNews)}

    def grew(self) -> list[str]:
        """Whose logs the last event stands in."""
        names = {peer.user: name for name, peer in self.peers.items()}
        return sorted(names[news.user] for news in self.ledger.decisions[0].news if isinstance(news, LogNews))

    def event(self) -> str:
        """The event, as the test's codec writes it."""
        (news, *_) = (news for news in self.ledger.decisions[0].news if isinstance(news, LogNews))
        return news.bodies[0].decode().split("/", 6)[-1]


def test_who_creates_a_group_is_its_owner_and_all_are_told() -> None:
    world = World()
    made = world.create("nina", "two", "paul", "nina")

    assert made == GroupChanged("r3", ConversationId(2), made.conversation_offset, duplicate=False)
    assert made.conversation_offset == 1
    assert world.grew() == ["nina", "paul"]
    assert world.event() == str(GroupEvent(EventKind.CREATED, ("paul",), "two"))
    members = tuple((world.peers[name].user, role) for name, role in (("nina", Role.OWNER), ("paul", Role.MEMBER)))
    assert world.told() == {
        "nina": GroupState("two", 2, Role.OWNER, made.conversation_offset, made.conversation_offset, members),
        "paul": GroupState("two", 2, Role.MEMBER, made.conversation_offset, made.conversation_offset, members),
    }


CHANGES: dict[type, Any] = {
    AddMembers: lambda world, who: world.add(who, "nina"),
    RemoveMember: lambda world, who: world.remove(who, MEMBER if who != MEMBER else ADMIN),
    RenameGroup: lambda world, who: world.rename(who, "journey"),
    SetRole: lambda world, who: world.set_role(who, MEMBER, Role.ADMIN),
}


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.MEMBER])
@pytest.mark.parametrize("kind", CHANGES)
def test_the_table_of_rights_says_who_may_do_what(kind: type, role: Role) -> None:
    world = World()
    before = world.ledger.everything()
    result = CHANGES[kind](world, {Role.OWNER: OWNER, Role.ADMIN: ADMIN, Role.MEMBER: MEMBER}[role])

    if kind in RIGHTS[role]:
        assert isinstance(result, GroupChanged)
    else:
        assert (fault_of(result), result.field) == ("FORBIDDEN", "action")
        assert world.ledger.everything() == before


def test_the_table_of_rights_is_whole() -> None:
    assert set(CHANGES) == RIGHTS[Role.OWNER]
    assert RIGHTS[Role.ADMIN] == {AddMembers, RemoveMember, RenameGroup}
    assert RIGHTS[Role.MEMBER] == frozenset()


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("who", ["nina", "gone"])
def test_who_is_not_in_a_group_learns_nothing_of_it(kind: type, who: str) -> None:
    world = World()
    if who == "gone":
        world.add(OWNER, "nina")
        world.remove(OWNER, "nina")
    existing = CHANGES[kind](world, "nina")
    world.create(OWNER, "another")
    nobodys = world.ask(RenameGroup, "nina", ConversationId(99), "x")

    assert existing == nobodys
    assert (fault_of(existing), existing.field) == ("NOT_FOUND", "id")


def test_an_admin_removes_members_and_neither_admins_nor_owners() -> None:
    world = World()
    world.add(OWNER, "nina")
    world.set_role(OWNER, "nina", Role.ADMIN)

    assert fault_of(world.remove(ADMIN, OWNER)) == "FORBIDDEN"
    assert fault_of(world.remove(ADMIN, "nina")) == "FORBIDDEN"
    assert isinstance(world.remove(ADMIN, MEMBER), GroupChanged)
    assert isinstance(world.remove(OWNER, ADMIN), GroupChanged)
    assert world.roles() == {OWNER: "OWNER", "nina": "ADMIN"}


def test_who_is_removed_reads_of_it_and_nothing_after_it() -> None:
    world = World()
    removed = world.remove(OWNER, MEMBER)
    grew, event, told = world.grew(), world.event(), world.told()
    sent = world.ledger.send(world.peers[OWNER], "c1", "m1")

    assert event == str(GroupEvent(EventKind.REMOVED, (MEMBER,)))
    assert grew == [ADMIN, MEMBER, OWNER]
    assert told[MEMBER] is None
    assert (told[OWNER].size, told[OWNER].role) == (2, Role.OWNER)
    assert [places(world, name)[-1] for name in (OWNER, ADMIN)] == [sent.conversation_offset] * 2
    assert places(world, MEMBER)[-1] == removed.conversation_offset == sent.conversation_offset - 1


def test_history_begins_at_joining_and_anew_at_joining_again() -> None:
    world = World()
    world.ledger.send(world.peers[OWNER], "c1", "m1")
    added = world.add(OWNER, "nina")
    first = since(world, "nina")
    world.remove("nina", "nina")
    gone = since(world, "nina")
    world.ledger.send(world.peers[OWNER], "c1", "m2")
    again = world.add(ADMIN, "nina")

    assert (first, gone, since(world, "nina")) == (added.conversation_offset, None, again.conversation_offset)
    assert places(world, "nina") == [4, 5, 7]


@pytest.mark.parametrize(
    ("others", "heir"),
    [({ADMIN: Role.ADMIN, MEMBER: Role.MEMBER}, ADMIN), ({MEMBER: Role.MEMBER, ADMIN: Role.MEMBER}, ADMIN)],
)
def test_where_the_last_owner_goes_another_one_is_found(others: dict[str, Role], heir: str) -> None:
    """The one with the highest role; of several who joined first; of those who joined together the older user."""
    world = World()
    if others[ADMIN] is Role.MEMBER:
        world.set_role(OWNER, ADMIN, Role.MEMBER)
    world.remove(OWNER, OWNER)

    assert world.event() == str(GroupEvent(EventKind.LEFT, (OWNER,), owner=heir))
    assert world.roles() == {ADMIN: "OWNER", MEMBER: "MEMBER"}
    assert world.told()[heir].role is Role.OWNER


def test_an_owner_beside_another_one_leaves_no_heir() -> None:
    world = World()
    world.set_role(OWNER, MEMBER, Role.OWNER)
    world.remove(OWNER, OWNER)

    assert world.event() == str(GroupEvent(EventKind.LEFT, (OWNER,)))
    assert world.roles() == {ADMIN: "ADMIN", MEMBER: "OWNER"}


def test_everybody_may_leave_and_an_empty_group_is_nobodys() -> None:
    world = World()
    for name in (MEMBER, OWNER, ADMIN):
        assert isinstance(world.remove(name, name), GroupChanged)

    assert world.ledger.get(Table.GROUPS, GROUP).members == ()
    assert fault_of(world.ledger.do(world.ledger.append(world.peers[OWNER], "c1", "m1"))) == "NOT_FOUND"


def test_the_only_owner_steps_down_when_there_is_another() -> None:
    world = World()

    assert fault_of(world.set_role(OWNER, OWNER, Role.MEMBER)) == "CONFLICT"
    world.set_role(OWNER, ADMIN, Role.OWNER)
    assert isinstance(world.set_role(OWNER, OWNER, Role.MEMBER), GroupChanged)
    assert world.roles() == {OWNER: "MEMBER", ADMIN: "OWNER", MEMBER: "MEMBER"}


@pytest.mark.parametrize(
    ("ask", "fault", "field"),
    [
        (lambda world: world.add(OWNER, MEMBER, ADMIN), "CONFLICT", "members"),
        (lambda world: world.rename(OWNER, "trip"), "CONFLICT", "title"),
        (lambda world: world.set_role(OWNER, ADMIN, Role.ADMIN), "CONFLICT", "members"),
        (lambda world: world.add(OWNER, "nobody"), "NOT_FOUND", "members"),
        (lambda world: world.create(OWNER, "x", "nobody"), "NOT_FOUND", "members"),
        (lambda world: world.remove(OWNER, "nina"), "NOT_FOUND", "members"),
        (lambda world: world.remove(OWNER, "nobody"), "NOT_FOUND", "members"),
        (lambda world: world.set_role(OWNER, "nina", Role.ADMIN), "NOT_FOUND", "members"),
        (lambda world: world.add(OWNER, "nina", "paul"), "CONFLICT", "members"),
        (lambda world: world.create(OWNER, "x", ADMIN, MEMBER, "nina", "paul"), "CONFLICT", "members"),
    ],
)
def test_what_cannot_be_or_changes_nothing_is_refused(ask: Any, fault: str, field: str) -> None:
    world = World(max_group_members=4)
    before = world.ledger.everything()
    result = ask(world)

    assert (fault_of(result), result.field) == (fault, field)
    assert world.ledger.everything() == before


def test_a_conversation_of_two_is_no_group() -> None:
    world = World()
    direct = world.ledger.send(world.peers[OWNER], ADMIN, "m1").conversation
    result = world.ask(RenameGroup, OWNER, direct, "x")

    assert (fault_of(result), result.field) == ("INVALID", "id")


@pytest.mark.parametrize("kind", [*CHANGES, CreateGroup])
def test_a_request_that_comes_again_is_answered_as_the_first_one_and_changes_nothing(kind: type) -> None:
    world = World()

    def ask() -> Any:
        world.asked = 50
        return CHANGES[kind](world, OWNER) if kind in CHANGES else world.create(OWNER, "more", "nina")

    first = ask()
    world.remove(OWNER, "nina") if kind is not RenameGroup else world.rename(OWNER, "other")
    before = world.ledger.everything()

    assert ask() == first._replace(duplicate=True)
    assert world.ledger.everything() == before


def test_another_request_under_the_same_id_conflicts_also_with_a_message() -> None:
    world = World()
    world.rename(OWNER, "one", request="x")
    world.ledger.send(world.peers[OWNER], "c1", "y")

    assert fault_of(world.rename(OWNER, "two", request="x")) == "CONFLICT"
    assert fault_of(world.rename(OWNER, "two", request="y")) == "CONFLICT"
    assert fault_of(world.ledger.do(world.ledger.append(world.peers[OWNER], ADMIN, "x"))) == "CONFLICT"


def test_in_a_large_group_nobody_is_told_who_is_in_it() -> None:
    world = World(accept_unknown_recipients=True)
    world.add(OWNER, *(f"guest {number}" for number in range(SMALL_GROUP - 3)))
    small = world.ledger.decisions[0].news
    world.add(OWNER, "one more")
    large = world.ledger.decisions[0].news

    for news, members in ((small, SMALL_GROUP), (large, 0)):
        states = [one.change for one in news if isinstance(one, StateNews)]
        assert {(state.size, len(state.members)) for state in states} == {(len(states), members)}


def test_a_role_in_a_large_group_is_told_to_whose_it_is_alone() -> None:
    world = World(accept_unknown_recipients=True)
    world.add(OWNER, *(f"guest {number}" for number in range(SMALL_GROUP)))
    world.set_role(OWNER, MEMBER, Role.ADMIN)

    assert list(world.told()) == [MEMBER]


def test_users_who_are_not_there_yet_are_made_where_configured() -> None:
    world = World(accept_unknown_recipients=True)
    world.create(OWNER, "new", "one", "two")
    numbers = [world.ledger.get(Table.USERS, eid).number for eid in ("one", "two")]

    assert len({*numbers, *(peer.user for peer in world.peers.values())}) == 7
    assert [world.ledger.get(Table.EIDS, number) for number in numbers] == ["one", "two"]
    assert world.ledger.device("three").user not in numbers


def test_who_has_no_room_left_may_still_go() -> None:
    world = World()
    used = world.ledger.get(Table.USAGE, world.peers[OWNER].user)
    world.ledger.rules = replace_rules(world.ledger, max_stored_bytes=used + 1)

    assert fault_of(world.rename(OWNER, "journey")) == "STORAGE_FULL"
    assert isinstance(world.remove(OWNER, OWNER), GroupChanged)


def replace_rules(ledger: Ledger, **rules: Any) -> Any:
    return replace(ledger.rules, **rules)


def places(world: World, name: str) -> list[int]:
    """The conversation offsets of the entries in a user's log."""
    return [entry.conversation_offset for _, entry in world.ledger.entries(world.peers[name].user)]


def since(world: World, name: str) -> int | None:
    peer: Peer = world.peers[name]
    with world.ledger.store.snapshot() as view:
        found = membership_of(view, peer.user, GROUP)
    return None if found is None else found.since


def test_messages_of_a_group_reach_all_members_in_one_order() -> None:
    world = World()
    for number, name in enumerate((OWNER, ADMIN, MEMBER, OWNER)):
        world.ledger.send(world.peers[name], "c1", f"m{number}")

    assert places(world, OWNER) == places(world, ADMIN) == places(world, MEMBER) == [1, 2, 3, 4, 5, 6]
    assert places(world, "nina") == []
    result = world.ledger.do(world.ledger.append(world.peers["nina"], "c1", "m9"))
    assert isinstance(result, Refused)
    assert (result.fault.name, result.field) == ("NOT_FOUND", "to.eid")


def receipt_keys(world: World, name: str) -> list[tuple[int, int]]:
    """The kinds and places of receipts that a user's devices are told with the last operation."""
    told = [news for news in world.ledger.decisions[0].news if isinstance(news, StateNews)]
    mine = [news for news in told if news.user == world.peers[name].user and news.key[0] == receipts.TAG]
    return [
        (receipts.unpack_key(news.key).kind, place)
        for news in mine
        for run in news.change
        for place in range(run.first, run.last + 1)
    ]


def test_an_author_is_told_of_the_receipts_of_their_own_messages_while_they_are_in_the_group() -> None:
    world = World()
    world.ledger.send(world.peers[OWNER], "c1", "m1")
    world.ledger.send(world.peers[ADMIN], "c1", "m2")
    world.remove(ADMIN, ADMIN)
    world.ledger.ack(world.peers[MEMBER], 5)

    assert receipt_keys(world, OWNER) == [(ReceiptKind.DELIVERED, place) for place in (1, 2, 3)]
    assert receipt_keys(world, ADMIN) == []
    assert world.ledger.marked(GROUP, world.peers[MEMBER].user, ReceiptKind.DELIVERED) == {1, 2, 3, 4, 5}


def test_who_comes_back_reads_what_came_since_and_nothing_older() -> None:
    world = World()
    world.ledger.send(world.peers[OWNER], "c1", "m1")
    world.remove(MEMBER, MEMBER)
    again = world.add(OWNER, MEMBER)
    member = world.peers[MEMBER]
    world.ledger.ack(member, 5)
    read = Receipt(member.user, ReceiptKind.READ, GROUP, "", again.conversation_offset)
    world.ledger.do(read)

    assert world.ledger.marked(GROUP, member.user, ReceiptKind.READ) == {again.conversation_offset}


def test_in_a_large_group_receipts_are_kept_and_told_to_nobody_but_the_reader() -> None:
    world = World(accept_unknown_recipients=True)
    world.add(OWNER, *(f"guest {number}" for number in range(SMALL_GROUP)))
    sent = world.ledger.send(world.peers[OWNER], "c1", "m1")
    member = world.peers[MEMBER]
    world.ledger.ack(member, 4)
    delivered = receipt_keys(world, OWNER)
    world.ledger.do(Receipt(member.user, ReceiptKind.READ, GROUP, "", sent.conversation_offset))

    assert delivered == receipt_keys(world, OWNER) == []
    assert (ReceiptKind.READ, sent.conversation_offset) in receipt_keys(world, MEMBER)
    for kind in (ReceiptKind.DELIVERED, ReceiptKind.READ):
        assert sent.conversation_offset in world.ledger.marked(GROUP, member.user, kind)
