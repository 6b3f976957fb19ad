"""What a running server does just now: rates between two looks at its metrics, latencies, lag, and who is busiest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bimip.cli.words import printable

Samples = Mapping[str, float]
Json = Mapping[str, Any]

RATES = {
    "accepted": "bimip_messages_accepted_total",
    "delivered": "bimip_deliveries_total",
    "duplicates": "bimip_messages_duplicate_total",
    "redelivered": "bimip_redeliveries_total",
    "refused": "bimip_refusals_total",
    "logins": "bimip_logins_total",
    "commits": "bimip_journal_commit_seconds_count",
    "crashes": "bimip_process_crashes_total",
}
"""What is told by the second, and the counter of it, over all its labels."""
LATENCIES = {
    "accept": "bimip_message_accept_seconds",
    "deliver": "bimip_message_deliver_seconds",
    "commit": "bimip_journal_commit_seconds",
}
LEVELS = {
    "devices": "bimip_devices_connected",
    "behind": "bimip_devices_behind",
    "lag": "bimip_lag_messages",
    "in_flight": "bimip_in_flight_messages",
    "unanswered": "bimip_requests_unanswered",
    "queue": "bimip_journal_queue_operations",
    "longest_turn_seconds": "bimip_longest_turn_seconds",
    "used_bytes": "bimip_store_used_bytes",
    "ready": "bimip_ready",
}


def samples_of(text: str) -> dict[str, float]:
    """Sums up samples by name, those of a histogram's buckets by name and bound; of a gauge's it takes the largest."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = f"{sample.name} {sample.labels['le']}" if "le" in sample.labels else sample.name
            before = found.get(name, 0.0)
            found[name] = max(before, sample.value) if family.type == "gauge" else before + sample.value
    return found


def measured(before: Samples, after: Samples, seconds: float, busiest: Sequence[Json]) -> dict[str, Any]:
    """Tells what happened between two looks, as JSON has it: rates each second, latencies in seconds."""
    rates = {what: max(0.0, _grown(before, after, name)) / seconds for what, name in RATES.items()}
    latencies = {
        what: {"p50": quantile(before, after, name, 0.5), "p99": quantile(before, after, name, 0.99)}
        for what, name in LATENCIES.items()
    }
    levels = {what: after.get(name, 0.0) for what, name in LEVELS.items()}
    return {"rates": rates, "latencies": latencies, **levels, "busiest": list(busiest)}


def quantile(before: Samples, after: Samples, name: str, part: float) -> float | None:
    """The value below which so large a part of what was observed between two looks lies; None: nothing was. It is as
    exact as the buckets are narrow.
    """
    bounds = [bound.partition(" ")[2] for bound in after if bound.startswith(f"{name}_bucket ")]
    counts = [_grown(before, after, f"{name}_bucket {bound}") for bound in bounds]
    if not counts or counts[-1] <= 0:
        return None
    wanted, below, lower = part * counts[-1], 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= wanted:
            if bound == "+Inf":
                return lower
            return lower + (float(bound) - lower) * (wanted - below) / max(count - below, 1e-9)
        below, lower = count, float(bound)
    return lower


def _grown(before: Samples, after: Samples, name: str) -> float:
    """A counter that is lower than before began anew, with the server."""
    new, old = after.get(name, 0.0), before.get(name, 0.0)
    return new if new < old else new - old


def top_lines(told: Json) -> Group:
    """The same for people."""
    return Group(*_lines(told), _busiest(told["busiest"]))


def _lines(told: Json) -> Iterator[Text]:
    state = Text("ready", "green") if told["ready"] else Text("not ready (/readyz says why)", "bold red")
    devices = f"{told['devices']:,.0f} devices, {told['behind']:,.0f} behind by {told['lag']:,.0f}"
    waiting = f"{told['in_flight']:,.0f} in flight, {told['queue']:,.0f} in the journal's queue"
    yield Text.assemble(state, f"   {devices}, {waiting}")
    yield Text("   ".join(f"{what} {rate:,.1f}/s" for what, rate in told["rates"].items()))
    yield Text("   ".join(f"{what} {_milliseconds(two)}" for what, two in told["latencies"].items()), "cyan")
    turn, store = told["longest_turn_seconds"] * 1000, told["used_bytes"] / 2**20
    yield Text(f"longest turn {turn:.1f} ms   store {store:,.1f} MiB", "dim")


def _milliseconds(two: Mapping[str, float | None]) -> str:
    if two["p50"] is None or two["p99"] is None:
        return "-"
    return f"p50 {two['p50'] * 1000:.1f} p99 {two['p99'] * 1000:.1f} ms"


def _busiest(devices: Sequence[Json]) -> Table:
    table = Table("busiest", "lag", "in flight", "unanswered", box=None, header_style="dim", pad_edge=False)
    for one in devices:
        who = f"{printable(one['eid'])}/{printable(one['device'])}"
        table.add_row(who, f"{one['lag']:,}", f"{one['in_flight']:,}", f"{one['unanswered']:,}")
    return table
