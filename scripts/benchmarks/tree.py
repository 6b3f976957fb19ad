"""The console's live page of the tree, with thousands of devices connected: what it is sent, and what that costs the
server beside what it does anyway.
"""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from scripts.benchmarks import accounting, server
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.throughput import quiet_collector

VIEWS = {
    "folded": "",
    "unfolded": "?open=bimip/users&open=bimip/gateway/connections",
    "searched": "?open=bimip/users&find=99",
}


class Page:
    """Reads a page's stream, as far as it goes."""

    def __init__(self, running: server.Server, query: str) -> None:
        self.bytes = 0
        self.first_bytes = 0
        self.first_seconds = 0.0
        began = time.perf_counter()
        self._http = http.client.HTTPConnection("127.0.0.1", running.console_port, timeout=60)
        self._http.request("GET", f"/debug/tree/stream{query}", headers={"Authorization": f"Bearer {server.KEY}"})
        answer = self._http.getresponse()
        assert answer.status == 200, answer.read()
        self.first_bytes = len(answer.readline())
        self.first_seconds = time.perf_counter() - began
        self._thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self._thread.start()

    def _read(self, answer: http.client.HTTPResponse) -> None:
        with suppress(OSError):
            while line := answer.readline():
                self.bytes += len(line)

    def close(self) -> None:
        assert self._http.sock is not None
        self._http.sock.shutdown(2)
        self._thread.join()
        self._http.close()


@contextmanager
def looking(running: server.Server, query: str) -> Iterator[Page]:
    page = Page(running, query)
    try:
        yield page
    finally:
        page.close()


def measure(running: server.Server, connections: int, *, seconds: float = 30.0) -> dict[str, Any]:
    """Two devices a user, which do nothing. Before each view and behind it nobody looks for as long: `percent` of a
    core is what the server took more meanwhile.
    """
    loop = Loop()

    def make(index: int) -> Device:
        return Device(loop, running.port, server.token(f"user{index // 2:05d}", f"device{index % 2}"), offset=None)

    connect_all(loop, make, connections)
    quiet_collector()
    loop.rest(min(5.0, seconds))

    def cores() -> float:
        meter = accounting.Meter(running.pid)
        loop.rest(seconds)
        usage = meter.stop()
        return usage.server / usage.wall

    result: dict[str, Any] = {"connections": connections}
    alone = cores()
    for name, query in VIEWS.items():
        with looking(running, query) as page:
            while_looking, sent = cores(), page.bytes
        after = cores()
        result[name] = {
            "first_ms": 1000 * page.first_seconds,
            "first_kib": page.first_bytes / 1024,
            "bytes_per_s": sent / seconds,
            "percent": 100 * (while_looking - (alone + after) / 2),
        }
        alone = after
    result["failures"] = dict(loop.failures)
    loop.close()
    return result
