"""The client as programs see it. The map of the package is in its `__init__`."""

import random as random_module
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import anyio

from bimip import __version__
from bimip.client.backoff import Backoff
from bimip.client.connector import Connector
from bimip.client.core.device import Device
from bimip.client.core.inbox import StartAt
from bimip.client.core.kept import KeptMessages
from bimip.client.environment import Environment
from bimip.client.errors import InvalidArgument
from bimip.client.event_stream import EventStream
from bimip.client.facets.calls import Calls
from bimip.client.facets.commands import Commands
from bimip.client.facets.contacts import Contacts
from bimip.client.facets.conversations import Conversations
from bimip.client.facets.devices import Devices
from bimip.client.facets.feeds import Feeds
from bimip.client.facets.groups import Groups
from bimip.client.facets.history import Fetched, History
from bimip.client.facets.keys import KeysFacet
from bimip.client.facets.locations import Locations
from bimip.client.facets.messages import Messages
from bimip.client.facets.notes import Notes
from bimip.client.facets.presence import PresenceFacet
from bimip.client.facets.push import Push
from bimip.client.facets.settings import SettingsFacet
from bimip.client.facets.state import StateFacet
from bimip.client.frames import checked
from bimip.client.own_device import OwnDevice
from bimip.client.store import Store
from bimip.client.tokens import Token
from bimip.client.transport import Connect, websocket
from bimip.client.wire.bimip import Hello, Start
from bimip.client.wire.bimip import Position as WirePosition

if TYPE_CHECKING:
    from bimip.client.encryption.sealer import Sealer
    from bimip.client.gossip.gossip import Gossip

__all__ = ["AGENT", "Client", "Fetched", "open_client"]

AGENT = f"bimip-python/{__version__}"


class Client(OwnDevice, EventStream):
    """A device of a user, made by `open_client`: the stream of its events, and what it can do, by noun.

    The facets' async methods may be cancelled; each, or its facet, says what that leaves.
    """

    def __init__(
        self, device: Device, connector: Connector, environment: Environment, gossip: "Gossip | None" = None
    ) -> None:
        super().__init__(device, connector, environment)
        self.gossip = gossip
        """What was taken from other devices of this user and given to them, where `open_client` was told to."""
        commands = Commands(device, connector, environment)
        self.messages = Messages(device, connector, environment, commands)
        self.conversations = Conversations(device, connector, environment, commands)
        self.history = History(device, connector, environment)
        self.feeds = Feeds(device, connector, environment, self.history)
        self.groups = Groups(device, connector, environment)
        self.contacts = Contacts(device, connector, environment)
        self.presence = PresenceFacet(device, connector, environment)
        self.calls = Calls(device, connector, environment)
        self.locations = Locations(device, connector, environment)
        self.devices = Devices(device, connector, environment)
        self.notes = Notes(device, connector, environment)
        self.keys = KeysFacet(device, connector, environment)
        self.settings = SettingsFacet(device, connector, environment)
        self.push = Push(device, connector, environment)
        self.state = StateFacet(device, connector, environment)


