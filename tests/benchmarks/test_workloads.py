"""Every workload, small: the tools must not rot. What they measure here means nothing."""

import importlib.util
import json
import re
import socket
import ssl
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bimip.users.awareness.settings import PresenceSettings
from scripts.benchmarks import (
    accounting,
    catchup,
    floors,
    groups,
    growth,
    idle,
    latency,
    page,
    presence,
    rest,
    sdk,
    server,
    soak,
    throughput,
    tls,
    tree,
    wire,
)
from scripts.benchmarks.device import Device, connect_all
from scripts.benchmarks.ledger import Ledger
from scripts.benchmarks.loop import Loop
from scripts.benchmarks.offline import eid_of
from scripts.benchmarks.throughput import Load
from tests.kit.browser import needs_browser

NEIGHBOURS = ((3, 1), (0, 2), (1, 3), (2, 0))
"""Four users in a ring, each with a neighbour on both sides."""
SMALL = Load(pairs=5, window=4, seconds=0.3, warm_seconds=0.05)


def nothing_is_wrong(result: dict[str, Any]) -> None:
    assert result["failures"] == {}
    assert [result.get(name, 0) for name in ("unaccepted", "undelivered", "duplicates")] == [0, 0, 0]


@pytest.mark.parametrize("together", [True, False])
def test_throughput_is_counted_and_drained(running: server.Server, together: bool) -> None:  # noqa: FBT001 - a case
    result = throughput.measure(running, replace(SMALL, together=together, users=f"{together}-"))

    nothing_is_wrong(result)
    assert result["accepted_per_s"] > 0
    assert result["last_device_ms"]["p50"] > 0
    assert result["server_us_per_message"] > 0


@pytest.mark.parametrize("members", [2, 4])
def test_groups_and_conversations_of_two_are_counted_alike(running: server.Server, members: int) -> None:
    load = groups.Load(members, 2, 4, warm_seconds=0.05, seconds=0.3, users=f"of {members}-")
    result = groups.measure(running, load)

    nothing_is_wrong(result)
    assert result["server_us_per_delivery"] == result["server_us_per_message"] / (members - 1) > 0


def test_latency_keeps_its_rate(running: server.Server) -> None:
    result = latency.measure(running, replace(SMALL, users="paced-"), 50)

    nothing_is_wrong(result)
    assert 10 <= result["sent"] <= 20


@needs_browser
def test_the_messenger_is_measured_with_much_in_its_database() -> None:
    result = page.measure(conversations=30, messages=200, frames=10)

    assert result["failures"] == []
    assert result["list_ms"] > 0
    assert result["message_ms"] > 0
    assert result["paint_ms"] > 0
    assert 0 < result["conversation"]["p50_ms"] <= result["conversation"]["longest_ms"]
    assert 100 < result["conversation"]["rows"] < 200
    assert 0 < result["list"]["rows"] < 30


@pytest.mark.parametrize("window", [1, 4])
def test_messages_by_http_are_counted_as_those_by_websocket(running: server.Server, window: int) -> None:
    result = rest.measure(running, replace(SMALL, pairs=3, window=window, users=f"{window}-"))

    nothing_is_wrong(result)
    assert result["sent"] >= 3 * window
    assert result["us_ratio"] > 0
    assert result["socket"]["accepted_per_s"] > 0
    assert result["requests_per_s"] * window == result["accepted_per_s"] > 0


def test_what_is_refused_by_http_is_no_figure(running: server.Server) -> None:
    """A check that cannot fail is a defect."""
    loop, ledger = Loop(), Ledger(1, 1)
    (poster,) = connect_all(loop, lambda _: rest.Poster(loop, running.port, "no token", ledger), 1)
    poster.write_to(0, "nobody")
    poster.post(1)
    loop.run(lambda: bool(loop.failures), 10)
    loop.close()

    assert next(iter(loop.failures)).startswith("refused: 401 ")
    assert ledger.accepted == 0


@pytest.mark.parametrize("who", list(rest.BESIDE))
def test_those_who_post_are_beside_sockets(running: server.Server, who: str) -> None:
    result = rest.measure_beside(running, who, 0.3)

    assert result["quiet"]["accepted_per_s"] > 0
    assert result["accepted_per_s"] > 0
    assert result["p99_ratio"] > 0


def test_who_wrote_half_of_a_log_gets_all_of_it(tmp_path: Path) -> None:
    result = catchup.measure_both(tmp_path, 2, 30)

    nothing_is_wrong(result)
    assert result["pulled_per_s"] > 0


def test_all_is_over_tls_where_that_is_asked_for() -> None:
    with tls.spoken(), server.running() as secured:
        result = throughput.measure(secured, replace(SMALL, window=1))
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(
                socket.create_connection(("127.0.0.1", secured.port)), server_hostname="localhost"
            )

    nothing_is_wrong(result)
    assert result["accepted_per_s"] > 0


