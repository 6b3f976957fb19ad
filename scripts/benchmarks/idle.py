"""W3: connections that do nothing but be there: memory each, connects per second, processor time of heartbeats."""

from typing import Any

from scripts.benchmarks import accounting, server
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.throughput import quiet_collector


def measure(running: server.Server, connections: int, *, seconds: float = 65.0) -> dict[str, Any]:
    """Two devices a user. `seconds` should hold two heartbeats of the server (30 s each)."""
    loop = Loop()

    def make(index: int) -> Device:
        eid, name = f"idle{index // 2:05d}", f"device{index % 2}"
        return Device(loop, running.port, server.token(eid, name), offset=None)

    connect_all(loop, make, min(20, connections))  # what the first ones alone make the server load
    quiet_collector()
    loop.rest(min(1.0, seconds))
    rss, pss = accounting.memory_bytes(running.pid)
    meter = accounting.Meter(running.pid)
    connect_all(loop, lambda index: make(index + 20), connections)
    connecting = meter.stop()
    loop.rest(min(3.0, seconds))
    rss_after, pss_after = accounting.memory_bytes(running.pid)
    meter = accounting.Meter(running.pid)
    loop.rest(seconds)
    resting = meter.stop()
    result = {
        "connections": connections,
        "connects_per_s": connections / connecting.wall,
        "server_us_per_connect": 1e6 * connecting.server / connections,
        "limit": connecting.limit,
        "rss_kib_per_connection": (rss_after - rss) / 1024 / connections,
        "pss_kib_per_connection": (pss_after - pss) / 1024 / connections,
        "heartbeat_us_per_connection_and_s": 1e6 * resting.server / resting.wall / connections,
        "idle_server_cores": resting.server / resting.wall,
        "failures": dict(loop.failures),
    }
    loop.close()
    return result
