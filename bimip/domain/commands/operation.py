"""The command as an operation, and its answer."""

from enum import IntEnum
from typing import NamedTuple

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Stamp, UserId, Version


class CommandKind(IntEnum):
    """Numbers as Command.Kind on the wire."""

    EDIT = 1
    DELETE_FOR_ME = 2
    DELETE_FOR_EVERYONE = 3
    REACT = 4
    UNREACT = 5
    PIN = 7
    ARCHIVE = 8
    MUTE = 9
    FORWARD_MARK = 10
    DRAFT = 11
    MARK_UNREAD = 12


class Command(NamedTuple):
    """A device changes what is there already, once however often it says so."""

    user: UserId
    device: DeviceId
    id: str
    kind: CommandKind
    digest: bytes  # DIGEST_BYTES over all that follows but the stamp: the same id with another one is a conflict
    stamp: Stamp = Stamp(0)  # the client's clock; 0: it has none, and now counts
    target: Stamp = Stamp(0)  # a message
    target_id: str = ""  # or the id under which this device sent it
    conversation: ConversationId | None = None
    payload: bytes = b""
    emoji: str = ""
    value: bool = False
    until: Millis = Millis(0)


class Commanded(NamedTuple):
    """The answer to a command: what it is about, and since which version of the user's state it is so."""

    conversation: ConversationId
    conversation_offset: ConversationOffset
    message: Stamp
    stamp: Stamp  # that counts
    version: Version
    duplicate: bool = False
    superseded: bool = False  # what was there is later, or a deletion: it stays
    told: int = 0  # users who learn of it
