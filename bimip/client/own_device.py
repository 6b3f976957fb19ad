"""This device itself: who it is, whether it is connected, and by what right."""

from bimip.client.arguments import checked_text
from bimip.client.events import Identity
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Logout, PingPong, PingPongKind, TokenAuthority, TokenAuthorityAction


class OwnDevice(Facet):
    """The part of a client that is asked about itself: who it is, whether it is connected, by what token."""

    @property
    def identity(self) -> Identity | None:
        """The identity of this device; None before the first connection ever."""
        return self._device.inbox.identity

    @property
    def connected(self) -> bool:
        """Whether there is a connection now: the server has answered this device's Hello."""
        return self._connector.connected

    async def wait_connected(self) -> None:
        """Wait until there is a connection. Raises what stopped the client. Cancelling it changes nothing."""
        await self._connector.wait_connected()

    async def ping(self) -> float:
        """Measures the seconds to the server and back.

        Raises TimedOut, NotConnected. Cancelling it drops the answer.
        """
        begun = self._environment.clock()
        await self._connector.request(PingPong(kind=PingPongKind.PING, timestamp=self._environment.now()), PingPong)
        return self._environment.clock() - begun

    async def refresh_token(self, token: str) -> None:
        """Replace the token of this connection and of the next ones.

        Raises Refused if it is not accepted, TimedOut, NotConnected, and InvalidArgument for what is no token.
        Cancelled, this connection may have it already; the next ones have the one before.
        """
        token = checked_text("token", token).strip()
        await self._connector.request(TokenAuthority(action=TokenAuthorityAction.REFRESH, token=token), TokenAuthority)
        self._connector.replace_token(token)

    async def logout(self, *, forget: bool = False, revoke: bool = False) -> None:
        """Log out. The client is finished then.

        With `forget` the server also drops this device and its positions; with `revoke` its token counts no more.
        Raises Refused, TimedOut, NotConnected: then the client goes on. Cancelled, it may have been logged out or not.
        """
        with self._connector.logging_out():
            await self._connector.request(Logout(forget=forget, revoke=revoke), Logout)
