"""From runs to what is printed and kept: medians and ranges."""

import datetime as dt
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks import accounting, server

Row = Mapping[str, Any]


def flat(row: Row, prefix: str = "") -> dict[str, float]:
    """All numbers of a run, by dotted name."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def summary(runs: Sequence[Row]) -> dict[str, Any]:
    """Median, least and most of each number; and everything that limited a run."""
    numbers = [flat(run) for run in runs]
    names = dict.fromkeys(name for run in numbers for name in run)
    found: dict[str, Any] = {}
    for name in names:
        values = [run[name] for run in numbers if name in run]
        found[name] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    found["limits"] = [run["limit"] for run in runs if "limit" in run]
    return found


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shown(found: Mapping[str, Any], name: str) -> str:
    """The median, and the range where there were several runs that differ."""
    if name not in found:
        return "-"
    median, low, high = (number(found[name][part]) for part in ("median", "min", "max"))
    return median if low == high else f"{median} ({low}-{high})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns: the first and the last to the left, all others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, len(head) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def about(folder: Path = server.CHECKOUT) -> dict[str, Any]:
    """Where and on what this was measured."""
    commit = subprocess.run(
        ["git", "-C", str(server.CHECKOUT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["scripts/bench", *sys.argv[1:]]),
        "commit": commit.stdout.strip(),
        "store": accounting.filesystem(folder),
        "machine": accounting.machine(),
    }


def write_json(file: Path, results: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(results, indent=1) + "\n")
