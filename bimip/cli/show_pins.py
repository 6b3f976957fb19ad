"""Who holds back which log, and what an eviction frees, as `bimip user pins` and `bimip user evict` show it."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bimip.cli.words import counted, date_text, printable

Json = dict[str, Any]

_COLUMNS = ("device", "holds back", "frees", "bytes", "of the store", "live until")


def user_pins_lines(told: Json) -> Group:
    """Formats each log of a user with the devices that hold it back."""
    return Group(*(part for name, log in told["logs"].items() for part in _log_lines(name, log)))


def _log_lines(name: str, log: Json) -> Iterator[RenderableType]:
    kept = log["head"] - log["first"] + 1
    days = f"{counted(log['days'], 'day')}" if log["days"] else "no period of days"
    yield Text(f"{printable(name)}: {counted(kept, 'entry', 'entries')} up to {log['head']:,}, {log['policy']}, {days}")
    if log["policy"] != "until-acked":
        yield Text("  no device holds it back: the period of days alone decides", "dim")
    elif log["pins"]:
        yield _table(log["pins"])
        if log["more_pins"]:
            yield Text(f"and {counted(log['more_pins'], 'more device')}")
    else:
        yield Text("  no live device holds anything back", "dim")


def worst_pins_lines(pins: Sequence[Json], until_acked: Sequence[str]) -> Group:
    """Formats the devices that hold back the most, of all users."""
    if not until_acked:
        return Group(Text("no partition is kept until-acked (retention.policies): no device holds a log back"))
    if not pins:
        return Group(Text("no live device holds anything back"))
    return Group(_table([{**one, "device": f"{one['eid']}/{one['device']} {one['partition']}"} for one in pins]))


def _table(pins: Sequence[Json]) -> Table:
    table = Table(*_COLUMNS, box=None, header_style="dim", pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for one in pins:
        more = "+" if one["at_least"] else ""
        live = "connected" if one["live_until"] is None else date_text(one["live_until"])
        frees = f"{one['frees']:,}{' (not by eviction: it is the only one)' if one['is_only'] else ''}"
        table.add_row(
            printable(one["device"]),
            f"{one['holds']:,}",
            frees,
            f"{one['frees_bytes']:,}{more}",
            f"{one['frees_store_bytes']:,}{more}",
            live,
        )
    return table


def eviction_lines(told: Json, *, is_done: bool) -> Iterator[str]:
    """Formats what an eviction frees, or would."""
    who = f"{printable(told['eid'])}/{printable(told['device'])}"
    yield f"{who} is evicted" if is_done else f"{who} would be evicted; nothing has happened"
    if told["stale"]:
        yield "  it is stale: it held nothing back any more"
    elif not told["logs"]:
        yield "  it held nothing back"
    for name, log in told["logs"].items():
        yield f"  {printable(name)}: {_freed(log)}"
    if is_done:
        yield "  what is free goes with the next round of retention"
        yield "  a token of it that still counts makes it a new device: `bimip user revoke USER --device NAME` bars it"


def _freed(log: Json) -> str:
    if log["is_only"]:
        return "it is the only live device that asked for it: the period of days alone decides without it"
    entries = f"{log['frees']:,} of {log['holds']:,} entries that it holds back"
    more = " at least" if log["at_least"] else ""
    of_the_store = f"of which {log['frees_store_bytes']:,} leave the store"
    return f"{entries}, {log['frees_bytes']:,} bytes{more}, {of_the_store}"