def test_the_live_page_is_weighed(running: server.Server) -> None:
    result = tree.measure(running, 4, seconds=0.1)

    assert result["failures"] == {}
    assert set(result) >= {"folded", "unfolded", "searched"}
    assert result["unfolded"]["first_kib"] > result["folded"]["first_kib"] > 1


def test_idle_connections_are_weighed(running: server.Server) -> None:
    result = idle.measure(running, 10, seconds=0.1)

    nothing_is_wrong(result)
    assert result["connects_per_s"] > 0


def test_those_who_come_back_get_everything(running: server.Server) -> None:
    filled = catchup.fill(running, 4, 30)
    result = catchup.pull(running, 4, 30)

    nothing_is_wrong(result)
    assert filled["filled_per_s"] > 0
    assert result["messages"] == 120


def test_what_others_are_told_does_not_grow_with_how_often_somebody_changes() -> None:
    crowd = presence.Crowd(users=30, contacts=10, restless=5, seconds=0.5, slow=1, fast=20, quiet_seconds=2.5)
    came, again, *restless = [row for _, row in presence.measured(crowd)]

    assert [row["wrong_views"] for row in (came, again, *restless)] == [0] * 6
    assert came["items"] > again["items"] == crowd.users * crowd.contacts
    for row in restless:
        nothing_is_wrong(row)
        intervals = row["wall_s"] / PresenceSettings().interval_seconds + 1
        assert row["items_to_who_stayed"] <= crowd.restless * crowd.contacts * intervals
    came_and_went, came_and_went_often, looked_away, looked_away_often = restless
    assert came_and_went["items_to_who_stayed"] == came_and_went_often["items_to_who_stayed"] == 0
    assert looked_away["items_to_who_stayed"] > 0
    assert looked_away_often["changes"] == 20 * looked_away["changes"]


def test_a_view_that_is_wrong_is_noticed() -> None:
    """A check that cannot fail is a defect."""
    crowd = presence.Crowd(users=4, contacts=2)
    there = [presence.Known(view=dict.fromkeys(map(eid_of, both), wire.ONLINE)) for both in NEIGHBOURS]
    there[1].view[eid_of(0)] = wire.DND
    del there[2].view[eid_of(1)]

    assert presence.wrong_views(crowd, there) == 2


def test_growth_is_measured_at_each_size() -> None:
    rows = growth.by_entries((100, 300), users=10)

    assert [row["users"] for row in rows] == [10, 10]
    assert rows[1]["entries"] >= 300
    assert all(row["append_us_per_message"] > 0 and row["pulled"] for row in rows)


def test_a_restart_on_a_filled_store_is_timed() -> None:
    result = growth.restart(entries=100, users=10, times=1)

    assert result["ready_s"] > 0


def test_a_soak_loses_nothing_while_devices_come_and_go(running: server.Server) -> None:
    short = soak.Soak(running, soak.Plan(seconds=0.5, pairs=3, rate=100, churn=10))
    short.run()
    short.loop.close()

    assert short.loop.failures == {}
    assert short.ledger.is_settled
    assert short.comings >= 3


def test_growing_memory_fails_a_soak() -> None:
    steady = [200 << 20] * 8
    growing = [200 << 20, 200 << 20, 200 << 20, 200 << 20, 250 << 20, 250 << 20, 300 << 20, 300 << 20]

    assert soak.verdict(steady)[2]
    assert not soak.verdict(growing)[2]


def test_a_hole_in_the_log_is_noticed(running: server.Server) -> None:
    """A check that cannot fail is a defect."""
    loop = Loop()
    device = Device(loop, running.port, server.token("holes", "phone"))
    device.position = 3
    device._check(wire.Body(5, 6, in_turn=True, accepted=0, marks=[], errors=[], statuses=[], is_reset=False))
    loop.close()

    assert list(loop.failures) == ["a hole: (5, 6] came after 3"]


@pytest.mark.parametrize("name", ["trio checkpoint", "upb: decode and encode a message", "a page written and synced"])
def test_a_floor_is_measured(name: str) -> None:
    assert floors.FLOORS[name]()["median_us"] > 0


def test_what_limits_is_told() -> None:
    def limit(server_seconds: float, client_seconds: float, idle_part: float) -> str:
        return accounting.Usage(1.0, server_seconds, client_seconds, idle_part).limit.split()[0]

    assert limit(1.0, 0.2, 0.4) == "server"
    assert limit(1.0, 0.99, 0.0) == "client"
    assert limit(0.6, 0.2, 0.01) == "machine"
    assert limit(0.3, 0.2, 0.5) == "waiting"


class _Conn:
    """What the harness gives an adapter, with a socket that blocks."""

    def __init__(self, _loop: object, port: int) -> None:
        self.hub: Any = None
        self.on_accept: Any = None
        self._socket = socket.create_connection(("127.0.0.1", port), 5)

    def log_in(self) -> None:
        buffered = b""
        for out, awaited in self.steps():  # type: ignore[attr-defined]
            self.send(out)
            while (found := re.search(awaited, buffered)) is None:
                buffered += self._socket.recv(65_536)
            buffered = buffered[found.end() :]
        self.feed(buffered)  # type: ignore[attr-defined]

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> None:
        self.feed(self._socket.recv(65_536))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._socket.close()


