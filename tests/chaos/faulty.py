"""Deliberate faults of the server, each of which the sweep must find: it could not find anything otherwise."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import trio

from bimip.domain.core.operations import Append
from bimip.journal.queue import OperationQueue
from bimip.supervision import Child
from bimip.users import intake, registry
from bimip.users.connection import ConnectionClosedError
from bimip.users.device import Device
from bimip.users.registry import Users

Patch = Callable[..., None]
"""`monkeypatch.setattr`."""


class LateConnection:
    """Takes every frame at once, and hands it on when the fetcher comes to it."""

    def __init__(self, device: Device, inner: Any) -> None:
        self.inner = inner
        self.frames: list[bytes] = []
        self._device = device

    def send_nowait(self, frame: bytes) -> bool:
        self.frames.append(frame)
        self._device.wakeup.notify()
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def hasty_fetch(device: Device, child: Child) -> None:
    """Moves the position first and sends a moment later."""
    child.started()
    inner = getattr(device.connection, "inner", device.connection)
    late = LateConnection(device, inner)
    device.connection = late
    while True:
        version = device.wakeup.version
        device.raise_crash()
        device.check_deadlines()
        device.send_some(trio.current_time())
        frames, late.frames = late.frames, []
        for frame in frames:
            with trio.move_on_after(0.001):
                await inner.wait_closed()  # a place of the server's, where the sweep can hit it, and nobody else is
            while not inner.send_nowait(frame):
                try:
                    await inner.wait_sendable()
                except ConnectionClosedError:
                    await trio.sleep_forever()
        if not inner.sendable:  # else a step that finds it busy rings at once, again and again
            with suppress(ConnectionClosedError):
                await inner.wait_sendable()
            continue
        with trio.move_on_after(4):
            await device.wakeup.wait_changed_since(version)


def the_position_moves_before_the_frame_is_taken(patch: Patch) -> None:
    patch(registry, "fetch", hasty_fetch)


def the_journal_forgets_what_it_took(patch: Patch) -> None:
    def inherit(self: OperationQueue) -> None:
        self._taken = []

    patch(OperationQueue, "inherit", inherit)


def what_is_tried_again_gets_another_key(patch: Patch) -> None:
    numbers = count()
    before = OperationQueue.inherit

    def inherit(self: OperationQueue) -> None:
        before(self)
        for ticket in self.suspects:
            if isinstance(ticket.operation, Append):
                messages = [new._replace(id=f"again {next(numbers)}") for new in ticket.operation.messages]
                ticket.operation = ticket.operation._replace(messages=messages)

    patch(OperationQueue, "inherit", inherit)


def a_device_that_ended_stays_in_its_session(patch: Patch) -> None:
    patch(Users, "left", lambda *_: None)


def the_readers_end_leaves_the_connection_open(patch: Patch) -> None:
    async def read(device: Device, frames: list[bytes], child: Child) -> None:
        child.started()
        taking = intake.Intake(device)
        await intake._read_hello(device, frames, taking)
        while True:
            await taking.catch_up()
            await device.connection.hand_to(taking.receive)

    patch(registry, "read", read)
