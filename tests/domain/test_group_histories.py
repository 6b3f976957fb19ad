"""Random histories of groups, decided in random batches, against a naive model in dictionaries."""

from hashlib import blake2b
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bimip.domain.conversations.groups import (
    AddMembers,
    CreateGroup,
    GroupChanged,
    RemoveMember,
    RenameGroup,
    SetRole,
)
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Offset
from bimip.domain.core.operations import Acknowledge, Acknowledged, Appended, Done, Fault, Operation, Receipt, Refused
from bimip.domain.core.records import ReceiptKind, Role, Table
from bimip.domain.state.groups import KIND, GroupState, pack_key
from bimip.storage.care.check import check
from tests.domain.support import CHAT, Ledger

EIDS = ("ann", "bob", "cid", "dan", "eve")
MOST = 4
"""Members of a group."""

eids = st.sampled_from(EIDS)
names = st.sampled_from("abcdefghijklmnop")
numbers = st.integers(1, 3)
offsets = st.integers(0, 12)


class Group:
    def __init__(self, title: str, roles: dict[str, Role]) -> None:
        self.title = title
        self.roles = roles
        self.since = dict.fromkeys(roles, 1)
        self.talk: list[tuple[str, bool]] = []
        """Who wrote what stands at each place, or did it, and whether it is an event."""
        self.changed = 0

    def heir(self) -> None:
        """Where nobody is owner any more, who has the highest role, came first, and is the oldest user, becomes it."""
        if self.roles and Role.OWNER not in self.roles.values():
            order = sorted(self.roles, key=lambda eid: (-self.roles[eid], self.since[eid], EIDS.index(eid)))
            self.roles[order[0]] = Role.OWNER


