"""The SDK's client behind the screen: it fills the model, and does what is asked for.

What is written, edited, deleted and reacted goes to the client's file first, so it needs no connection. What asks the
server (groups, contacts, devices, older history) does, and says so where there is none. Each method returns a sentence
where something went wrong, to be shown where it was asked for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.lowlevel

from bimip.cli.chat.model import TO, Conversation, Entry, Model
from bimip.cli.chat.saved import Draft, RefusedMessage, Saved
from bimip.cli.chat.text import shown
from bimip.cli.devices import Device, failure_of
from bimip.client import (
    Client,
    ClientError,
    DeviceInfo,
    GroupInfo,
    KeptMessage,
    NotConnected,
    Refused,
    Start,
    Status,
    TimedOut,
    open_client,
)
from bimip.client.events import (
    CommandDone,
    CommandRefused,
    Connected,
    Disconnected,
    EpochChanged,
    Event,
    SendRefused,
    ServerError,
)

PAGE = 50
"""Messages that are loaded at once."""

MOST_LOADED = 4 * PAGE
"""So many stay loaded of a conversation that is opened again."""

INBOX_PAGE = 100
MOST_CONVERSATIONS = 2000
PING_SECONDS = 10.0
TYPING_SECONDS = 4.0
JUMP_PAGE = 200

T = TypeVar("T")


@dataclass(slots=True)
class Link:
    """The connection as the status line says it."""

    is_connected: bool = False
    was_connected: bool = False
    reason: str = ""
    retry_at: float = 0.0  # of the loop's clock
    lag: float | None = None  # seconds to the server and back
    waiting: int = 0  # messages in the outbox
    ended: str = ""  # it does not connect again: why, and what to do


class Session:
    """Runs the client of one device, and is asked by the screen. `changed` is called when there is something to draw;
    `told` with a sentence for who looks; `arrived` with the conversation in which a message is news.
    """

    def __init__(
        self,
        device: Device,
        partitions: Sequence[str],
        *,
        token: Callable[[], str] | None = None,
        changed: Callable[[], None] = lambda: None,
        told: Callable[[str], None] = lambda _sentence: None,
        arrived: Callable[[Conversation], None] = lambda _conversation: None,
    ) -> None:
        self.model = Model()
        self.link = Link()
        self.client: Client | None = None
        self.changed, self.told, self.arrived = changed, told, arrived
        self.finished = asyncio.Event()
        self.failure: ClientError | None = None
        self.is_looked_at = True
        self._device = device
        self._partitions = partitions
        self._token = token
        self._stop: anyio.CancelScope | None = None  # while it runs
        self._said_typing = 0.0
        self._saved: Saved | None = None
        self._given: dict[str, str] = {}  # drafts, by conversation, that are on their way to the server
        self._giving: dict[str, str] = {}  # whose these commands give
        self._loading: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Is the device until `stop`, or until the client gives up: then what is kept can still be read."""
        try:
            async with open_client(
                self._device.url,
                token=self._token or self._device.token,
                ssl_context=self._device.ssl_context,
                path=self._device.store or ":memory:",
                partitions=self._partitions,
                start=Start.START_UNSPECIFIED,
                keep_messages=True,
            ) as client:
                self.client = client
                try:
                    with anyio.CancelScope() as self._stop:
                        self._load(client)
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(self._measure, client)
                            await self._take_events(client, tasks.start_soon)
                            await anyio.sleep_forever()
                finally:
                    self._leave_file()
        except ClientError as error:
            self._end(error)
        finally:
            self.client = None
            self.finished.set()
            self.changed()

    def _leave_file(self) -> None:
        """Asks the client's file nothing more: it closes, and the screen is still drawn."""
        self.client = None
        self.model.times, self.model.state = (lambda _conversation, _offset: {}), (lambda _conversation, _offset: None)

    async def stop(self) -> None:
        """Leaves as a device does: what was taken is acknowledged."""
        if self._stop is not None:
            self._stop.cancel()
            await self.finished.wait()

    def _load(self, client: Client) -> None:
        """Shows what the device keeps, before there is a connection."""
        if client.identity is not None:
            self.model.own_eid = client.identity.eid
        self.model.times, self.model.state = client.messages.receipts, client.messages.state
        self.model.contacts = client.contacts.known()
        self.model.take_kept(client.history.kept_heads(MOST_CONVERSATIONS), client.conversations.read_marker)
        for group, known in client.groups.known().items():
            one = self.model.by_target(group)
            one.title, one.member_count = known.title, known.member_count or one.member_count
        for one in self.model.conversations.values():
            if one.id:
                self.model.take(client.conversations.settings(one.id))
        self.model.take_waiting(client.messages.waiting(answered=True))
        self.model.take_waiting(client.messages.waiting())
        self._load_saved(Saved(client.notes))
        self.link.waiting = client.messages.unsent
        self.changed()

    def _load_saved(self, saved: Saved) -> None:
        """Shows what an earlier process saved: what was begun, and what was refused."""
        self._saved = saved
        for key, draft in saved.drafts.items():
            one = self._of_draft(key)
            if one is not None:
                self.model.drafted(one, draft.text)
                one.activity = max(one.activity, draft.at)
        for own_id, message in sorted(saved.refused.items(), key=lambda one: one[1].at):
            self.model.take_refused(own_id, message)

    def _of_draft(self, key: str) -> Conversation | None:
        """Returns the conversation of a draft, which had no id perhaps when that was begun."""
        return self.model.by_target(key.removeprefix(TO)) if key.startswith(TO) else self.model.conversations.get(key)

    async def _take_events(self, client: Client, start: Callable[..., object]) -> None:
        try:
            async for event in client:
                if isinstance(event, Connected):
                    self.model.own_eid = event.identity.eid
                    self.link = Link(is_connected=True, was_connected=True)
                    start(self._connected, client)
                self._take(event)
                self.link.waiting = client.messages.unsent
                self.changed()
        except ClientError as error:
            self._end(error)
        else:
            self.link = Link(ended="this device is logged out: its token is needed to come back")
            self.changed()

    def _take(self, event: Event) -> None:
        match event:
            case Disconnected():
                self._disconnected(event)
            case EpochChanged():
                self.told("the server's store was put back from a backup: what is newer may be missing there")
            case ServerError():
                self.told(f"the server objects: {shown(event.message)}")
            case CommandDone():
                if not self._gave_draft(event.id):
                    self.model.changed(event.id)
            case CommandRefused():
                if not self._gave_draft(event.id, event.message) and not self.model.changed(event.id, event.message):
                    self.told(f"refused: {shown(event.message)}")
            case SendRefused():
                self.model.take(event)
                self._keep_refused(event)
            case _:
                entry = self.model.take(event)
                if entry is not None:
                    self._news(entry)

    def _keep_refused(self, event: SendRefused) -> None:
        """Keeps what was refused: the outbox drops it with the next event."""
        found = self.model.written(event.id)
        if found is None or self._saved is None:
            return
        one, entry = found
        to = "" if one.is_feed else one.to
        message = RefusedMessage(to, entry.written, entry.time, entry.reply_to, event.message)
        try:
            self._saved.keep_refused(event.id, message)
        except ClientError as error:
            self.told(f"what was refused is gone at the end of this program: {_sentence(error)}")

    def _news(self, entry: Entry) -> None:
        one = self.model.conversations.get(entry.conversation)
        if one is not None:
            self.arrived(one)

    def _disconnected(self, event: Disconnected) -> None:
        retry_at = asyncio.get_running_loop().time() + (event.retry_in or 0.0)
        self.link.is_connected, self.link.lag = False, None
        self.link.reason, self.link.retry_at = shown(event.reason), retry_at

    def _end(self, error: ClientError) -> None:
        self.failure = error
        self.link.is_connected, self.link.lag = False, None
        self.link.ended = str(failure_of(error))
        self.changed()

    async def _connected(self, client: Client) -> None:
        """Looks at what may have changed meanwhile; the connection may end under it, and then it is done again."""
        with suppress(NotConnected, TimedOut, Refused):
            cursor, count = b"", 0
            while count < MOST_CONVERSATIONS:
                page = await client.conversations.list(limit=INBOX_PAGE, cursor=cursor)
                self.model.take_inbox(page.rows)
                self.changed()
                cursor, count = page.cursor, count + len(page.rows)
                if page.complete or not page.rows:
                    break
            self.give_drafts()
            if self.model.open_one is not None:
                await self._fetch_newest(self.model.open_one)

    async def _measure(self, client: Client) -> None:
        """Measures the way to the server and back, while there is a connection."""
        while True:
            with suppress(ClientError):
                await client.wait_connected()
                if client.connected:
                    self.link.lag = await client.ping()
                    self.model.presence |= client.presence.known()
                    self.changed()
            await anyio.sleep(PING_SECONDS)

    # Reading.

    def open(self, key: str) -> None:
        """Opens a conversation with what is kept of it; what the server has besides comes a moment later."""
        one = self.model.open(key)
        one.keep_newest(MOST_LOADED)
        if self.client is not None and one.id:
            self._guarded(lambda client: self.model.take_page(one, client.history.kept(one.id, limit=PAGE)))
            self._soon(self._refresh(one))
        self.changed()

    async def _refresh(self, one: Conversation) -> None:
        with suppress(ClientError):
            await self._fetch_newest(one)

    async def _fetch_newest(self, one: Conversation) -> None:
        client = self.client
        if client is None or not client.connected or not one.id:
            return
        found = await client.history.conversation(one.id, limit=PAGE)
        self.model.take_page(one, found)
        one.is_whole = one.is_whole or len(found) < PAGE
        if one.is_group and (own := [entry.offset for entry in one.entries if entry.own and entry.offset]):
            await client.messages.fetch_receipts(one.id, own[0], own[-1])  # of a large one nothing comes by itself
            for entry in one.entries:
                entry.revision += 1
        self.changed()

    async def load_older(self, one: Conversation) -> int:
        """Loads a page in front of what is loaded: what is kept, and where that has holes, the server's."""
        client, before = self.client, one.first_offset
        if client is None or one.is_whole or not before or one.key in self._loading:
            return 0
        self._loading.add(one.key)
        try:
            kept = client.history.kept(one.id, before=before, limit=PAGE)
            added = self.model.take_page(one, kept)
            is_enough = len(kept) == PAGE and _is_without_holes(kept, before)
            if client.connected and not is_enough:
                found = await client.history.conversation(one.id, before=before, limit=PAGE)
                added += self.model.take_page(one, found)
                one.is_whole = len(found) < PAGE
        except ClientError as error:
            self.told(f"older messages could not be loaded: {_sentence(error)}")
            return 0
        else:
            return added
        finally:
            self._loading.discard(one.key)
            self.changed()

    async def load_back_to(self, one: Conversation, offset: int) -> None:
        """Loads what is kept until a message is among it, in slices."""
        while self.client is not None and (before := one.first_offset) > offset:
            if not self.model.take_page(one, self.client.history.kept(one.id, before=before, limit=JUMP_PAGE)):
                return
            await anyio.lowlevel.checkpoint()

    def search(self, text: str) -> list[KeptMessage]:
        """Looks through all that this device keeps, the newest first."""
        return [] if self.client is None or not text else self.client.history.search(text, limit=100)

    def read(self, one: Conversation) -> None:
        """Says that this user has read a conversation, where that is news."""
        client, upto = self.client, self.model.read(one)
        if client is not None and upto and one.id:
            self._soon(self._quietly(client.messages.mark_read(one.id, upto)))

    # Writing: it goes to the file, and from there whenever there is a connection.

    def send(self, one: Conversation, text: str, reply_to: str = "") -> str:
        """Writes a message. Returns what went wrong: then it is not written."""

        def write(client: Client) -> None:
            payload = text.encode(errors="replace")
            if one.is_feed:
                own_id = client.feeds.publish_nowait(payload, reply_to=reply_to)
            else:
                members = (
                    [eid for eid, _ in groups[one.id].members] if one.id in (groups := client.groups.known()) else []
                )
                mentions = self.model.mentioned(text, members)
                own_id = client.messages.send_nowait(one.to, payload, reply_to=reply_to, mentions=mentions)
            self.model.wrote(one, own_id, text, _now(), reply_to)
            self.link.waiting = client.messages.unsent

        if one.is_feed and one.peer != self.model.own_eid:
            return "these are somebody's posts for their friends: write to them in a conversation (Ctrl-N)"
        if one.is_gone:
            return "you are in this group no more"
        self._said_typing = 0.0
        return self._guarded(write)

    def edit(self, entry: Entry, text: str) -> str:
        return self._guarded(
            lambda client: self.model.changes(
                entry, client.messages.edit_nowait(entry.target, text.encode(errors="replace")), "edited", text
            )
        )

    def delete(self, entry: Entry, *, for_everyone: bool) -> str:
        return self._guarded(
            lambda client: self.model.changes(
                entry, client.messages.delete_nowait(entry.target, for_everyone=for_everyone), "deleted"
            )
        )

    def react(self, entry: Entry, emoji: str) -> str:
        """Adds a reaction, or takes it back where it was given."""
        given = entry.changes.reactions.get(emoji, ()) if entry.changes is not None else ()
        remove = self.model.own_eid in given
        return self._guarded(
            lambda client: self.model.changes(
                entry, client.messages.react_nowait(entry.target, emoji, remove=remove), f"reacted to with {emoji}"
            )
        )

    def keep(self, one: Conversation, **how: bool | int | bytes) -> str:
        """Changes how this user keeps a conversation, on all their devices."""
        if not one.id:
            return "this conversation begins with its first message"
        return self._guarded(lambda client: client.conversations.keep_nowait(one.id, **how))  # type: ignore[arg-type]

    def drop(self, entry: Entry) -> str:
        """Gives a message up that was refused."""

        def drop(_client: Client) -> None:
            if self._saved is not None:
                self._saved.drop_refused(entry.key)
            self.model.dropped(entry)

        return self._guarded(drop)

    def save_draft(self, one: Conversation, text: str) -> str:
        """Saves what was begun, in the client's file and at once; `give_drafts` has the server have it."""
        saved = self._saved
        if saved is None:
            return ""
        known = saved.drafts.get(one.key)
        if text == (known.text if known is not None else "" if one.draft_waits else one.draft):
            return ""

        def save(_client: Client) -> None:
            self.model.drafted(one, text)
            if one.id and one.peer:
                saved.drop_draft(TO + one.peer)  # of when it was none yet
            if one.id or text:
                saved.keep_draft(one.key, Draft(text, _now()))
            else:
                saved.drop_draft(one.key)

        return self._guarded(save)

    def give_drafts(self) -> None:
        """Gives the server the drafts that it has not, while there is a connection."""
        if self.client is None or self._saved is None or not self.client.connected:
            return
        for key, draft in self._saved.drafts.items():
            one = self._of_draft(key)
            if one is None or not one.id or self._given.get(key) == draft.text:
                continue
            self._given[key] = draft.text
            with suppress(ClientError):  # of what is encrypted it stays here
                for command in self.client.conversations.keep_nowait(one.id, draft=draft.text.encode(errors="replace")):
                    self._giving[command] = key

    def _gave_draft(self, command: str, refusal: str = "") -> bool:
        """Takes the answer to a draft. Returns whether it was one of these."""
        key = self._giving.pop(command, "")
        if not key or self._saved is None:
            return False
        if refusal:
            self.told(f"a draft stays on this device: {shown(refusal)}")
        elif key not in self._giving.values():  # else there is a newer one on its way
            draft, one = self._saved.drafts.get(key), self._of_draft(key)
            if draft is not None and draft.text == self._given.pop(key, None):
                with suppress(ClientError):
                    self._saved.drop_draft(key)
                if one is not None:
                    one.draft_waits = False
        return True

    def type(self, one: Conversation) -> None:
        """Shows the others that this user is typing, now and then."""
        now = asyncio.get_running_loop().time()
        client = self.client
        if client is None or not client.connected or one.is_feed or now - self._said_typing < TYPING_SECONDS:
            return
        self._said_typing = now
        self._soon(self._quietly(client.presence.say_typing(one.to, seconds=8)))

    def look(self, *, is_looked_at: bool) -> None:
        """Notes whether somebody looks at the terminal: else others see this user away."""
        if is_looked_at == self.is_looked_at:
            return
        self.is_looked_at = is_looked_at
        if self.client is not None and self.client.connected:
            said = self.client.presence.go_online(inactive=not is_looked_at)
            self._soon(self._quietly(said))

    def _soon(self, doing: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, said: Awaitable[object]) -> None:
        with suppress(ClientError):
            await said

    # Asking: it needs a connection.

    async def new_group(self, title: str, eids: Sequence[str]) -> tuple[str, str]:
        """Makes a group. Returns its key, or what went wrong."""
        made, wrong = await self._asked(lambda client: client.groups.create(title, eids))
        if made is None:
            return "", wrong
        one = self.model.by_target(made)
        one.title, one.member_count = one.title or title, len(eids) + 1
        one.activity = max(one.activity, _now())
        return one.key, ""

    async def group(self, one: Conversation) -> tuple[GroupInfo | None, str]:
        return await self._asked(lambda client: client.groups.fetch(one.id))

    async def change_group(self, change: str, one: Conversation, value: str = "") -> str:
        """Does one of: rename, add, remove, leave."""

        async def do(client: Client) -> None:
            match change:
                case "rename":
                    await client.groups.rename(one.id, value)
                case "add":
                    await client.groups.add(one.id, *value.split())
                case "remove":
                    await client.groups.remove(one.id, value)
                case _:
                    await client.groups.leave(one.id)

        return (await self._asked(do))[1]

    async def devices(self) -> tuple[list[DeviceInfo] | None, str]:
        return await self._asked(lambda client: client.devices.list())

    async def change_contact(self, change: str, eid: str, name: str = "") -> str:
        """Does one of: request, accept, deny, remove, block, unblock, name."""

        async def do(client: Client) -> None:
            contacts = client.contacts
            if change == "name":
                await contacts.name(eid, name)
            elif change == "request":
                await contacts.request(eid, mutual=True)
            else:
                await getattr(contacts, change)(eid)
            self.model.contacts = contacts.known()

        return (await self._asked(do))[1]

    async def set_intent(self, status: Status) -> str:
        return (await self._asked(lambda client: client.presence.set_intent(status)))[1]

    async def set_privacy(self, **switches: bool) -> str:
        return (await self._asked(lambda client: client.settings.change(**switches)))[1]  # type: ignore[arg-type]

    async def log_out(self) -> str:
        """Leaves for good: the server forgets this device, whose file stays here."""
        return (await self._asked(lambda client: client.logout(forget=True)))[1]

    async def _asked(self, ask: Callable[[Client], Awaitable[T]]) -> tuple[T | None, str]:
        client = self.client
        if client is None or not client.connected:
            return None, "this needs a connection, and there is none now"
        try:
            return await ask(client), ""
        except ClientError as error:
            return None, _sentence(error)

    def _guarded(self, do: Callable[[Client], object]) -> str:
        if self.client is None:
            return self.link.ended or "the client has not begun yet"
        try:
            do(self.client)
        except ClientError as error:
            return _sentence(error)
        self.changed()
        return ""


def _sentence(error: ClientError) -> str:
    return shown(str(failure_of(error)))


def _is_without_holes(kept: Sequence[KeptMessage], before: int) -> bool:
    offsets = [one.message.conversation_offset for one in kept]
    return offsets == list(range(before - len(offsets), before))


def _now() -> int:
    return time.time_ns() // 1_000_000
