"""The roster: one user asks to see another, is accepted or denied, is removed, blocked, given a name.

    A: REQUEST    A has REQUESTED, B was ASKED         B: ACCEPT   B lets A see them; of a mutual request also A lets B
    A: REQUEST of whom asked A                         both let each other see them: two requests are an acceptance
    B: DENY       A was DENIED, B has nothing          REMOVE      neither lets the other see them

Each has a record of the other, and both change in one decision: what one grants the other was granted. Only a request
may stand on one side alone. It is not taken where the other one has blocked who asks, or is asked by as many as may ask
at once; who asked sees it unanswered, as they would if nobody ever looked at it, and may ask again later.

A block changes nothing but the record of who blocks, and what the other one does afterwards has the effect that they
would see without it. What it stops is decided where it would happen: `access.py` has the question.

An action is deduplicated as commands are, by the device and the id that it chose. What changes nothing is answered with
how it stands.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from bimip.domain.accounts.registering import register_user
from bimip.domain.contacts.access import STRANGER, contact_of
from bimip.domain.contacts.privacy import contact_changed
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite, clamped, later
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import CommandRecord, Contact, Key, Reader, Roster, Standing, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import no_user
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.contacts import pack_key


class ContactAction(IntEnum):
    """Numbers as Contact.Action on the wire."""

    REQUEST = 1
    ACCEPT = 2
    DENY = 3
    REMOVE = 4
    BLOCK = 5
    UNBLOCK = 6
    NAME = 8


class ChangeContact(NamedTuple):
    """A device changes what its user has of another, once however often it says so."""

    user: UserId
    device: DeviceId
    id: str
    digest: bytes  # of all that it says but the stamp: the same id with another one is a conflict
    action: ContactAction
    eid: str
    is_mutual: bool = False  # REQUEST, ACCEPT
    name: str = ""
    stamp: Stamp = Stamp(0)  # NAME: the client's clock; 0: it has none, and now counts


class ContactChanged(NamedTuple):
    """The answer: how it stands, and since which version of the user's state; 0: it is not there."""

    contact: Contact
    version: Version
    duplicate: bool = False
    is_restarted: bool = False  # the user's devices are sent all of their state again


class _Pair(NamedTuple):
    """Two users have this of each other."""

    mine: Contact  # of who acts
    theirs: Contact
    takes_requests: bool  # they have room for one, and have not blocked who acts


def change_contact(view: Reader, op: ChangeContact, context: Context) -> Decision:
    known: CommandRecord | None = view.get(Table.COMMANDS, (op.device, op.id))
    if known is not None:
        return Decision(_again(view, op, known))
    puts: list[Put] = []
    peer = _peer(view, op, context, puts)
    if isinstance(peer, Refused):
        return Decision(peer)
    theirs = contact_of(view, peer, op.user)
    pair = _Pair(contact_of(view, op.user, peer), theirs, _takes_requests(view, peer, theirs, context))
    wanted = RULES[op.action](pair, op, context)
    if isinstance(wanted, Refused):
        return Decision(wanted)
    roster = _Changed(view, op.user, pair.mine, wanted.mine, context)
    if refused := roster.refuse():
        return Decision(refused)
    others = _Changed(view, peer, theirs, wanted.theirs, context)
    changes = StateChanges(view)
    version = roster.tell(changes, peer)
    others.tell(changes, op.user)
    stamp, nowhere = context.stamp(), (ConversationId(0), ConversationOffset(0))
    record = CommandRecord(op.digest, stamp, *nowhere, Stamp(0), version, superseded=False)
    puts += [*changes.puts(), (Table.COMMANDS, {(op.device, op.id): record})]
    result = ContactChanged(roster.now or STRANGER, version, is_restarted=roster.is_restarted)
    return Decision(result, Writes(puts), changes.news, needs_room=op.action in GROWING)


def _again(view: Reader, op: ChangeContact, known: CommandRecord) -> ContactChanged | Refused:
    """Answers a resend with how it stands now."""
    if known.digest != op.digest:
        sentence = "this device already gave another command under this id; give every command an id of its own"
        return Refused(Fault.CONFLICT, sentence, "id")
    peer: User | None = view.get(Table.USERS, (op.eid,))
    if peer is None:
        return ContactChanged(STRANGER, Version(0), duplicate=True)
    contact = contact_of(view, op.user, peer.number)
    return ContactChanged(contact, version_of(view, op.user, peer.number), duplicate=True)


def version_of(view: Reader, owner: UserId, peer: UserId) -> Version:
    """Reads since which version of the owner's state a contact stands so; 0: there is none."""
    version: Version | None = view.get(Table.VERSIONS, (owner, pack_key(peer)))
    return version or Version(0)


