"""Devices that encrypt for each other without a server: a directory in memory, and messages that a test carries."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bimip.client.core.sealing import SEALED
from bimip.client.encryption.encryption import Encryption, Opened
from bimip.client.events import Event, Identity, Unreadable
from bimip.client.public_keys import PreKey, PublicKeys
from bimip.client.store import Store
from bimip.client.wire.bimip import DeviceKeys, Keys, Message
from bimip.client.wire.bimip import Identity as WireIdentity

NOW = 1_700_000_000_000


class Directory:
    """Has keys as the server has them, and gives each once."""

    def __init__(self) -> None:
        self.published: dict[tuple[str, str], Keys] = {}

    def publish(self, whose: tuple[str, str], asked: Keys) -> None:
        self.published[whose] = asked

    def query(self, users: Iterable[str]) -> list[PublicKeys]:
        return [self._told(whose) for whose in self.published if whose[0] in set(users)]

    def claim(self, wanted: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        found = []
        for whose in wanted:
            keys = self.published[whose]
            given = keys.one_time.pop(0) if keys.one_time else keys.keys.fallback  # type: ignore[union-attr]
            assert given is not None
            key = PreKey(given.id, given.key, given.signature)
            found.append(replace(self._told(whose), claimed=key, is_fallback=given is keys.keys.fallback))  # type: ignore[union-attr]
        return found

    def _told(self, whose: tuple[str, str]) -> PublicKeys:
        keys = self.published[whose].keys or DeviceKeys()
        return PublicKeys(*whose, keys.identity, keys.signing, keys.signature)


class Party:
    """A device, with what it was told."""

    def __init__(
        self, directory: Directory, eid: str, device: str = "phone", path: str | Path = ":memory:", *, left: int = 0
    ) -> None:
        self.identity = Identity(eid, device)
        self.name = (eid, device)
        self.directory = directory
        self.store = Store(path)
        self.events: list[Event] = []
        self.now = NOW
        self.encryption = Encryption(self.store, self._emit, lambda: self.now)
        asked = self.encryption.prepare(left, 0, self.identity)
        if asked is not None:
            directory.publish(self.name, asked)
            self.encryption.published()

    def _emit(self, *events: Event, settle: object = None) -> None:
        self.events += events

    def write(self, to: str, text: bytes, message_id: str, users: Iterable[str] = (), **fields: object) -> Message:
        """Writes a message as `messages.send` does, and encrypts it. Returns it as the server gets it."""
        message = Message(id=message_id, to=WireIdentity(eid=to), type=1, payload=text, **fields)  # type: ignore[arg-type]
        with self.store.synced():
            self.store.outbox.put(message_id, b"")
            self.encryption.put_plain(message)
        return self.seal(message, {self.identity.eid, *(users or [to])})

    def seal(self, message: Message, users: set[str]) -> Message:
        encryption = self.encryption
        encryption.learn(users, self.directory.query(users))
        if lacking := encryption.without_session(users):
            encryption.begin_sessions(self.directory.claim(lacking))
        encryption.seal(message, users, self.identity)
        row = self.store.outbox.get(message.id)
        assert row is not None
        return Message.parse(row.message)

    def open(self, message: Message) -> Opened | Unreadable:
        with self.store.transaction():
            return self.encryption.open(message, self.identity)

    def text(self, message: Message) -> bytes | Unreadable:
        opened = self.open(message)
        return opened if isinstance(opened, Unreadable) else opened.message.payload


def delivered(sent: Message, author: Party, to: Party, number: int, conversation: str = "c1") -> Message:
    """Makes of what was sent what one device gets, as the `number`-th message of the server."""
    [payload] = [
        one.payload
        for one in sent.devices
        if one.identity is not None and (one.identity.eid, one.identity.connection_resource_id) == to.name
    ]
    eid, device = author.name
    return Message(
        id=sent.id,
        signal_id=f"{number:013}",
        from_=WireIdentity(eid=eid, connection_resource_id=device),
        to=sent.to,
        type=sent.type,
        payload=payload or b"",
        encryption_type=SEALED,
        conversation=conversation,
        conversation_offset=number,
        user_offset=number,
        partition="chat",
        reply_to=sent.reply_to,
        ttl_ms=sent.ttl_ms,
    )
