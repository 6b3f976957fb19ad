"""W4: users who were away come back all at once, each to messages that were stored meanwhile.

The server is restarted in between, so that nothing is in its memory (what the system caches of the disk stays).
"""

from pathlib import Path
from typing import Any

from scripts.benchmarks import accounting, server
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger, now
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.throughput import quiet_collector

SENDERS = 50
WINDOW = 20


def measure(folder: Path, users: int, messages: int) -> dict[str, Any]:
    with server.running(folder) as running:
        result = fill(running, users, messages)
    with server.running(folder) as running:
        return result | pull(running, users, messages)


def fill(running: server.Server, users: int, messages: int) -> dict[str, Any]:
    """Users say Hello once and leave; others write to them."""
    loop = Loop()
    connect_all(loop, lambda index: _returning(loop, running, index), users)
    loop.close()
    loop, ledger = Loop(), Ledger(users, 1)
    disk = accounting.disk_bytes(running.folder)
    senders = min(SENDERS, users)

    def make(index: int) -> Device:
        return Device(loop, running.port, server.token(f"s{index:04d}", "phone"), ledger)

    devices = connect_all(loop, make, senders)
    for index, device in enumerate(devices):
        _Chore(device, list(range(index, users, senders)), messages).go_on(0)
    total = users * messages
    meter = accounting.Meter(running.pid)
    whole = loop.run(lambda: ledger.accepted >= total, 60.0 + total / 200)
    usage = meter.stop()
    loop.close()
    if not whole:
        raise RuntimeError(f"{ledger.accepted} of {total} messages were stored; {dict(loop.failures)}")
    return {
        "filled_per_s": total / usage.wall,
        "fill_us_per_message": 1e6 * usage.server / total,
        "disk_bytes_per_message": (accounting.disk_bytes(running.folder) - disk) / total,
    }


def measure_both(folder: Path, users: int, entries: int) -> dict[str, Any]:
    """Users come back to logs of which they wrote every second entry themselves."""
    from scripts.benchmarks.offline import eid_of, fill_both  # noqa: PLC0415 - it needs the server's libraries here

    fill_both(folder, users, entries)
    with server.running(folder) as running:
        loop = Loop()
        quiet_collector()
        meter = accounting.Meter(running.pid)
        devices = [Device(loop, running.port, server.token(eid_of(2 * user), "phone")) for user in range(users)]
        loop.run(lambda: all(device.position >= entries for device in devices), 120.0)
        usage = meter.stop()
        got, total = sum(device.position for device in devices), users * entries
        result = {
            "users": users,
            "messages": total,
            "pulled_per_s": got / usage.wall,
            "pull_us_per_message": 1e6 * usage.server / max(got, 1),
            "limit": usage.limit,
            "undelivered": total - got,
            "failures": dict(loop.failures),
        }
        loop.close()
        return result


class _Chore:
    """A sender's part of the filling: one addressee after the other, since SENTs are counted in order."""

    def __init__(self, device: Device, users: list[int], messages: int) -> None:
        self._device, self._users, self._messages = device, users, messages
        self._left = self._flying = 0
        device.on_accepted = self.go_on

    def go_on(self, accepted: int) -> None:
        self._flying -= accepted
        if not self._left:
            if self._flying or not self._users:
                return
            user = self._users.pop()
            self._device.write_to(user, _eid(user))
            self._left = self._messages
        count = min(WINDOW - self._flying, self._left)
        self._left -= count
        self._flying += count
        self._device.post(count)


def pull(running: server.Server, users: int, messages: int) -> dict[str, Any]:
    loop, ledger = Loop(), Ledger(users, 1)
    for user in range(users):
        ledger.send(user, messages)
    total = users * messages
    quiet_collector()
    meter = accounting.Meter(running.pid)
    began = now()
    ready: list[float] = []
    for user in range(users):
        device = _returning(loop, running, user, ledger)
        device.on_ready = lambda: ready.append(now())
    whole = loop.run(lambda: ledger.whole >= total, 120.0)
    usage = meter.stop()
    loop.rest(0.2)
    rss, _ = accounting.memory_bytes(running.pid)
    result = {
        "users": users,
        "messages": total,
        "pulled_per_s": ledger.whole / usage.wall,
        "pull_us_per_message": 1e6 * usage.server / max(ledger.whole, 1),
        "seconds": usage.wall,
        "all_in_after_s": max(ready, default=began) - began,
        "limit": usage.limit,
        "undelivered": 0 if whole else total - ledger.whole,
        "duplicates": ledger.duplicates,
        "rss_mib": rss / (1 << 20),
        "failures": dict(loop.failures),
    }
    loop.close()
    return result


def _returning(loop: Loop, running: server.Server, user: int, ledger: Ledger | None = None) -> Device:
    return Device(loop, running.port, server.token(_eid(user), "phone"), ledger, offset=0)


def _eid(user: int) -> str:
    return f"o{user:04d}"
