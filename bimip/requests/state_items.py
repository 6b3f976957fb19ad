"""Items of the state as devices are sent them: of each kind, its value or what is new in it, encoded once for all."""

from collections.abc import Callable
from typing import Any

from bimip.domain.conversations.membership import ROLE_NAMES
from bimip.domain.core.ids import Version
from bimip.domain.core.records import StateKey
from bimip.domain.state import devices, groups, private_reads, read_markers, receipts, settings
from bimip.names import conversation_id
from bimip.reading.people import Eids
from bimip.requests.settings import told
from bimip.wire import state


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


def _read_marker(_eids: Eids, version: Version, key: StateKey, upto: Any) -> bytes:  # noqa: ANN401 - an offset
    return state.read_marker_item(version, conversation_id(read_markers.unpack_key(key)), upto)


def _device(_eids: Eids, version: Version, key: StateKey, value: Any) -> bytes:  # noqa: ANN401 - a DeviceValue, or None
    return state.device_item(version, devices.unpack_key(key), value)


def _group(eids: Eids, version: Version, key: StateKey, group: Any) -> bytes:  # noqa: ANN401 - a GroupState
    return state.group_item(
        version,
        conversation_id(groups.unpack_key(key)),
        title=group.title,
        role=ROLE_NAMES[group.role],
        count=group.size,
        since=group.since,
        members=[(eids.of(user), ROLE_NAMES[role]) for user, role in group.members],
    )


ENCODE: dict[int, Callable[[Eids, Version, StateKey, Any], bytes]] = {
    receipts.TAG: _receipts,
    read_markers.TAG: _read_marker,
    devices.TAG: _device,
    groups.TAG: _group,
    settings.TAG: _settings,
    private_reads.TAG: _private_reads,
}
"""By the tag of their keys: makes an element of StateDelta.items. Raises DamagedRecordError where it cannot be read
whose it is."""
