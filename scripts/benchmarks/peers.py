"""Other message servers under the same load, with the harness that measures them alike; ours among them.

One run alternates: each round measures every server once. What cannot run here (not installed) says so in its row.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks import results

OURS = "bimip"
PEERS = (
    "ejabberd-mnesia",
    "ejabberd-sqlite",
    "prosody-internal",
    "mosquitto-autosave-30min",
    "nats-2.10-default",
    "nats-2.10-sync-always",
)
OURS_BY_REST = "bimip-rest"
PEERS_BY_REST = ("ejabberd-mnesia-rest", "ejabberd-sqlite-rest", "synapse-sqlite")
"""Whose senders write by HTTP; who receives is connected as ever. Synapse has no other way."""
DURABLE = {
    OURS: "synced",
    OURS_BY_REST: "synced",
    "ejabberd-mnesia-rest": "not synced",
    "ejabberd-sqlite-rest": "not said",
    "ejabberd-mnesia": "not synced",
    "ejabberd-sqlite": "committed, not synced",
    "prosody-internal": "not synced",
    "mosquitto-autosave-30min": "memory",
    "mosquitto-autosave-1s": "memory",
    "nats-2.9-default": "not synced for up to 2 minutes",
    "nats-2.10-default": "not synced for up to 2 minutes",
    "nats-2.10-sync-always": "synced",
    "synapse-sqlite": "committed",
}
"""What is promised when a message was acknowledged."""

Found = dict[tuple[str, str], list[dict[str, Any]]]
"""Runs by workload and variant."""

WORKLOADS: dict[str, tuple[str, dict[str, str]]] = {
    "W1": ("W1", {}),
    "window 1": ("W1", {"PEERBENCH_WINDOW": "1"}),
    "W2": ("W2", {}),
    "W3": ("W3", {}),
    "W4": ("W4", {}),
}
COLUMNS = (
    ("accepted /s", "W1", "accepted_per_s"),
    ("µs each", "W1", "cpu_us_per_msg"),
    ("window 1 /s", "window 1", "accepted_per_s"),
    ("µs each", "window 1", "cpu_us_per_msg"),
    ("p50 ms at 200/s", "W2", "lat_last_ms.p50"),
    ("p99 ms", "W2", "lat_last_ms.p99"),
    ("pulled /s", "W4", "msgs_per_s"),
    ("KiB a device", "W3", "n5000.rss_kb_per_device_total"),
    ("disk bytes", "W1", "disk_bytes_per_msg"),
)


def measure(harness: Path, variants: Sequence[str], workloads: Sequence[str], rounds: int) -> Found:
    found: Found = {}
    for turn in range(rounds):
        for workload in workloads:
            for variant in variants:
                print(f"round {turn + 1}: {variant}, {workload} ...", file=sys.stderr, flush=True)
                found.setdefault((workload, variant), []).append(_one(harness, variant, workload))
    return found


def _one(harness: Path, variant: str, workload: str) -> dict[str, Any]:
    name, environment = WORKLOADS[workload]
    adapter = Path(__file__).parent / "peer"
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as row:
        environment = {
            **os.environ,
            "PEERBENCH_PATH": f"{adapter}:{os.environ.get('PEERBENCH_PATH', '')}",
            "PEERBENCH_RESULTS": row.name,
            **environment,
        }
        command = [sys.executable, str(harness / "bench" / "bench.py"), "one", variant, name]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
        lines = Path(row.name).read_text().splitlines()
    if not lines:
        return {"error": ended.stderr[-500:] or "no result"}
    said: dict[str, Any] = json.loads(lines[-1])
    if "error" in said:
        return {"error": said["error"]}
    result: dict[str, Any] = said["r"]
    pulls = [value for value in result.values() if isinstance(value, dict) and "msgs_per_s" in value]
    return result | (pulls[-1] if pulls else {})


def table(found: Found) -> str:
    """Medians, and below each peer's how many times that is ours (or what part of it)."""
    variants = list(dict.fromkeys(variant for _, variant in found))
    lines = []
    for variant in variants:
        lines.append([variant, *(_cell(found, variant, column) for column in COLUMNS), DURABLE.get(variant, "?")])
        if variant != _ours(found, variant):
            lines.append(["  ours / theirs", *(_ratio(found, variant, column) for column in COLUMNS), ""])
    return results.table(["", *(head for head, _, _ in COLUMNS), "durable when acknowledged"], lines)


def _ours(found: Found, variant: str) -> str:
    """What of ours a peer is compared with."""
    by_rest = variant in {OURS_BY_REST, *PEERS_BY_REST} and any(name == OURS_BY_REST for _, name in found)
    return OURS_BY_REST if by_rest else OURS


def _summary(found: Found, variant: str, workload: str) -> Mapping[str, Any]:
    return results.summary([run for run in found.get((workload, variant), []) if "error" not in run])


def _cell(found: Found, variant: str, column: tuple[str, str, str]) -> str:
    return results.shown(_summary(found, variant, column[1]), column[2])


def _ratio(found: Found, variant: str, column: tuple[str, str, str]) -> str:
    _, workload, name = column
    ours, theirs = (
        _summary(found, _ours(found, variant), workload).get(name),
        _summary(found, variant, workload).get(name),
    )
    return f"{ours['median'] / theirs['median']:.2f}" if ours and theirs and theirs["median"] else "-"


def errors(found: Found) -> list[str]:
    return [
        f"{variant}, {workload}: {run['error']}"
        for (workload, variant), runs in found.items()
        for run in runs
        if "error" in run
    ]
