"""Keys: whose keys are trusted where messages are encrypted (`open_client(encryption=True)`), and the directory of the
keys with which others encrypt for a device.

    left = await client.keys.count()
    print("one-time keys that nobody was given:", left.one_time)
    for device in await client.keys.query([("bob@example.org", "")]):
        print("Bob has", device.name, "with the key", device.identity.hex())
    for device in await client.keys.claim([("bob@example.org", "phone")]):
        print("a fallback key" if device.is_fallback else "a one-time key", "of", device.name)
    await client.keys.withdraw()

Events: UndecryptableMessage, IdentityChanged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bimip.client.arguments import checked_text
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.public_keys import PreKey, PublicKeys, fingerprint
from bimip.client.wire.bimip import DeviceKeys, Identity, Keys, KeysAction
from bimip.client.wire.bimip import PreKey as WirePreKey

if TYPE_CHECKING:
    from bimip.client.encryption.encryption import Encryption

AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The key of another device that is trusted."""

    fingerprint: str
    verified: bool  # somebody compared the fingerprint, and said so
    changed: str  # of another key that was seen since, which is not trusted; empty: none


@dataclass(frozen=True, slots=True)
class KeysLeft:
    """Counts what the directory has of this device."""

    one_time: int  # one-time keys that nobody was given
    last_id: int  # the highest id that was published; 0: this device has no keys there


class KeysFacet(Facet):
    """`client.keys`: each method raises Refused, TimedOut, NotConnected, and InvalidArgument for what are no keys."""

    @property
    def fingerprint(self) -> str:
        """Tells this device's key, as people compare it. Raises InvalidArgument where the client does not encrypt."""
        return fingerprint(self._encryption().identity)

    def known(self, eid: str) -> dict[str, KnownKey]:
        """Returns the devices of a user whose keys this device knows, by name. Raises as `fingerprint` does."""
        known = self._encryption().known(checked_text("eid", eid))
        return {
            name: KnownKey(fingerprint(peer.identity), peer.verified, fingerprint(peer.changed) if peer.changed else "")
            for name, peer in known.items()
        }

    def verify(self, eid: str, device: str) -> bool:
        """Note that people compared the fingerprint of a device. False: its key is not known, or another one waits.

        Raises as `fingerprint` does.
        """
        return self._encryption().verify(checked_text("eid", eid), checked_text("device", device))

    def accept(self, eid: str, device: str) -> bool:
        """Trust the other key of a device, of which IdentityChanged told. What it wrote comes as ReadAgain events.

        False: there is none. Raises as `fingerprint` does.
        """
        accepted = self._encryption().accept(checked_text("eid", eid), checked_text("device", device))
        self._device.changed.notify_all()
        return accepted

    def _encryption(self) -> "Encryption":
        if self._device.encryption is None:
            raise InvalidArgument("this client encrypts nothing: open it with encryption=True")
        return self._device.encryption

    async def count(self) -> KeysLeft:
        """Asks how many one-time keys of this device are left. Cancelling it drops the answer."""
        return _left(await self._connector.request(Keys(), Keys))

    async def publish(
        self,
        identity: bytes,
        signing: bytes,
        signature: bytes,
        fallback: PreKey,
        one_time: Sequence[PreKey] = (),
    ) -> KeysLeft:
        """Gives this device's keys; one-time keys with an id up to `last_id` are known and passed over.

        Another `identity` makes this device another one to those who encrypt. Raises Refused (CONFLICT: there would be
        more than 100 one-time keys). Cancelled, it may have been done or not: do it again with the same keys.
        """
        keys = DeviceKeys(identity=identity, signing=signing, signature=signature, fallback=_wire(fallback))
        asked = Keys(action=KeysAction.PUBLISH, keys=keys, one_time=[_wire(key) for key in one_time])
        return _left(await self._connector.request(asked, Keys))

    async def query(self, of: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        """Asks for the keys of devices, by (eid, device), or of all of a user's, by (eid, ""), and takes none.

        Who is not there, or is not for this user to encrypt for, is left out, as are devices without keys. Cancelling
        it drops the answer.
        """
        return await self._ask(KeysAction.QUERY, of)

    async def claim(self, of: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        """Asks as `query` does, and takes one key of each device, which nobody else is given, or its fallback key.

        Cancelling it may lose the keys.
        """
        return await self._ask(KeysAction.CLAIM, of)

    async def withdraw(self) -> None:
        """Takes this device's keys out of the directory. Cancelled, they may be there still."""
        await self._connector.request(Keys(action=KeysAction.WITHDRAW), Keys)

    async def _ask(self, action: KeysAction, of: Iterable[tuple[str, str]]) -> list[PublicKeys]:
        left = [
            Identity(eid=checked_text("eid", eid), connection_resource_id=checked_text("device", device) or None)
            for eid, device in dict.fromkeys(of)
        ]
        found: list[PublicKeys] = []
        after = ""
        while left:
            asked = Keys(action=action, of=left[:AT_ONCE], after=after)
            told = await self._connector.request(asked, Keys)
            found += map(_keys, told.devices)
            left, after = [*told.of, *left[AT_ONCE:]], told.after
        return found


def _wire(key: PreKey) -> WirePreKey:
    if not isinstance(key, PreKey):
        raise InvalidArgument(f"a PreKey is expected, not {key!r}")
    return WirePreKey(id=key.id, key=key.key, signature=key.signature)


def _keys(told: DeviceKeys) -> PublicKeys:
    device = told.device or Identity()
    claimed = None if told.claimed is None else PreKey(told.claimed.id, told.claimed.key, told.claimed.signature)
    return PublicKeys(
        device.eid,
        device.connection_resource_id or "",
        told.identity,
        told.signing,
        told.signature,
        claimed,
        told.is_fallback,
    )


def _left(told: Keys) -> KeysLeft:
    return KeysLeft(told.one_time_left, told.last_id)
