"""Random histories of everything that clients can do, played to the whole server, and what each device was told."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Any, NamedTuple

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.interface import Store
from bimip.supervision import NoSuchProcess
from tests.kit.memory_server import Client, World, open_world
from tests.kit.push import GATEWAY
from tests.kit.server import seeded_scheduler, settings_for_tests
from tests.kit.taken import Taken

USERS = ("ann", "bob", "cid")
DEVICES = tuple((eid, device) for eid in USERS for device in ("phone", "laptop"))
KINDS = [kind for kind in pb.CommandKind if kind]
ACTIONS = [action for action in pb.ConversationAction if action not in {pb.ConversationAction.JOIN, 0}]
CONTACTS = [action for action in pb.ContactAction if action]
FETCHES = list(pb.FetchKind)
EMOJI = ("+", "-", "\N{PARTY POPPER}")
PATHS = (
    "journal",
    "calls",
    "locations",
    "presence",
    "retention",
    "users",
    "users/ann",
    "users/bob/phone/fetcher",
    "users/cid/phone/reader",
    "timers",
)
PAUSES = (0.5, 2, 40, 4000, 90_000)
"""Seconds: until an ack is written, something disappears, all is sent again, the clock is believed, retention acts."""
LOST = pb.Position(partition="chat", start=pb.Start.FIRST)


class Step(NamedTuple):
    what: str
    device: int
    numbers: tuple[int, ...]
    """From these follows all that it says."""


def draw_steps(random: Random, count: int) -> list[Step]:
    names = random.choices([*WEIGHTS], [*WEIGHTS.values()], k=count)
    return [Step(name, random.randrange(len(DEVICES)), tuple(random.choices(range(1 << 16), k=6))) for name in names]


class Told(NamedTuple):
    """What a device was told by the end of a step."""

    step: int
    device: str
    frames: tuple[str, ...]


class Player:
    """Plays one history. What the server answers is what later steps are about."""

    def __init__(self, open_store: Callable[[], Store], seed: int) -> None:
        self.told: list[Told] = []
        self._open_store = open_store
        self._seed = seed
        self._settings = settings_for_tests(
            BIMIP_PUSH_GATEWAYS=GATEWAY,
            BIMIP_RETENTION_POLICIES="sync=until-acked",
            BIMIP_RETENTION_HISTORY_DAYS="notification=1",
            BIMIP_RETENTION_OFFLINE_DAYS="2",
            BIMIP_RETENTION_EVERY_SECONDS="3600",
            BIMIP_LIMITS_WINDOW_ENTRIES="8",
        )
        self._clients: dict[tuple[str, str], Client] = {}
        self._taken = {name: Taken() for name in DEVICES}
        self._messages: list[tuple[int, str, str]] = []  # signal_offset, signal_id and conversation
        self._conversations: list[str] = []
        self._groups: list[str] = []
        self._cursors: list[bytes] = [b""]
        self._ids = 0
        self._world: World
        self._running: AsyncExitStack

    async def play(self, steps: Sequence[Step]) -> None:
        await self._start()
        for name in DEVICES:
            await self._connect(name, None)
        for number, step in enumerate(steps):
            await self._step(step)
            await self._listen(number)
        await self._restart()
        for eid in USERS:
            await self._connect((eid, "watch"), LOST)
        await self._listen(len(steps))
        await self._running.aclose()

    async def _step(self, step: Step) -> None:
        name = DEVICES[step.device]
        numbers = list(step.numbers)
        if step.what == "pause":
            await trio.sleep(_one(PAUSES, numbers))
        elif step.what == "restart":
            await self._restart()
        elif step.what == "kill":
            await self._kill(_one(PATHS, numbers))
        elif step.what == "away" or name not in self._clients or not self._clients[name].is_connected:
            await self._come_or_go(name, numbers, is_away=step.what == "away")
        else:
            client = self._clients[name]
            payload = getattr(self, f"_{step.what}")(numbers)
            self._taken[name].said(payload)
            client.send(ref=1 + self._ids, **payload)

    async def _start(self) -> None:
        self._running = AsyncExitStack()
        opened = open_world(open_store=self._open_store, seed=self._seed, settings=self._settings)
        self._world = await self._running.enter_async_context(opened)

    async def _restart(self) -> None:
        await self._running.aclose()
        self._clients = {}
        await self._start()

    async def _kill(self, path: str) -> None:
        with suppress(NoSuchProcess):
            await self._world.kill(path)
        await trio.sleep(2)  # not more often than supervisors forgive

    async def _come_or_go(self, name: tuple[str, str], numbers: list[int], *, is_away: bool) -> None:
        if is_away and name in self._clients:
            self._clients.pop(name).cut()
        elif not is_away:
            start = _one([None, None, None, pb.Start.HEAD, pb.Start.LAST], numbers)
            position = None if start is None else pb.Position(partition="chat", start=start, last=numbers.pop() % 9)
            await self._connect(name, position)

    async def _connect(self, name: tuple[str, str], position: pb.Position | None) -> None:
        """With what the device has, or from another place and without any state."""
        taken = self._taken.get(name, Taken())
        hello = taken.hello_again() if position is None else pb.Hello(partitions=[position])
        if not hello.partitions:
            hello.partitions = [pb.Position(partition=one) for one in ("chat", "notification", "sync", "feed")]
        self._taken[name] = Taken()
        self._taken[name].said({"hello": hello})
        client = self._clients[name] = self._world.connect(*name)
        client.send(ref=1, hello=hello)

    async def _listen(self, number: int) -> None:
        for (eid, device), client in sorted(self._clients.items()):
            heard = await client.heard()
            frames = tuple(str(frame) for frame in heard.frames)
            self.told.append(Told(number, f"{eid}/{device}", frames))
            for frame in heard.frames:
                self._learn(frame)
                self._taken[eid, device].take(frame)

    def _learn(self, frame: pb.MessageScheme) -> None:
        """What later steps can be about."""
        body = frame.body
        if frame.conversation is not None and frame.conversation.id not in {"", *self._groups}:
            self._groups.append(frame.conversation.id)
        if body is None:
            return
        told: list[Any] = [*body.messages, *body.signals]
        for one in told:
            if one.signal_offset and (one.signal_offset, one.signal_id, one.conversation) not in self._messages:
                self._messages.append((one.signal_offset, one.signal_id, one.conversation))
            if one.conversation not in {"", *self._conversations}:
                self._conversations.append(one.conversation)
        if body.next_cursor:
            self._cursors.append(body.next_cursor)

    # What devices say; each takes its choices from the numbers.

    def _write(self, numbers: list[int]) -> dict[str, Any]:
        return {"message": self._message(numbers)}

    def _message(self, numbers: list[int]) -> pb.Message:
        to = _one([*USERS, *self._groups, *self._groups], numbers)
        message = pb.Message(id=self._id(numbers), to=pb.Identity(eid=to), type=1, payload=b"%d" % numbers[-1])
        if numbers[0] % 8 == 0:
            message.to, message.scope = None, "friend"
        extra = _one([None, None, "partition", "reply_to", "mentions", "ttl_ms", "devices", "seq"], numbers)
        if extra == "partition":
            message.partition = _one(["notification", "sync", "feed", "nowhere"], numbers)
        elif extra == "reply_to" and self._messages:
            message.reply_to = _one(self._messages, numbers)[1]
        elif extra == "mentions":
            message.mentions = [*USERS]
        elif extra == "ttl_ms":
            message.ttl_ms = _one([1000, 30_000, 10], numbers)
        elif extra == "devices":
            eid, device = _one(DEVICES, numbers)
            identity = pb.Identity(eid=eid, connection_resource_id=device)
            message.devices = [pb.DeviceAddress(identity=identity, payload=b"for you")]
            message.devices_complete = numbers.pop() % 4 == 0
        elif extra == "seq":
            message.seq = f"{numbers[-1]}:{self._ids}:phone"
        return message

    def _command(self, numbers: list[int]) -> dict[str, Any]:
        return {"command": self._one_command(numbers)}

    def _one_command(self, numbers: list[int]) -> pb.Command:
        kind = _one(KINDS, numbers)
        command = pb.Command(id=self._id(numbers), kind=kind, payload=b"%d" % numbers[-1])
        command.stamp = _one([0, 0, 2**63], numbers)
        command.value = numbers[0] % 3 > 0
        is_about_conversation = kind in ABOUT_CONVERSATIONS or (kind == pb.CommandKind.PIN and numbers[0] % 2)
        if is_about_conversation and self._conversations:
            command.conversation = _one(self._conversations, numbers)
            command.conversation_offset = 1 + numbers[0] % 5 if kind == pb.CommandKind.MARK_READ else 0
            command.until = numbers[0] if kind == pb.CommandKind.MUTE else 0
        elif self._messages:
            command.target = _one(self._messages[-9:], numbers)[0]
            command.emoji = EMOJI[numbers[0] % 3] if kind in {pb.CommandKind.REACT, pb.CommandKind.UNREACT} else ""
        return command

    def _batch(self, numbers: list[int]) -> dict[str, Any]:
        """Two messages, a command and a receipt."""
        messages = [self._message([*numbers[:3], one, one + 1, one + 2]) for one in numbers[:2]]
        commands = [self._one_command(numbers[1:] + numbers[:2])]
        signals = [self._read(numbers)["signal"]] if self._conversations else []
        return {"body": pb.Body(messages=messages, commands=commands, signals=signals)}

    def _ack(self, numbers: list[int]) -> dict[str, Any]:
        partition = _one(["chat", "chat", "notification", "sync", "feed"], numbers)
        signal = pb.Signal(status=pb.MessageStatus.DELIVERED, partition=partition)
        if numbers.pop() % 3:
            signal.upto = 1 + numbers[-1] % 12
        else:
            first = 1 + numbers[-1] % 12
            signal.offsets = [pb.OffsetRange(from_=first, to=first + numbers[-2] % 3)]
        return {"signal": signal}

    def _read(self, numbers: list[int]) -> dict[str, Any]:
        status = _one([pb.MessageStatus.READ, pb.MessageStatus.READ, pb.MessageStatus.PLAYED], numbers)
        conversation = _one([*self._conversations, "c99"], numbers)
        signal = pb.Signal(status=status, conversation=conversation)
        if status == pb.MessageStatus.READ and numbers[-1] % 2:
            signal.upto = 1 + numbers[0] % 9
        else:
            signal.conversation_offset = 1 + numbers[0] % 9
        return {"signal": signal}

    def _settings_change(self, numbers: list[int]) -> dict[str, Any]:
        fields = ["send_read_receipts", "show_read_receipts", "show_last_seen", "show_online_status"]
        audiences = ["read_receipts_to", "read_receipts_of", "last_seen_to", "online_status_to"]
        field, stamp = _one([*fields, *audiences, "visible"], numbers), _one([0, 5, 2**63], numbers)
        value = numbers.pop()
        wish: dict[str, Any] = {field: pb.Audience(value % 4) if field in audiences else bool(value % 2)}
        if value % 5 == 0:
            values: dict[str, Any] = {_one(fields, numbers): pb.PrivacyExceptionException(1 + value % 3)}
            wish["exceptions"] = [pb.PrivacyException(eid=_one([*USERS, "nobody"], numbers), **values)]
        return {"settings": pb.Settings(**wish, stamp=stamp)}

    def _visibility(self, numbers: list[int]) -> dict[str, Any]:
        visible = bool(numbers.pop() % 2)
        return {"awareness_visibility": pb.AwarenessVisibility(visible=visible, stamp=_one([0, 5, 2**63], numbers))}

    def _fetch(self, numbers: list[int]) -> dict[str, Any]:
        kind = _one(FETCHES, numbers)
        fetch = pb.Fetch(kind=kind, limit=_one([0, 1, 3], numbers), backwards=bool(numbers.pop() % 2))
        if kind in {pb.FetchKind.HISTORY, pb.FetchKind.RECEIPTS, pb.FetchKind.THREAD}:
            fetch.conversation = _one([*self._conversations, "c99"], numbers)
        elif kind != pb.FetchKind.INBOX:
            fetch.partition = _one(["chat", "chat", "feed"], numbers)
        if kind == pb.FetchKind.THREAD and self._messages:
            fetch.reply_to = _one(self._messages, numbers)[1]
        fetch.cursor = _one(self._cursors[-6:], numbers)
        return {"fetch": fetch}

    def _group(self, numbers: list[int]) -> dict[str, Any]:
        action = _one(ACTIONS, numbers) if self._groups else pb.ConversationAction.CREATE
        member = pb.Member(eid=_one(USERS, numbers), role=_one(["", "admin", "owner"], numbers))
        request = pb.Conversation(action=action, request_id=self._id(numbers), members=[member])
        if action != pb.ConversationAction.CREATE:
            request.id = _one([*self._groups, "c99"], numbers)
        if action == pb.ConversationAction.GET and numbers[1] % 2:
            request.id, request.feed, request.peer = "", True, _one(USERS, numbers)
        if action in {pb.ConversationAction.CREATE, pb.ConversationAction.RENAME}:
            request.title = f"title {numbers[0] % 3}"
        if action in {pb.ConversationAction.GET, pb.ConversationAction.LEAVE, pb.ConversationAction.RENAME}:
            request.members = []
        elif action != pb.ConversationAction.SET_ROLE:
            member.role = ""
        return {"conversation": request}

    def _contact(self, numbers: list[int]) -> dict[str, Any]:
        action, mutual, stamp = _one(CONTACTS, numbers), bool(numbers.pop() % 2), _one([0, 5, 2**63], numbers)
        eid = "" if action == pb.ContactAction.LIST else _one(USERS, numbers)
        name = f"name {numbers[0] % 3}"
        contact = pb.Contact(action=action, id=self._id(numbers), eid=eid, mutual=mutual, name=name, stamp=stamp)
        return {"contact": contact}

    def _devices(self, numbers: list[int]) -> dict[str, Any]:
        action = _one([pb.DevicesAction.LIST, pb.DevicesAction.RENAME, pb.DevicesAction.REMOVE], numbers)
        name = "" if action == pb.DevicesAction.LIST else _one(["phone", "laptop", "none"], numbers)
        label = "mine" if action == pb.DevicesAction.RENAME else ""
        return {"devices": pb.Devices(action=action, name=name, label=label)}

    def _push(self, numbers: list[int]) -> dict[str, Any]:
        name, device = _one(["p", "q"], numbers), _one(["", "laptop", "none"], numbers)
        asked = _one(["query", "remove", "subscribe", "subscribe"], numbers)
        if asked == "query":
            return {"push_notification": pb.PushNotification(query=True)}
        if asked == "remove":
            return {"push_notification": pb.PushNotification(id=name, remove=True, device=device)}
        token = f"token {numbers[0] % 3}"
        return {"push_notification": pb.PushNotification(id=name, platform="fcm", token=token)}

    def _call(self, numbers: list[int]) -> dict[str, Any]:
        """By one of three names, so that devices meet in it."""
        step, to, ttl_ms = _one(CALL_STEPS, numbers), _one(USERS, numbers), _one([0, 0, 1000], numbers)
        signal = pb.Signal(status=pb.MessageStatus.CALLING, to=pb.Identity(eid=to), step=step, ttl_ms=ttl_ms)
        signal.id, signal.call, signal.payload = self._id(numbers), f"call {numbers[1] % 3}", b"%d" % numbers[-1]
        return {"signal": signal}

    def _location(self, numbers: list[int]) -> dict[str, Any]:
        told = pb.LocationStream(id=self._id(numbers))
        with_whom = _one(["", "", *USERS, *self._groups, "c99"], numbers)
        if with_whom in USERS:
            told.to = pb.Identity(eid=with_whom)
        else:
            told.conversation = with_whom
        told.enabled = bool(with_whom) and numbers[0] % 3 > 0
        told.has_position = not with_whom or numbers[1] % 2 > 0
        if told.has_position:
            told.latitude, told.longitude = float(numbers[0] % 91), float(numbers[1] % 181)
        return {"location_stream": told}

    def _snapshot(self, numbers: list[int]) -> dict[str, Any]:
        return {"snapshot": pb.Snapshot(partition="chat", offset=numbers.pop() % 6, checksum=bytes(16))}

    def _id(self, numbers: list[int]) -> str:
        """Now and then one that was used already."""
        if numbers.pop() % 8:
            self._ids += 1
        return f"id{self._ids}"


ABOUT_CONVERSATIONS = {
    pb.CommandKind.MARK_READ,
    pb.CommandKind.ARCHIVE,
    pb.CommandKind.MUTE,
    pb.CommandKind.DRAFT,
    pb.CommandKind.MARK_UNREAD,
}
CALL_STEPS = [pb.CallStep.CALL_OFFER, pb.CallStep.CALL_OFFER, *pb.CallStep]
WEIGHTS = {
    "write": 10,
    "command": 9,
    "fetch": 6,
    "group": 4,
    "ack": 4,
    "read": 4,
    "away": 4,
    "batch": 3,
    "pause": 3,
    "settings_change": 2,
    "contact": 3,
    "visibility": 1,
    "devices": 2,
    "push": 2,
    "call": 3,
    "location": 2,
    "snapshot": 1,
    "restart": 1,
    "kill": 1,
}
"""How often each step is drawn."""


def _one(choices: Sequence[Any], numbers: list[int]) -> Any:
    """One of them, by the last number, which then comes first, so that there are always some."""
    number = numbers.pop()
    numbers.insert(0, number // 7)
    return choices[number % len(choices)]


def play(open_store: Callable[[], Store], steps: Sequence[Step], seed: int) -> list[Told]:
    """Everything that devices were told, in a server of its own over this store."""
    player = Player(open_store, seed)
    with seeded_scheduler(seed):
        trio.run(player.play, steps, clock=MockClock(autojump_threshold=0))
    return player.told
