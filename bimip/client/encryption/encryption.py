"""What is decided of encryption: sealing what is written, opening what arrives, and whose keys are trusted.

    written → `sealed` (plain text) → devices and sessions are known → one transaction: sessions step, the outbox has it
    arrived → one transaction: the session steps, `opened` has the text → the program takes it → the text goes

A device's key is trusted when it is seen first. Another one for the same device is not: nothing is sent to it, and what
it wrote is held back, until the program accepts it. The Letter inside says what the message around it must say (who
wrote it, to whom, under which id), so a server that puts one in another's place is found; so is one that brings an old
one again. No method waits, and each is one transaction.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeVar

from bimip.client.core.chain import normal_name
from bimip.client.core.sealing import SEALED
from bimip.client.encryption import olm
from bimip.client.encryption.olm import OlmError, OwnAccount, Prepared
from bimip.client.encryption_tables import AccountRow, EncryptionTables, OpenedRow, Peer
from bimip.client.events import Event, Identity, IdentityChanged, ReadAgain, SealedBy, Unreadable
from bimip.client.public_keys import PublicKeys, fingerprint
from bimip.client.store import Store
from bimip.client.wire.bimip import (
    DeviceAddress,
    DeviceKeys,
    Envelope,
    Keys,
    KeysAction,
    Letter,
    Message,
    PreKey,
)
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.names import is_conversation_id

KEYS_KEPT = 50
"""One-time keys that a device has in the directory; half of them: it publishes more."""
FALLBACK_MS = 7 * 86_400_000
"""After which another fallback key is made."""
TAKEN_KEYS = 10
"""Sessions that others began, after which it is asked how many keys are left."""
TRIES = 8
"""In which a message is encrypted for the devices that there are; they change meanwhile."""

_Parsed = TypeVar("_Parsed", Envelope, Letter)


class Emit(Protocol):
    """Queues events for the program; `settle` is called when the last one was taken."""

    def __call__(self, *events: Event, settle: Callable[[], None] | None = None) -> None: ...


class Opened(NamedTuple):
    """A message as it was written."""

    message: Message
    sealed_by: SealedBy


class UnsealedError(Exception):
    """A message cannot be sent encrypted; the sentence says why, and what to do."""


class Encryption:
    """The keys, sessions and sealed messages of one device, in its file."""

    def __init__(self, store: Store, emit: Emit, now: Callable[[], int]) -> None:
        self._store = store
        self._tables = EncryptionTables(store)
        self._emit = emit
        self._now = now
        row = self._tables.account() or self._new_account()
        account = OwnAccount(row.pickle)
        self.identity, self._signing = account.identity, account.signing
        self._devices: dict[str, set[str]] = {}  # by user, of those whose devices were asked for on this connection
        self._keyed: dict[str, set[str]] = {}  # those of them that have keys
        self._open_lists: set[str] = set()  # recipients whose devices the server does not compare with what is sent
        self._tries: dict[str, int] = {}
        self._brought: set[str] = set()  # of what was held back, by signal_id
        self._begun_here = TAKEN_KEYS  # sessions that others began since it was asked how many keys are left
        self.owes_more: Callable[[], None] = lambda: None
        """Is called when it is time to look how many one-time keys are left, while there is a connection."""
        self._bring_held()

    def _new_account(self) -> AccountRow:
        row = AccountRow(olm.new_account(), b"", 0, b"")
        with self._store.synced():
            self._tables.set_account(row)
        return row

    # Publishing.

    def connected(self) -> None:
        """Begin a new connection: devices may be others by now."""
        self._devices.clear()
        self._keyed.clear()
        self._open_lists.clear()
        self._begun_here = TAKEN_KEYS

    def owes_keys(self) -> bool:
        """Whether it is time to look how many one-time keys are left."""
        return self._begun_here >= TAKEN_KEYS or bool(self._account_row().prepared)

    def prepare(self, left: int, last_id: int, identity: Identity) -> Keys | None:
        """Makes what is to be published, as it is until `published`; None: there is enough."""
        row = self._account_row()
        if row.prepared:
            return Keys.parse(row.prepared)
        is_old = self._now() - row.fallback_made >= FALLBACK_MS
        left = left if row.fallback_made else 0  # those of another account of this device go when this one is there
        if last_id and left > KEYS_KEPT // 2 and not is_old:
            self._begun_here = 0
            return None
        account = self._own_account()
        fallback, made = row.fallback, row.fallback_made
        if is_old:
            fallback = bytes(self._signed(account, "fallback", account.make_fallback_key(), identity))
            made = self._now()
        one_time = account.make_one_time_keys(max(0, KEYS_KEPT - left))
        whose = _device_text(identity.eid, identity.device, account.identity, account.signing)
        keys = DeviceKeys(
            identity=account.identity,
            signing=account.signing,
            signature=account.sign(whose),
            fallback=PreKey.parse(fallback),
        )
        signed = [self._signed(account, "one-time", key, identity) for key in one_time]
        asked = Keys(action=KeysAction.PUBLISH, keys=keys, one_time=signed)
        with self._store.synced():
            self._save(AccountRow(account.pickle(), fallback, made, bytes(asked)))
        return asked

    def published(self) -> None:
        """Note that the server has what was prepared."""
        with self._store.transaction():
            self._save(self._account_row()._replace(prepared=b""))
        self._begun_here = 0

    def _signed(self, account: OwnAccount, kind: str, key: Prepared, identity: Identity) -> PreKey:
        text = _key_text(kind, identity.eid, identity.device, key.id, key.key)
        return PreKey(id=key.id, key=key.key, signature=account.sign(text))

    def withdraws(self) -> bool:
        """Whether the keys in the directory are to go before others are published."""
        return self._account_row().withdraws

    def withdrawn(self) -> None:
        """Note that the directory has none of this device's keys."""
        with self._store.synced():
            self._save(self._account_row()._replace(withdraws=False))

    # Sealing.

    def put_plain(self, message: Message) -> None:
        """Keep a message of the outbox as it was written."""
        self._tables.put_plain(message.id, bytes(message))

    def plain(self, message_id: str) -> Message | None:
        """Returns a message of the outbox as it was written; None: it is not encrypted."""
        found = self._tables.plain(message_id)
        return None if found is None else Message.parse(found)

    def next_unsealed(self) -> Message | None:
        found = self._tables.next_unsealed()
        return None if found is None else Message.parse(found[1])

    def look_again(self, message: Message, users: Iterable[str]) -> None:
        """Have devices asked for anew, where the server does not say whether they are all that there are."""
        if _recipient(message) in self._open_lists:
            for user in users:
                self._keyed.pop(user, None)

    def unknown(self, users: Iterable[str]) -> list[str]:
        """Lists those of some users whose devices were not asked for on this connection."""
        return [user for user in users if user not in self._keyed]

    def learn(self, users: Iterable[str], found: Iterable[PublicKeys], others: Iterable[tuple[str, str]] = ()) -> None:
        """Take in the devices of some users, and their keys; `others` are devices that may have none.

        One whose keys are not signed by itself has none.
        """
        for user in users:
            self._keyed[user] = set()
            self._devices.setdefault(user, set())
        for user, device in others:
            self._devices.setdefault(user, set()).add(device)
        with self._store.transaction():
            for keys in found:
                if keys.eid in self._keyed and self._is_true(keys):
                    self._keyed[keys.eid].add(keys.name)
                    self._devices[keys.eid].add(keys.name)
                    self._meet(keys.eid, keys.name, keys.identity, keys.signing)

    def _is_true(self, keys: PublicKeys) -> bool:
        whose = _device_text(keys.eid, keys.name, keys.identity, keys.signing)
        return len(keys.identity) == len(keys.signing) == 32 and olm.is_signed(keys.signing, whose, keys.signature)

    def without_session(self, users: Iterable[str]) -> list[tuple[str, str]]:
        """Lists the devices with which a session is to be begun. Raises UnsealedError where that may not be."""
        wanted: list[tuple[str, str]] = []
        for user, device in self._addressees(users):
            peer = self._tables.peer(user, device)
            if peer is None or not self._is_keyed(user, device):
                continue
            if peer.changed:
                raise UnsealedError(
                    f"{user}/{device} has another key than before: compare its fingerprint, then keys.accept"
                )
            if peer.renew or not self._tables.sessions(peer.identity):
                wanted.append((user, device))
        return wanted

    def begin_sessions(self, claimed: Iterable[PublicKeys]) -> None:
        """Begin sessions with devices of which a key was claimed. A key that its device did not sign is none."""
        account = self._own_account()
        with self._store.transaction():
            for keys in claimed:
                peer, key = self._tables.peer(keys.eid, keys.name), keys.claimed
                if peer is None or key is None or peer.changed or not self._is_true(keys):
                    continue
                if keys.identity != peer.identity:
                    self._meet(keys.eid, keys.name, keys.identity, keys.signing)
                    continue
                text = _key_text("fallback" if keys.is_fallback else "one-time", keys.eid, keys.name, key.id, key.key)
                if not olm.is_signed(keys.signing, text, key.signature):
                    continue
                pickle = account.begin_session(peer.identity, key.key)
                self._tables.set_session(peer.identity, olm.session_id(pickle), pickle, is_used=True)
                self._tables.set_peer(keys.eid, keys.name, peer._replace(renew=False))

    def seal(self, message: Message, users: Collection[str], identity: Identity) -> None:
        """Encrypt a message for each device of its readers, and put that into the outbox. Raises UnsealedError."""
        devices: list[DeviceAddress] = []
        read_by: set[str] = set()
        with self._store.synced():
            for user, device in self._addressees(users):
                if (user, device) == (identity.eid, identity.device):
                    continue
                address = DeviceAddress(identity=WireIdentity(eid=user, connection_resource_id=device))
                if (sealed := self._sealed_for(message, user, device, identity)) is not None:
                    address.payload = sealed
                    read_by.add(user)
                devices.append(address)
            if unread := sorted(set(users) - read_by - {identity.eid}):
                raise UnsealedError(
                    f"no device of {', '.join(unread)} can be encrypted for: they have no keys, or none that they "
                    "signed; encrypt=False sends it in the clear"
                )
            if not devices:
                raise UnsealedError("you have no other device that could read it; encrypt=False keeps it in the clear")
            sent = replace(
                message,
                payload=b"",
                encryption_type=SEALED,
                devices=devices,
                devices_complete=_recipient(message) not in self._open_lists,
            )
            self._tables.set_sealed(message.id, bytes(sent))

    def _sealed_for(self, message: Message, user: str, device: str, identity: Identity) -> bytes | None:
        """Encrypts for one device; None: it has no keys."""
        peer = self._tables.peer(user, device) if self._is_keyed(user, device) else None
        sessions = {} if peer is None else self._tables.sessions(peer.identity)
        if peer is None or not sessions or peer.changed:
            return None
        letter = Letter(
            id=message.id,
            from_=WireIdentity(eid=identity.eid, connection_resource_id=identity.device),
            to=normal_name(_recipient(message)),
            addressee=WireIdentity(eid=user, connection_resource_id=device),
            addressee_key=peer.identity,
            signing=self._signing,
            payload=message.payload,
            reply_to=message.reply_to,
            ttl_ms=message.ttl_ms,
        )
        name = next(iter(sessions))
        pickle, kind, ciphertext = olm.encrypt(sessions[name], bytes(letter))
        self._tables.set_session(peer.identity, name, pickle, is_used=False)
        return bytes(Envelope(sender_key=self.identity, kind=kind, ciphertext=ciphertext))

    def seal_again(
        self, message_id: str, missing: Iterable[tuple[str, str]], extra: Iterable[tuple[str, str]], field: str
    ) -> bool:
        """Have a message encrypted anew that the server refused for its devices. False: it is not, or too often."""
        message = self.plain(message_id)
        if message is None or field not in {"devices", "devices_complete"}:
            return False
        self._tries[message_id] = self._tries.get(message_id, 0) + 1
        if self._tries[message_id] > TRIES:
            return False
        if field == "devices_complete":
            self._open_lists.add(_recipient(message))
        for user, device in extra:
            self._devices.get(user, set()).discard(device)
        for user, device in missing:
            self._devices.setdefault(user, set()).add(device)
            self._keyed.pop(user, None)  # it may have keys by now: they are asked for
        self._tables.set_sealed(message_id, b"")
        return True

    def _addressees(self, users: Iterable[str]) -> list[tuple[str, str]]:
        return [(user, device) for user in sorted(users) for device in sorted(self._devices.get(user, ()))]

    def _is_keyed(self, user: str, device: str) -> bool:
        return device in self._keyed.get(user, ())

    # Opening.

    def open(self, message: Message, identity: Identity) -> Opened | Unreadable:
        """Decrypt a message that arrived; what was decrypted is kept until `taken`."""
        known = self._tables.opened(message.signal_id)
        return self._open_new(message, identity) if known is None else self._open_again(message, known)

    def _open_new(self, message: Message, identity: Identity) -> Opened | Unreadable:
        author = _named(message.from_)
        if self._tables.opened_as(*author, message.id) is not None:
            return Unreadable.REPLAYED
        envelope = _parsed(Envelope, message.payload)
        if envelope is None or not envelope.ciphertext:
            self._note_unread(message, author)
            return Unreadable.BROKEN if message.payload else Unreadable.NO_KEYS
        try:
            text = self._decrypt(envelope)
        except OlmError:
            self._note_unread(message, author)
            self._renew_session(author, envelope.sender_key)
            return Unreadable.BROKEN
        return self._judge(message, author, identity, envelope.sender_key, text)

    def _judge(
        self, message: Message, author: tuple[str, str], identity: Identity, sender: bytes, text: bytes
    ) -> Opened | Unreadable:
        """Looks whether what was decrypted belongs here, and is by whom it says."""
        letter = _parsed(Letter, text)
        if letter is None or not self._is_of(letter, message, author, identity):
            self._note_unread(message, author)
            return Unreadable.FORGED
        if not self._meet(*author, sender, letter.signing):
            self._note(message, author, bytes(letter), bytes(message))
            return Unreadable.IDENTITY_CHANGED
        self._note(message, author, bytes(letter))
        self._note_place(letter.to, author[0], message.conversation, identity)
        self._open_lists -= {author[0], message.conversation}  # who corresponds is told of devices
        return self._opened(message, letter, sender)

    def _renew_session(self, author: tuple[str, str], sender: bytes) -> None:
        """Has another session begin with the next message to a device, where it is that device's key."""
        peer = self._tables.peer(*author)
        if peer is not None and peer.identity == sender:
            self._tables.set_peer(*author, peer._replace(renew=True))

    def _open_again(self, message: Message, known: OpenedRow) -> Opened | Unreadable:
        """Opens what was opened before, and not taken."""
        author = (known.eid, known.device)
        if known.letter is None or author != _named(message.from_) or known.id != message.id:
            return Unreadable.TAKEN
        peer = self._tables.peer(*author)
        if peer is None or known.message is not None:
            return Unreadable.IDENTITY_CHANGED  # once accepted it comes as ReadAgain, and so only
        return self._opened(message, Letter.parse(known.letter), peer.identity)

    def taken(self, stamp: str) -> None:
        """Forget what was decrypted: the program has it."""
        self._tables.forget_letter(stamp)

    def _decrypt(self, envelope: Envelope) -> bytes:
        sender, sessions = envelope.sender_key, self._tables.sessions(envelope.sender_key)
        if envelope.kind == olm.PRE_KEY:
            name = olm.session_begun_by(envelope.ciphertext)
            if name not in sessions:
                return self._take_session(sender, name, envelope.ciphertext)
            sessions = {name: sessions[name]}
        for name, pickle in sessions.items():
            try:
                stepped, text = olm.decrypt(pickle, envelope.kind, envelope.ciphertext)
            except OlmError:
                continue
            self._tables.set_session(sender, name, stepped, is_used=True)
            return text
        raise OlmError("no session decrypts it")

    def _take_session(self, sender: bytes, name: str, ciphertext: bytes) -> bytes:
        account = self._own_account()
        pickle, text = account.take_session(sender, ciphertext)
        self._save(self._account_row()._replace(pickle=account.pickle()))
        self._tables.set_session(sender, name, pickle, is_used=True)
        self._begun_here += 1
        if self._begun_here >= TAKEN_KEYS:
            self.owes_more()
        return text

    def _is_of(self, letter: Letter, message: Message, author: tuple[str, str], identity: Identity) -> bool:
        """Whether a letter belongs into the message around it."""
        to = normal_name(_recipient(message))
        return (
            letter.id == message.id
            and _named(letter.from_) == author
            and letter.to == to
            and _named(letter.addressee) == (identity.eid, identity.device)
            and letter.addressee_key == self.identity
            and letter.reply_to == message.reply_to
            and letter.ttl_ms == message.ttl_ms
            and self._is_in_its_place(letter.to, author[0], message.conversation, identity)
        )

    def _is_in_its_place(self, to: str, author: str, conversation: str, identity: Identity) -> bool:
        """Whether the conversation is the one that was written to: of two, the one in which they wrote first."""
        if is_conversation_id(to):
            return to == conversation
        if identity.eid not in {to, author}:
            return False
        known = self._tables.conversation_with(to if author == identity.eid else author)
        return known == conversation or (not known and not self._tables.peer_in(conversation))

    def _note_place(self, to: str, author: str, conversation: str, identity: Identity) -> None:
        """Notes which conversation is the one with somebody, behind a first message whose key is trusted."""
        other = to if author == identity.eid else author
        if not is_conversation_id(to) and not self._tables.conversation_with(other):
            self._tables.set_conversation_with(other, conversation)

    def _note(
        self, message: Message, author: tuple[str, str], letter: bytes | None = None, held: bytes | None = None
    ) -> None:
        row = OpenedRow(message.signal_id, *author, message.id, message.conversation, letter, held)
        self._tables.put_opened(row)

    def _note_unread(self, message: Message, author: tuple[str, str]) -> None:
        """Notes that there is an encrypted message. Its id is not taken by it: it may be somebody else's."""
        self._tables.put_opened(OpenedRow(message.signal_id, *author, "", message.conversation, None, None))

    def _opened(self, message: Message, letter: Letter, key: bytes) -> Opened:
        peer = self._tables.peer(*_named(letter.from_))
        by = SealedBy(fingerprint(key), verified=peer is not None and peer.verified and peer.identity == key)
        return Opened(replace(message, payload=letter.payload), by)

    def note_sent(self, message_id: str, stamp: str, conversation: str, identity: Identity) -> None:
        """Note that an encrypted message of this device is in a conversation."""
        self._tables.put_opened(OpenedRow(stamp, identity.eid, identity.device, message_id, conversation, None, None))

    # Trust.

    def _meet(self, eid: str, device: str, identity: bytes, signing: bytes) -> bool:
        """Whether a device's key is the one that is trusted; the first one is."""
        peer = self._tables.peer(eid, device)
        if peer is None:
            self._tables.set_peer(eid, device, Peer(identity, signing, False, b"", b"", False))  # noqa: FBT003 - a row
            self._emit(IdentityChanged(eid, device, fingerprint(identity), ""))
            return True
        if peer.identity == identity:
            if not peer.signing and signing:
                self._tables.set_peer(eid, device, peer._replace(signing=signing))
            return True
        if peer.changed != identity:
            self._tables.set_peer(eid, device, peer._replace(changed=identity, changed_signing=signing))
            self._emit(IdentityChanged(eid, device, fingerprint(identity), fingerprint(peer.identity)))
        return False

    def known(self, eid: str) -> Mapping[str, Peer]:
        """Returns the devices of a user whose keys are known, by name."""
        return self._tables.peers(eid)

    def accept(self, eid: str, device: str) -> bool:
        """Trust a device's other key from now on, and bring what it wrote. False: there is none."""
        peer = self._tables.peer(eid, device)
        if peer is None or not peer.changed:
            return False
        with self._store.transaction():
            self._tables.drop_sessions(peer.identity)
            self._tables.set_peer(eid, device, Peer(peer.changed, peer.changed_signing, False, b"", b"", False))  # noqa: FBT003 - a row
            self._bring_held()
        return True

    def _bring_held(self) -> None:
        """Bring what was held back and whose key is trusted by now, each once."""
        for row in self._tables.held():
            peer = self._tables.peer(row.eid, row.device)
            if peer is not None and row.message is not None and row.signal_id not in self._brought:
                message = Message.parse(row.message)
                envelope = _parsed(Envelope, message.payload)
                if envelope is not None and envelope.sender_key == peer.identity:
                    self._brought.add(row.signal_id)
                    self._bring(row, message, peer.identity)

    def _bring(self, row: OpenedRow, message: Message, key: bytes) -> None:
        letter = Letter.parse(row.letter or b"")
        opened = self._opened(message, letter, key)
        again = ReadAgain(opened.message, message.partition, message.user_offset or 0, own=False, sealed_by=opened[1])
        self._emit(again, settle=lambda: self._tables.put_opened(row._replace(letter=None, message=None)))

    def verify(self, eid: str, device: str) -> bool:
        """Note that somebody compared a device's fingerprint. False: its key is not known, or another one waits."""
        peer = self._tables.peer(eid, device)
        if peer is None or peer.changed:
            return False
        with self._store.transaction():
            self._tables.set_peer(eid, device, peer._replace(verified=True))
        return True

    def epoch_changed(self) -> None:
        """Another store has other conversations, and may give keys a second time that were given: all are made anew."""
        self._tables.forget_conversations()
        self._begun_here = TAKEN_KEYS
        self._save(self._account_row()._replace(prepared=b"", fallback_made=0, withdraws=True))

    def is_sealed(self, stamp: str) -> bool:
        """Whether a message was encrypted, by its `signal_id`."""
        return self._tables.opened(stamp) is not None

    # The account.

    def _account_row(self) -> AccountRow:
        row = self._tables.account()
        assert row is not None
        return row

    def _own_account(self) -> OwnAccount:
        """Returns the account as the file has it: one that was changed in vain is not it any more."""
        return OwnAccount(self._account_row().pickle)

    def _save(self, row: AccountRow) -> None:
        self._tables.set_account(row)


def _device_text(eid: str, device: str, identity: bytes, signing: bytes) -> bytes:
    """Builds the text that a device signs of itself."""
    return b"\0".join((b"bimip-keys-1", eid.encode(), device.encode(), identity + signing))


def _key_text(kind: str, eid: str, device: str, number: int, key: bytes) -> bytes:
    """Builds the text that a device signs of a key."""
    return b"\0".join((f"bimip-{kind}-1".encode(), eid.encode(), device.encode(), number.to_bytes(8) + key))


def _recipient(message: Message) -> str:
    return message.to.eid if message.to is not None else ""


def _named(identity: WireIdentity | None) -> tuple[str, str]:
    return ("", "") if identity is None else (identity.eid, identity.connection_resource_id or "")


def _parsed(kind: type[_Parsed], data: bytes) -> _Parsed | None:
    try:
        return kind.parse(data)
    except Exception:  # noqa: BLE001 - whatever its bytes do to the codec, it is none
        return None
