"""Items of the state as devices are sent them: of each kind, its value or what is new in it, encoded once for all."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bimip.domain.contacts.access import STANDING_NAMES
from bimip.domain.conversations.membership import ROLE_NAMES
from bimip.domain.core.ids import Version
from bimip.domain.core.records import Contact, ConversationSettings, DamagedRecordError, LocationShare, StateKey
from bimip.domain.state import (
    contacts,
    conversation_settings,
    devices,
    groups,
    intents,
    location_shares,
    messages,
    privacy_exceptions,
    private_reads,
    read_markers,
    receipts,
    settings,
)
from bimip.domain.state.groups import GroupState
from bimip.domain.state.kinds import has_removals
from bimip.domain.state.messages import MessageState
from bimip.names import conversation_id
from bimip.reading.people import Eids
from bimip.reading.state import Change, ChangesPage
from bimip.requests.intents import told_intent
from bimip.requests.location_stream import share_told
from bimip.requests.settings import exception_told, told
from bimip.wire import bimip_pb2 as pb
from bimip.wire import state, stored


def _receipts(eids: Eids, version: Version, key: StateKey, runs: Any) -> bytes:  # noqa: ANN401 - of this kind: Runs
    _, conversation, member, kind, block = receipts.KEY.unpack(key)
    return state.receipts_item(
        version, conversation=conversation_id(conversation), member=eids.of(member), kind=kind, block=block, runs=runs
    )


def _private_reads(eids: Eids, version: Version, key: StateKey, runs: Any) -> bytes:  # noqa: ANN401 - of this kind: Runs
    conversation, member, kind, block = receipts.unpack_key(key)
    return state.receipts_item(
        version,
        conversation=conversation_id(conversation),
        member=eids.of(member),
        kind=kind,
        block=block,
        runs=runs,
        field=state.PRIVATE_RECEIPTS,
    )


def _settings(_eids: Eids, version: Version, _key: StateKey, known: Any) -> bytes:  # noqa: ANN401 - PrivacySettings
    return state.settings_item(version, told(known, version))


def _exception(eids: Eids, version: Version, key: StateKey, known: Any) -> bytes:  # noqa: ANN401 - a PrivacyException
    told = exception_told(eids.of(privacy_exceptions.unpack_key(key)), known, version)
    return state.exception_item(version, told, removed=known is None)


def _intent(_eids: Eids, version: Version, _key: StateKey, intent: Any) -> bytes:  # noqa: ANN401 - an Intent
    return state.intent_item(version, told_intent(intent, version))


def _read_marker(_eids: Eids, version: Version, key: StateKey, upto: Any) -> bytes:  # noqa: ANN401 - an offset
    return state.read_marker_item(version, conversation_id(read_markers.unpack_key(key)), upto)


def _message(eids: Eids, version: Version, key: StateKey, value: MessageState | None) -> bytes:
    conversation, place = messages.unpack_key(key)
    item = pb.MessageState(conversation=conversation_id(conversation), conversation_offset=place)
    if value is None:
        return state.message_item(version, item, removed=True)
    record, own = value.record, value.own
    became = pb.MessageState(
        signal_offset=record.message,
        deleted=bool(record.deleted),
        stamp=0 if record.deleted else record.edited,
        pinned=own.pinned,
        pinned_stamp=own.pinned_at,
        hidden=own.hidden,
        forwards=record.forwards,
    )
    item.MergeFrom(became)
    if value.body is not None:
        item.payload = stored.parse(value.body).payload
    for user, reactions in value.reactions:
        eid = eids.of(user)
        for emoji, stamp, _, removed, _ in reactions:
            item.reactions.add(eid=eid, emoji=emoji, stamp=stamp, removed=removed)
    return state.message_item(version, item)


def _conversation_settings(_eids: Eids, version: Version, key: StateKey, value: ConversationSettings) -> bytes:
    item = pb.Conversation(
        id=conversation_id(conversation_settings.unpack_key(key)),
        archived=value.archived.value,
        pinned=value.pinned.value,
        marked_unread=value.unread.value,
        muted_until=value.muted_until.value,
        draft=value.draft.value,
        stamp=max(one.stamp for one in value),
        version=version,
    )
    return state.conversation_item(version, item)


def _device(_eids: Eids, version: Version, key: StateKey, value: Any) -> bytes:  # noqa: ANN401 - a DeviceValue, or None
    return state.device_item(version, devices.unpack_key(key), value)


def _group(eids: Eids, version: Version, key: StateKey, group: GroupState | None) -> bytes:
    conversation = conversation_id(groups.unpack_key(key))
    if group is None:
        return state.removed_group_item(version, conversation)
    return state.group_item(
        version,
        conversation,
        title=group.title,
        role=ROLE_NAMES[group.role],
        count=group.size,
        since=group.since,
        changed=group.changed,
        members=[(eids.of(user), ROLE_NAMES[role]) for user, role in group.members],
    )


def _contact(eids: Eids, version: Version, key: StateKey, contact: Contact | None) -> bytes:
    eid = eids.of(contacts.unpack_key(key))
    if contact is None:
        return state.contact_item(version, pb.Contact(eid=eid), removed=True)
    return state.contact_item(version, contact_told(eid, contact, version))


def contact_told(eid: str, contact: Contact, version: Version) -> pb.Contact:
    """Makes what a user's devices are told of a contact."""
    return pb.Contact(
        eid=eid,
        name=contact.name.value,
        stamp=contact.name.stamp,
        mutual=contact.is_mutual,
        state=STANDING_NAMES[contact.standing],
        id=contact.request,
        sees_you=contact.grants,
        seen=contact.granted,
        blocked=contact.blocked,
        version=version,
        time=contact.since,
    )


