"""What a device asks for, from its frames to the requests. Its reader, the task that waits here, ends the device and
its connection with it.

A frame is handled where it arrives, in plain code. What one asks for stands in a row of ROUTES; here it is decoded,
weighed, charged for, and owed an answer from then on. Nothing here knows a payload by its name.
"""

from typing import Any

import trio

from bimip import requests
from bimip.requests.message import write
from bimip.requests.refusals import ask_unserved, failed, rate_limited
from bimip.requests.route import Answer, Rest, Route
from bimip.session.close import Close
from bimip.supervision import Child
from bimip.users.connection import ConnectionClosedError
from bimip.users.device import Device, Phase
from bimip.users.hello import handle_hello
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError

ROUTES = {**requests.ROUTES, "hello": Route(handle_hello, Answer.ALONE, begins=True)}
"""All that a connection may ask for."""
UNSERVED = Route(ask_unserved, Answer.ERRORS_ONLY)
DONE = object()

UNCHARGED = frozenset({pb.MALFORMED, pb.TOO_LARGE})
"""What may be wrong with a frame before it was charged for."""
WEIGHT_AT_ONCE = 32
"""Requests, by what they cost, until others have their turn: thousands of the smallest ones arrive at once."""
SECONDS_AT_ONCE = 0.001
"""For requests that take longer than they weigh. One is always handled."""


async def read(device: Device, frames: list[bytes], child: Child) -> None:
    """Take frames until the connection ends. `frames` have arrived already."""
    child.started()
    connection = device.connection
    intake = Intake(device)
    try:
        await _read_hello(device, frames, intake)
        while True:
            await intake.catch_up()
            await connection.hand_to(intake.receive)
    except ConnectionClosedError as closed:
        device.note_event("closed", f"{int(closed.code)} {closed.reason}")
    except Exception as error:
        device.note_event("crashed", f"reading: {type(error).__name__}")
        connection.close(Close.INTERNAL_ERROR, "the server failed here; please connect again")
        raise
    finally:
        connection.close(Close.INTERNAL_ERROR, "this part of the server restarts; please connect again")


async def _read_hello(device: Device, frames: list[bytes], intake: "Intake") -> None:
    with trio.move_on_after(device.session.services.handshake_seconds):
        if not frames:
            frames = await device.connection.receive()
        intake.receive(frames[:1], trio.current_time())
        await intake.catch_up()
    if device.phase is not Phase.CONNECTED:
        intake.receive(frames[1:], trio.current_time())
    else:
        device.connection.close(Close.HELLO_EXPECTED, "the first frame must be a valid Hello, in time")


class Intake:
    """Handles frames as they arrive, in the task of whoever reads the socket. What must wait, waits in the reader."""

    __slots__ = ("_clock", "_device", "_malformed", "_rest", "_served", "_slices", "_waiting")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._clock = device.services.clock
        self._slices = device.session.services.slices
        self._served = self._slices.served
        self._malformed = 0  # frames in a row that could not be decoded
        self._rest: Rest | None = None  # of a frame that is handled in slices
        self._waiting: list[bytes] = []

    def receive(self, frames: list[bytes], now: float, *, in_slice: bool = False) -> bool:
        """False: there is no room for more, or others must have their turn first."""
        device, held = self._device, self._served.held
        if held and not in_slice and device.connection.account in held:  # it has slices alone, however little it asks
            self._waiting = frames
            return False
        device.heard_at = now
        device.weight = 0
        most = device.max_owed
        began = self._clock() if len(frames) > 1 else 0.0
        for number, frame in enumerate(frames):
            if (
                device.owed >= most
                or device.weight >= WEIGHT_AT_ONCE
                or self._rest is not None
                or (number and self._clock() > began + SECONDS_AT_ONCE)
            ):
                self._waiting = frames[number:]
                break
            self._handle(frame)
        if device.checked:
            write(device)
        device.send_soon(now)
        return not self._waiting and self._rest is None and device.owed < most

    def _handle(self, frame: bytes) -> None:
        device = self._device
        device.weight += 1
        device.owed += 1
        try:
            self._rest = handle(device, frame)
            self._malformed = 0
        except WireError as error:
            if error.code in UNCHARGED:
                device.rates.charge(1, device.heard_at, len(frame))  # what can be read was charged when it was
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
        self.receive(frames, trio.current_time(), in_slice=True)

    async def catch_up(self) -> None:
        """Until everything that arrived is handled, and there is room for more."""
        device = self._device
        most, slices, account = device.max_owed, self._slices, device.connection.account
        while True:
            while self._rest is not None:
                await slices.run(self._go_on, account)
            while device.owed >= most:
                await device.answered.wait_changed_since(device.answered.version)
            if not self._waiting:
                return
            await slices.run(self._take_waiting, account)


def handle(device: Device, frame: bytes) -> Rest | None:
    """Does what a frame asks for; where that is much, a part of it, and returns the rest.

    Raises WireError with the frame's `ref`.
    """
    scheme = codec.decode(frame)
    name: str
    payload: Any
    name, payload = codec.payload_of(scheme)
    ref = scheme.ref
    route = ROUTES.get(name, UNSERVED)
    if device.phase is Phase.CONNECTED and not route.begins:
        raise WireError(pb.OUT_OF_ORDER, "say Hello first", ref=ref)
    device.frame_bytes = len(frame)
    if device.checked and not route.independent:
        write(device)
    try:
        if not route.begins:
            count = 1
            if route.count is not None:
                count = route.count(payload)
                device.weight += count - 1
            wait = device.rates.take(count, len(frame), device.heard_at)
            if wait:
                _refuse(device, route, payload, ref, rate_limited(wait))
                return None
        rest = route.ask(device, payload, ref)
        return rest if rest is not None and next(rest, DONE) is not DONE else None
    except WireError as error:
        error.ref = error.ref or ref
        error.id = error.id or getattr(payload, "id", "")
        raise
    except Exception as error:
        said = getattr(payload, "id", "")
        error.add_note(f"{name} of {device.eid!r}, device {device.name!r}, ref {ref}, id {said!r}")
        device.services.report("request failed", error)
        raise failed(error, ref) from error


def _refuse(device: Device, route: Route, payload: Any, ref: int, error: WireError) -> None:  # noqa: ANN401 - any payload
    if route.refuse is None:
        raise error
    route.refuse(device, payload, ref, error)
