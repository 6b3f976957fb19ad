"""`bimip bench`: loads a running server as its users' devices would, and tells how it answers.

Pairs of users write to each other over the SDK, each message with the time at which it was written; so both latencies
are of one clock: until the server has it on disk (SENT), and until the other one's program has it. What this program
costs itself is told, too: one process of Python is busy long before the server is.
"""

import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from urllib.parse import urlsplit

import trio
from rich import box
from rich.console import Console
from rich.table import Table

from bimip.cli.devices import Device
from bimip.cli.failures import Exit, Failure
from bimip.cli.words import counted, show_json
from bimip.client import Client, ClientError, Refused, Start, open_client
from bimip.client.events import Disconnected, Received

CONNECT_SECONDS = 30.0
GRACE_SECONDS = 10.0
"""For what was sent and has not arrived, at the end."""
BUSY = 0.9
"""Of a core: this program is what is slow then."""
PERCENTILES = (50, 95, 99)
STAMP_BYTES = 8


@dataclass(frozen=True, slots=True)
class Load:
    """Says what is asked of the server."""

    pairs: int
    seconds: float
    rate: float
    """Messages a second, all together; 0: as fast as they are answered."""
    window: int
    """Messages of one user without an answer."""
    size: int
    """Bytes of a message."""


@dataclass(slots=True)
class Measured:
    """Holds what came of it."""

    accepted: set[str] = field(default_factory=set)
    """The ids of the messages of which the server said that it has them on disk."""
    arrived: set[str] = field(default_factory=set)
    twice: int = 0
    disconnected: int = 0
    seconds: float = 0.0
    own_seconds: float = 0.0
    """Processor time of this program."""
    until_sent: list[float] = field(default_factory=list)
    until_arrived: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        """Counts what was accepted and has not arrived."""
        return len(self.accepted - self.arrived)

    def describe(self) -> Mapping[str, object]:
        """Describes it in figures: seconds in milliseconds."""
        return {
            "accepted": len(self.accepted),
            "missing": self.missing,
            "twice": self.twice,
            "refused": dict(self.refused),
            "disconnected": self.disconnected,
            "seconds": round(self.seconds, 3),
            "per_second": round(len(self.accepted) / self.seconds, 1) if self.seconds else 0.0,
            "sent_ms": _percentiles(self.until_sent),
            "arrived_ms": _percentiles(self.until_arrived),
            "own_cores": round(self.own_seconds / self.seconds, 2) if self.seconds else 0.0,
        }


def is_local(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def bench(device_of: Callable[[str], Device], load: Load, *, sure: bool, as_json: bool = False) -> None:
    """Loads the server, and shows what came of it. `device_of` makes a device of a user by name."""
    names = [f"bench-{number + 1}@bench.invalid" for number in range(2 * load.pairs)]
    devices = {name: device_of(name) for name in names}
    url = devices[names[0]].url
    if not sure and not is_local(url):
        sentence = f"{url} is not this machine: --yes says that its users may be kept waiting by this"
        raise Failure(Exit.USAGE, sentence)
    measured = Measured()
    async with AsyncExitStack() as stack:
        try:
            clients = [await _open(stack, device) for device in devices.values()]
            with trio.fail_after(CONNECT_SECONDS):
                for client in clients:
                    await client.wait_connected()
        except trio.TooSlowError:
            raise Failure(Exit.UNREACHABLE, f"{url} does not answer: is a server running there?") from None
        except ClientError as error:
            raise Failure(Exit.REFUSED, f"{url}: {error}") from error
        await _run(clients, names, load, measured)
    show_json(measured.describe()) if as_json else _show(measured, load)
    if measured.missing or measured.twice:
        wrong = f"{counted(measured.missing, 'message')} did not arrive within {GRACE_SECONDS:g} s of the last"
        raise Failure(Exit.FAILED, f"{wrong}, {measured.twice} came twice")


async def _open(stack: AsyncExitStack, device: Device) -> Client:
    opened = open_client(device.url, token=device.token, ssl_context=device.ssl_context, start=Start.HEAD)
    return await stack.enter_async_context(opened)


async def _run(clients: Sequence[Client], names: Sequence[str], load: Load, measured: Measured) -> None:
    stop = trio.CancelScope()
    took, own = time.perf_counter(), _own_seconds()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at_signal, signals, stop)
            for client in clients:
                nursery.start_soon(_receive, client, measured)
            with stop:
                async with trio.open_nursery() as writers:
                    writers.cancel_scope.deadline = trio.current_time() + load.seconds
                    for number, client in enumerate(clients):
                        pace = _pace(number, len(clients), load)
                        for _ in range(load.window):
                            writers.start_soon(_write, client, names[number ^ 1], load.size, pace, measured)
            measured.seconds, measured.own_seconds = time.perf_counter() - took, _own_seconds() - own
            with trio.move_on_after(GRACE_SECONDS):
                while measured.missing:  # noqa: ASYNC110 - the tasks that receive have nothing else to tell
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()


