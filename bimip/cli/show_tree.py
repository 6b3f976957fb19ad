"""The supervision tree as a table: one line for each process, its place drawn before its name."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from bimip.cli.words import duration, printable

Json = Mapping[str, Any]

_COLOURS = {
    "running": "green",
    "starting": "yellow",
    "restarting": "bold yellow",
    "stopping": "yellow",
    "stopped": "red",
}


def tree_table(root: Json) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("process", "kind", "state", "since", "restarts", "last crash", "waiting at"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if name == "restarts" else "left")
    for lead, node in _walk(root, "", ""):
        table.add_row(*_row(lead, node))
    return table


def _walk(node: Json, lead: str, below: str) -> Iterator[tuple[str, Json]]:
    """`lead` stands before the node's own name, `below` before those of its children."""
    yield lead, node
    children = node["children"]
    for child in children:
        last = child is children[-1]
        yield from _walk(child, below + ("└── " if last else "├── "), below + ("    " if last else "│   "))


def _row(lead: str, node: Json) -> Iterator[Text]:
    yield Text.assemble((lead, "dim"), (printable(node["id"]), "bold" if node["kind"] != "worker" else ""))
    yield Text(node["kind"], "dim")
    yield Text(node["state"], _COLOURS.get(node["state"], ""))
    yield Text(duration(node["seconds_in_state"]))
    yield Text(_restarts(node), "yellow" if node["restarts"] else "dim")
    yield _crash(node["last_crash"])
    yield Text.assemble((printable(node["waiting_at"]), "dim"), *_details(node))


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


def _details(node: Json) -> Iterator[tuple[str, str]]:
    for key, value in node["details"].items():
        yield f"  {printable(key)} {printable(str(value))}", "cyan"
