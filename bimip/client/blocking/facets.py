"""A client's facets as calls that block. Written by scripts/generate from the facets, which say the rest."""
# ruff: noqa: A002, ANN401, FBT001 - the names and types are the facets'

import builtins
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from bimip.client.blocking.calls import Blocking
from bimip.client.core.kept import KeptMessage
from bimip.client.core.kinds.groups import KnownGroup
from bimip.client.errors import Refused
from bimip.client.events import (
    CommandDone,
    ConversationChanged,
    Identity,
    KnownContact,
    KnownIntent,
    KnownPresence,
    MessageChanged,
    SendRefused,
    Sent,
)
from bimip.client.facets.calls import Calls as AsyncCalls
from bimip.client.facets.contacts import Contacts as AsyncContacts
from bimip.client.facets.conversations import Conversations as AsyncConversations
from bimip.client.facets.conversations import InboxPage
from bimip.client.facets.devices import DeviceInfo, KnownDevice, Synced
from bimip.client.facets.devices import Devices as AsyncDevices
from bimip.client.facets.feeds import FeedInfo
from bimip.client.facets.feeds import Feeds as AsyncFeeds
from bimip.client.facets.groups import GroupInfo
from bimip.client.facets.groups import Groups as AsyncGroups
from bimip.client.facets.history import Fetched
from bimip.client.facets.history import History as AsyncHistory
from bimip.client.facets.keys import KeysFacet as AsyncKeysFacet
from bimip.client.facets.keys import KeysLeft, KnownKey
from bimip.client.facets.locations import Locations as AsyncLocations
from bimip.client.facets.messages import Messages as AsyncMessages
from bimip.client.facets.messages.receipts import DeliveryState, MemberReceipts
from bimip.client.facets.notes import Notes as AsyncNotes
from bimip.client.facets.presence import PresenceFacet as AsyncPresenceFacet
from bimip.client.facets.push import Push as AsyncPush
from bimip.client.facets.push import PushOffer, PushSubscription
from bimip.client.facets.settings import SettingsFacet as AsyncSettingsFacet
from bimip.client.facets.state import StateFacet as AsyncStateFacet
from bimip.client.facets.state import StatePage
from bimip.client.own_device import OwnDevice as AsyncOwnDevice
from bimip.client.public_keys import PreKey, PublicKeys
from bimip.client.wire.bimip import Command, FetchKind, Message, Snapshot
from bimip.domain.core.records import Status
from bimip.domain.state.privacy_exceptions import ExceptionValue, PrivacyException
from bimip.domain.state.settings import Audience, PrivacySettings


