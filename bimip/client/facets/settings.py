"""What others may know of this user."""

from typing import Any

import anyio.lowlevel

from bimip.client.core.kinds.settings import settings_known, settings_told
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Settings, StateItem
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.state.settings import PrivacySettings


class PrivacyFacet(Facet):
    _last_stamp = Stamp(0)

    @property
    def settings(self) -> PrivacySettings:
        """The user's settings as this device knows them, also without a connection. SettingsChanged tells of others."""
        return settings_known(self._device.store)

    async def change_settings(
        self,
        *,
        send_read_receipts: bool | None = None,
        show_read_receipts: bool | None = None,
        show_last_seen: bool | None = None,
        show_online_status: bool | None = None,
    ) -> PrivacySettings:
        """Sets what is given, for all devices of this user, and returns how all of them stand; nothing given asks.

        The last write of each setting counts, by this device's clock. Raises Refused, TimedOut, NotConnected, and
        InvalidArgument for what is neither True nor False. Cancelled, it may have been set or not.
        """
        given: dict[str, Any] = {
            "send_read_receipts": send_read_receipts,
            "show_read_receipts": show_read_receipts,
            "show_last_seen": show_last_seen,
            "show_online_status": show_online_status,
        }
        for name, value in given.items():
            if value is not None and not isinstance(value, bool):
                raise InvalidArgument(f"{name} is True or False, not {value!r}")
        await anyio.lowlevel.checkpoint()
        self._last_stamp = next_stamp(self._last_stamp, Millis(self._environment.now()), 0)
        told = await self._connector.request(Settings(**given, stamp=self._last_stamp), Settings)
        self._device.take_state([StateItem(settings=told)])
        return settings_told(told)
