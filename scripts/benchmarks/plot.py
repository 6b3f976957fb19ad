"""Throughput against latency as load rises, as an SVG: one line for each percentile, both axes logarithmic."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 110, 40, 60
COLOURS = {"p50": "#1f77b4", "p99": "#d62728"}
STYLE = "font-family:sans-serif;font-size:12px"


class Axis:
    """Whole decades, so that every line of the grid is a power of ten."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self._begin, self._span = begin, end - begin

    def at(self, value: float) -> float:
        return self._begin + self._span * (math.log10(value) - self.low) / (self.high - self.low)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def write(file: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """`rows` are runs of the latency workload, in the order of their rates."""
    file.write_text(svg(rows, title))


def svg(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    rows = [row for row in rows if row.get("last_device_ms")]
    if not rows:
        raise ValueError("nothing was delivered: there is nothing to plot")
    x = Axis([row["accepted_per_s"] for row in rows], LEFT, WIDTH - RIGHT)
    y = Axis([row["last_device_ms"][name] for row in rows for name in COLOURS], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" style="{STYLE}">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(WIDTH / 2, 20, title),
        _text(WIDTH / 2, HEIGHT - 15, "messages accepted per second"),
        f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, "ms until the last device has it")}</g>',
    ]
    for value in x.decades():
        parts += [_line(x.at(value), TOP, x.at(value), HEIGHT - BOTTOM)]
        parts += [_text(x.at(value), HEIGHT - BOTTOM + 18, f"{value:,.0f}")]
    for value in y.decades():
        parts += [_line(LEFT, y.at(value), WIDTH - RIGHT, y.at(value)), _text(LEFT - 22, y.at(value) + 4, f"{value:g}")]
    for name, colour in COLOURS.items():
        points = [(x.at(row["accepted_per_s"]), y.at(row["last_device_ms"][name])) for row in rows]
        parts += [_line(*one, *other, colour, 2) for one, other in pairwise(points)]
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}"/>' for px, py in points]
        parts.append(_text(points[-1][0] + 24, points[-1][1] + 4, name))
    return "\n".join([*parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#ddd", width: int = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'