def _peer(view: Reader, op: ChangeContact, context: Context, puts: list[Put]) -> UserId | Refused:
    known: User | None = view.get(Table.USERS, (op.eid,))
    if known is None and context.rules.accept_unknown_recipients and op.action in GROWING:
        known = register_user(view, op.eid, context, puts)
    return no_user(op.eid, "eid") if known is None else known.number


def _takes_requests(view: Reader, owner: UserId, contact: Contact, context: Context) -> bool:
    """Whether a request reaches a user. Who makes it does not learn of it."""
    known: Roster = view.get(Table.ROSTERS, (owner,)) or Roster()
    has_room = not _says_nothing(contact) or known.contacts < context.rules.max_contacts
    return has_room and not contact.blocked and known.asked < context.rules.max_contact_requests


def _request(pair: _Pair, op: ChangeContact, _context: Context) -> _Pair | Refused:
    """Asks, once. Asked again, the other one has it too if they took none before; who asks sees nothing change."""
    mine, theirs, is_taken = pair
    if mine.blocked:
        return _blocked()
    if mine.standing == Standing.ASKED or theirs.standing == Standing.REQUESTED:
        return _both(pair)
    if mine.granted:  # there is nothing to ask for
        return _granting(pair) if op.is_mutual else pair
    asking = mine
    if mine.standing != Standing.REQUESTED or mine.is_mutual != op.is_mutual:
        asking = mine._replace(standing=Standing.REQUESTED, is_mutual=op.is_mutual, request=op.id)
    if is_taken or theirs.standing == Standing.ASKED:
        theirs = theirs._replace(standing=Standing.ASKED, is_mutual=op.is_mutual, request=asking.request)
    return pair._replace(mine=asking, theirs=theirs)


def _accept(pair: _Pair, op: ChangeContact, context: Context) -> _Pair | Refused:
    """Lets who asked see; with `mutual`, where the request did not offer that, asks for the same in return."""
    mine = pair.mine
    if mine.blocked:
        return _blocked()
    if mine.standing == Standing.ASKED:
        pair = _both(pair) if mine.is_mutual else _granting(pair)
    elif not mine.grants:
        return _not_asked()
    return _request(pair, op, context) if op.is_mutual and not pair.mine.granted else pair


def _deny(pair: _Pair, _op: ChangeContact, _context: Context) -> _Pair | Refused:
    if pair.mine.standing != Standing.ASKED:
        return _not_asked()
    return pair._replace(mine=_settled(pair.mine), theirs=pair.theirs._replace(standing=Standing.DENIED))


def _remove(pair: _Pair, _op: ChangeContact, _context: Context) -> _Pair:
    """Ends both directions. A request of theirs that was not taken stays as they see it."""
    mine, theirs = pair.mine, pair.theirs
    left = theirs._replace(grants=False, granted=False)
    if mine.standing == Standing.ASKED:
        left = left._replace(standing=Standing.DENIED)
    elif left.standing in {Standing.ASKED, Standing.ACCEPTED}:
        left = left._replace(standing=Standing.NONE)
    return pair._replace(mine=Contact(blocked=mine.blocked, blocked_at=mine.blocked_at), theirs=left)


def _block(pair: _Pair, _op: ChangeContact, context: Context) -> _Pair:
    """Blocks them. When is noted: they see the owner as one who was there then, and went."""
    mine = _settled(pair.mine) if pair.mine.standing == Standing.ASKED else pair.mine
    return pair._replace(mine=mine._replace(blocked=True, blocked_at=mine.blocked_at or context.now))


def _unblock(pair: _Pair, _op: ChangeContact, _context: Context) -> _Pair:
    return pair._replace(mine=pair.mine._replace(blocked=False, blocked_at=Millis(0)))


def _name(pair: _Pair, op: ChangeContact, context: Context) -> _Pair:
    written = LastWrite(op.name, clamped(op.stamp, context.stamp()), op.device)
    return pair._replace(mine=pair.mine._replace(name=later(pair.mine.name, written)))


RULES: Mapping[ContactAction, Callable[[_Pair, ChangeContact, Context], _Pair | Refused]] = {
    ContactAction.REQUEST: _request,
    ContactAction.ACCEPT: _accept,
    ContactAction.DENY: _deny,
    ContactAction.REMOVE: _remove,
    ContactAction.BLOCK: _block,
    ContactAction.UNBLOCK: _unblock,
    ContactAction.NAME: _name,
}
"""What each action makes of what two have of each other."""

GROWING = {ContactAction.REQUEST, ContactAction.ACCEPT, ContactAction.BLOCK, ContactAction.NAME}
"""What may make the store grow. Everybody can take back what they granted, also where there is no room."""


def _granting(pair: _Pair) -> _Pair:
    """Lets the other one see who acts."""
    mine = _accepted(pair.mine)._replace(grants=True, request=pair.theirs.request or pair.mine.request)
    return pair._replace(mine=mine, theirs=_accepted(pair.theirs)._replace(granted=True))


