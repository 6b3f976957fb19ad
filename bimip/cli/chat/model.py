"""Conversations and their messages as one screen shows them, changed by events. Nothing here knows a terminal or a
network.

A conversation has a key: its id, or `to:` and a user's name while there is none yet, which the first message makes.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bimip.cli.chat.saved import RefusedMessage
from bimip.cli.chat.text import decoded
from bimip.cli.show_events import message_text
from bimip.client.core.kept import KeptMessage
from bimip.client.events import (
    ActivityChanged,
    ContactChanged,
    ConversationChanged,
    Event,
    GroupChanged,
    KnownContact,
    KnownPresence,
    MessageChanged,
    PostReceived,
    PresenceChanged,
    ReadAgain,
    ReadMarkerChanged,
    ReceiptsChanged,
    Received,
    SendRefused,
    Sent,
)
from bimip.client.facets.conversations import InboxRow
from bimip.client.wire.bimip import GroupEventKind, Message
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import Status

BEYOND = 1 << 62
"""Behind all messages that have a place: those that wait."""

TO = "to:"

Times = Callable[[str, int], dict[str, dict[str, int]]]
"""Tells by member when a message was delivered, read and played."""


State = Callable[[str, int], MessageChanged | None]
"""Tells what became of a message since it was sent."""


@dataclass(slots=True)
class Entry:
    """A message in a conversation, or something that happened to it."""

    key: str  # its signal_id; of one that waits, the id that it was given
    conversation: str
    author: str = ""
    own: bool = False
    device: str = ""  # which wrote it
    time: int = 0  # milliseconds
    written: str = ""  # as it was sent
    offset: int = 0  # in the conversation; 0: it waits
    signal_offset: int = 0
    sent_id: str = ""
    reply_to: str = ""  # a signal_id
    is_event: bool = False
    erased: bool = False
    changes: MessageChanged | None = None
    wanted: str | None = None  # an edit that waits
    leaving: bool = False  # a deletion that waits
    failure: str = ""
    revision: int = 0

    @property
    def text(self) -> str:
        """The content as it is now, or is to be."""
        if self.wanted is not None:
            return self.wanted
        edited = self.changes.payload if self.changes is not None else None
        return self.written if edited is None else decoded(edited)

    @property
    def is_deleted(self) -> bool:
        return self.erased or (self.changes is not None and self.changes.deleted)

    @property
    def is_edited(self) -> bool:
        return self.wanted is not None or (self.changes is not None and self.changes.payload is not None)

    @property
    def is_refused(self) -> bool:
        return bool(self.failure) and not self.offset

    @property
    def target(self) -> int | str:
        """Names the message for a command."""
        return self.signal_offset or self.sent_id

    def place(self) -> tuple[int, str]:
        return (self.offset or BEYOND, "" if not self.offset else self.key)


@dataclass(slots=True)
class Conversation:
    key: str
    id: str = ""  # empty: there is none yet
    peer: str = ""
    title: str = ""
    is_feed: bool = False
    is_gone: bool = False  # this user is in the group no more
    member_count: int = 2
    head: int = 0
    read_upto: int = 0
    counted_upto: int = 0  # `unread` has what came up to here
    unread: int = 0
    has_more_unread: bool = False
    mentions: int = 0
    activity: int = 0
    last: Entry | None = None
    archived: bool = False
    pinned: bool = False
    marked_unread: bool = False
    muted_until: int = 0
    draft: str = ""
    draft_waits: bool = False  # it was written here, and the server has it not yet
    entries: list[Entry] = field(default_factory=list)
    is_whole: bool = False  # nothing is in front of the first entry
    new_from: int = 0  # the first message that was unread when it was opened; 0: none
    typing: dict[str, Doing] = field(default_factory=dict)
    _by_key: dict[str, Entry] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        return bool(self.id) and not self.peer

    @property
    def to(self) -> str:
        """Names whom messages are sent to."""
        return self.peer or self.id

    @property
    def first_offset(self) -> int:
        """The offset of the oldest message that is loaded; 0: none is."""
        return next((entry.offset for entry in self.entries if entry.offset), 0)

    def find(self, key: str) -> Entry | None:
        return self._by_key.get(key)

    def add(self, entry: Entry) -> None:
        """Adds a message, in its place."""
        if self.entries and self.entries[-1].place() > entry.place():
            insort(self.entries, entry, key=Entry.place)
        else:
            self.entries.append(entry)
        self._by_key[entry.key] = entry

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Adds messages of a page, which may be many."""
        for entry in entries:
            self.entries.append(entry)
            self._by_key[entry.key] = entry
        self.entries.sort(key=Entry.place)

    def drop(self, entry: Entry) -> None:
        self.entries.remove(entry)
        del self._by_key[entry.key]

    def keep_newest(self, count: int) -> None:
        """Unloads what is older than the newest ones: it is loaded again when it is scrolled to."""
        if len(self.entries) > count:
            for entry in self.entries[: len(self.entries) - count]:
                del self._by_key[entry.key]
            del self.entries[: len(self.entries) - count]
            self.is_whole = False

    def last_own(self) -> Entry | None:
        """Returns this user's last message that can be edited."""
        own = (entry for entry in reversed(self.entries) if entry.own and not entry.is_event)
        return next((entry for entry in own if not entry.is_deleted and not entry.failure), None)

    def is_muted(self, now: int) -> bool:
        return self.muted_until > now


