"""The keys with which others encrypt for devices, where none is taken."""

from collections.abc import Sequence
from typing import NamedTuple

from bimip.domain.accounts.keys import KeyOwner, KeysPage, count_one_time, find_keys, keys_of
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.rules import DeviceNames
from bimip.storage.interface import Store


class OwnKeys(NamedTuple):
    left: int  # one-time keys that nobody was given
    last: int  # the highest id of one that was published; 0: the device has no keys


def read_keys(store: Store, viewer: UserId, owners: Sequence[KeyOwner], after: str, policy: DeviceNames) -> KeysPage:
    """Reads the keys of devices, as far as the viewer may encrypt for them."""
    with store.snapshot() as view:
        return find_keys(view, viewer, owners, after, policy)


def read_own_keys(store: Store, user: UserId, device: DeviceId) -> OwnKeys:
    with store.snapshot() as view:
        keys = keys_of(view, user, device)
        return OwnKeys(0, 0) if keys is None else OwnKeys(count_one_time(view, user, device), keys.last)