def _accepted(contact: Contact) -> Contact:
    return contact._replace(standing=Standing.ACCEPTED, is_mutual=False)


def _both(pair: _Pair) -> _Pair:
    """Each lets the other one see them."""
    pair = _granting(pair)
    return pair._replace(mine=pair.mine._replace(granted=True), theirs=pair.theirs._replace(grants=True))


def _settled(contact: Contact) -> Contact:
    """A contact of which no request waits any more."""
    standing = Standing.ACCEPTED if contact.grants or contact.granted else Standing.NONE
    return contact._replace(standing=standing, is_mutual=False)


def _blocked() -> Refused:
    return Refused(Fault.CONFLICT, "you have blocked them: unblock them first", "eid")


def _too_many(what: str) -> Refused:
    return Refused(Fault.CONFLICT, f"{what}, and this would be one more: remove one first", "eid")


def _not_asked() -> Refused:
    return Refused(Fault.CONFLICT, "they have not asked to see you, or do no more: nothing was changed", "eid")


class _Changed:
    """One side of a change: what an owner had of the other one, and is to have."""

    def __init__(self, view: Reader, owner: UserId, before: Contact, after: Contact, context: Context) -> None:
        self._owner, self._context = owner, context
        self._before = None if _says_nothing(before) else before
        self.now = None if _says_nothing(after) else after
        """None: there is to be none."""
        if self.now is not None and self.now != self._before:
            self.now = after._replace(since=context.now)
        self._known: Roster = view.get(Table.ROSTERS, (owner,)) or Roster()
        self._counted = self._known.with_one(self._before, -1).with_one(self.now)
        self._view = view
        self.is_restarted = False
        """The owner's devices are sent all of their state again."""

    def refuse(self) -> Refused | None:
        """Refuses what would be more than anybody may have; None: it is not."""
        rules, known, counted = self._context.rules, self._known, self._counted
        if known.contacts < counted.contacts > rules.max_contacts:
            return _too_many(f"you may have {rules.max_contacts} contacts here")
        if known.requested < counted.requested > rules.max_contact_requests:
            return _too_many(f"{rules.max_contact_requests} requests of yours may wait for an answer here")
        return None

    def tell(self, changes: StateChanges, peer: UserId) -> Version:
        """Writes it down. Returns since which version of the owner's state it stands so; 0: there is none."""
        if self.now == self._before:
            return version_of(self._view, self._owner, peer)
        place: Key = (self._owner, peer)
        changes.values.setdefault(Table.CONTACTS, {})[place] = self.now
        roster = self._counted if self._counted.contacts else None
        changes.values.setdefault(Table.ROSTERS, {})[self._owner,] = roster
        key = pack_key(peer)
        if self.now is None:
            version = changes.remove(self._owner, key, self._context.now)
        else:
            version = changes.tell(self._owner, key, self.now)
        before, now = self._before or STRANGER, self.now or STRANGER
        self.is_restarted = contact_changed(self._view, changes, self._owner, peer, before, now)
        return version


def _says_nothing(contact: Contact) -> bool:
    _, grants, granted, _, blocked, _, _, name, _ = contact
    return not (contact.standing or grants or granted or blocked or name.value)


class ForgetContacts(NamedTuple):
    """Others have nothing of a user any more who is being erased, nor the user of them."""

    user: UserId
    owners: tuple[UserId, ...]


def forget_contacts(view: Reader, op: ForgetContacts, _context: Context) -> Decision:
    """Their devices are sent all of their state again: nobody could be named whom they are to drop."""
    if view.get(Table.ERASING, (op.user,)) is None:
        return Decision(Done())
    changes = StateChanges(view)
    gone: dict[Table, dict[Key, Any]] = {Table.CONTACTS: {}, Table.ROSTERS: {}, Table.VERSIONS: {}, Table.CHANGES: {}}
    for owner in op.owners:
        contact: Contact | None = view.get(Table.CONTACTS, (owner, op.user))
        if contact is None:
            continue
        gone[Table.CONTACTS][owner, op.user] = None
        if view.get(Table.CONTACTS, (op.user, owner)) is not None:
            gone[Table.CONTACTS][op.user, owner] = None
        counted = (view.get(Table.ROSTERS, (owner,)) or Roster()).with_one(contact, -1)
        gone[Table.ROSTERS][owner,] = counted if counted.contacts else None
        version = version_of(view, owner, op.user)
        if version:
            gone[Table.VERSIONS][owner, pack_key(op.user)] = gone[Table.CHANGES][owner, version] = None
        changes.restart_at_next(owner)
    puts = [put for put in gone.items() if put[1]]
    return Decision(Done(), Writes([*puts, *changes.puts()]), changes.news)


OPERATIONS: dict[type, OperationKind] = {
    ChangeContact: OperationKind(change_contact),
    ForgetContacts: OperationKind(forget_contacts),
}