async def _stop_at_signal(signals: AsyncIterator[int], stop: trio.CancelScope) -> None:
    async for _ in signals:
        stop.cancel()


def _pace(number: int, users: int, load: Load) -> Callable[[], float]:
    """When the next message of a user is to be written, on the loop's clock, each time that it is asked for."""
    if not load.rate:
        return lambda: 0.0
    gap = users / load.rate
    due = trio.current_time() + gap * number / users

    def next_due() -> float:
        nonlocal due
        due += gap
        return due - gap

    return next_due


async def _write(client: Client, to: str, size: int, pace: Callable[[], float], measured: Measured) -> None:
    """Writes one message after the other."""
    while True:
        await trio.sleep_until(pace())
        written = time.perf_counter_ns()
        try:
            sent = await client.messages.send(to, written.to_bytes(STAMP_BYTES, "big").ljust(size, b"."))
        except Refused as refused:
            measured.refused[refused.code.name or str(int(refused.code))] += 1
            await trio.sleep(0.1)
            continue
        measured.accepted.add(sent.id)
        measured.until_sent.append((time.perf_counter_ns() - written) / 1e9)


async def _receive(client: Client, measured: Measured) -> None:
    async for event in client:
        if isinstance(event, Disconnected):
            measured.disconnected += 1
        elif isinstance(event, Received) and len(event.message.payload) >= STAMP_BYTES:
            written = int.from_bytes(event.message.payload[:STAMP_BYTES], "big")
            measured.twice += event.message.id in measured.arrived
            measured.arrived.add(event.message.id)
            measured.until_arrived.append((time.perf_counter_ns() - written) / 1e9)


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _percentiles(seconds: Sequence[float]) -> Mapping[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    found = {f"p{at}": ordered[max(0, ceil(len(ordered) * at / 100) - 1)] for at in PERCENTILES}
    return {name: round(value * 1000, 2) for name, value in (*found.items(), ("longest", ordered[-1]))}


def _show(measured: Measured, load: Load) -> None:
    screen = Console(highlight=False)
    told = measured.describe()
    table = Table(box=box.SIMPLE)
    table.add_column("milliseconds")
    columns = [*(f"p{at}" for at in PERCENTILES), "longest"]
    for column in columns:
        table.add_column(column, justify="right")
    for row, name in (("until it is on disk (SENT)", "sent_ms"), ("until the other one has it", "arrived_ms")):
        figures = told[name]
        assert isinstance(figures, Mapping)
        table.add_row(row, *(f"{figures[column]:g}" if figures else "" for column in columns))
    users = counted(2 * load.pairs, "user")
    screen.print(f"{told['accepted']} messages of {users} in {measured.seconds:.1f} s: {told['per_second']} a second")
    screen.print(table)
    for code, count in measured.refused.most_common():
        screen.print(f"refused: {code}, {count} times")
    if measured.disconnected:
        screen.print(f"connections lost: {measured.disconnected}")
    cores = measured.own_seconds / measured.seconds if measured.seconds else 0.0
    hint = ": this program is what is slow; run several side by side" if cores > BUSY else ""
    screen.print(f"this program took {cores:.2f} of a core{hint}", style="dim")


def load_of(users: int, seconds: float, rate: float, window: int, size: int) -> Load:
    """Makes a load of what was asked for: an even number of users."""
    return Load(pairs=max(1, users // 2), seconds=seconds, rate=rate, window=window, size=max(size, STAMP_BYTES))
