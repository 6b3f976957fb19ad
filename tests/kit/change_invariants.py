"""What became of messages: nothing that nobody did, nothing forgotten, the same to all who see them (I8, I9, I10)."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tests.kit.history import Changed, Delivery, Done, Given, Kept, Knocked, Name, State
from tests.kit.message_invariants import Message, MessageInvariants, Report

Place = tuple[str, int]
"""conversation, conversation offset"""


class Shared(NamedTuple):
    """What all who see a message are to agree upon."""

    edited: int
    payload: bytes | None
    deleted: bool
    forwards: int
    reactions: tuple[tuple[str, str, int, bool], ...]


class Copy:
    """What one device knows, merged as every client does."""

    def __init__(self) -> None:
        self.messages: dict[Place, Changed] = {}
        self.kept: dict[str, Kept] = {}
        self._before: tuple[dict[Place, Changed], dict[str, Kept]] | None = None  # while a whole state is read again

    def reset(self) -> None:
        self._before = (self.messages, self.kept)
        self.messages, self.kept = {}, {}

    def complete(self) -> None:
        self._before = None

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        messages, kept = self._before or ({}, {})
        self._before = None
        self.merge(messages.values(), kept.values())

    def merge(self, messages: Iterable[Changed], kept: Iterable[Kept]) -> None:
        for item in messages:
            key = (item.conversation, item.place)
            if item.is_gone:
                self.messages.pop(key, None)
                continue
            known = self.messages.get(key)
            self.messages[key] = item if known is None else merged(known, item)
        for each in kept:
            self.kept[each.conversation] = max(each, self.kept.get(each.conversation, each))


def merged(one: Changed, other: Changed) -> Changed:
    edit = max(one, other, key=lambda each: (each.edited, each.payload or b""))
    pin = max(one, other, key=lambda each: (each.pinned_stamp, each.pinned))
    reactions: dict[tuple[str, str], tuple[int, bool]] = {}
    for eid, emoji, stamp, removed in (*one.reactions, *other.reactions):
        reactions[eid, emoji] = max((stamp, removed), reactions.get((eid, emoji), (0, False)))
    deleted = one.deleted or other.deleted
    return edit._replace(
        edited=0 if deleted else edit.edited,
        payload=None if deleted else edit.payload,
        deleted=deleted,
        hidden=one.hidden or other.hidden,
        pinned=pin.pinned,
        pinned_stamp=pin.pinned_stamp,
        forwards=max(one.forwards, other.forwards),
        reactions=() if deleted else tuple(sorted((*key, *value) for key, value in reactions.items())),
    )


class ChangeInvariants:
    def __init__(self, messages: MessageInvariants, report: Report, has_expired: Callable[[Message], bool]) -> None:
        self._has_expired = has_expired
        self._messages = messages
        self._report = report
        self._copies: dict[Name, Copy] = {}
        self._given: dict[tuple[Name, str], Given] = {}
        self._about: dict[int, list[Given]] = {}
        self._done: dict[tuple[Name, str], Done] = {}
        self._edited_behind: dict[bytes, int] = {}  # by content: how far its group had certainly come before
        self._withheld: list[tuple[Name, Delivery]] = []
        self._edits_shown: dict[tuple[Name, str, int, bytes], Delivery] = {}

    def _copy(self, name: Name) -> Copy:
        return self._copies.setdefault(name, Copy())

    def knocked(self, event: Knocked) -> None:
        self._copy(event.device).interrupt()

    def given(self, event: Given) -> None:
        """Evidence."""
        if (event.device, event.id) not in self._given:
            self._given[event.device, event.id] = event
            self._about.setdefault(event.target, []).append(event)
            if event.kind == "EDIT":
                self._edited_behind[event.payload] = self._messages.groups.answered_upto(event.conversation)

    def done(self, event: Done) -> None:
        key = event.device, event.id
        first = self._done.setdefault(key, event)
        if key not in self._given:
            self._report("I5", "invented", f"{event.device} is answered {event.id}, which it never said")
        elif (first.stamp, first.superseded, first.version) != (event.stamp, event.superseded, event.version):
            self._report("I5", "answered differently", f"{event.id} of {event.device}: {first}, then {event}")
        elif event is not first and not event.duplicate:
            self._report("I5", "answered differently", f"{event.id} of {event.device} was done a second time")

    def may_deliver(self, reader: Name, delivery: Delivery) -> bool:
        """Whether a content that is not the first one is what somebody made of it."""
        if delivery.erased:
            return not delivery.payload and (
                self._may_be_deleted(delivery.stamp) or self._is_withheld(reader, delivery)
            )
        if delivery.edited:
            self._edits_shown[reader, delivery.conversation, delivery.place, delivery.payload] = delivery
        known = self._copy(reader).messages.get((delivery.conversation, delivery.place))
        if known is not None and known.deleted:
            self._report("I10", "leaked", f"{reader} is shown {delivery.id}, which it knows to be deleted")
        return bool(delivery.edited) and self._was_said(delivery.stamp, "EDIT", payload=delivery.payload)

    def changed(self, event: State) -> None:
        copy = self._copy(event.device)
        if event.reset:
            copy.reset()
        for item in event.changes:
            if not item.is_gone:
                self._check_claims(event.device, item)
        copy.merge(event.changes, event.kept)
        if event.complete:
            copy.complete()

    def _check_claims(self, device: Name, item: Changed) -> None:
        target, user = item.target, device.eid
        claims = {
            "edited": item.payload is None or self._was_said(target, "EDIT", payload=item.payload),
            "deleted": not item.deleted or self._may_be_deleted(target),
            "hidden": not item.hidden or self._was_said(target, "DELETE_FOR_ME", user),
            "pinned": not item.pinned or self._was_said(target, "PIN", user),
            "forwarded": item.forwards <= len(self._all_said(target, "FORWARD_MARK")),
        }
        message = self._messages.by_stamp.get(target)
        author = message.wrote.device.eid if message is not None and message.is_for_friends else ""
        for eid, emoji, _, removed in item.reactions:
            if author and user != author and eid not in {"", user, author}:
                self._report("I10", "leaked", f"{device} is told of a reaction of {eid}, another reader: {message}")
            if not eid and self._messages.groups.erased:
                continue  # of who is being erased
            what = f"{'un' if removed else ''}reacted with {emoji} by {eid}"
            claims[what] = self._was_said(target, "UNREACT" if removed else "REACT", eid, emoji=emoji)
        for what, is_true in claims.items():
            if not is_true:
                line = f"{device} is told that {item.conversation} {item.place} was {what}, which nobody said"
                self._report("I8", "false change", line)

    def _may_be_deleted(self, target: int) -> bool:
        """Somebody said so, or its time to be seen may be over."""
        message = self._messages.by_stamp.get(target)
        disappears = message is None or bool(message.wrote.ttl_ms)  # nobody may have seen it yet
        erased = self._messages.groups.erased
        disappears = disappears or (message is not None and bool(erased) and message.wrote.device.eid == erased)
        return disappears or self._was_said(target, "DELETE_FOR_EVERYONE")

    def _is_withheld(self, reader: Name, delivery: Delivery) -> bool:
        """Who has left a group is not shown what was edited since. That they have may be seen only later."""
        self._withheld.append((reader, delivery))
        return self._was_said(delivery.stamp, "EDIT")

    def _all_said(self, target: int, kind: str, user: str = "") -> list[Given]:
        return [one for one in self._about.get(target, ()) if one.kind == kind and user in {"", one.device.eid}]

    def _was_said(self, target: int, kind: str, user: str = "", payload: bytes = b"", emoji: str = "") -> bool:
        return any(
            payload in {b"", one.payload} and emoji in {"", one.emoji} for one in self._all_said(target, kind, user)
        )

    def finish(self, devices: Iterable[Name]) -> None:
        """Every device has been told all that there was."""
        names = list(devices)
        for reader, delivery in self._withheld:
            if self._messages.contacts.was_blocked(reader.eid, delivery.author.eid):
                continue  # so it is with what who is blocked edits
            if not self._messages.keeps(reader.eid, delivery.conversation):
                continue  # and with what is edited in a feed that they read no more
            if not self._messages.groups.has_gone(reader.eid, delivery.conversation):
                self._report("I2", "damaged", f"{reader} is not shown the content of {delivery.id}, which is theirs")
        for reader, conversation, place, payload in self._edits_shown:
            left = self._messages.groups.left_behind(reader.eid, conversation, place)
            if left and left <= self._edited_behind.get(payload, 0):
                line = f"{reader} was shown {conversation} {place} as edited after they had left at {left}"
                self._report("I10", "leaked", line)
        for key, done in self._done.items():
            given = self._given.get(key)
            message = None if given is None else self._messages.by_stamp.get(given.target)
            is_theirs = message is None or self._messages.keeps(key[0].eid, message.conversation)
            if (
                given is not None
                and not done.superseded
                and is_theirs
                and (message is None or self._is_judged(message))
            ):
                self._check_kept(given, done, names)
        for target in self._about:
            message = self._messages.by_stamp.get(target)
            if message is not None and message.place and self._is_judged(message):
                self._check_agreed(message, [name for name in names if self._is_told_all(message, name.eid)])
                self._check_others_know_nothing(message, [name for name in names if not message.is_for(name.eid)])
            if message is not None and message.place and self._is_of_two(message):
                self._check_taken_back(message, [name for name in names if self._is_told_all(message, name.eid)])

    def _is_told_all(self, message: Message, user: str) -> bool:
        """Whether a user is told all that becomes of a message: in a feed its author alone is."""
        return user == message.wrote.device.eid if message.is_for_friends else message.is_for(user)

    def _is_judged(self, message: Message) -> bool:
        """Of what has expired who catches up is told nothing; and a group's members may have left it since."""
        is_of_group = self._messages.groups.is_group(message.conversation)
        return not is_of_group and not self._is_blocked(message) and not self._has_expired(message)

    def _is_of_two(self, message: Message) -> bool:
        """Of what was edited who has blocked its author may be told nothing any more."""
        is_of_group = self._messages.groups.is_group(message.conversation)
        is_edited = bool(self._all_said(message.stamp, "EDIT"))
        return not (is_of_group or is_edited or message.is_for_friends or self._has_expired(message))

    def _check_taken_back(self, message: Message, names: Iterable[Name]) -> None:
        """Whom one of the two has blocked is unheard in what they make known, and not in what they take back."""
        ended: dict[tuple[str, str], int] = {}
        for key, done in self._done.items():
            given = self._given.get(key)
            if given is not None and (given.kind, given.target) == ("UNREACT", message.stamp) and not done.superseded:
                about = key[0].eid, given.emoji
                ended[about] = max(done.stamp, ended.get(about, 0))
        for name in names:
            known = self._copy(name).messages.get((message.conversation, message.place))
            for eid, emoji, stamp, is_removed in () if known is None else known.reactions:
                if not is_removed and stamp < ended.get((eid, emoji), 0):
                    line = f"{name} knows {emoji} by {eid} to {message}, who took it back"
                    self._report("I9", "not taken back", line)

    def _is_blocked(self, message: Message) -> bool:
        """Whether one of its two may have blocked the other: what these do meanwhile the one is not told."""
        author, to = message.wrote.device.eid, message.wrote.to
        was_blocked = self._messages.contacts.was_blocked
        return was_blocked(author, to) or was_blocked(to, author)

    def _check_kept(self, given: Given, done: Done, names: Iterable[Name]) -> None:
        """What was answered is known to each device of the user."""
        for name in names:
            if name.eid != given.device.eid:
                continue
            known = self._copy(name).messages.get((done.conversation, done.place))
            is_known = (
                self._copy(name).kept.get(done.conversation, Kept("", 0, ())).version >= done.version
                if not given.target
                else known is not None and _holds(known, given, done)
            )
            if not is_known:
                line = f"{name} does not know of {given.kind} {given.id} in {done.conversation} {done.place}"
                self._report("I8", "change lost", line)

    def _check_agreed(self, message: Message, names: Iterable[Name]) -> None:
        place = (message.conversation, message.place)
        shared: tuple[Name, Shared] | None = None
        own: dict[str, tuple[Name, tuple[bool, bool]]] = {}
        for name in names:
            known = self._copy(name).messages.get(place)
            told = Shared(0, None, False, 0, ()) if known is None else _shared(known)  # noqa: FBT003
            private = (False, False) if known is None else (known.hidden, known.pinned)
            other, reference = shared = shared or (name, told)
            if told != reference:
                self._report("I9", "diverged", f"what became of {message}: {told} to {name}, {reference} to {other}")
            other, private_reference = own.setdefault(name.eid, (name, private))
            if private != private_reference:
                line = f"what {name.eid} made of {message}: {private} to {name}, {private_reference} to {other}"
                self._report("I9", "diverged", line)
        forwarded = [
            done for key, done in self._done.items() if self._is_forward(key, message.stamp) and not done.superseded
        ]
        if shared is not None and not shared[1].deleted and shared[1].forwards < len(forwarded):
            line = f"{message} was forwarded {len(forwarded)} times, and {shared[1].forwards} are told"
            self._report("I8", "change lost", line)

    def _check_others_know_nothing(self, message: Message, names: Iterable[Name]) -> None:
        for name in names:
            if (message.conversation, message.place) in self._copy(name).messages:
                self._report("I10", "leaked", f"{name} is told what became of {message}, which they may not see")

    def _is_forward(self, key: tuple[Name, str], target: int) -> bool:
        given: Given | None = self._given.get(key)
        return given is not None and given.kind == "FORWARD_MARK" and given.target == target


def _shared(known: Changed) -> Shared:
    return Shared(known.edited, known.payload, known.deleted, known.forwards, known.reactions)


def _holds(known: Changed, given: Given, done: Done) -> bool:
    """Whether what is known of a message has a command in it, or what counts for more."""
    holds: Mapping[str, bool] = {
        "EDIT": known.deleted or known.edited >= done.stamp,
        "DELETE_FOR_EVERYONE": known.deleted,
        "DELETE_FOR_ME": known.hidden,
        "PIN": known.pinned_stamp >= done.stamp,
        "FORWARD_MARK": known.deleted or known.forwards > 0,
    }
    if given.kind in holds:
        return holds[given.kind]
    reacted = [stamp for eid, emoji, stamp, _ in known.reactions if (eid, emoji) == (given.device.eid, given.emoji)]
    return known.deleted or any(stamp >= done.stamp for stamp in reacted)
