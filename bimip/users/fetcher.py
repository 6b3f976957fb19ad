"""The fetcher: the task that delivers to one device. It restarts alone; the position is the device's."""

from contextlib import suppress

import trio

from bimip.supervision import Child
from bimip.users.connection import ConnectionClosedError
from bimip.users.device import Device


async def fetch(device: Device, child: Child) -> None:
    """Step whenever there may be something to send: a wake-up, room in the socket, a deadline, and now and then."""
    child.started()
    grace, slices = device.session.services.limits.grace_seconds, device.session.services.slices
    try:
        while True:
            version = device.wakeup.version
            device.raise_crash()
            worked = await slices.run(device.go_on, device.connection.account)
            if not device.connection.sendable:
                # What is closed takes everything: a reader that waits for room goes on, sees it, and ends the device.
                since = trio.current_time()
                with suppress(ConnectionClosedError):
                    await device.connection.wait_sendable()
                device.note_blocked(trio.current_time() - since)
                continue
            if worked:
                continue
            # No deadline that is set meanwhile can be nearer than a grace period: it needs no wake-up of its own.
            await device.wakeup.wait_changed_since(version, min(device.next_deadline(), trio.current_time() + grace))
    except Exception as error:
        device.note_event("crashed", f"sending: {type(error).__name__}; it goes on where it stopped")
        raise
    finally:
        device.wakeup.cancel()