class Messages(Blocking[AsyncMessages]):
    """The calls of `messages`, which block."""

    def mark_read(self, conversation_or_peer: str, upto: int, *, is_peer: bool | None = None) -> None:
        """Say that everything in the conversation up to and with this conversation offset has been read."""
        return self._call(partial(self._facet.mark_read, conversation_or_peer, upto, is_peer=is_peer))

    def mark_read_many(self, upto_by_conversation_or_peer: Mapping[str, int]) -> None:
        """Say of many conversations up to which offset they have been read, in one batch, as `mark_read` does of
        one.
        """
        return self._call(partial(self._facet.mark_read_many, upto_by_conversation_or_peer))

    def receipts(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        """Returns by member's eid when the message was "delivered", "read" and "played", as far as it was and this
        device knows: milliseconds since 1970.
        """
        return self._call(partial(self._facet.receipts, conversation, conversation_offset))

    def fetch_receipts(self, conversation: str, first: int = 1, last: int = 0) -> list[MemberReceipts]:
        """Ask the server who received, read and played the messages from one offset to another (0: to the newest)."""
        return self._call(partial(self._facet.fetch_receipts, conversation, first, last))

    def delivery_state(self, conversation: str, conversation_offset: int) -> DeliveryState:
        """Tells how far a message of this user has come, from the copy of the state where that has it, else by
        asking.
        """
        return self._call(partial(self._facet.delivery_state, conversation, conversation_offset))

    def wait_delivered(self, sent: Sent) -> DeliveryState:
        """Wait until a message that this device sent has reached a device of everybody whom it is for."""
        return self._call(partial(self._facet.wait_delivered, sent))

    def wait_read(self, sent: Sent) -> DeliveryState:
        """Wait until everybody whom a message is for has read it."""
        return self._call(partial(self._facet.wait_read, sent))

    def edit(self, message: int | str, payload: bytes, *, id: str = "") -> CommandDone:
        """Give a message of this user another content, for whoever reads it from now on."""
        return self._call(partial(self._facet.edit, message, payload, id=id))

    def edit_nowait(self, message: int | str, payload: bytes, *, id: str = "") -> str:
        """Do as `edit` does, and return its id at once."""
        return self._call(partial(self._facet.edit_nowait, message, payload, id=id))

    def delete(self, message: int | str, *, for_everyone: bool = False, id: str = "") -> CommandDone:
        """Hide a message for this user, for good; or, where this user wrote it, take its content away for everyone."""
        return self._call(partial(self._facet.delete, message, for_everyone=for_everyone, id=id))

    def delete_nowait(self, message: int | str, *, for_everyone: bool = False, id: str = "") -> str:
        """Do as `delete` does, and return its id at once."""
        return self._call(partial(self._facet.delete_nowait, message, for_everyone=for_everyone, id=id))

    def react(self, message: int | str, emoji: str, *, remove: bool = False, id: str = "") -> CommandDone:
        """Add a reaction of this user to a message, or take it back."""
        return self._call(partial(self._facet.react, message, emoji, remove=remove, id=id))

    def react_nowait(self, message: int | str, emoji: str, *, remove: bool = False, id: str = "") -> str:
        """Do as `react` does, and return its id at once."""
        return self._call(partial(self._facet.react_nowait, message, emoji, remove=remove, id=id))

    def mark_forwarded(self, message: int | str, *, id: str = "") -> CommandDone:
        """Say that this user forwarded a message: all who may see it are told how often it was."""
        return self._call(partial(self._facet.mark_forwarded, message, id=id))

    def mark_forwarded_nowait(self, message: int | str, *, id: str = "") -> str:
        """Do as `mark_forwarded` does, and return its id at once."""
        return self._call(partial(self._facet.mark_forwarded_nowait, message, id=id))

    def pin(self, message: int | str, *, pinned: bool = True, id: str = "") -> CommandDone:
        """Pin a message for this user, or take it back."""
        return self._call(partial(self._facet.pin, message, pinned=pinned, id=id))

    def pin_nowait(self, message: int | str, *, pinned: bool = True, id: str = "") -> str:
        """Do as `pin` does, and return its id at once."""
        return self._call(partial(self._facet.pin_nowait, message, pinned=pinned, id=id))

    def state(self, conversation: str, conversation_offset: int) -> MessageChanged | None:
        """Returns what became of a message since it was sent, as far as this device knows; None: nothing."""
        return self._call(partial(self._facet.state, conversation, conversation_offset))

    def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Give many commands of any kinds at once, as `Command` has them, and return the answer of each, in order."""
        return self._call(partial(self._facet.give_many, commands))

    @property
    def unsent(self) -> int:
        """Number of messages in the outbox without an answer."""
        return self._call(lambda: self._facet.unsent)

    def waiting(self, limit: int = 1000, *, answered: bool = False) -> list[Message]:
        """Returns the messages in the outbox without an answer, in the order written: what a program shows of them
        after it was started again.
        """
        return self._call(partial(self._facet.waiting, limit, answered=answered))

    def send_nowait(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,
        partition: str = "",
        id: str | None = None,
        payloads: Mapping[tuple[str, str], bytes] | None = None,
        ttl: float | None = None,
        encrypt: bool | None = None,
        **fields: Any,
    ) -> str:
        """Put a message into the outbox and return its id."""
        return self._call(
            partial(
                self._facet.send_nowait,
                to,
                payload,
                type=type,
                partition=partition,
                id=id,
                payloads=payloads,
                ttl=ttl,
                encrypt=encrypt,
                **fields,
            )
        )

    def send(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,
        partition: str = "",
        id: str | None = None,
        payloads: Mapping[tuple[str, str], bytes] | None = None,
        ttl: float | None = None,
        encrypt: bool | None = None,
        **fields: Any,
    ) -> Sent:
        """Send a message as `send_nowait` does, and wait until the server has it on disk."""
        return self._call(
            partial(
                self._facet.send,
                to,
                payload,
                type=type,
                partition=partition,
                id=id,
                payloads=payloads,
                ttl=ttl,
                encrypt=encrypt,
                **fields,
            )
        )

    def send_many(
        self, messages: Iterable[tuple[str, bytes]], *, encrypt: bool | None = None, **fields: Any
    ) -> list[Sent | SendRefused]:
        """Send many messages, each to somebody, in this order, and wait until each is answered, for itself."""
        return self._call(partial(self._facet.send_many, messages, encrypt=encrypt, **fields))


class Conversations(Blocking[AsyncConversations]):
    """The calls of `conversations`, which block."""

    def list(self, limit: int = 50, cursor: bytes = b"") -> InboxPage:
        """Fetch the user's conversations, those in which something happened last first."""
        return self._call(partial(self._facet.list, limit, cursor))

    def keep(
        self,
        conversation: str,
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        marked_unread: bool | None = None,
        muted_until: int | None = None,
        draft: bytes | None = None,
    ) -> None:
        """Set how this user keeps a conversation, what is given of it, on all their devices."""
        return self._call(
            partial(
                self._facet.keep,
                conversation,
                archived=archived,
                pinned=pinned,
                marked_unread=marked_unread,
                muted_until=muted_until,
                draft=draft,
            )
        )

    def keep_nowait(
        self,
        conversation: str,
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        marked_unread: bool | None = None,
        muted_until: int | None = None,
        draft: bytes | None = None,
    ) -> Sequence[str]:
        """Do as `keep` does, and return the ids of the commands at once."""
        return self._call(
            partial(
                self._facet.keep_nowait,
                conversation,
                archived=archived,
                pinned=pinned,
                marked_unread=marked_unread,
                muted_until=muted_until,
                draft=draft,
            )
        )

    def settings(self, conversation: str) -> ConversationChanged:
        """Returns how this user keeps a conversation, as far as this device knows, also without a connection."""
        return self._call(partial(self._facet.settings, conversation))

    def read_marker(self, conversation: str) -> int:
        """Returns the conversation offset up to which this user has read, on whichever device; 0 where nothing was."""
        return self._call(partial(self._facet.read_marker, conversation))

    def move_read_marker(self, conversation: str, upto: int) -> int:
        """Move this user's own read marker, for their devices alone: whoever wrote the messages learns nothing of
        it.
        """
        return self._call(partial(self._facet.move_read_marker, conversation, upto))


class History(Blocking[AsyncHistory]):
    """The calls of `history`, which block."""

    def fetch(
        self,
        *,
        kind: FetchKind = FetchKind.UNACKNOWLEDGED,
        partition: str = "chat",
        offset: int | None = None,
        limit: int = 0,
        sender: str = "",
        sender_device: str | None = None,
        to_device: str | None = None,
        conversation: str = "",
        backwards: bool = False,
        seq_from: str = "",
        seq_to: str = "",
        cursor: bytes = b"",
    ) -> Fetched:
        """Look into the log."""
        return self._call(
            partial(
                self._facet.fetch,
                kind=kind,
                partition=partition,
                offset=offset,
                limit=limit,
                sender=sender,
                sender_device=sender_device,
                to_device=to_device,
                conversation=conversation,
                backwards=backwards,
                seq_from=seq_from,
                seq_to=seq_to,
                cursor=cursor,
            )
        )

    def kept(self, conversation: str, before: int | None = None, limit: int = 50) -> list[KeptMessage]:
        """Returns the newest messages of a conversation that this device keeps, oldest first, connected or not."""
        return self._call(partial(self._facet.kept, conversation, before, limit))

    def kept_heads(self, limit: int = 500) -> list[KeptMessage]:
        """Returns the newest message that this device keeps of each conversation, the newest first, connected or
        not.
        """
        return self._call(partial(self._facet.kept_heads, limit))

    def search(self, text: str, *, before: str = "", limit: int = 50) -> list[KeptMessage]:
        """Returns the messages that this device keeps in which a text stands, whatever its case, the newest first."""
        return self._call(partial(self._facet.search, text, before=before, limit=limit))

    def forget(self, conversation: str = "", *, before: int | None = None) -> int:
        """Drop messages that this device keeps, and return how many: it changes nothing on the server."""
        return self._call(partial(self._facet.forget, conversation, before=before))

    def thread(
        self, conversation: str, reply_to: str, limit: int = 50, cursor: bytes = b"", *, backwards: bool = False
    ) -> Fetched:
        """Fetch the messages that answer one of a conversation, which `reply_to` names by its signal_id."""
        return self._call(partial(self._facet.thread, conversation, reply_to, limit, cursor, backwards=backwards))

    def heads(self, partition: str = "chat", *, sender: str = "", limit: int = 100) -> list[Message]:
        """Fetch the newest message of each user who wrote to this user's log, the newest of them first."""
        return self._call(partial(self._facet.heads, partition, sender=sender, limit=limit))

    def conversation(self, conversation: str, before: int | None = None, limit: int = 50) -> list[Message]:
        """Fetch the newest messages of a conversation in front of a conversation offset, oldest first."""
        return self._call(partial(self._facet.conversation, conversation, before, limit))

    def snapshot(self, partition: str = "chat", *, offset: int = 0) -> Snapshot:
        """Ask what it costs to go on behind an offset, `delta`, and to begin anew, `whole`; 0: this device's
        position.
        """
        return self._call(partial(self._facet.snapshot, partition, offset=offset))

    def read_again(self, first: int, last: int, partition: str = "chat") -> None:
        """Have entries sent again, as ReadAgain events: a program that finds its own copy damaged asks so."""
        return self._call(partial(self._facet.read_again, first, last, partition))


class Feeds(Blocking[AsyncFeeds]):
    """The calls of `feeds`, which block."""

    def publish_nowait(
        self,
        payload: bytes,
        *,
        type: int = 1,
        partition: str = "",
        id: str | None = None,
        ttl: float | None = None,
        **fields: Any,
    ) -> str:
        """Put a message for this user's friends into the outbox and return its id."""
        return self._call(
            partial(self._facet.publish_nowait, payload, type=type, partition=partition, id=id, ttl=ttl, **fields)
        )

    def publish(
        self,
        payload: bytes,
        *,
        type: int = 1,
        partition: str = "",
        id: str | None = None,
        ttl: float | None = None,
        **fields: Any,
    ) -> Sent:
        """Write for all whom this user lets see them at the moment when the server takes it, and wait until it is
        on disk.
        """
        return self._call(
            partial(self._facet.publish, payload, type=type, partition=partition, id=id, ttl=ttl, **fields)
        )

    def fetch(self, eid: str = "") -> FeedInfo:
        """Asks for a user's feed; without a name for this user's own."""
        return self._call(partial(self._facet.fetch, eid))

    def history(self, eid: str = "", before: int | None = None, limit: int = 50) -> list[Message]:
        """Fetch the newest messages of a user's feed in front of a conversation offset, oldest first."""
        return self._call(partial(self._facet.history, eid, before, limit))


class Groups(Blocking[AsyncGroups]):
    """The calls of `groups`, which block."""

    def create(self, title: str = "", members: Iterable[str] = (), *, request_id: str = "") -> str:
        """Create a group whose owner this user is."""
        return self._call(partial(self._facet.create, title, members, request_id=request_id))

    def add(self, group: str, *eids: str, request_id: str = "") -> None:
        """Add users to a group."""
        return self._call(partial(self._facet.add, group, *eids, request_id=request_id))

    def remove(self, group: str, eid: str, *, request_id: str = "") -> None:
        """Remove a member, who gets nothing more of the group."""
        return self._call(partial(self._facet.remove, group, eid, request_id=request_id))

    def leave(self, group: str, *, request_id: str = "") -> None:
        """Leave a group."""
        return self._call(partial(self._facet.leave, group, request_id=request_id))

    def rename(self, group: str, title: str, *, request_id: str = "") -> None:
        """Give a group another title."""
        return self._call(partial(self._facet.rename, group, title, request_id=request_id))

    def set_role(self, group: str, eid: str, role: str, *, request_id: str = "") -> None:
        """Give a member another role: owner, admin or member."""
        return self._call(partial(self._facet.set_role, group, eid, role, request_id=request_id))

    def fetch(self, group: str) -> GroupInfo:
        """Asks for a group, or a conversation of two, with all its members."""
        return self._call(partial(self._facet.fetch, group))

    def known(self) -> dict[str, KnownGroup]:
        """Returns by id the groups that this user is in, as this device was last told, also without a connection."""
        return self._call(
            partial(
                self._facet.known,
            )
        )


class Contacts(Blocking[AsyncContacts]):
    """The calls of `contacts`, which block."""

    def request(self, eid: str, *, mutual: bool = False, id: str = "") -> KnownContact:
        """Ask to see somebody; with `mutual` this user lets them see them as well, once they accept."""
        return self._call(partial(self._facet.request, eid, mutual=mutual, id=id))

    def accept(self, eid: str, *, mutual: bool = False, id: str = "") -> KnownContact:
        """Let who asked see this user; with `mutual` ask for the same in return, where they did not offer it."""
        return self._call(partial(self._facet.accept, eid, mutual=mutual, id=id))

    def deny(self, eid: str, *, id: str = "") -> KnownContact:
        """Refuse who asked."""
        return self._call(partial(self._facet.deny, eid, id=id))

    def remove(self, eid: str, *, id: str = "") -> KnownContact:
        """End it in both directions, withdraw a request, or refuse one."""
        return self._call(partial(self._facet.remove, eid, id=id))

    def block(self, eid: str, *, id: str = "") -> KnownContact:
        """Get nothing more of somebody, without their knowing: they see this user as somebody who is away."""
        return self._call(partial(self._facet.block, eid, id=id))

    def unblock(self, eid: str, *, id: str = "") -> KnownContact:
        """Lift a block."""
        return self._call(partial(self._facet.unblock, eid, id=id))

    def name(self, eid: str, name: str, *, id: str = "") -> KnownContact:
        """Give somebody a name, for this user's devices alone; an empty one takes it away."""
        return self._call(partial(self._facet.name, eid, name, id=id))

    def list(self) -> dict[str, KnownContact]:
        """Asks for all contacts, by eid."""
        return self._call(
            partial(
                self._facet.list,
            )
        )

    def known(self) -> dict[str, KnownContact]:
        """Returns the contacts by eid, as this device was last told, also without a connection."""
        return self._call(
            partial(
                self._facet.known,
            )
        )


class PresenceFacet(Blocking[AsyncPresenceFacet]):
    """The calls of `presence`, which block."""

    def known(self) -> dict[str, KnownPresence]:
        """Returns by eid how those contacts are that this user is let see, and, while several of their devices are
        connected, this user, as this device was told last since it was opened.
        """
        return self._call(
            partial(
                self._facet.known,
            )
        )

    @property
    def intent(self) -> KnownIntent:
        """The user's own word on how they are, for all devices, as this one knows it, also without a connection:
        AWAY, BUSY or DND; ONLINE: nothing.
        """
        return self._call(lambda: self._facet.intent)

    def ask(self, eid: str) -> KnownPresence:
        """Asks how a user is."""
        return self._call(partial(self._facet.ask, eid))

    def set_intent(self, status: Status, *, until: int = 0) -> KnownIntent:
        """Say how this user is, on all devices, until another is said, or until a time in milliseconds since 1970:
        AWAY, BUSY, DND, or ONLINE, which takes back what was said and says that somebody is at this device.
        """
        return self._call(partial(self._facet.set_intent, status, until=until))

    def go_online(self, *, inactive: bool = False) -> None:
        """Say that this device is there, and whether somebody looks at it: with `inactive` nobody does, and it is
        told of others now and then.
        """
        return self._call(partial(self._facet.go_online, inactive=inactive))

    def go_offline(self) -> None:
        """Say that this device does not count as being there, though messages come, until `go_online`."""
        return self._call(
            partial(
                self._facet.go_offline,
            )
        )

    def say_typing(self, to: str, *, seconds: float | None = None) -> None:
        """Show the others in a conversation, or a user, that this user is typing: for so many seconds, 60 at most,
        or for ten.
        """
        return self._call(partial(self._facet.say_typing, to, seconds=seconds))

    def say_recording(self, to: str, *, seconds: float | None = None) -> None:
        """Show that this user is recording, as `say_typing` shows that they are typing."""
        return self._call(partial(self._facet.say_recording, to, seconds=seconds))

    def say_paused(self, to: str, *, seconds: float | None = None) -> None:
        """Show that this user paused, as `say_typing` shows that they are typing."""
        return self._call(partial(self._facet.say_paused, to, seconds=seconds))

    def say_cancelled(self, to: str) -> None:
        """Show that this user does nothing more of it."""
        return self._call(partial(self._facet.say_cancelled, to))

    def resume(self, to: str) -> None:
        """Have what is pending of a conversation come first: its messages are the next events, each once, and
        behind them Resumed.
        """
        return self._call(partial(self._facet.resume, to))


class Calls(Blocking[AsyncCalls]):
    """The calls of `calls`, which block."""

    def call(self, eid: str, offer: bytes = b"", *, ring_seconds: float | None = None) -> str:
        """Call a user: it rings at all of their devices."""
        return self._call(partial(self._facet.call, eid, offer, ring_seconds=ring_seconds))

    def offer_again(self, eid: str, call: str, offer: bytes) -> None:
        """Offer something else in a call: what rings instead, or what is talked with from now on."""
        return self._call(partial(self._facet.offer_again, eid, call, offer))

    def say_ringing(self, eid: str, call: str) -> None:
        """Tell the caller that it rings here."""
        return self._call(partial(self._facet.say_ringing, eid, call))

    def answer(self, eid: str, call: str, answer: bytes = b"") -> None:
        """Answer a call, or what was offered in it: the first device of a user that does is the one that talks."""
        return self._call(partial(self._facet.answer, eid, call, answer))

    def send_candidate(self, eid: str, call: str, candidate: bytes) -> None:
        """Tell the other side of another way to this device."""
        return self._call(partial(self._facet.send_candidate, eid, call, candidate))

    def hang_up(self, eid: str, call: str) -> None:
        """End a call, or decline one that rings."""
        return self._call(partial(self._facet.hang_up, eid, call))


class Locations(Blocking[AsyncLocations]):
    """The calls of `locations`, which block."""

    def share(self, with_whom: str, *, seconds: float = 3600) -> int:
        """Share where this user is with a contact, or in a conversation: a name with an @ is a contact's."""
        return self._call(partial(self._facet.share, with_whom, seconds=seconds))

    def stop_sharing(self, with_whom: str) -> None:
        """Share it with them no more."""
        return self._call(partial(self._facet.stop_sharing, with_whom))

    def send(
        self, latitude: float, longitude: float, *, altitude: float = 0.0, accuracy: float = 0.0, time: int = 0
    ) -> bool:
        """Say where this user is, in degrees and metres, to all with whom they share it; `time` is when that was
        measured, in milliseconds, or now.
        """
        return self._call(
            partial(self._facet.send, latitude, longitude, altitude=altitude, accuracy=accuracy, time=time)
        )

    def shares(self) -> dict[str, int]:
        """Returns with whom this user shares where they are, by eid or conversation, and until when: milliseconds
        since 1970.
        """
        return self._call(
            partial(
                self._facet.shares,
            )
        )


class Devices(Blocking[AsyncDevices]):
    """The calls of `devices`, which block."""

    def known(self) -> dict[str, KnownDevice]:
        """Returns this user's devices by name, as this one was last told, also without a connection."""
        return self._call(
            partial(
                self._facet.known,
            )
        )

    def list(self) -> builtins.list[DeviceInfo]:
        """Asks for this user's devices, by name, with where each of them stands."""
        return self._call(
            partial(
                self._facet.list,
            )
        )

    def synced(self, device: str | None = None, partition: str = "chat", *, whole: bool = False) -> dict[str, Synced]:
        """Asks how far a device of this user, this one or another, is with what each other one wrote, by its name."""
        return self._call(partial(self._facet.synced, device, partition, whole=whole))

    def of(self, eid: str) -> builtins.list[str]:
        """Asks for the names of another user's devices: to encrypt for each (see `messages.send`, `payloads`)."""
        return self._call(partial(self._facet.of, eid))

    def signal(self, kind: str, device: str = "", payload: bytes = b"", *, id: str = "") -> int:
        """Say something to another device of this user, or to all that are connected: PeerSignalled tells them."""
        return self._call(partial(self._facet.signal, kind, device, payload, id=id))

    def label(self, name: str, label: str) -> None:
        """Give a device a label, such as "Alice's old phone"; an empty one takes it away."""
        return self._call(partial(self._facet.label, name, label))

    def remove(self, name: str) -> None:
        """Remove another device of this user: its connection ends, and the server forgets how far it was."""
        return self._call(partial(self._facet.remove, name))


class Notes(Blocking[AsyncNotes]):
    """The calls of `notes`, which block."""

    def keep(self, kind: str, name: str, value: bytes) -> None:
        """Keep a note, in the place of the one of this kind and name."""
        return self._call(partial(self._facet.keep, kind, name, value))

    def get(self, kind: str, name: str) -> bytes | None:
        """Return a note; None: there is none."""
        return self._call(partial(self._facet.get, kind, name))

    def all(self, kind: str) -> dict[str, bytes]:
        """Return the notes of a kind by name, in the order of their names."""
        return self._call(partial(self._facet.all, kind))

    def drop(self, kind: str, name: str) -> None:
        """Drop a note, where there is one."""
        return self._call(partial(self._facet.drop, kind, name))


class KeysFacet(Blocking[AsyncKeysFacet]):
    """The calls of `keys`, which block."""

    @property
    def fingerprint(self) -> str:
        """Tells this device's key, as people compare it."""
        return self._call(lambda: self._facet.fingerprint)

    def known(self, eid: str) -> dict[str, KnownKey]:
        """Returns the devices of a user whose keys this device knows, by name."""
        return self._call(partial(self._facet.known, eid))

    def verify(self, eid: str, device: str) -> bool:
        """Note that people compared the fingerprint of a device."""
        return self._call(partial(self._facet.verify, eid, device))

    def accept(self, eid: str, device: str) -> bool:
        """Trust the other key of a device, of which IdentityChanged told."""
        return self._call(partial(self._facet.accept, eid, device))

    def count(self) -> KeysLeft:
        """Asks how many one-time keys of this device are left."""
        return self._call(
            partial(
                self._facet.count,
            )
        )

    def publish(
        self, identity: bytes, signing: bytes, signature: bytes, fallback: PreKey, one_time: Sequence[PreKey] = ()
    ) -> KeysLeft:
        """Gives this device's keys; one-time keys with an id up to `last_id` are known and passed over."""
        return self._call(partial(self._facet.publish, identity, signing, signature, fallback, one_time))

    def query(self, of: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        """Asks for the keys of devices, by (eid, device), or of all of a user's, by (eid, ""), and takes none."""
        return self._call(partial(self._facet.query, of))

    def claim(self, of: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        """Asks as `query` does, and takes one key of each device, which nobody else is given, or its fallback key."""
        return self._call(partial(self._facet.claim, of))

    def withdraw(self) -> None:
        """Takes this device's keys out of the directory."""
        return self._call(
            partial(
                self._facet.withdraw,
            )
        )


class SettingsFacet(Blocking[AsyncSettingsFacet]):
    """The calls of `settings`, which block."""

    @property
    def privacy(self) -> PrivacySettings:
        """The user's settings as this device knows them, also without a connection."""
        return self._call(lambda: self._facet.privacy)

    @property
    def exceptions(self) -> dict[str, PrivacyException]:
        """The exceptions to the settings, by the eid of whom they are for, as this device knows them, also without
        a connection.
        """
        return self._call(lambda: self._facet.exceptions)

    def change(
        self,
        *,
        send_read_receipts: bool | None = None,
        show_read_receipts: bool | None = None,
        show_last_seen: bool | None = None,
        show_online_status: bool | None = None,
        read_receipts_to: Audience | None = None,
        read_receipts_of: Audience | None = None,
        last_seen_to: Audience | None = None,
        online_status_to: Audience | None = None,
        visible: bool | None = None,
    ) -> PrivacySettings:
        """Sets what is given, for all devices of this user, and returns how all of them stand; nothing given asks."""
        return self._call(
            partial(
                self._facet.change,
                send_read_receipts=send_read_receipts,
                show_read_receipts=show_read_receipts,
                show_last_seen=show_last_seen,
                show_online_status=show_online_status,
                read_receipts_to=read_receipts_to,
                read_receipts_of=read_receipts_of,
                last_seen_to=last_seen_to,
                online_status_to=online_status_to,
                visible=visible,
            )
        )

    def set_exception(
        self,
        eid: str,
        *,
        send_read_receipts: ExceptionValue | None = None,
        show_read_receipts: ExceptionValue | None = None,
        show_last_seen: ExceptionValue | None = None,
        show_online_status: ExceptionValue | None = None,
    ) -> PrivacyException:
        """Sets what holds for one other user in place of the settings, and returns what now does: ALLOWED, DENIED,
        or NONE, by which the settings count again.
        """
        return self._call(
            partial(
                self._facet.set_exception,
                eid,
                send_read_receipts=send_read_receipts,
                show_read_receipts=show_read_receipts,
                show_last_seen=show_last_seen,
                show_online_status=show_online_status,
            )
        )

    def set_visible(self, visible: bool) -> bool:
        """Lets this user be seen, or not, on all their devices, present and future, and returns how that stands,
        since a later word of another device may count.
        """
        return self._call(partial(self._facet.set_visible, visible))


class Push(Blocking[AsyncPush]):
    """The calls of `push`, which block."""

    def offer(self) -> PushOffer:
        """Asks what the server pushes by, and which devices of this user it reaches how."""
        return self._call(
            partial(
                self._facet.offer,
            )
        )

    def subscribe(
        self, platform: str, token: str, *, name: str = "push", p256dh: bytes = b"", auth: bytes = b""
    ) -> PushSubscription:
        """Has this device told by a gateway of the server's what waits for it while it is not connected."""
        return self._call(partial(self._facet.subscribe, platform, token, name=name, p256dh=p256dh, auth=auth))

    def unsubscribe(self, name: str = "push", *, device: str = "") -> None:
        """Has this device told no more, or another one of this user's: one that has no such subscription is as
        before.
        """
        return self._call(partial(self._facet.unsubscribe, name, device=device))


class StateFacet(Blocking[AsyncStateFacet]):
    """The calls of `state`, which block."""

    def read(self, after: int = 0, *, whole: bool = False) -> StatePage:
        """Ask for a page of what changed in this user's state behind a version; 0: for all of it."""
        return self._call(partial(self._facet.read, after, whole=whole))

    def refresh(self) -> None:
        """Read all of this user's state again into the client's copy, and drop from it what is not there."""
        return self._call(
            partial(
                self._facet.refresh,
            )
        )


class OwnDevice(Blocking[AsyncOwnDevice]):
    """The calls of a device about itself, which block."""

    @property
    def identity(self) -> Identity | None:
        """The identity of this device; None before the first connection ever."""
        return self._call(lambda: self._facet.identity)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now: the server has answered this device's Hello."""
        return self._call(lambda: self._facet.connected)

    def wait_connected(self) -> None:
        """Wait until there is a connection."""
        return self._call(
            partial(
                self._facet.wait_connected,
            )
        )

    def ping(self) -> float:
        """Measures the seconds to the server and back."""
        return self._call(
            partial(
                self._facet.ping,
            )
        )

    def refresh_token(self, token: str) -> None:
        """Replace the token of this connection and of the next ones."""
        return self._call(partial(self._facet.refresh_token, token))

    def logout(self, *, forget: bool = False, revoke: bool = False) -> None:
        """Log out."""
        return self._call(partial(self._facet.logout, forget=forget, revoke=revoke))
