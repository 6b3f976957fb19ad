"""The reader: the task that takes a device's frames. Its end ends the device, and the device's connection."""

import trio

from bimip.session.close import Close
from bimip.supervision import Child
from bimip.users.connection import ConnectionClosedError
from bimip.users.device import Device
from bimip.users.requests import handle
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

MAX_MALFORMED = 8
"""Frames in a row that cannot be decoded, until the connection is closed."""
FRAMES_AT_ONCE = 64
"""Until others have their turn: thousands of the smallest ones arrive at once."""


async def read(device: Device, frames: list[bytes], child: Child) -> None:
    """Take frames until the connection ends. `frames` have arrived already."""
    child.started()
    connection = device.connection
    try:
        await _read_hello(device, frames)
        malformed = 0
        while True:
            malformed = await _handle_all(device, await connection.receive(), malformed)
    except ConnectionClosedError:
        pass
    except Exception:
        connection.close(Close.INTERNAL_ERROR, "the server failed here; please connect again")
        raise
    finally:
        connection.close(Close.INTERNAL_ERROR, "this part of the server restarts; please connect again")


async def _read_hello(device: Device, frames: list[bytes]) -> None:
    with trio.move_on_after(device.session.services.hello_seconds):
        if not frames:
            frames = await device.connection.receive()
        await _handle_all(device, frames[:1], 0)
    if device.said_hello:
        await _handle_all(device, frames[1:], 0)
    else:
        device.connection.close(Close.HELLO_EXPECTED, "the first frame must be a valid Hello, in time")


async def _handle_all(device: Device, frames: list[bytes], malformed: int) -> int:
    """Returns how many of the last frames could not be decoded, in a row."""
    for number, frame in enumerate(frames, 1):
        if number % FRAMES_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        await _wait_for_room(device)
        try:
            handle(device, frame)
            malformed = 0
        except WireError as error:
            device.unanswered += 1
            device.fail(error)
            malformed = malformed + 1 if error.code == pb.MALFORMED else 0
            if malformed > MAX_MALFORMED:
                device.connection.close(Close.TOO_MANY_ERRORS, "too many frames that cannot be decoded")
    device.step_soon()
    await _wait_for_room(device)
    return malformed


async def _wait_for_room(device: Device) -> None:
    """Take no more while too many requests of the device are unanswered."""
    most = device.session.services.limits.max_unanswered
    if device.unanswered >= most:
        device.step_soon()  # some answers may only wait for the end of what arrived
    while device.unanswered >= most:
        await device.answered.wait(device.answered.number)
