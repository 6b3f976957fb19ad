"""Messages that are followed, as a collector of OpenTelemetry gets them."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from trio.testing import MockClock

from bimip.config import ConfigError
from bimip.domain.core.clock import earliest_stamp, millis_of, signal_id, stamp_in
from bimip.domain.core.ids import Millis
from bimip.environment import readings_of
from bimip.spans import Spans, ids_of, open_spans
from bimip.testing.virtual import BEGIN, settings_for_tests
from tests.kit.memory_server import open_world

MS = 1_000_000  # ns


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: list[Any] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            assert names["service.name"] == "bimip"
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()


async def test_a_message_is_one_trace_from_its_acceptance_to_its_receipts(autojump_clock: MockClock) -> None:
    with collecting() as collector:
        settings = settings_for_tests(BIMIP_LOGGING_SAMPLE_MESSAGES="1", BIMIP_LOGGING_OTLP_ENDPOINT=collector.endpoint)
        async with open_world(settings=settings) as world:
            bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
            sent = [await alice.post("bob", b"secret", f"m{number}") for number in (1, 2)]
            bob.acknowledge(2)
            await bob.heard()
            bob.read(sent[0].conversation, 1)
            await bob.heard()

    first, second = ([one for one in collector.spans if one.trace_id == trace(signal.signal_id)] for signal in sent)
    assert sorted(one.name for one in first) == [
        "message accepted",
        "message delivered",
        "message in log",
        "message read",
    ]
    assert sorted(one.name for one in second) == ["message accepted", "message delivered", "message in log"]
    [root] = [one for one in first if one.name == "message accepted"]
    assert (root.parent_span_id, root.span_id) == (b"", ids_of(sent[0].signal_id)[1].to_bytes(8, "big"))
    assert {one.parent_span_id for one in first if one is not root} == {root.span_id}
    assert len({one.span_id for one in collector.spans}) == len(collector.spans) == 7
    accepted = millis_of(stamp_in(sent[0].signal_id)) * MS
    assert {one.start_time_unix_nano for one in first} == {accepted}
    assert all(one.end_time_unix_nano >= accepted for one in first)
    [read] = [one for one in first if one.name == "message read"]
    attributes = {one.key: one.value.string_value for one in read.attributes}
    assert (attributes["messaging.message.id"], attributes["bimip.user"]) == (sent[0].signal_id, "bob")
    assert b"secret" not in b"".join(one.SerializeToString() for one in collector.spans)


def trace(signal_id: str) -> bytes:
    return ids_of(signal_id)[0].to_bytes(16, "big")


async def test_a_collector_that_is_gone_keeps_nobody_from_anything(autojump_clock: MockClock) -> None:
    with collecting() as collector:
        endpoint = collector.endpoint
    settings = settings_for_tests(BIMIP_LOGGING_SAMPLE_MESSAGES="1", BIMIP_LOGGING_OTLP_ENDPOINT=endpoint)
    async with open_world(settings=settings) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        await alice.post("bob", b"Hi", "m1")

        assert (await bob.heard()).payloads == [b"Hi"]


def test_a_stop_does_not_wait_for_all_that_a_collector_which_hangs_was_to_get() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        endpoint = f"http://127.0.0.1:{hanging.getsockname()[1]}/v1/traces"
        spans = Spans(OTLPSpanExporter(endpoint=endpoint, timeout=0.5), lambda: Millis(BEGIN), send_seconds=0.5)
        for _ in range(2000):  # four requests
            spans.tell("message accepted", signal_id=signal_id(earliest_stamp(Millis(BEGIN))), user="ann")
        spans.close()
        hanging.settimeout(0)
        asked = 0
        with suppress(BlockingIOError):
            while True:
                hanging.accept()[0].close()
                asked += 1

    assert 1 <= asked < 4


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter.otlp"])
def test_without_an_endpoint_nothing_of_the_library_is_needed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    settings = settings_for_tests().logging
    named = settings_for_tests(BIMIP_LOGGING_OTLP_ENDPOINT="http://127.0.0.1:4318/v1/traces")

    assert open_spans(settings, lambda: 0) is None  # type: ignore[arg-type, return-value]  # no clock is needed
    with pytest.raises(ConfigError, match=r"logging\.otlp_endpoint .* pip install 'bimip\[tracing\]'"):
        open_spans(named.logging, lambda: 0)  # type: ignore[arg-type, return-value]
    wrong = []
    for read in readings_of(named):
        try:
            read()
        except ConfigError as error:
            wrong.append(str(error))
    assert any("bimip[tracing]" in one for one in wrong)
