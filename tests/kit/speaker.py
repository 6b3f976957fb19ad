"""Draws what clients can say, at random, about what the server has told so far."""

from collections.abc import Iterable, Sequence
from typing import Any

from bimip.client.wire import bimip as pb

USERS = ("ann", "bob", "cid")
DEVICES = tuple((eid, device) for eid in USERS for device in ("phone", "laptop"))
KINDS = [kind for kind in pb.CommandKind if kind]
ACTIONS = [action for action in pb.ConversationAction if action not in {pb.ConversationAction.JOIN, 0}]
CONTACTS = [action for action in pb.ContactAction if action]
FETCHES = list(pb.FetchKind)
EMOJI = ("+", "-", "\N{PARTY POPPER}")


class Speaker:
    """Knows what the server told, and takes its choices from numbers."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str, str]] = []
        """Of each its signal_offset, signal_id and conversation."""
        self.conversations: list[str] = []
        self.groups: list[str] = []
        self.cursors: list[bytes] = [b""]
        self._ids = 0

    @property
    def ref(self) -> int:
        return 1 + self._ids

    def learn(self, frame: pb.MessageScheme) -> None:
        """What later steps can be about."""
        body = frame.body
        if frame.conversation is not None and frame.conversation.id not in {"", *self.groups}:
            self.groups.append(frame.conversation.id)
        if body is None:
            return
        told: list[Any] = [*body.messages, *body.signals]
        self.know([(one.signal_offset, one.signal_id, one.conversation) for one in told])
        if body.next_cursor:
            self.cursors.append(body.next_cursor)

    def know(self, messages: Iterable[tuple[int, str, str]]) -> None:
        """These messages exist: of each its signal_offset, signal_id and conversation."""
        for one in messages:
            if one[0] and one not in self.messages:
                self.messages.append(one)
            if one[2] not in {"", *self.conversations}:
                self.conversations.append(one[2])

    def write(self, numbers: list[int]) -> dict[str, Any]:
        return {"message": self.message(numbers)}

    def message(self, numbers: list[int]) -> pb.Message:
        to = pick([*USERS, *self.groups, *self.groups], numbers)
        message = pb.Message(id=self.new_id(numbers), to=pb.Identity(eid=to), type=1, payload=b"%d" % numbers[-1])
        if numbers[0] % 8 == 0:
            message.to, message.scope = None, "friend"
        extra = pick([None, None, "partition", "reply_to", "mentions", "ttl_ms", "devices", "seq"], numbers)
        if extra == "partition":
            message.partition = pick(["notification", "sync", "feed", "nowhere"], numbers)
        elif extra == "reply_to" and self.messages:
            message.reply_to = pick(self.messages, numbers)[1]
        elif extra == "mentions":
            message.mentions = [*USERS]
        elif extra == "ttl_ms":
            message.ttl_ms = pick([1000, 30_000, 10], numbers)
        elif extra == "devices":
            eid, device = pick(DEVICES, numbers)
            identity = pb.Identity(eid=eid, connection_resource_id=device)
            message.devices = [pb.DeviceAddress(identity=identity, payload=b"for you")]
            message.devices_complete = numbers.pop() % 4 == 0
        elif extra == "seq":
            message.seq = f"{numbers[-1]}:{self._ids}:phone"
        return message

    def command(self, numbers: list[int]) -> dict[str, Any]:
        return {"command": self.one_command(numbers)}

    def one_command(self, numbers: list[int]) -> pb.Command:
        kind = pick(KINDS, numbers)
        command = pb.Command(id=self.new_id(numbers), kind=kind, payload=b"%d" % numbers[-1])
        command.stamp = pick([0, 0, 2**63], numbers)
        command.value = numbers[0] % 3 > 0
        is_about_conversation = kind in ABOUT_CONVERSATIONS or (kind == pb.CommandKind.PIN and numbers[0] % 2)
        if is_about_conversation and self.conversations:
            command.conversation = pick(self.conversations, numbers)
            command.conversation_offset = 1 + numbers[0] % 5 if kind == pb.CommandKind.MARK_READ else 0
            command.until = numbers[0] if kind == pb.CommandKind.MUTE else 0
        elif self.messages:
            command.target = pick(self.messages[-9:], numbers)[0]
            command.emoji = EMOJI[numbers[0] % 3] if kind in {pb.CommandKind.REACT, pb.CommandKind.UNREACT} else ""
        return command

    def batch(self, numbers: list[int]) -> dict[str, Any]:
        """Two messages, a command and a receipt."""
        messages = [self.message([*numbers[:3], one, one + 1, one + 2]) for one in numbers[:2]]
        commands = [self.one_command(numbers[1:] + numbers[:2])]
        signals = [self.read(numbers)["signal"]] if self.conversations else []
        return {"body": pb.Body(messages=messages, commands=commands, signals=signals)}

    def ack(self, numbers: list[int]) -> dict[str, Any]:
        partition = pick(["chat", "chat", "notification", "sync", "feed"], numbers)
        signal = pb.Signal(status=pb.MessageStatus.DELIVERED, partition=partition)
        if numbers.pop() % 3:
            signal.upto = 1 + numbers[-1] % 12
        else:
            first = 1 + numbers[-1] % 12
            signal.offsets = [pb.OffsetRange(from_=first, to=first + numbers[-2] % 3)]
        return {"signal": signal}

    def read(self, numbers: list[int]) -> dict[str, Any]:
        status = pick([pb.MessageStatus.READ, pb.MessageStatus.READ, pb.MessageStatus.PLAYED], numbers)
        conversation = pick([*self.conversations, "c99"], numbers)
        signal = pb.Signal(status=status, conversation=conversation)
        if status == pb.MessageStatus.READ and numbers[-1] % 2:
            signal.upto = 1 + numbers[0] % 9
        else:
            signal.conversation_offset = 1 + numbers[0] % 9
        return {"signal": signal}

    def settings_change(self, numbers: list[int]) -> dict[str, Any]:
        fields = ["send_read_receipts", "show_read_receipts", "show_last_seen", "show_online_status"]
        audiences = ["read_receipts_to", "read_receipts_of", "last_seen_to", "online_status_to"]
        field, stamp = pick([*fields, *audiences, "visible"], numbers), pick([0, 5, 2**63], numbers)
        value = numbers.pop()
        wish: dict[str, Any] = {field: pb.Audience(value % 4) if field in audiences else bool(value % 2)}
        if value % 5 == 0:
            values: dict[str, Any] = {pick(fields, numbers): pb.PrivacyExceptionException(1 + value % 3)}
            wish["exceptions"] = [pb.PrivacyException(eid=pick([*USERS, "nobody"], numbers), **values)]
        return {"settings": pb.Settings(**wish, stamp=stamp)}

    def visibility(self, numbers: list[int]) -> dict[str, Any]:
        visible = bool(numbers.pop() % 2)
        return {"awareness_visibility": pb.AwarenessVisibility(visible=visible, stamp=pick([0, 5, 2**63], numbers))}

    def fetch(self, numbers: list[int]) -> dict[str, Any]:
        kind = pick(FETCHES, numbers)
        fetch = pb.Fetch(kind=kind, limit=pick([0, 1, 3], numbers), backwards=bool(numbers.pop() % 2))
        if kind in {pb.FetchKind.HISTORY, pb.FetchKind.RECEIPTS, pb.FetchKind.THREAD}:
            fetch.conversation = pick([*self.conversations, "c99"], numbers)
        elif kind != pb.FetchKind.INBOX:
            fetch.partition = pick(["chat", "chat", "feed"], numbers)
        if kind == pb.FetchKind.THREAD and self.messages:
            fetch.reply_to = pick(self.messages, numbers)[1]
        fetch.cursor = pick(self.cursors[-6:], numbers)
        return {"fetch": fetch}

    def group(self, numbers: list[int]) -> dict[str, Any]:
        action = pick(ACTIONS, numbers) if self.groups else pb.ConversationAction.CREATE
        member = pb.Member(eid=pick(USERS, numbers), role=pick(["", "admin", "owner"], numbers))
        request = pb.Conversation(action=action, request_id=self.new_id(numbers), members=[member])
        if action != pb.ConversationAction.CREATE:
            request.id = pick([*self.groups, "c99"], numbers)
        if action == pb.ConversationAction.GET and numbers[1] % 2:
            request.id, request.feed, request.peer = "", True, pick(USERS, numbers)
        if action in {pb.ConversationAction.CREATE, pb.ConversationAction.RENAME}:
            request.title = f"title {numbers[0] % 3}"
        if action in {pb.ConversationAction.GET, pb.ConversationAction.LEAVE, pb.ConversationAction.RENAME}:
            request.members = []
        elif action != pb.ConversationAction.SET_ROLE:
            member.role = ""
        return {"conversation": request}

    def contact(self, numbers: list[int]) -> dict[str, Any]:
        action, mutual, stamp = pick(CONTACTS, numbers), bool(numbers.pop() % 2), pick([0, 5, 2**63], numbers)
        eid = "" if action == pb.ContactAction.LIST else pick(USERS, numbers)
        name = f"name {numbers[0] % 3}"
        contact = pb.Contact(action=action, id=self.new_id(numbers), eid=eid, mutual=mutual, name=name, stamp=stamp)
        return {"contact": contact}

    def devices(self, numbers: list[int]) -> dict[str, Any]:
        action = pick([pb.DevicesAction.LIST, pb.DevicesAction.RENAME, pb.DevicesAction.REMOVE], numbers)
        name = "" if action == pb.DevicesAction.LIST else pick(["phone", "laptop", "none"], numbers)
        label = "mine" if action == pb.DevicesAction.RENAME else ""
        return {"devices": pb.Devices(action=action, name=name, label=label)}

    def keys(self, numbers: list[int]) -> dict[str, Any]:
        """Keys are numbers in here: the store does not read them."""
        action = pick(KEY_ACTIONS, numbers)
        asked = pb.Keys(action=action)
        if action == pb.KeysAction.PUBLISH:
            identity, first = bytes([numbers[0] % 3]) * 32, numbers[1] % 9 + 1
            prekeys = [
                pb.PreKey(id=number, key=bytes([number]) * 32, signature=bytes(64))
                for number in range(first, first + 3)
            ]
            asked.keys = pb.DeviceKeys(identity=identity, signing=identity, signature=bytes(64), fallback=prekeys[0])
            asked.one_time = prekeys
        elif action in {pb.KeysAction.QUERY, pb.KeysAction.CLAIM}:
            device = pick([None, None, "phone", "laptop", "none"], numbers)
            asked.of = [pb.Identity(eid=pick(USERS, numbers), connection_resource_id=device)]
        return {"keys": asked}

    def push(self, numbers: list[int]) -> dict[str, Any]:
        name, device = pick(["p", "q"], numbers), pick(["", "laptop", "none"], numbers)
        asked = pick(["query", "remove", "subscribe", "subscribe"], numbers)
        if asked == "query":
            return {"push_notification": pb.PushNotification(query=True)}
        if asked == "remove":
            return {"push_notification": pb.PushNotification(id=name, remove=True, device=device)}
        token = f"token {numbers[0] % 3}"
        return {"push_notification": pb.PushNotification(id=name, platform="fcm", token=token)}

    def call(self, numbers: list[int]) -> dict[str, Any]:
        """By one of three names, so that devices meet in it."""
        step, to, ttl_ms = pick(CALL_STEPS, numbers), pick(USERS, numbers), pick([0, 0, 1000], numbers)
        signal = pb.Signal(status=pb.MessageStatus.CALLING, to=pb.Identity(eid=to), step=step, ttl_ms=ttl_ms)
        signal.id, signal.call, signal.payload = self.new_id(numbers), f"call {numbers[1] % 3}", b"%d" % numbers[-1]
        return {"signal": signal}

    def location(self, numbers: list[int]) -> dict[str, Any]:
        told = pb.LocationStream(id=self.new_id(numbers))
        with_whom = pick(["", "", *USERS, *self.groups, "c99"], numbers)
        if with_whom in USERS:
            told.to = pb.Identity(eid=with_whom)
        else:
            told.conversation = with_whom
        told.enabled = bool(with_whom) and numbers[0] % 3 > 0
        told.has_position = not with_whom or numbers[1] % 2 > 0
        if told.has_position:
            told.latitude, told.longitude = float(numbers[0] % 91), float(numbers[1] % 181)
        return {"location_stream": told}

    def snapshot(self, numbers: list[int]) -> dict[str, Any]:
        return {"snapshot": pb.Snapshot(partition="chat", offset=numbers.pop() % 6, checksum=bytes(16))}

    def new_id(self, numbers: list[int]) -> str:
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
KEY_ACTIONS = [*pb.KeysAction, pb.KeysAction.PUBLISH, pb.KeysAction.CLAIM, pb.KeysAction.CLAIM]
CALL_STEPS = [pb.CallStep.CALL_OFFER, pb.CallStep.CALL_OFFER, *pb.CallStep]


def pick(choices: Sequence[Any], numbers: list[int]) -> Any:
    """One of them, by the last number, which then comes first, so that there are always some."""
    number = numbers.pop()
    numbers.insert(0, number // 7)
    return choices[number % len(choices)]
