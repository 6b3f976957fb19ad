"""What must be true of the messages themselves, whoever looks: who wrote them, and the places that they were given.

Nobody tells the checker what the server stored. It puts that together from what devices saw, and whenever two of them
tell something different, that is a violation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.kit.contact_invariants import FOR_EVER, ContactInvariants
from tests.kit.group_invariants import GroupInvariants
from tests.kit.history import FRIENDS, Answered, Delivery, GroupEvent, Ids, Name, Refused, Wrote

Report = Callable[[str, str, str], None]
"""invariant, kind, line"""

MayDeliver = Callable[[Name, Delivery], bool]
"""Whether a content that is not the first one may be shown."""

LogKey = tuple[str, str]
"""eid, partition"""


@dataclass
class Message:
    wrote: Wrote
    number: int  # of all messages of its device, in the order of writing
    wrote_at: int = 0
    stamp: int = 0
    conversation: str = ""
    place: int = 0
    answers: list[Ids] = field(default_factory=list)
    answered_at: int | None = None
    returned: bool = False  # to its writer, as an entry of the writer's own log: as good as SENT
    refused: str = ""  # the last answer, if it was a refusal
    was_refused: bool = False
    groups: GroupInvariants | None = None
    is_event: bool = False  # of a group: nobody wrote it
    is_of_nobody: bool = False  # who was erased wrote it, and nobody knows to whom
    is_unheard: Callable[["Message"], bool] = lambda _: False
    """Whether its recipient seems to have blocked its author: asked when all is there."""
    friends: Callable[["Message"], tuple[str, ...]] = lambda _: ()
    """For whom it is that its author wrote for friends."""
    shown_to: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.wrote.id} of {self.wrote.device} to {self.wrote.to or 'friends'}"

    @property
    def is_for_friends(self) -> bool:
        return self.wrote.to == FRIENDS and not self.is_of_nobody

    @property
    def acknowledged(self) -> bool:
        return bool(self.answers) or self.returned

    @property
    def users(self) -> tuple[str, ...]:
        """Those who have it in their log."""
        if self.is_for_friends:
            return (self.wrote.device.eid, *self.friends(self))
        if self.groups is not None and self.groups.is_group(self.conversation):
            return tuple(sorted(self.groups.members_at(self.conversation, self.place)))
        if self.is_unheard(self):
            return (self.wrote.device.eid,)
        return tuple(dict.fromkeys((self.wrote.device.eid, self.wrote.to)))

    @property
    def answered_by(self) -> int:
        """When it was stored at the latest."""
        return FOR_EVER if self.answered_at is None else self.answered_at

    def is_owed(self, device: Name) -> bool:
        if device == self.wrote.device or device.eid not in self.users:
            return False
        return not self.wrote.addressed or device in self.wrote.addressed

    def is_for(self, eid: str) -> bool:
        """Whether a user may see it, on one of their devices at least."""
        return eid == self.wrote.device.eid or (
            eid in self.users and (not self.wrote.addressed or any(name.eid == eid for name in self.wrote.addressed))
        )

    def payload_for(self, device: Name) -> bytes:
        own = self.wrote.addressed.get(device)
        return self.wrote.payload if own is None else own


def _has_gone(message: Message, delivery: Delivery) -> bool:
    """It disappeared: its content is gone, and it says so."""
    return bool(message.wrote.ttl_ms) and delivery.erased and not delivery.payload


class MessageInvariants:
    def __init__(self, report: Report, groups: GroupInvariants, contacts: ContactInvariants) -> None:
        self._report = report
        self.groups = groups
        self.contacts = contacts
        self.may_deliver: MayDeliver = lambda _reader, _delivery: False
        self._judged_later: list[tuple[Name, Message]] = []
        self.messages: dict[tuple[Name, str], Message] = {}
        self.by_stamp: dict[int, Message] = {}
        self.logs: dict[LogKey, dict[int, int]] = {}
        self.offsets: dict[LogKey, dict[int, int]] = {}  # the reverse
        self.conversations: dict[str, dict[int, int]] = {}
        self._told_by: dict[tuple[LogKey, int], Name] = {}
        self._by_payload: dict[bytes, Message] = {}
        self._written: dict[Name, int] = {}
        self.was_put_back = False
        self._feeds: dict[str, str] = {}

    def put_back(self) -> None:
        """An older copy is there now: it may have what another store refused."""
        self.was_put_back = True
        for message in self:
            message.refused = ""

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages.values())

    def wrote(self, event: Wrote, at: int) -> None:
        number = self._written[event.device] = self._written.get(event.device, 0) + 1
        message = Message(event, number, at, groups=self.groups, is_unheard=self._is_unheard, friends=self._friends)
        self.messages[event.device, event.id] = message
        self._by_payload[event.payload] = message

    def answered(self, event: Answered, at: int) -> None:
        message = self.messages.get((event.device, event.id))
        if message is None:
            self._report("I5", "invented", f"{event.device} got SENT for {event.id}, which it never wrote")
            return
        message.refused = ""
        if message.answers and event.ids != message.answers[0]:
            self._report("I5", "answered differently", f"{message}: first {message.answers[0]}, then {event.ids}")
        elif message.answers and not event.duplicate:
            self._report("I5", "answered differently", f"{message}: the second SENT is not marked as a duplicate")
        if message.answered_at is None:
            message.answered_at = at
        message.answers.append(event.ids)
        ids = event.ids
        self._identify(message, ids.stamp)
        self._place(message, (event.device.eid, message.wrote.partition), ids.offset, ids.stamp, event.device)
        self._converse(message, ids.conversation, ids.place)

    def refused(self, event: Refused) -> None:
        message = self.messages.get((event.device, event.id))
        if message is None:
            return
        message.was_refused = True  # it may be stored later than what was written after it
        if event.unknown:
            return
        message.refused = event.code
        if message.acknowledged:
            self._report("I5", "answered differently", f"{message}: acknowledged, then refused with {event.code}")

    def delivered(self, reader: Name, partition: str, delivery: Delivery) -> Message | None:
        """Note where a device saw a message. Returns the message, None for one that nobody wrote."""
        if delivery.event is not None:
            self._happened(reader, delivery, delivery.event)
        message = self.messages.get((delivery.author, delivery.id))
        if not delivery.author.eid and self.groups.erased:
            message = self._of_the_erased(delivery, partition)
        may_deliver = self.may_deliver(reader, delivery)
        is_whole = message is not None and delivery.payload == message.payload_for(reader)
        is_whole = is_whole or (message is not None and message.is_of_nobody and delivery.erased)
        if message is None or not (is_whole or may_deliver or _has_gone(message, delivery)):
            self._report_forgery(reader, delivery, message)
        if message is None:
            return None
        self._identify(message, delivery.stamp)
        message.shown_to.add(reader.eid)
        is_judged_later = message.is_for_friends or message.wrote.to == delivery.conversation
        if is_judged_later or self.contacts.was_blocked(reader.eid, message.wrote.device.eid):
            self._judged_later.append((reader, message))
        elif reader != message.wrote.device and not message.is_owed(reader) and not message.is_of_nobody:
            self._report("I10", "leaked", f"{reader} was shown {message}, which is not for it")
        if delivery.offset:
            if partition != message.wrote.partition and not message.is_of_nobody:
                self._report(
                    "I5", "misplaced", f"{message} was written to {message.wrote.partition}, is in {partition}"
                )
            self._place(message, (reader.eid, partition), delivery.offset, delivery.stamp, reader)
            message.returned = message.returned or reader == message.wrote.device
        self._converse(message, delivery.conversation, delivery.place)
        return message

    def _of_the_erased(self, delivery: Delivery, partition: str) -> Message:
        """Finds what the erased user wrote by its stamp: perhaps nobody saw it before, and nobody was told of it."""
        known = self.by_stamp.get(delivery.stamp)
        if known is None:
            author = Name(self.groups.erased, "")
            known = Message(Wrote(author, delivery.id, "", partition, b""), 0, groups=self.groups, is_event=True)
            known.is_of_nobody = True
            self.messages[author, delivery.id] = known
        return known

    def _happened(self, reader: Name, delivery: Delivery, event: GroupEvent) -> None:
        """Takes an event of a group for a message that the server wrote, to all whom it concerns."""
        place = delivery.conversation, delivery.place
        self.groups.happened(*place, delivery.author.eid, delivery.id, event, reader.eid)
        key = delivery.author, delivery.id
        if key not in self.messages and not (self.groups.erased and delivery.stamp in self.by_stamp):
            wrote = Wrote(*key, delivery.conversation, "chat", b"")
            self.messages[key] = Message(wrote, 0, groups=self.groups, is_event=True)

    def note_event(self, delivery: Delivery, to: str) -> None:
        """Takes what the server wrote in a conversation of two for a message, which is for both."""
        key = delivery.author, delivery.id
        if key not in self.messages and not (self.groups.erased and delivery.stamp in self.by_stamp):
            wrote = Wrote(*key, to, "chat", b"")
            self.messages[key] = Message(wrote, 0, groups=self.groups, is_event=True, is_unheard=self._is_unheard)

    def _is_unheard(self, message: Message) -> bool:
        """Whether the other one may have blocked who wrote it, and no device of theirs has it."""
        author, to = message.wrote.device.eid, message.wrote.to
        until = FOR_EVER if message.is_event else message.answered_by
        return self.contacts.was_blocked(to, author, until) and message.stamp not in self.offsets.get(
            (to, message.wrote.partition), {}
        )

    def _check_blocks(self) -> None:
        """Nothing that was written while a user had blocked its author, for certain, is in a log of theirs."""
        for message in self:
            author, to = message.wrote.device.eid, message.wrote.to
            is_there = message.stamp in self.offsets.get((to, message.wrote.partition), {})
            if not is_there or message.is_event or message.is_of_nobody:
                continue
            if self.contacts.is_blocked(to, author, message.wrote_at, message.answered_by):
                self._report("I10", "let through", f"{to} had blocked {author}, and has {message}")

    def _friends(self, message: Message) -> tuple[str, ...]:
        """Lists whom the author let see them at that moment; of whom that is unsure, those who have it."""
        author, begin, end = message.wrote.device.eid, message.wrote_at, message.answered_by
        found = {viewer: self.contacts.saw(author, viewer, begin, end) for viewer in self.contacts.asked_by(author)}
        return tuple(viewer for viewer, saw in found.items() if saw or (saw is None and viewer in message.shown_to))

    def feed_author(self, conversation: str) -> str:
        """Returns whose feed a conversation is; empty: it is none."""
        return self._feeds.get(conversation, "")

    def keeps(self, user: str, conversation: str) -> bool:
        """Whether a user never may have ended to read a conversation, where it is a feed."""
        author = self.feed_author(conversation)
        if not author or user == author:
            return True
        return author != self.groups.erased and self.contacts.are_steady(user, author)

    def _report_forgery(self, reader: Name, delivery: Delivery, message: Message | None) -> None:
        true = self._by_payload.get(delivery.payload)
        what = f"{reader} was shown {delivery.id} at {delivery.offset} from {delivery.author}"
        if true is not None and true is not message:
            self._report("I10", "forged", f"{what}, but its payload is {true}")
        elif message is None:
            self._report("I10", "forged", f"{what}, which nobody wrote")
        else:
            self._report("I2", "damaged", f"{what}: its payload is not what was written ({delivery.payload[:40]!r})")

    def _identify(self, message: Message, stamp: int) -> None:
        if message.stamp and message.stamp != stamp:
            self._report("I5", "duplicated", f"{message} is stored twice: as {message.stamp} and as {stamp}")
        message.stamp = message.stamp or stamp
        self.by_stamp.setdefault(stamp, message)

    def _place(self, message: Message, log: LogKey, offset: int, stamp: int, device: Name) -> None:
        known = self.logs.setdefault(log, {}).setdefault(offset, stamp)
        teller = self._told_by.setdefault((log, offset), device)
        if known != stamp:
            other = self.by_stamp.get(known)
            where = f"offset {offset} of {log[0]}'s {log[1]}"
            if teller == device:
                self._report("I1", "reused", f"{where} was {other} and is {message}, to {device}")
            else:
                self._report("I3", "reordered", f"{where} is {other} to {teller}, and {message} to {device}")
            return
        first = self.offsets.setdefault(log, {}).setdefault(stamp, offset)
        if first != offset:
            self._report("I5", "duplicated", f"{message} stands at {first} and at {offset} of {log[0]}'s {log[1]}")

    def _converse(self, message: Message, conversation: str, place: int) -> None:
        if not message.place:
            message.conversation, message.place = conversation, place
        if message.is_for_friends:
            author = message.wrote.device.eid
            if self._feeds.setdefault(conversation, author) != author:
                self._report(
                    "I10", "leaked", f"{message} is in {conversation}, the feed of {self._feeds[conversation]}"
                )
        known = self.conversations.setdefault(conversation, {}).setdefault(place, message.stamp)
        if (message.conversation, message.place) != (conversation, place) or known != message.stamp:
            line = f"{message} is at {message.conversation} {message.place} and at {conversation} {place}"
            self._report("I3", "reordered", f"{line}, where {self.by_stamp.get(known)} stands")

    def finish(self, *, quiet: bool) -> None:
        """What can only be said at the end: that everything is in order, and, at rest, nothing missing in between."""
        for log, entries in self.logs.items():
            self._check_order(f"{log[0]}'s {log[1]}", entries)
        for conversation, places in self.conversations.items():
            self._check_order(f"conversation {conversation}", places)
            missing = sorted(set(range(1, max(places) + 1)) - set(places))
            if missing and quiet and not self._is_of_the_erased_alone(conversation):
                self._report("I4", "skipped", f"nobody ever saw {missing} of conversation {conversation}")
        self._check_order_of_writing()
        self._check_blocks()
        for reader, message in self._judged_later if quiet else ():
            if reader != message.wrote.device and not message.is_owed(reader) and not message.is_of_nobody:
                self._report("I10", "leaked", f"{reader} was shown {message}, which is not for it")
        for message in self:
            if message.refused and message.stamp:
                self._report("I2", "half-appended", f"{message} was refused with {message.refused}, and is there")

    def _is_of_the_erased_alone(self, conversation: str) -> bool:
        """Whether perhaps nobody is left who could have seen all that was written there: a group that only the erased
        user was ever in, or their chat with another, of which only some devices get what is addressed to them.
        """
        users = {user for message in self if message.conversation == conversation for user in message.users}
        erased = self.groups.erased
        return bool(erased) and (users - {conversation} == {erased} or (erased in users and conversation not in users))

    def _check_order(self, where: str, stamps: dict[int, int]) -> None:
        last_offset = last_stamp = 0
        for offset, stamp in sorted(stamps.items()):
            if stamp <= last_stamp:
                self._report("I3", "reordered", f"{where}: {offset} is older than {last_offset}")
            last_offset, last_stamp = offset, stamp

    def _may_have_been_refused(self, message: Message) -> bool:
        """Also where nobody heard of it: its list of devices, which was to be complete, may have become right only
        later, and its writer, or whom it addresses, may have come to the group only later.
        """
        if message.was_refused or message.wrote.is_complete:
            return True
        if self.contacts.was_blocked(message.wrote.device.eid, message.wrote.to):
            return True
        if not self.groups.is_group(message.conversation):
            return False
        users = {message.wrote.device.eid, *(name.eid for name in message.wrote.addressed)}
        return any(self.groups.has_gone_or_came_late(user, message.conversation) for user in users)

    def _check_order_of_writing(self) -> None:
        """A device sends in the order in which it wrote, and sends again in that order: so it must be stored."""
        last: dict[Name, Message] = {}
        for message in self:
            if not message.stamp or message.is_event or self._may_have_been_refused(message):
                continue
            before = last.get(message.wrote.device)
            if before is not None and before.stamp > message.stamp:
                self._report("I3", "reordered", f"{message} was stored before {before}, which was written first")
            last[message.wrote.device] = message
