"""Traces for OpenTelemetry: messages that are followed (`users/tracing.py`) as spans, for who collects those of all
their services. The library of OpenTelemetry keeps them in a queue of its own, drops what is too much, and sends from a
thread of its own. It is an extra (`bimip[tracing]`), and nothing of it is loaded unless an endpoint is named.

A message is one trace, whose ids follow from its `signal_id`, so that whoever knows that one finds it, and parts of it
that were made before and after a restart belong together. Each span begins when the message was accepted; the first is
the acceptance, and each further one ends when that happened which it is named after.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from threading import Timer
from typing import Any, Final

from bimip import __version__
from bimip.config import ConfigError, LoggingSettings
from bimip.domain.core.clock import millis_of, stamp_in
from bimip.domain.core.ids import Millis

SEND_SECONDS: Final = 5
"""How long a collector may take for what it is sent. What was not sent so long after a stop began is dropped."""
NS_PER_MS: Final = 1_000_000
FIRST: Final = "message accepted"


class Spans:
    """Makes spans of what is told of messages, and has them sent to a collector."""

    def __init__(self, exporter: Any, now: Callable[[], Millis], send_seconds: float = SEND_SECONDS) -> None:  # noqa: ANN401 - the library may not be there
        """`exporter` is the library's; closing closes it."""
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

        class Ids(RandomIdGenerator):
            """Gives the next span the ids of a message's trace, where it is the first of that."""

            trace_id = root_id = 0

            def generate_trace_id(self) -> int:
                return self.trace_id

            def generate_span_id(self) -> int:
                given, self.root_id = self.root_id, 0
                return given or super().generate_span_id()

        self._api, self._ids, self._now = trace, Ids(), now
        self._exporter, self._send_seconds = exporter, send_seconds
        resource = Resource.create({"service.name": "bimip", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("bimip", __version__)

    def tell(self, what: str, *, signal_id: str, user: str, **more: object) -> None:
        """Makes a span of what happened to a message."""
        api, ids = self._api, self._ids
        trace_id, root_id = ids_of(signal_id)
        context = api.set_span_in_context(api.INVALID_SPAN)
        if what == FIRST:
            ids.trace_id, ids.root_id = trace_id, root_id
        else:
            root = api.SpanContext(
                trace_id, root_id, is_remote=True, trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED)
            )
            context = api.set_span_in_context(api.NonRecordingSpan(root))
        began = millis_of(stamp_in(signal_id))
        attributes: dict[str, Any] = {
            "messaging.system": "bimip",
            "messaging.message.id": signal_id,
            "bimip.user": user,
        }
        attributes |= {f"bimip.{name}": value for name, value in more.items()}
        span = self._tracer.start_span(what, context, attributes=attributes, start_time=began * NS_PER_MS)
        span.end(max(began, self._now()) * NS_PER_MS)

    def close(self) -> None:
        """Sends what waits, for so long at most, and what is under way then: the library alone would go on for 30 s."""
        enough = Timer(self._send_seconds, self._exporter.shutdown)
        enough.start()
        self._provider.shutdown()
        enough.cancel()


def ids_of(signal_id: str) -> tuple[int, int]:
    """Derives the ids of a message's trace and of its first span, 16 and 8 bytes: none of them is 0, which is no id."""
    digest = sha256(signal_id.encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


def check_spans(settings: LoggingSettings) -> None:
    """Raises ConfigError where spans are asked for and the library is not there."""
    if settings.otlp_endpoint and not _is_installed():
        raise ConfigError("logging.otlp_endpoint is set, and its library is missing: pip install 'bimip[tracing]'")


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of what it lies in
        return False


def open_spans(settings: LoggingSettings, now: Callable[[], Millis]) -> Spans | None:
    """Opens the way to the collector that the settings name; None: they name none. Raises ConfigError."""
    if not settings.otlp_endpoint:
        return None
    check_spans(settings)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra

    return Spans(OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=SEND_SECONDS), now)