@asynccontextmanager
async def open_client(
    url: str,
    *,
    token: Token,
    path: str | Path = ":memory:",
    partitions: Sequence[str] = ("chat",),
    start: Start = Start.START_UNSPECIFIED,
    last: int = 0,
    after_seq: Mapping[str, str] | None = None,
    keep_messages: bool = False,
    gossip: bool = False,
    encryption: bool = False,
    agent: str = AGENT,
    backoff: Backoff | None = None,
    timeout: float = 30.0,  # noqa: ASYNC109 - of each request, not of this function
    ssl_context: ssl.SSLContext | None = None,
    connect: Connect | None = None,
    clock: Callable[[], float] = anyio.current_time,
    now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    random: Random | None = None,
) -> AsyncIterator[Client]:
    """Opens a device of the token's user: it is connected while the block runs, again and again.

    It does not wait for the server: a client works offline (`Client.wait_connected` waits).

    path        the device's SQLite file; a file belongs to one device and one process at a time. Without one nothing
                outlives the block.
    token       or a function that makes one, which may be async: it is called for each connection, and before its
                token expires, so that the connection goes on. It must not block. Where it raises, that is logged, and
                it is called again with the next attempt. Space and line ends around a token are stripped.
    partitions  what to receive. Without any the client only sends: choose that for one that takes no events, because
                what is not taken is not acknowledged, and the server gives such a device up after a while.
    start, last where a device begins that has no position yet: by default where the server has it (the first device
                of a user at what waits for them, a further one at what is new); or FIRST, HEAD, or LAST with a number
                of entries
    after_seq   by partition where such a device begins instead: behind the message with this `seq`, one of this user's,
                as a program has it that kept the messages elsewhere, without this file. What it names and what came
                before counts as received. One that the server does not know skips nothing: all that is kept comes
    keep_messages
                whether the file has the messages too, those that were taken and those that were sent, for
                `history.kept` and `history.search`. What was deleted or has disappeared leaves it
    gossip      whether this device, when it comes back from a while away, takes what it lacks from another device of
                this user that is there, by WebRTC, and gives to others. It needs `keep_messages`, and the extra
                `bimip[gossip]`. What comes so is compared with the server's chain, and events like all else
    encryption  whether messages are encrypted for each device of their readers, and decrypted, end to end: the server
                has ciphertext. It needs `path`, and the extra `bimip[e2ee]`. The file has this device's keys, so it is
                never put back from a copy, and is opened with `encryption` from then on. `client.keys` tells whose keys
                are known. What `client.history` fetches stays encrypted: `keep_messages` keeps the text that was read
    timeout     seconds, more than 0: for the answer to a request, for a handshake, for a frame to be sent
    ssl_context for wss://: whom to trust, where that are not the system's authorities
    connect, clock, now, random
                the network, the seconds, the wall clock in milliseconds and the dice, for tests under virtual time

    When the block ends, the event that was taken last counts as done. When it ends with an exception, it does not.
    The block does not wait for the outbox: what is unsent then goes out when the file is opened again.

    Raises InvalidArgument for values that cannot be, StoreError where the file cannot be used. What goes on is logged
    under the name `bimip.client`.
    """
    start_at = StartAt(start, last, dict(after_seq or {}))
    _check_settings(partitions, start_at, agent, timeout)
    store = Store(path)
    try:
        device = Device(store, partitions, start_at, agent, clock, KeptMessages(store, now, wanted=keep_messages))
        environment = Environment(
            connect=connect or websocket(ssl_context=ssl_context, timeout=timeout),
            clock=clock,
            now=now,
            random=random or random_module.SystemRandom(),
        )
        connector = Connector(device, environment, url=url, token=token, backoff=backoff or Backoff(), timeout=timeout)
        if not encryption and device.sealed.are_wanted():
            raise InvalidArgument(
                f"{path} has the keys of a device that encrypts: open it with encryption=True, or its messages would "
                "go out in the clear; encrypt=False is for the message that is to"
            )
        if encryption and str(path) == ":memory:":
            raise InvalidArgument("a device that encrypts keeps its keys in a file: give path")
        sealer = _sealer(device, connector, environment) if encryption else None
        siblings = _siblings(device, connector, environment, keeps=keep_messages) if gossip else None
        try:
            async with anyio.create_task_group() as tasks:
                if siblings is not None:
                    device.hear_sibling, connector.catch_up = siblings.hear, siblings.catch_up
                    tasks.start_soon(siblings.give)
                if sealer is not None:
                    tasks.start_soon(sealer.run)
                tasks.start_soon(connector.run)
                tasks.start_soon(connector.refresh_tokens)
                tasks.start_soon(connector.expire)
                yield Client(device, connector, environment, siblings)
                await connector.leave()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:  # the block's own exception, which nobody expects in a group
                raise group.exceptions[0] from None
            raise
        finally:
            if siblings is not None:
                siblings.close()
    finally:
        store.close()


def _siblings(device: Device, connector: Connector, environment: Environment, *, keeps: bool) -> "Gossip":
    """Raises InvalidArgument where gossip cannot be."""
    if not keeps:
        raise InvalidArgument("gossip gives and takes the messages that the file keeps: set keep_messages")
    try:
        from bimip.client.gossip.gossip import Gossip  # noqa: PLC0415 - of an extra
    except ImportError as missing:
        raise InvalidArgument(f"gossip wants the extra bimip[gossip]: {missing}") from missing
    return Gossip(device, connector, environment)


def _sealer(device: Device, connector: Connector, environment: Environment) -> "Sealer":
    """Has a device encrypt. Raises InvalidArgument where it cannot."""
    try:
        from bimip.client.encryption.encryption import Encryption  # noqa: PLC0415 - of an extra
        from bimip.client.encryption.sealer import Sealer  # noqa: PLC0415 - as above
    except ImportError as missing:
        raise InvalidArgument(f"encryption wants the extra bimip[e2ee]: {missing}") from missing
    encryption = Encryption(device.store, device.inbox.emit, environment.now)
    device.encrypt(encryption)
    return Sealer(device, connector, encryption, KeysFacet(device, connector, environment))


def _check_settings(partitions: Sequence[str], start_at: StartAt, agent: str, timeout: object) -> None:
    """Raises InvalidArgument for what no Hello can hold."""
    if isinstance(partitions, str | bytes):
        raise InvalidArgument(f"partitions is a sequence of names, such as ({partitions!r},)")
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidArgument(f"timeout is a number of seconds, more than 0, not {timeout!r}")
    if not start_at.after_seq.keys() <= set(partitions):
        raise InvalidArgument(f"after_seq names {sorted(start_at.after_seq)}, of which not all are in partitions")
    positions = [
        WirePosition(partition=name, start=start_at.start, last=start_at.last, seq=start_at.after_seq.get(name, ""))
        for name in partitions
    ]
    checked(Hello(partitions=positions, agent=agent))
