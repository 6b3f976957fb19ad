"""Presence: who is there, how this user is, and what people are doing in a conversation at this moment.

    from bimip.client import Status

    await client.presence.set_intent(Status.DND)
    print("now", client.presence.intent.status.name)
    await client.presence.say_typing("bob@example.org", seconds=5)
    bob = await client.presence.ask("bob@example.org")
    print("Bob is", bob.status.name)
    await client.presence.go_online(inactive=True)  # nobody looks at this device

Events: PresenceChanged, IntentChanged, ActivityChanged, Resumed.
"""

import anyio.lowlevel

from bimip.client.arguments import checked_number, checked_text, checked_ttl
from bimip.client.core.kinds.intents import intent_known, intent_told, stamp_known
from bimip.client.core.presence import NOT_THERE, presence_told
from bimip.client.errors import InvalidArgument, NotConnected
from bimip.client.events import KnownIntent, KnownPresence
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Awareness, AwarenessStatus, Identity, StateItem
from bimip.domain.awareness.activities import MAX_TTL_MS, Doing
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Status


class PresenceFacet(Facet):
    """Others come and go as PresenceChanged, and type as ActivityChanged. Of what others do, and of opening a
    conversation, nothing waits for an answer: what the server refuses is told by a ServerError. Of these each raises
    NotConnected, and InvalidArgument for what is no name or no time; cancelled, nothing was said.
    """

    _last_said = Stamp(0)

    def known(self) -> dict[str, KnownPresence]:
        """Returns by eid how those contacts are that this user is let see, and, while several of their devices are
        connected, this user, as this device was told last since it was opened. Who is not in it is OFFLINE.
        """
        return self._device.presence.known()

    @property
    def intent(self) -> KnownIntent:
        """The user's own word on how they are, for all devices, as this one knows it, also without a connection: AWAY,
        BUSY or DND; ONLINE: nothing. IntentChanged tells of others.
        """
        return intent_known(self._device.store, self._environment.now())

    async def ask(self, eid: str) -> KnownPresence:
        """Asks how a user is. Who lets nobody, or not this user, see them is OFFLINE, as one who does not exist.

        Raises Refused, TimedOut, NotConnected, and InvalidArgument for what is no name. Cancelling it drops the answer.
        """
        told = await self._connector.request(Awareness(to=Identity(eid=checked_text("eid", eid))), Awareness)
        return presence_told(told) or NOT_THERE

    async def set_intent(self, status: Status, *, until: int = 0) -> KnownIntent:
        """Say how this user is, on all devices, until another is said, or until a time in milliseconds since 1970:
        AWAY, BUSY, DND, or ONLINE, which takes back what was said and says that somebody is at this device. Returns
        what stands: a later word of another device does.

        Raises Refused, TimedOut, NotConnected, and InvalidArgument for another status and for what is no time.
        Cancelled, it may have been said or not.
        """
        await anyio.lowlevel.checkpoint()
        if status not in set(Status) - {Status.OFFLINE}:
            raise InvalidArgument(f"status is AWAY, BUSY, DND or ONLINE, not {status!r}")
        checked_number("until", until, least=0)
        if until and status is Status.ONLINE:
            raise InvalidArgument("until is for AWAY, BUSY and DND")
        if status is Status.ONLINE:
            self._device.focus = None
        newest = Stamp(max(self._last_said, stamp_known(self._device.store)))
        self._last_said = next_stamp(newest, Millis(self._environment.now()), 0)
        said = Awareness(status=AwarenessStatus(status), until=until, stamp=self._last_said)
        told = await self._connector.request(said, Awareness)
        self._device.take_state([StateItem(intent=told)])
        return intent_told(told)

    async def go_online(self, *, inactive: bool = False) -> None:
        """Say that this device is there, and whether somebody looks at it: with `inactive` nobody does, and it is told
        of others now and then. Where all devices of a user are inactive, the user is AWAY. What they said of themselves
        stands. It holds on later connections too.

        Raises Refused, TimedOut, NotConnected. Cancelled or failed, it is said on the next connection.
        """
        said = Awareness(status=AwarenessStatus.ONLINE, inactive=inactive, keep_intent=True)
        await self._be_there(said, is_default=not inactive)

    async def go_offline(self) -> None:
        """Say that this device does not count as being there, though messages come, until `go_online`. It holds on
        later connections too, of each of which others may see the beginning. Raises and is cancelled as `go_online` is.
        """
        await self._be_there(Awareness(status=AwarenessStatus.OFFLINE), is_default=False)

    async def _be_there(self, said: Awareness, *, is_default: bool) -> None:
        await anyio.lowlevel.checkpoint()
        self._device.focus = None if is_default else said
        await self._connector.request(said, Awareness)

    async def say_typing(self, to: str, *, seconds: float | None = None) -> None:
        """Show the others in a conversation, or a user, that this user is typing: for so many seconds, 60 at most, or
        for ten. Say it again every few seconds while it goes on; a message ends it. `to` is as in `messages.send`.
        """
        await self._do(to, Doing.TYPING, seconds)

    async def say_recording(self, to: str, *, seconds: float | None = None) -> None:
        """Show that this user is recording, as `say_typing` shows that they are typing."""
        await self._do(to, Doing.RECORDING, seconds)

    async def say_paused(self, to: str, *, seconds: float | None = None) -> None:
        """Show that this user paused, as `say_typing` shows that they are typing."""
        await self._do(to, Doing.PAUSED, seconds)

    async def say_cancelled(self, to: str) -> None:
        """Show that this user does nothing more of it."""
        await self._do(to, Doing.CANCELLED)

    async def resume(self, to: str) -> None:
        """Have what is pending of a conversation come first: its messages are the next events, each once, and behind
        them Resumed. The others in it are shown that this user opened it.

        What the server refuses is told by a ServerError whose `id` is `to`. If the connection ends before Resumed
        comes, it does not come: what is left then comes in turn.
        """
        await self._do(to, Doing.RESUME)

    async def _do(self, to: str, doing: Doing, seconds: float | None = None) -> None:
        checked_text("to", to)
        ttl_ms = 0 if seconds is None else min(checked_ttl(seconds, "seconds"), MAX_TTL_MS)
        await anyio.lowlevel.checkpoint()
        if not self._connector.connected:
            raise NotConnected("nobody is shown what this user does without a connection")
        self._device.say_activity(to, doing, ttl_ms)