def _location_share(eids: Eids, version: Version, key: StateKey, share: LocationShare | None) -> bytes:
    return state.location_share_item(version, share_told(eids, location_shares.unpack_key(key), share, version))


ENCODE: dict[int, Callable[[Eids, Version, StateKey, Any], bytes]] = {
    receipts.TAG: _receipts,
    read_markers.TAG: _read_marker,
    devices.TAG: _device,
    groups.TAG: _group,
    location_shares.TAG: _location_share,
    contacts.TAG: _contact,
    settings.TAG: _settings,
    privacy_exceptions.TAG: _exception,
    intents.TAG: _intent,
    private_reads.TAG: _private_reads,
    messages.TAG: _message,
    conversation_settings.TAG: _conversation_settings,
}
"""By the tag of their keys: makes an element of StateDelta.items. Raises DamagedRecordError where it cannot be read
whose it is."""

PAGE_BYTES = 384 * 1024
"""Of one page of the state: it shares a frame with other things."""


class EncodedPage(NamedTuple):
    items: list[bytes]  # elements of StateDelta.items
    upto: Version
    complete: bool  # it reaches the head


def encode_page(eids: Eids, page: ChangesPage, *, whole: bool, most_bytes: int = PAGE_BYTES) -> EncodedPage:
    """Encodes changes in their order, up to the first that there is no room for; one there always is.

    What cannot be read, itself or whose it is, is left out, and the others go on. `whole`: they are of a whole state,
    of which what was removed is no part.
    """
    items: list[bytes] = []
    upto = Version(0)
    for change in page.changes:
        item = _encoded(eids, change, whole=whole)
        if item is not None:
            most_bytes -= len(item)
            if items and most_bytes < 0:
                return EncodedPage(items, upto, complete=False)
            items.append(item)
        upto = change[0]
    return EncodedPage(items, page.upto, page.complete)


def _encoded(eids: Eids, change: Change, *, whole: bool) -> bytes | None:
    version, key, value = change
    if not value and (whole or not has_removals(key)):
        return None
    try:
        return ENCODE[key[0]](eids, version, key, value)
    except DamagedRecordError:
        return None
