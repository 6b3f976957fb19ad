"""Settings: what others may know of this user.

    from bimip.client import Audience, ExceptionValue

    await client.settings.change(last_seen_to=Audience.CONTACTS, send_read_receipts=False)
    await client.settings.set_exception("bob@example.org", show_last_seen=ExceptionValue.DENIED)
    print("last seen is for", client.settings.privacy.last_seen_to.name)
    for eid, exception in client.settings.exceptions.items():
        print("but for", eid, exception.show_last_seen.name)

Events: SettingsChanged, PrivacyExceptionChanged.
"""

from collections.abc import Mapping
from typing import Any

import anyio.lowlevel

from bimip.client.core.kinds.settings import exception_told, exceptions_known, settings_known, settings_told
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire import bimip as pb
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.state.privacy_exceptions import ExceptionValue, PrivacyException
from bimip.domain.state.settings import Audience, PrivacySettings

TOLD = {
    Audience.EVERYBODY: pb.Audience.EVERYBODY,
    Audience.CONTACTS: pb.Audience.CONTACTS,
    Audience.NOBODY: pb.Audience.NOBODY,
}


class SettingsFacet(Facet):
    """`client.settings`: the user's, for all of their devices. What is written is stamped by this device's clock."""

    _last_stamp = Stamp(0)

    @property
    def privacy(self) -> PrivacySettings:
        """The user's settings as this device knows them, also without a connection. SettingsChanged tells of others."""
        return settings_known(self._device.store)

    @property
    def exceptions(self) -> dict[str, PrivacyException]:
        """The exceptions to the settings, by the eid of whom they are for, as this device knows them, also without a
        connection. PrivacyExceptionChanged tells of others.
        """
        return exceptions_known(self._device.store)

    async def change(
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
        """Sets what is given, for all devices of this user, and returns how all of them stand; nothing given asks.

        A switch is short for its audience: True is EVERYBODY, False is NOBODY. The last write of each setting counts,
        by this device's clock. Raises Refused (also where a switch and its audience contradict each other), TimedOut,
        NotConnected, and InvalidArgument for what is no value of a setting. Cancelled, it may have been set or not.
        """
        switches: dict[str, Any] = {
            "send_read_receipts": send_read_receipts,
            "show_read_receipts": show_read_receipts,
            "show_last_seen": show_last_seen,
            "show_online_status": show_online_status,
            "visible": visible,
        }
        audiences: dict[str, Any] = {
            "read_receipts_to": read_receipts_to,
            "read_receipts_of": read_receipts_of,
            "last_seen_to": last_seen_to,
            "online_status_to": online_status_to,
        }
        for name, value in switches.items():
            if value is not None and not isinstance(value, bool):
                raise InvalidArgument(f"{name} is True or False, not {value!r}")
        for name, value in audiences.items():
            if value is not None and not isinstance(value, Audience):
                raise InvalidArgument(f"{name} is an Audience, not {value!r}")
        given: dict[str, Any] = {name: TOLD[value] for name, value in audiences.items() if value is not None}
        return settings_told(await self._ask(pb.Settings(**switches, **given)))

    async def set_exception(
        self,
        eid: str,
        *,
        send_read_receipts: ExceptionValue | None = None,
        show_read_receipts: ExceptionValue | None = None,
        show_last_seen: ExceptionValue | None = None,
        show_online_status: ExceptionValue | None = None,
    ) -> PrivacyException:
        """Sets what holds for one other user in place of the settings, and returns what now does: ALLOWED, DENIED, or
        NONE, by which the settings count again. What is not given stays as it is; at least one is.

        Raises Refused (NOT_FOUND: there is no such user), TimedOut, NotConnected, and InvalidArgument. Cancelled, it
        may have been set or not.
        """
        given: Mapping[str, Any] = {
            "send_read_receipts": send_read_receipts,
            "show_read_receipts": show_read_receipts,
            "show_last_seen": show_last_seen,
            "show_online_status": show_online_status,
        }
        values = {name: value for name, value in given.items() if value is not None}
        for name, value in values.items():
            if not isinstance(value, ExceptionValue):
                raise InvalidArgument(f"{name} is an ExceptionValue, not {value!r}")
        if not values:
            raise InvalidArgument("say of a setting what is to hold for them")
        numbers = {name: pb.PrivacyExceptionException(int(value)) for name, value in values.items()}
        told = await self._ask(pb.Settings(exceptions=[pb.PrivacyException(eid=eid, **numbers)]))
        return exception_told(told.exceptions[0]) if told.exceptions else PrivacyException()

    async def set_visible(self, visible: bool) -> bool:  # noqa: FBT001 - it is what is set
        """Lets this user be seen, or not, on all their devices, present and future, and returns how that stands, since
        a later word of another device may count. While they are not, nobody else learns whether they are there, when
        they were, what they do, or where they are.

        Raises Refused, TimedOut, NotConnected, and InvalidArgument. Cancelled, it may have been set or not.
        """
        if not isinstance(visible, bool):
            raise InvalidArgument(f"visible is True or False, not {visible!r}")
        await anyio.lowlevel.checkpoint()
        asked = pb.AwarenessVisibility(visible=visible, stamp=self._stamp())
        told = await self._connector.request(asked, pb.AwarenessVisibility)
        return told.visible

    async def _ask(self, asked: pb.Settings) -> pb.Settings:
        await anyio.lowlevel.checkpoint()
        asked.stamp = self._stamp()
        told = await self._connector.request(asked, pb.Settings)
        excepted = [pb.StateItem(privacy_exception=one, removed=exception_told(one).is_none) for one in told.exceptions]
        self._device.take_state([pb.StateItem(settings=told), *excepted])
        return told

    def _stamp(self) -> Stamp:
        self._last_stamp = next_stamp(self._last_stamp, Millis(self._environment.now()), 0)
        return self._last_stamp
