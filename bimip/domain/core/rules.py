"""What a decision may ask of the world: the configured rules, the time, and the next stamp."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp
from bimip.settings import FLAG, Raw, Rule, choice, items, setting, text, whole

DeviceNames = Literal["correspondents", "everybody", "nobody"]
"""Who may know the names of a user's devices, besides these themselves."""

PARTITIONS: Final = ("chat", "notification", "feed", "sync")

Encode = Callable[[Sequence[bytes], Sequence[Stamp], Millis, ConversationId, ConversationOffset], list[bytes]]
"""What was sent, each with its stamp, the time, and the conversation with the first one's offset, as the one stored
form: one for each.
"""

EncodeEvent = Callable[[str, str, ConversationId, Any, bytes], bytes]
"""What is stored of an event of a group, before its stamp: the id of the message that tells of it, the eid of who did
it, the group, the event (`conversations/groups.py`), and its digest.
"""


@dataclass(frozen=True, slots=True)
class Bodies:
    """Works on stored messages, whose bytes no rule knows: it comes from outside, from a codec."""

    encode: Encode
    encode_event: EncodeEvent
    encode_call: Callable[[Any, str, bytes], bytes]
    """What is stored of a call that nobody answered, before its stamp: the operation (`awareness/missed_calls.py`), the
    caller's eid, and its digest."""
    locate: Callable[[bytes], tuple[ConversationId, ConversationOffset] | None]
    """Where a stored message stands; None for bytes that are none."""
    nowhere: bytes
    """A stored message that stands nowhere, as large as many are: who may not learn that there is none looks into it
    instead."""
    edit: Callable[[bytes, bytes, Stamp], bytes]
    """A stored message with another payload, and the stamp of the edit."""
    erase: Callable[[bytes], bytes]
    """A stored message without its content."""
    expire: Callable[[bytes, Millis], bytes]
    """A stored message that says when it disappears."""
    orphan: Callable[[bytes], bytes]
    """A stored message without its content, and without whatever tells of its author, who was erased."""
    unname: Callable[[bytes, str, bool], bytes]
    """A stored message in which an erased user is not named any more where the protocol names users; and, of an event
    of a group that nobody is in, without the title."""


def _partitions(value: Raw) -> tuple[str, ...]:
    names = tuple(text(item) for item in items(value))
    if "chat" not in names or len(set(names)) < len(names) or not all(map(_PARTITION.fullmatch, names)):
        raise ValueError
    return names


_PARTITION = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    names: tuple[str, ...] = setting(
        PARTITIONS, Rule(_partitions, 'a list of different names in small letters that contains "chat"')
    )


@dataclass(frozen=True, slots=True)
class UserSettings:
    accept_unknown_recipients: bool = setting(False, FLAG)  # noqa: FBT003 - the default itself
    device_names: DeviceNames = setting("correspondents", choice("correspondents", "everybody", "nobody"))
    max_contacts: int = setting(2_000, whole(1, 100_000))
    """Of one user: whom they asked, were asked by, accepted, blocked or gave a name."""
    max_contact_requests: int = setting(200, whole(1, 100_000))
    """That one user made and wait for an answer; and as many that wait for theirs."""
    max_stored_bytes_per_user: int = setting(0, whole(0, 2**47), section="limits")
    """Of one sender, as long as it is kept; 0: no limit."""


@dataclass(frozen=True, slots=True)
class Rules:
    bodies: Bodies
    window_entries: int
    partitions: frozenset[str] = frozenset(PARTITIONS)
    until_acked: frozenset[str] = frozenset()
    """Partitions whose entries go once all live devices of a user have acknowledged them."""
    longest_ms: Mapping[str, int] = field(default_factory=dict)
    """By partition, how long its entries are kept; absent: for ever."""
    accept_unknown_recipients: bool = False
    max_stored_bytes: int = 0  # of one sender, as long as it is kept; 0: no limit
    max_group_members: int = 500
    edit_seconds: int = 0  # after which a message is not edited any more; 0: for ever, as below
    delete_seconds: int = 0
    max_reactions: int = 16  # of one user to one message
    device_names: DeviceNames = "correspondents"
    max_contacts: int = 2_000  # of one user
    max_contact_requests: int = 200  # of one user that wait for an answer, and as many that wait for theirs
    events: frozenset[int] = frozenset()  # kinds of events that back ends are told of; none: nothing is written of them
    slice_entries: int = 1000  # a longer operation is decided in several batches, so that it holds nobody up

    @classmethod
    def configured(
        cls,
        bodies: Bodies,
        partitions: PartitionSettings,
        users: UserSettings,
        *,
        window_entries: int,
        max_group_members: int,
        edit_seconds: int,
        delete_seconds: int,
        max_reactions: int,
        until_acked: frozenset[str] = frozenset(),
        longest_ms: Mapping[str, int] | None = None,
        events: frozenset[int] = frozenset(),
    ) -> Self:
        return cls(
            bodies,
            window_entries,
            frozenset(partitions.names),
            until_acked,
            longest_ms or {},
            users.accept_unknown_recipients,
            users.max_stored_bytes_per_user,
            max_group_members,
            edit_seconds,
            delete_seconds,
            max_reactions,
            users.device_names,
            users.max_contacts,
            users.max_contact_requests,
            events,
        )


@dataclass(frozen=True, slots=True)
class Context:
    rules: Rules
    now: Millis
    stamp: Callable[[], Stamp]
