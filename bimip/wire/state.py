"""Pages of shadow state, from items that are encoded once for all devices of a user."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import wrap
from bimip.wire.varint import read_varint, varint

_ITEM = b"\x2a"  # StateDelta.items
_STATE = b"\x42"  # Body.states
_DELTA = b"\x08\x10\x82\x01"  # route 16, tag of MessageScheme.state_delta

RECEIPTS = b"\x1a"  # StateItem.receipts
PRIVATE_RECEIPTS = b"\x8a\x01"  # StateItem.private_receipts


def receipts_item(
    version: int,
    *,
    conversation: str,
    member: str,
    kind: int,
    block: int,
    runs: Iterable[tuple[int, int, int]],
    field: bytes = RECEIPTS,
) -> bytes:
    """An element of StateDelta.items. Runs are (from, to, time in ms)."""
    parts = [_block(conversation, member, kind, block)]
    for first, last, time in runs:
        run = b"\x08" + varint(first) + b"\x10" + varint(last) + b"\x18" + _time(time)
        parts.append(b"\x2a" + varint(len(run)) + run)
    receipts = b"".join(parts)
    item = b"\x08" + varint(version) + field + varint(len(receipts)) + receipts
    return _ITEM + varint(len(item)) + item


def read_marker_item(version: int, conversation: str, conversation_offset: int) -> bytes:
    """An element of StateDelta.items."""
    marker = pb.ReadMarker(conversation=conversation, conversation_offset=conversation_offset)
    return _item(pb.StateItem(version=version, read_marker=marker))


def message_item(version: int, message: pb.MessageState, *, removed: bool = False) -> bytes:
    """An element of StateDelta.items."""
    return _item(pb.StateItem(version=version, removed=removed, message=message))


def conversation_item(version: int, conversation: pb.Conversation) -> bytes:
    """An element of StateDelta.items."""
    return _item(pb.StateItem(version=version, conversation=conversation))


def _item(item: pb.StateItem) -> bytes:
    encoded = item.SerializeToString()
    return _ITEM + varint(len(encoded)) + encoded


def device_item(version: int, name: str, value: tuple[int, int, str] | None) -> bytes:
    """An element of StateDelta.items. The value is when it came, and its label with the stamp of that; None: it is
    gone.
    """
    created, stamp, label = value or (0, 0, "")
    device = pb.DeviceState(name=name, created=created, label=label, stamp=stamp)
    item = pb.StateItem(version=version, removed=value is None, device=device).SerializeToString()
    return _ITEM + varint(len(item)) + item


def group_item(
    version: int,
    conversation: str,
    *,
    title: str,
    role: str,
    count: int,
    since: int,
    changed: int,
    members: Iterable[tuple[str, str]],
) -> bytes:
    """An element of StateDelta.items. Members are (eid, role)."""
    group = pb.Conversation(id=conversation, title=title, role=role, member_count=count, history_from=since)
    group.conversation_offset = changed
    for eid, their_role in members:
        group.members.add(eid=eid, role=their_role)
    return _item(pb.StateItem(version=version, group=group))


def removed_group_item(version: int, conversation: str) -> bytes:
    """An element of StateDelta.items: the user is no member of the group any more."""
    return _item(pb.StateItem(version=version, removed=True, group=pb.Conversation(id=conversation)))


def contact_item(version: int, contact: pb.Contact, *, removed: bool = False) -> bytes:
    """An element of StateDelta.items."""
    return _item(pb.StateItem(version=version, removed=removed, contact=contact))


def location_share_item(version: int, share: pb.LocationStream) -> bytes:
    """An element of StateDelta.items. A share that is not `enabled` is gone."""
    return _item(pb.StateItem(version=version, removed=not share.enabled, location_share=share))


def intent_item(version: int, intent: pb.Awareness) -> bytes:
    """An element of StateDelta.items."""
    return _item(pb.StateItem(version=version, intent=intent))


def settings_item(version: int, settings: pb.Settings) -> bytes:
    """An element of StateDelta.items."""
    item = pb.StateItem(version=version, settings=settings).SerializeToString()
    return _ITEM + varint(len(item)) + item


def exception_item(version: int, exception: pb.PrivacyException, *, removed: bool) -> bytes:
    """An element of StateDelta.items."""
    return _item(pb.StateItem(version=version, removed=removed, privacy_exception=exception))


@lru_cache(maxsize=256)
def _block(conversation: str, member: str, kind: int, block: int) -> bytes:
    """The fields of Receipts that say whose they are: the same for all acks within a block."""
    whose = pb.Receipts(conversation=conversation, member=member, block=block)
    whose.kind = kind  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return whose.SerializeToString()


_time = lru_cache(maxsize=16)(varint)
"""Encoded: all of a batch have one."""


def delta_part(after: int, upto: int, items: Sequence[bytes], *, reset: bool = False, complete: bool = False) -> bytes:
    """An element of Body.states: all that changed in (after, upto]."""
    head = b"\x08" + varint(after) + b"\x10" + varint(upto)
    head += (b"\x18\x01" if reset else b"") + (b"\x20\x01" if complete else b"")
    return b"".join((_STATE, varint(len(head) + sum(map(len, items))), head, *items))


def delta_frame(part: bytes, ref: int) -> bytes:
    """The whole frame of a StateDelta that stands alone, of what `delta_part` made."""
    return wrap(_DELTA, part[read_varint(part, 1)[1] :], ref)
