"""The client as programs without an event loop see it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import partial, wraps
from typing import ParamSpec

from anyio.from_thread import start_blocking_portal

from bimip.client import client as asynchronous
from bimip.client.blocking import facets
from bimip.client.blocking.calls import Loop
from bimip.client.event_stream import EventStream
from bimip.client.events import Event

P = ParamSpec("P")


class Client(facets.OwnDevice):
    """A device of a user, made by `open_client`: the stream of its events, and what it can do, by noun."""

    def __init__(self, client: asynchronous.Client, loop: Loop) -> None:
        super().__init__(client, loop)
        self._loop = loop
        self._events: EventStream = client
        self.messages = facets.Messages(client.messages, loop)
        self.conversations = facets.Conversations(client.conversations, loop)
        self.history = facets.History(client.history, loop)
        self.feeds = facets.Feeds(client.feeds, loop)
        self.groups = facets.Groups(client.groups, loop)
        self.contacts = facets.Contacts(client.contacts, loop)
        self.presence = facets.PresenceFacet(client.presence, loop)
        self.calls = facets.Calls(client.calls, loop)
        self.locations = facets.Locations(client.locations, loop)
        self.devices = facets.Devices(client.devices, loop)
        self.settings = facets.SettingsFacet(client.settings, loop)
        self.notes = facets.Notes(client.notes, loop)
        self.keys = facets.KeysFacet(client.keys, loop)
        self.push = facets.Push(client.push, loop)
        self.state = facets.StateFacet(client.state, loop)

    @property
    def patience(self) -> float | None:
        """How many seconds a call may take before it raises TimedOut; None: as long as it takes.

        What it asked for may happen all the same, as when a method of the other client is cancelled.
        """
        return self._loop.patience

    @patience.setter
    def patience(self, seconds: float | None) -> None:
        self._loop.patience = seconds

    def __iter__(self) -> "Client":
        return self

    def __next__(self) -> Event:
        """Waits for the next event, however long; asking for it says that the last one is done, and acknowledges it."""
        event = self.next_event()
        if event is None:
            raise StopIteration
        return event

    def next_event(self, wait: float | None = None) -> Event | None:
        """Waits for the next event, for so many seconds at most; None: none came, or the client has left."""
        return self._loop.within(lambda: anext(self._events, None), wait)

    def acknowledge(self, partition: str, offsets: Sequence[int]) -> None:
        """Acknowledges messages received by other means, such as `history.fetch`: they will not come as events."""
        self._loop.call(partial(self._events.acknowledge, partition, offsets))


def _blocking(
    open_asynchronous: Callable[P, AbstractAsyncContextManager[asynchronous.Client]],
) -> Callable[P, AbstractContextManager[Client]]:
    @wraps(open_asynchronous)
    @contextmanager
    def opened(*args: P.args, **options: P.kwargs) -> Iterator[Client]:
        with (
            start_blocking_portal("asyncio") as portal,
            portal.wrap_async_context_manager(open_asynchronous(*args, **options)) as client,
        ):
            yield Client(client, Loop(portal))

    return opened


open_client = _blocking(asynchronous.open_client)
