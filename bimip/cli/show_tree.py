"""The supervision tree: one line for each process, its place drawn before its name."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from bimip.cli.words import duration, printable

Json = Mapping[str, Any]

_HEADER = tuple(
    Text(name, "dim") for name in ("process", "kind", "state", "for", "restarts", "last crash", "doing", "waiting at")
)
_NARROW_HEADER = tuple(Text(name, "dim") for name in ("path", "state", "for", "restarts", "last crash, or doing"))
WIDE = 120
"""Columns of a screen on which all of it has room."""
_COLOURS = {
    "running": "green",
    "starting": "yellow",
    "restarting": "bold yellow",
    "stopping": "yellow",
    "stopped": "red",
}


def tree_lines(root: Json, width: int) -> Group:
    """One line for each process, cut at the screen's width. A narrow one has no room for the drawing and for all that
    there is to say: there each process has its path, which is what `kill` takes.
    """
    nodes = list(_walk(root, "", ""))
    if width < WIDE:
        rows = [_NARROW_HEADER, *(tuple(_narrow_row(node)) for _, node in nodes)]
    else:
        rows = [_HEADER, *(tuple(_row(lead, node)) for lead, node in nodes)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    return Group(*(_line(row, widths) for row in rows))


def _line(row: tuple[Text, ...], widths: list[int]) -> Text:
    *cells, last = row
    line = Text(no_wrap=True, overflow="ellipsis")
    for cell, width in zip(cells, widths, strict=False):
        line.append_text(cell).append(" " * (width - cell.cell_len + 2 * bool(width)))
    line.append_text(last).rstrip()
    return line


def _walk(node: Json, lead: str, below: str) -> Iterator[tuple[str, Json]]:
    """`lead` stands before the node's own name, `below` before those of its children."""
    yield lead, node
    children = node["children"]
    for child in children:
        last = child is children[-1]
        yield from _walk(child, below + ("└── " if last else "├── "), below + ("    " if last else "│   "))


def _row(lead: str, node: Json) -> Iterator[Text]:
    yield Text.assemble((lead, "dim"), (printable(node["id"]), "bold" if node["kind"] != "worker" else ""))
    yield Text(node["kind"].replace("dynamic supervisor", "dynamic"), "dim")  # who has children is bold
    yield Text(node["state"], _COLOURS.get(node["state"], ""))
    yield Text(duration(node["seconds_in_state"]))
    yield Text(_restarts(node), "yellow" if node["restarts"] else "dim")
    yield _crash(node["last_crash"])
    yield Text(", ".join(_details(node["details"])), "cyan")
    yield Text(printable(node["waiting_at"]), "dim")


def _narrow_row(node: Json) -> Iterator[Text]:
    yield Text(printable(node["path"]), "" if node["kind"] == "worker" else "bold")
    yield Text(node["state"], _COLOURS.get(node["state"], ""))
    yield Text(duration(node["seconds_in_state"]))
    yield Text(_restarts(node), "yellow" if node["restarts"] else "dim")
    yield _crash(node["last_crash"]) if node["last_crash"] else Text(", ".join(_details(node["details"])), "cyan")


def _restarts(node: Json) -> str:
    """How often it was started again; for a supervisor also what it has spent of its budget."""
    budget = node["budget"]
    spent = f" ({budget['restarts']}/{budget['intensity']} spent)" if budget and budget["restarts"] else ""
    return f"{node['restarts']}{spent}"


def _crash(crash: Json | None) -> Text:
    if crash is None:
        return Text("")
    message = f": {crash['message']}" if crash["message"] else ""
    return Text(f"{printable(crash['type'] + message)}, {duration(crash['seconds_ago'])} ago", "red")


def _details(details: Json) -> Iterator[str]:
    """Lists what a process tells of itself, without what is as it should be: nothing, and yes."""
    for key, value in details.items():
        name = printable(key.replace("_", " "))
        if key == "partitions":
            yield f"lag {sum(log['lag'] for log in value.values())}"
        elif value is False:
            yield f"not {name}"
        elif key == "backlog" or (value and value is not True):
            yield f"{name} {printable(str(value))}"