class Model:
    """What should be, written as plainly as it can be."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.logs: dict[str, list[tuple[int, int]]] = {eid: [] for eid in EIDS}  # group and place
        self.was_in: set[tuple[int, str]] = set()
        self.seen: dict[tuple[str, str], tuple[Any, tuple[int, int]]] = {}
        self.floors = dict.fromkeys(EIDS, 0)
        self.receipts: dict[tuple[int, str, ReceiptKind], dict[int, Millis]] = {}

    def ask(self, who: str, name: str, what: Any) -> Fault | tuple[int, int, bool]:
        """The group, the place, and whether it is a duplicate."""
        if (who, name) in self.seen:
            known, result = self.seen[who, name]
            return (*result, True) if known == what else Fault.CONFLICT
        kind, number, *rest = what
        if kind is CreateGroup:
            found = self._create(who, *rest)
        elif not 1 <= number <= len(self.groups) or who not in self.groups[number - 1].roles:
            return Fault.NOT_FOUND
        else:
            found = self._change(self.groups[number - 1], number, who, kind, *rest)
        if isinstance(found, Fault):
            return found
        self.seen[who, name] = what, found
        return (*found, False)

    def _create(self, who: str, title: str, others: tuple[str, ...]) -> Fault | tuple[int, int]:
        roles = {**dict.fromkeys(others, Role.MEMBER), who: Role.OWNER}
        if len(roles) > MOST:
            return Fault.CONFLICT
        self.groups.append(Group(title, roles))
        return self._happened(len(self.groups), who, set(roles))

    def _change(self, group: Group, number: int, who: str, kind: type, *rest: Any) -> Fault | tuple[int, int]:
        roles, concerned = group.roles, set(group.roles)
        leaves = kind is RemoveMember and rest[0] == who
        least = Role.OWNER if kind is SetRole else Role.ADMIN
        if kind is not str and not leaves and roles[who] < least:
            return Fault.FORBIDDEN
        if kind is AddMembers:
            new = [eid for eid in rest[0] if eid not in roles]
            if not new or len(roles) + len(new) > MOST:
                return Fault.CONFLICT
            roles.update(dict.fromkeys(new, Role.MEMBER))
            group.since.update(dict.fromkeys(new, len(group.talk) + 1))
            concerned |= set(new)
        elif kind is RenameGroup:
            if group.title == rest[0]:
                return Fault.CONFLICT
            group.title = rest[0]
        elif kind is not str:
            refused = self._regarding(group, who, kind, *rest)
            if refused is not None:
                return refused
        return self._happened(number, who, concerned, is_event=kind is not str)

    @staticmethod
    def _regarding(group: Group, who: str, kind: type, whom: str, role: Role = Role.NONE) -> Fault | None:
        """Removes a member, or gives them a role."""
        roles = group.roles
        if whom not in roles:
            return Fault.NOT_FOUND
        if kind is RemoveMember:
            if whom != who and roles[who] is not Role.OWNER and roles[whom] >= roles[who]:
                return Fault.FORBIDDEN
            del roles[whom]
            group.heir()
            return None
        is_only_owner = roles[whom] is Role.OWNER and list(roles.values()).count(Role.OWNER) == 1
        if roles[whom] is role or is_only_owner:
            return Fault.CONFLICT
        roles[whom] = role
        return None

    def _happened(self, number: int, who: str, concerned: set[str], *, is_event: bool = True) -> tuple[int, int]:
        group = self.groups[number - 1]
        group.talk.append((who, is_event))
        place = len(group.talk)
        group.changed = place if is_event else group.changed
        for eid in concerned:
            self.logs[eid].append((number, place))
            self.was_in.add((number, eid))
        return number, place

    def acknowledge(self, who: str, upto: int, now: Millis) -> Fault | int:
        log = self.logs[who]
        if upto > len(log):
            return Fault.OFFSET_BEYOND_HEAD
        for number, place in log[self.floors[who] : upto]:
            self._receive(number, place, who, ReceiptKind.DELIVERED, now)
        floor = max(upto, self.floors[who])
        while floor < len(log) and self._author(*log[floor]) == (who, False):
            floor += 1
        self.floors[who] = floor
        return floor

    def read(self, who: str, number: int, upto: int, now: Millis) -> Fault | None:
        if not 1 <= number <= len(self.groups) or who not in self.groups[number - 1].roles:
            return Fault.NOT_FOUND
        group = self.groups[number - 1]
        if upto > len(group.talk):
            return Fault.OFFSET_BEYOND_HEAD
        for place in self.receipts.get((number, who, ReceiptKind.DELIVERED), {}).copy():
            if group.since[who] <= place <= upto:
                self._receive(number, place, who, ReceiptKind.READ, now)
        return None

    def _author(self, number: int, place: int) -> tuple[str, bool]:
        return self.groups[number - 1].talk[place - 1]

    def _receive(self, number: int, place: int, who: str, kind: ReceiptKind, now: Millis) -> None:
        if self._author(number, place)[0] != who:
            self.receipts.setdefault((number, who, kind), {}).setdefault(place, now)


class GroupHistories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.ledger = Ledger(max_group_members=MOST)
        self.model = Model()
        self.peers = {eid: self.ledger.device(eid) for eid in EIDS}
        self.pending: list[Operation] = []
        self.expected: list[Any] = []

    def expect(self, operation: Operation, expected: object) -> None:
        self.pending.append(operation)
        self.expected.append(expected)

    def ask(self, who: str, name: str, kind: type, number: int, *rest: Any) -> None:
        """As one operation, with a digest of all that it says."""
        expected = self.model.ask(who, name, (kind, number, *rest))
        peer = self.peers[who]
        digest = blake2b(repr((kind, number, rest)).encode(), digest_size=8).digest()
        where = () if kind is CreateGroup else (ConversationId(number),)
        self.expect(kind(peer.user, peer.device, name, digest, *where, *rest), expected)

    @rule(who=eids, name=names, others=st.lists(eids, max_size=4, unique=True))
    def create(self, who: str, name: str, others: list[str]) -> None:
        self.ask(who, name, CreateGroup, 0, f"group {name}", tuple(others))

    @rule(who=eids, name=names, number=numbers, whom=st.lists(eids, min_size=1, max_size=2, unique=True))
    def add(self, who: str, name: str, number: int, whom: list[str]) -> None:
        self.ask(who, name, AddMembers, number, tuple(whom))

    @rule(who=eids, name=names, number=numbers, whom=eids)
    def remove(self, who: str, name: str, number: int, whom: str) -> None:
        self.ask(who, name, RemoveMember, number, whom)

    @rule(who=eids, name=names, number=numbers)
    def leave(self, who: str, name: str, number: int) -> None:
        self.ask(who, name, RemoveMember, number, who)

    @rule(who=eids, name=names, number=numbers, title=st.sampled_from(["one", "two"]))
    def rename(self, who: str, name: str, number: int, title: str) -> None:
        self.ask(who, name, RenameGroup, number, title)

    @rule(who=eids, name=names, number=numbers, whom=eids, role=st.sampled_from([Role.MEMBER, Role.ADMIN, Role.OWNER]))
    def set_role(self, who: str, name: str, number: int, whom: str, role: Role) -> None:
        self.ask(who, name, SetRole, number, whom, role)

    @rule(who=eids, name=names, number=numbers)
    def send(self, who: str, name: str, number: int) -> None:
        expected = self.model.ask(who, name, (str, number))
        digest = blake2b(repr(number).encode(), digest_size=8).digest()
        self.expect(self.ledger.append(self.peers[who], f"c{number}", name, digest=digest), expected)

    @rule(who=eids, upto=offsets)
    def acknowledge(self, who: str, upto: int) -> None:
        peer = self.peers[who]
        expected = self.model.acknowledge(who, upto, self.ledger.now)
        self.expect(Acknowledge(peer.user, peer.device, CHAT, Offset(upto)), expected)

    @rule(who=eids, number=numbers, upto=offsets)
    def read(self, who: str, number: int, upto: int) -> None:
        expected = self.model.read(who, number, upto, self.ledger.now)
        conversation, place = ConversationId(number), ConversationOffset(upto)
        self.expect(Receipt(self.peers[who].user, ReceiptKind.READ, conversation, "", place), expected)

    @precondition(lambda self: self.pending)
    @rule()
    def commit(self) -> None:
        """All that is pending, as one batch. Time goes on afterwards."""
        pending, self.pending = self.pending, []
        expected, self.expected = self.expected, []
        for operation, result, should_be in zip(pending, self.ledger.do_all(*pending), expected, strict=True):
            assert plainly(result) == should_be, (operation, result)
        self.ledger.now = Millis(self.ledger.now + 1)

    @invariant()
    def what_is_stored_is_what_should_be(self) -> None:
        if self.pending:
            return
        for eid, log in self.model.logs.items():
            entries = self.ledger.entries(self.peers[eid].user)
            assert [(entry.conversation, entry.conversation_offset) for _, entry in entries] == log
        for number, group in enumerate(self.model.groups, 1):
            for eid in EIDS:
                assert self._told(number, eid) == self._should_be_told(number, group, eid)
                is_gone = (number, eid) in self.model.was_in and eid not in group.roles
                assert self._is_removal(number, eid) == is_gone
        found: dict[Any, dict[int, Millis]] = {}
        users = {peer.user: eid for eid, peer in self.peers.items()}
        for (table, key), runs in self.ledger.everything().items():
            if table is Table.RECEIPTS:
                times = found.setdefault((key[0], users[key[1]], ReceiptKind(key[2])), {})
                times.update({place: run.time for run in runs for place in range(run.first, run.last + 1)})
        assert found == self.model.receipts
        assert [str(finding) for finding in check(self.ledger.store)] == []

    def _told(self, number: int, eid: str) -> GroupState | None:
        with self.ledger.store.snapshot() as view:
            found: GroupState | None = KIND.read(view, self.peers[eid].user, pack_key(ConversationId(number)))
        return found

    def _is_removal(self, number: int, eid: str) -> bool:
        """Whether the newest that the user's devices are told of the group is that it was removed."""
        user = self.peers[eid].user
        version = self.ledger.get(Table.VERSIONS, user, pack_key(ConversationId(number)))
        return version is not None and self.ledger.get(Table.REMOVALS, user, version) is not None

    def _should_be_told(self, number: int, group: Group, eid: str) -> GroupState | None:
        if eid not in group.roles:
            return None
        members = tuple((self.peers[one].user, group.roles[one]) for one in EIDS if one in group.roles)
        since, changed = ConversationOffset(group.since[eid]), ConversationOffset(group.changed)
        return GroupState(group.title, len(members), group.roles[eid], since, changed, members)

    def teardown(self) -> None:
        if hasattr(self, "pending") and self.pending:
            self.commit()
            self.what_is_stored_is_what_should_be()


def plainly(result: Any) -> object:
    """A result as the model tells it."""
    if isinstance(result, Refused):
        return result.fault
    if isinstance(result, GroupChanged | Appended):
        return result.conversation, result.conversation_offset, result.duplicate
    if isinstance(result, Acknowledged):
        return result.floor
    return None if result == Done() else result


TestGroupHistories = GroupHistories.TestCase
TestGroupHistories.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