@dataclass(slots=True)
class Model:
    """All that the screen shows. `revision` rises with every change."""

    own_eid: str = ""
    conversations: dict[str, Conversation] = field(default_factory=dict)
    contacts: dict[str, KnownContact] = field(default_factory=dict)
    presence: dict[str, KnownPresence] = field(default_factory=dict)
    opened: str = ""  # the key of the conversation that is shown
    times: Times = lambda _conversation, _offset: {}
    state: State = lambda _conversation, _offset: None
    revision: int = 0
    _order: list[Conversation] = field(default_factory=list)
    _ordered_at: int = -1
    _changes: dict[str, tuple[Entry, str]] = field(default_factory=dict)  # commands that wait, by id

    # What is asked of it.

    @property
    def open_one(self) -> Conversation | None:
        return self.conversations.get(self.opened)

    def ordered(self) -> list[Conversation]:
        """Returns the conversations as they are listed: pinned ones, the others, archived ones; the newest first."""
        if self._ordered_at != self.revision:
            self._order = sorted(
                self.conversations.values(), key=lambda one: (one.archived, not one.pinned, -one.activity, one.key)
            )
            self._ordered_at = self.revision
        return self._order

    def unread(self, now: int) -> int:
        """Counts what is unread where that is to be noticed: in no conversation that is archived or muted."""
        return sum(one.unread for one in self.conversations.values() if not one.archived and not one.is_muted(now))

    def name_of(self, eid: str) -> str:
        """Returns what a user is called: as this user names them, else their name, which is short at home."""
        if not eid:
            return "an erased user"
        known = self.contacts.get(eid)
        if known is not None and known.name:
            return known.name
        name, at, domain = eid.rpartition("@")
        return name if at and name and domain == self.own_eid.rpartition("@")[2] else eid

    def title_of(self, conversation: Conversation) -> str:
        if conversation.is_feed:
            return "your posts" if conversation.peer == self.own_eid else f"{self.name_of(conversation.peer)}'s posts"
        if conversation.peer:
            return self.name_of(conversation.peer)
        return conversation.title or f"group {conversation.id}"

    def stage_of(self, entry: Entry) -> str:
        """Tells how far an own message has come: waiting, refused, sent, delivered or read, by the last of all."""
        if not entry.offset:
            return "refused" if entry.failure else "waiting"
        others = [times for who, times in self.times(entry.conversation, entry.offset).items() if who != self.own_eid]
        conversation = self.conversations.get(entry.conversation)
        wanted = max(1, (conversation.member_count if conversation else 2) - 1)
        if sum("read" in times for times in others) >= wanted:
            return "read"
        return "delivered" if sum("delivered" in times for times in others) >= wanted else "sent"

    def mentioned(self, text: str, members: Sequence[str]) -> list[str]:
        """Returns those who are named in a text, as in "@bob" or "@bob@example.org"."""
        words = {word.rstrip(".,:;!?)").casefold() for word in text.split() if word.startswith("@")}
        return [eid for eid in members if words & {f"@{eid}".casefold(), f"@{self.name_of(eid)}".casefold()}]

    def by_target(self, to: str) -> Conversation:
        """Returns the conversation with a user, or a group by its id; a new one where there is none."""
        for one in self.conversations.values():
            if one.id == to or (one.peer == to and not one.is_feed):
                return one
        is_user = "@" in to
        key = TO + to if is_user else to
        found = Conversation(key, id="" if is_user else to, peer=to if is_user else "", is_whole=is_user)
        self.conversations[key] = found
        self._changed()
        return found

    # What was there before, and what is loaded.

    def take_kept(self, heads: Iterable[KeptMessage], read_upto: Callable[[str], int]) -> None:
        """Lists the conversations of which the device keeps messages, without a connection."""
        for kept in heads:
            one = self._of_message(kept.message, is_feed=kept.partition == "feed")
            entry = self._put(one, kept.message, kept.changes, is_new=True)
            one.read_upto = read_upto(one.id)
            one.unread = 0 if entry.own else max(0, one.head - one.read_upto)
            one.counted_upto = one.head
            one.keep_newest(0)
        self._changed()

    def take_inbox(self, rows: Iterable[InboxRow]) -> None:
        """Takes the conversations as the server has them."""
        for row in rows:
            one = self._conversation(row.conversation, row.peer, is_feed=row.is_feed)
            one.title, one.is_feed, one.member_count = row.title, row.is_feed, row.member_count
            one.archived, one.pinned, one.marked_unread = row.archived, row.pinned, row.marked_unread
            one.muted_until = row.muted_until
            self._draft_told(one, row.draft)
            if row.head >= one.head:
                one.head = one.counted_upto = row.head
                one.unread, one.has_more_unread, one.mentions = row.unread, row.has_more_unread, row.mentions
                one.read_upto = max(one.read_upto, row.read_upto)
                if one.read_upto >= one.head:
                    one.unread = one.mentions = 0
            if row.last_message is not None and (one.last is None or one.last.offset <= row.head):
                one.last = self._entry(row.last_message, None)
            one.activity = max(one.activity, row.last_activity)
        self._changed()

    def take_page(self, conversation: Conversation, messages: Iterable[KeptMessage | Message]) -> int:
        """Adds messages of a page, older or known. Returns how many are new."""
        added = []
        for one in messages:
            message, changes = (one.message, one.changes) if isinstance(one, KeptMessage) else (one, None)
            if conversation.find(message.signal_id) is None:
                self._drop_waiting(conversation, message)
                entry = self._entry(message, changes or self.state(conversation.id, message.conversation_offset))
                conversation.head = max(conversation.head, entry.offset)
                if not _is_hidden(entry):
                    added.append(entry)
        conversation.add_all(added)
        self._changed()
        return len(added)

    def take_waiting(self, messages: Iterable[Message]) -> None:
        """Shows what an earlier process wrote, and the server has not answered yet."""
        for message in messages:
            one = self._addressed(message.to.eid if message.to is not None else "")
            if one is not None and one.find(message.id) is None:
                self.wrote(one, message.id, decoded(message.payload), message.timestamp, message.reply_to)

    def take_refused(self, own_id: str, message: RefusedMessage) -> None:
        """Shows what the server refused when an earlier process was there."""
        one = self._addressed(message.to)
        if one is not None and one.find(own_id) is None:
            entry = self.wrote(one, own_id, message.text, message.at, message.reply_to)
            entry.failure = f"not sent: {message.said}"

    def _addressed(self, to: str) -> Conversation | None:
        """Returns the conversation with a user, a group, or (with "") this user's friends, where there is one."""
        if to:
            return self.by_target(to)
        return next((one for one in self.conversations.values() if one.is_feed and one.peer == self.own_eid), None)

    # What this user does.

    def wrote(self, conversation: Conversation, own_id: str, text: str, now: int, reply_to: str = "") -> Entry:
        """Shows a message that waits in the outbox."""
        entry = Entry(
            own_id, conversation.id, self.own_eid, own=True, time=now, written=text, sent_id=own_id, reply_to=reply_to
        )
        conversation.add(entry)
        conversation.last, conversation.activity = entry, max(conversation.activity, now)
        conversation.new_from = 0
        self._changed()
        return entry

    def drafted(self, conversation: Conversation, text: str) -> None:
        """Shows what was begun here, whatever the server has."""
        conversation.draft = text
        conversation.draft_waits = bool(text or conversation.id)
        self._changed()

    def written(self, own_id: str) -> tuple[Conversation, Entry] | None:
        """Returns what this user wrote under an id, and where."""
        found = ((one, one.find(own_id)) for one in self.conversations.values())
        return next(((one, entry) for one, entry in found if entry is not None), None)

    def dropped(self, entry: Entry) -> None:
        """Drops what was refused and is given up."""
        found = self.written(entry.key)
        if found is not None:
            one, _ = found
            one.drop(entry)
            one.last = (one.entries[-1] if one.entries else None) if one.last is entry else one.last
            self._changed()

    def changes(self, entry: Entry, command: str, what: str, wanted: str | None = None) -> None:
        """Shows an edit or a deletion that waits for its answer."""
        self._changes[command] = (entry, what)
        entry.failure = ""
        if wanted is not None:
            entry.wanted = wanted
        entry.leaving = entry.leaving or what == "deleted"
        self._touch(entry)

    def changed(self, command: str, refusal: str = "") -> bool:
        """Takes the answer to a change. Returns whether it was one of these."""
        entry, what = self._changes.pop(command, (None, ""))
        if entry is None:
            return False
        entry.leaving = False
        if refusal:
            entry.wanted = None
            entry.failure = f"not {what}: {refusal}"
        self._touch(entry)
        return True

    def open(self, key: str) -> Conversation:
        one = self.conversations[key]
        self.opened = key
        one.new_from = one.read_upto + 1 if one.unread and one.read_upto < one.head else 0
        self._changed()
        return one

    def mute(self, conversation: Conversation, until: int) -> None:
        """Shows that a conversation is muted, before the server's answer."""
        conversation.muted_until = until
        self._changed()

    def read(self, conversation: Conversation) -> int:
        """Marks all as read. Returns up to where that was not said yet; 0: it was."""
        upto = conversation.head if conversation.head > conversation.read_upto else 0
        conversation.read_upto = max(conversation.read_upto, conversation.head)
        if conversation.unread or conversation.mentions or upto:
            conversation.unread = conversation.mentions = 0
            conversation.has_more_unread = False
            self._changed()
        return upto

    # What happens.

    def take(self, event: Event) -> Entry | None:
        """Takes an event in. Returns a message that is news to this user."""
        if isinstance(event, Received):
            return self._received(event)
        take = self._takers().get(type(event))
        if take is not None:
            take(event)
        self._changed()
        return None

    def _takers(self) -> dict[type, Callable[[Any], None]]:
        """Says what takes which event."""
        return {
            ReadAgain: self._read_again,
            Sent: self._sent,
            SendRefused: self._refused,
            MessageChanged: self._message_changed,
            ReceiptsChanged: self._receipts,
            ReadMarkerChanged: self._marker,
            ConversationChanged: self._kept,
            GroupChanged: self._group,
            ContactChanged: self._contact,
            PresenceChanged: self._presence,
            ActivityChanged: self._activity,
        }

    def _read_again(self, event: ReadAgain) -> None:
        one = self._of_message(event.message, is_feed=event.partition == "feed")
        entry = self._put(one, event.message, None, is_new=False)
        entry.written = entry.written if entry.is_event else decoded(event.message.payload)
        self._touch(entry)

    def _kept(self, event: ConversationChanged) -> None:
        one = self._conversation(event.conversation)
        one.archived, one.pinned, one.marked_unread = event.archived, event.pinned, event.marked_unread
        one.muted_until = event.muted_until
        self._draft_told(one, event.draft)

    def _draft_told(self, one: Conversation, draft: bytes) -> None:
        """Takes a draft of another device, but not in the place of what is written here."""
        if not one.draft_waits:
            one.draft = decoded(draft)

    def _group(self, event: GroupChanged) -> None:
        one = self._conversation(event.conversation)
        one.title, one.is_gone = event.title, event.is_gone
        one.member_count = event.member_count or one.member_count

    def _contact(self, event: ContactChanged) -> None:
        if event.is_gone:
            self.contacts.pop(event.eid, None)
        else:
            self.contacts[event.eid] = event.contact

    def _presence(self, event: PresenceChanged) -> None:
        self.presence[event.eid] = KnownPresence(event.status, event.since, event.last_seen)

    def _received(self, event: Received) -> Entry | None:
        message = event.message
        one = self._of_message(message, is_feed=isinstance(event, PostReceived))
        is_known = one.find(message.signal_id) is not None
        entry = self._put(one, message, None, is_new=True)
        if message.from_ is not None:
            one.typing.pop(message.from_.eid, None)
        is_news = not (entry.own or is_known or entry.offset <= max(one.read_upto, one.counted_upto))
        if is_news:
            one.unread += 1
            one.mentions += self.own_eid in message.mentions
        if entry.own and entry.offset > one.read_upto and not one.unread:
            one.read_upto = entry.offset
        one.counted_upto = max(one.counted_upto, entry.offset)
        self._changed()
        return entry if is_news else None

    def _sent(self, sent: Sent) -> None:
        for written_in in [*self.conversations.values()]:
            entry = written_in.find(sent.id)
            if entry is None:
                continue
            one = self._given(written_in, sent.conversation)
            if (twin := one.find(sent.signal_id)) is not None:
                one.drop(twin)
            one.drop(entry)
            entry.key, entry.conversation, entry.offset = sent.signal_id, sent.conversation, sent.conversation_offset
            entry.signal_offset, entry.time, entry.failure = sent.signal_offset, sent.time, ""
            one.head = max(one.head, entry.offset)
            one.add(entry)
            self._touch(entry)
            return

    def _given(self, one: Conversation, conversation: str) -> Conversation:
        """Gives a conversation that was none yet its id."""
        if one.id:
            return one
        known = self.conversations.get(conversation)
        del self.conversations[one.key]
        if self.opened == one.key:
            self.opened = conversation
        if known is not None:
            known.add_all(one.entries)
            if one.draft_waits:
                self.drafted(known, one.draft)
            return known
        one.key = one.id = conversation
        self.conversations[conversation] = one
        return one

    def _refused(self, event: SendRefused) -> None:
        found = self.written(event.id)
        if found is not None:
            _, entry = found
            entry.failure = f"not sent: {event.message}"
            self._touch(entry)

    def _message_changed(self, event: MessageChanged) -> None:
        one = self.conversations.get(event.conversation)
        if one is None:
            return
        found = [entry for entry in (*one.entries, one.last) if entry and entry.offset == event.conversation_offset]
        for entry in found:
            entry.changes, entry.wanted = event, None
            self._touch(entry)
        if event.hidden:
            for entry in [entry for entry in one.entries if entry.offset == event.conversation_offset]:
                one.drop(entry)
            if one.last is not None and one.last.offset == event.conversation_offset:
                one.last = one.entries[-1] if one.entries else None

    def _receipts(self, event: ReceiptsChanged) -> None:
        one = self.conversations.get(event.conversation)
        for entry in one.entries if one is not None else ():
            if any(run.first <= entry.offset <= run.last for run in event.runs):
                entry.revision += 1

    def _marker(self, event: ReadMarkerChanged) -> None:
        one = self._conversation(event.conversation)
        one.read_upto = event.conversation_offset
        if one.read_upto >= one.counted_upto:
            one.unread = one.mentions = 0
        else:
            loaded = [entry for entry in one.entries if entry.offset > one.read_upto and not entry.own]
            one.unread = min(one.unread, len(loaded)) if one.first_offset <= one.read_upto + 1 else one.unread

    def _activity(self, event: ActivityChanged) -> None:
        one = self.conversations.get(event.conversation) if event.conversation else self.by_peer(event.eid)
        if one is None:
            return
        if event.activity in {Doing.TYPING, Doing.RECORDING}:
            one.typing[event.eid] = event.activity
        else:
            one.typing.pop(event.eid, None)

    def by_peer(self, eid: str) -> Conversation | None:
        return next((one for one in self.conversations.values() if one.peer == eid and not one.is_feed), None)

    def is_online(self, eid: str) -> Status:
        """Returns how a user is, as far as they let this one see it."""
        known = self.presence.get(eid)
        return Status.OFFLINE if known is None else known.status

    # How messages become entries.

    def _conversation(self, conversation: str, peer: str = "", *, is_feed: bool = False) -> Conversation:
        found = self.conversations.get(conversation)
        if found is None and peer and not is_feed and (found := self.conversations.get(TO + peer)) is not None:
            found = self._given(found, conversation)
        if found is None:
            found = self.conversations[conversation] = Conversation(conversation, conversation, is_feed=is_feed)
        found.peer = found.peer or peer
        return found

    def _of_message(self, message: Message, *, is_feed: bool) -> Conversation:
        author = message.from_.eid if message.from_ is not None else ""
        to = message.to.eid if message.to is not None else ""
        is_group = to == message.conversation or message.group_event is not None
        peer = author if is_feed else "" if is_group else to if author == self.own_eid else author
        return self._conversation(message.conversation, peer, is_feed=is_feed)

    def _put(
        self, conversation: Conversation, message: Message, changes: MessageChanged | None, *, is_new: bool
    ) -> Entry:
        """Adds a message to the end, or finds it."""
        entry = conversation.find(message.signal_id)
        if entry is None:
            self._drop_waiting(conversation, message)
            entry = self._entry(message, changes or self.state(message.conversation, message.conversation_offset))
            if not _is_hidden(entry):
                conversation.add(entry)
        conversation.head = max(conversation.head, entry.offset)
        if is_new and (conversation.last is None or conversation.last.place() <= entry.place()):
            conversation.last = entry
        if is_new:
            conversation.activity = max(conversation.activity, entry.time)
        return entry

    def _drop_waiting(self, conversation: Conversation, message: Message) -> None:
        """Drops what waited to be sent, where this is it: the log had it, and its answer was cut off."""
        waiting = conversation.find(message.id) if message.id else None
        author = message.from_.eid if message.from_ is not None else ""
        if waiting is not None and waiting.own and author == self.own_eid:
            conversation.drop(waiting)

    def _entry(self, message: Message, changes: MessageChanged | None) -> Entry:
        author = message.from_.eid if message.from_ is not None else ""
        is_event = message.group_event is not None or message.call_event is not None
        return Entry(
            key=message.signal_id,
            conversation=message.conversation,
            author=author,
            own=bool(author) and author == self.own_eid,
            device=(message.from_.connection_resource_id or "") if message.from_ is not None else "",
            time=message.server_time,
            written=self._happened(message) if is_event else decoded(message.payload),
            offset=message.conversation_offset,
            signal_offset=message.signal_offset,
            sent_id=message.id,
            reply_to=message.reply_to,
            is_event=is_event,
            erased=message.erased,
            changes=changes,
        )

    def _happened(self, message: Message) -> str:
        """Says what somebody did to the group, or of a call that was missed."""
        what = message.group_event
        if what is None:
            return message_text(message)
        who = self.name_of(message.from_.eid) if message.from_ is not None else self.name_of("")
        whom = ", ".join(self.name_of(member) for member in what.members)
        heir = f"; {self.name_of(what.owner)} is owner now" if what.owner else ""
        said = {
            GroupEventKind.CREATED: f"created {what.title!r}" + (f" with {whom}" if whom else ""),
            GroupEventKind.ADDED: f"added {whom}",
            GroupEventKind.LEFT: f"left{heir}",
            GroupEventKind.REMOVED: f"removed {whom}{heir}",
            GroupEventKind.RENAMED: f"gave it the title {what.title!r}",
            GroupEventKind.ROLE_CHANGED: f"made {whom} {what.role}",
        }
        return f"{who} {said.get(what.kind, 'did what this program does not know')}"

    def _touch(self, entry: Entry) -> None:
        entry.revision += 1
        self._changed()

    def _changed(self) -> None:
        self.revision += 1


def _is_hidden(entry: Entry) -> bool:
    return entry.changes is not None and entry.changes.hidden
