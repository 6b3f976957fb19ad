"""All that the floors above the gateway see of a connected peer. The gateway implements it; tests do so in memory.

A frame is one encoded MessageScheme, whatever the peer's subprotocol: the gateway translates.
"""

from collections.abc import Callable, Hashable
from typing import Protocol

Take = Callable[[list[bytes], float], bool]
"""Takes frames, at once, and the event loop's time (which costs too much to be asked for by each). False: no more for
now."""


class ConnectionClosedError(Exception):
    """The connection is gone, whoever closed it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"connection closed: {code} {reason}")
        self.code = code
        self.reason = reason


class RefusedError(Exception):
    """A connection that authenticated is not taken: it closes with this code and reason, and that is all."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"refused: {code} {reason}")
        self.code = code
        self.reason = reason


class Connection(Protocol):
    @property
    def address(self) -> str:
        """The address of the peer; empty: that is not known."""
        ...

    @property
    def account(self) -> Hashable:
        """On which it is served: whoever comes by many connections has one."""
        ...

    @property
    def round_trip_seconds(self) -> float | None:
        """The time that the last heartbeat took there and back; None: none was answered yet."""
        ...

    async def receive(self) -> list[bytes]:
        """All complete frames that have arrived, at least one. Cancelling it is safe: nothing is lost.

        Raises ConnectionClosedError once the peer is gone and everything that arrived was handed over.
        """
        ...

    async def hand_to(self, take: Take) -> None:
        """Call `take` with all complete frames as soon as they have arrived, until it returns False.

        It is called by whoever reads the socket, without a task in between; what it raises is raised here. Cancelling
        is safe, and raises ConnectionClosedError as `receive` does.
        """
        ...

    @property
    def sendable(self) -> bool:
        """Whether `send_nowait` would take a frame now."""
        ...

    def send_nowait(self, frame: bytes) -> bool:
        """Take the frame whole (True) or decline it (False), because another is unfinished.

        What was taken is the connection's to finish, whoever dies, or the connection ends within its send deadline.
        A closed connection takes everything: it goes nowhere, and `receive` tells.
        """
        ...

    async def wait_sendable(self) -> None:
        """Return when no frame is unfinished. Cancelling it is safe. Raises ConnectionClosedError."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close, after the unfinished frame, without waiting. The first call counts."""
        ...

    async def wait_closed(self) -> None:
        """Return when the socket is gone. Cancelling it is safe."""
        ...