def adapter_of(name: str) -> Any:
    """An adapter as the harness imports it: by its file, with the harness's modules there."""
    path = Path(server.__file__).parent / "peer" / f"{name}.py"
    spec: Any = importlib.util.spec_from_file_location("adapter", path)
    adapter: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapter)
    return adapter


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the harness has, as far as adapters use it; `ejabberd` is its module of that server."""
    common, ejabberd = ModuleType("common"), ModuleType("ejabberd")
    given: dict[ModuleType, dict[str, Any]] = {
        common: {"Conn": _Conn, "body": lambda sender, number: b"@%04d:%08d@" % (sender, number)},
        ejabberd: {
            "CONF": "modules:\n  mod_mam: {{}}\n",
            "HTTP": 0,
            "prepare": None,
            "start": lambda variant, _folder: variant,
            "Device": lambda *_given, **_more: "by XMPP",
        },
    }
    for module, names in given.items():
        for name, value in names.items():
            setattr(module, name, value)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return SimpleNamespace(common=common, ejabberd=ejabberd)


class _Counted:
    """A hub that counts, as that of the harness."""

    def __init__(self) -> None:
        self.sent = 0
        self.accepts = 0
        self.marks: list[tuple[bytes, bytes]] = []

    def sending(self, _sender: int, count: int) -> int:
        self.sent += count
        return self.sent - count

    def accepted(self, _sender: int, count: int) -> None:
        self.accepts += count

    def delivered(self, marks: list[tuple[bytes, bytes]]) -> None:
        self.marks += marks


@pytest.mark.parametrize("opts", [{}, {"rest": True}])
def test_the_adapter_for_the_peers_harness_sends_and_receives(
    running: server.Server, harness: SimpleNamespace, opts: dict[str, bool]
) -> None:
    assert harness.common
    adapter, hub = adapter_of("bimip"), _Counted()
    at = SimpleNamespace(port=running.port, opts=opts)
    a, b = (f"{way}-peer-{'rest' if opts else 'socket'}" for way in ("from", "to"))
    receiving = adapter.Device(None, at, b, 1)
    receiving.hub = hub
    receiving.log_in()
    sending = adapter.Device(None, at, a, 1, sender=True)
    sending.hub, sending.on_accept = hub, lambda _device, _count: None
    sending.log_in()
    sending.target(0, b)
    sending.post(3)
    while hub.accepts < 3:
        sending.read()
    while len(hub.marks) < 3:
        receiving.read()
    for device in (sending, receiving):
        device.close()

    assert sending.inflight() == 0
    assert hub.marks == [(b"0000", b"%08d" % number) for number in range(3)]


def test_ejabberds_rest_interface_is_asked_as_its_documentation_has_it(harness: SimpleNamespace) -> None:
    adapter, hub = adapter_of("ejabberd_rest"), _Counted()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        harness.ejabberd.HTTP = listener.getsockname()[1]
        sending = adapter.Device(None, None, "a0001", 1, sender=True)
        peer, _ = listener.accept()
        with peer:
            sending.hub, sending.loop = hub, SimpleNamespace(errors=Counter())
            sending.on_accept = lambda device, count: device.post(count) if hub.sent < 3 else None
            sending.log_in()
            sending.target(7, "b0001")
            sending.post(2)
            asked = []
            for said in (b"0", b"0", b"1"):
                asked.append(peer.recv(65_536))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n" + said)
                sending.read()
            sending.close()
    heads, bodies = zip(*(one.split(b"\r\n\r\n") for one in asked), strict=True)

    assert heads[0].startswith(b"POST /api/send_message HTTP/1.1\r\n")
    assert [json.loads(one) for one in bodies] == [
        {
            "type": "chat",
            "from": "a0001@localhost",
            "to": "b0001@localhost",
            "subject": "",
            "body": f"@0007:{number:08d}@",
        }
        for number in range(3)
    ]
    assert (hub.accepts, sending.inflight()) == (2, 1)
    assert dict(sending.loop.errors) == {"200 b'1'": 1}


def test_ejabberd_is_started_with_the_module_that_sends(harness: SimpleNamespace) -> None:
    adapter = adapter_of("ejabberd_rest")
    started = [adapter.start(variant, "folder") for variant in adapter.VARIANTS]

    assert started == ["ejabberd-mnesia", "ejabberd-sqlite"]
    assert harness.ejabberd.CONF.format().count("mod_admin_extra: {}") == 1
    assert adapter.Device(None, None, "b0001", 2) == "by XMPP"


@pytest.mark.parametrize(("what", "loop"), [("alone", "trio"), ("together", "asyncio"), ("take", "asyncio")])
def test_one_client_of_the_sdk_is_measured_by_itself(what: str, loop: str) -> None:
    row = sdk._measure(what, loop, 250)

    assert min(row["per_s"], row["client_us"], row["seconds"], row["peak_mib"]) > 0
    assert ("hello_ms" in row) == (what == "take")
