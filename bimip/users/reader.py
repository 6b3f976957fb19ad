"""The reader: the task that takes a device's frames. Its end ends the device, and the device's connection."""

import trio

from bimip.session.close import Close
from bimip.supervision import Child
from bimip.users.connection import ConnectionClosedError
from bimip.users.device import Device, Rest
from bimip.users.requests import DONE, handle, write
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

UNCHARGED = frozenset({pb.MALFORMED, pb.TOO_LARGE})
"""What may be wrong with a frame before it was charged for."""
WEIGHT_AT_ONCE = 32
"""Requests, by what they cost, until others have their turn: thousands of the smallest ones arrive at once."""


async def read(device: Device, frames: list[bytes], child: Child) -> None:
    """Take frames until the connection ends. `frames` have arrived already."""
    child.started()
    connection = device.connection
    intake = _Intake(device)
    try:
        await _read_hello(device, frames, intake)
        while True:
            await intake.catch_up()
            await connection.hand_to(intake.take)
    except ConnectionClosedError:
        pass
    except Exception:
        connection.close(Close.INTERNAL_ERROR, "the server failed here; please connect again")
        raise
    finally:
        connection.close(Close.INTERNAL_ERROR, "this part of the server restarts; please connect again")


async def _read_hello(device: Device, frames: list[bytes], intake: "_Intake") -> None:
    with trio.move_on_after(device.session.services.handshake_seconds):
        if not frames:
            frames = await device.connection.receive()
        intake.take(frames[:1], trio.current_time())
        await intake.catch_up()
    if device.said_hello:
        intake.take(frames[1:], trio.current_time())
    else:
        device.connection.close(Close.HELLO_EXPECTED, "the first frame must be a valid Hello, in time")


class _Intake:
    """Handles frames as they arrive, in the task of whoever reads the socket. What must wait, waits in the reader."""

    __slots__ = ("_device", "_malformed", "_rest", "_waiting")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._malformed = 0  # frames in a row that could not be decoded
        self._rest: Rest | None = None  # of a frame that is handled in slices
        self._waiting: list[bytes] = []

    def take(self, frames: list[bytes], now: float) -> bool:
        """False: there is no room for more, or others must have their turn first."""
        device = self._device
        device.heard_at = now
        device.weight = 0
        most = device.session.services.limits.unanswered_requests
        for number, frame in enumerate(frames):
            if device.unanswered >= most or device.weight >= WEIGHT_AT_ONCE or self._rest is not None:
                self._waiting = frames[number:]
                break
            self._handle(frame)
        if device.checked:
            write(device)
        device.send_soon(now)
        return not self._waiting and self._rest is None and device.unanswered < most

    def _handle(self, frame: bytes) -> None:
        device = self._device
        device.weight += 1
        try:
            self._rest = handle(device, frame)
            self._malformed = 0
        except WireError as error:
            if error.code in UNCHARGED:
                device.rates.charge(1, device.heard_at, len(frame))  # what can be read was charged when it was
            device.unanswered += 1
            device.fail(error)
            self._malformed = self._malformed + 1 if error.code == pb.MALFORMED else 0
            if self._malformed > self._device.session.services.limits.max_malformed:
                device.connection.close(Close.TOO_MANY_ERRORS, "too many frames that cannot be decoded")

    def _go_on(self) -> None:
        """Goes on with the frame that is handled in slices."""
        if self._rest is not None and next(self._rest, DONE) is DONE:
            self._rest = None
        if self._device.checked:
            write(self._device)
        self._device.send_soon(trio.current_time())

    def _take_waiting(self) -> None:
        frames, self._waiting = self._waiting, []
        self.take(frames, trio.current_time())

    async def catch_up(self) -> None:
        """Until everything that arrived is handled, and there is room for more."""
        device = self._device
        most, slices = device.session.services.limits.unanswered_requests, device.session.services.slices
        while True:
            while self._rest is not None:
                await slices.run(self._go_on)
            while device.unanswered >= most:
                await device.answered.wait_changed_since(device.answered.version)
            if not self._waiting:
                return
            await slices.run(self._take_waiting)
