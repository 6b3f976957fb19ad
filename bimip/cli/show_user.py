"""A user's devices as an operator sees them: a table of all, or one in full."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bimip.cli.words import counted, date_text, duration, printable

Json = dict[str, Any]

_OF_A_LOG = ("partition", "head", "delivered", "committed", "lag", "waiting", "bytes", "oldest", "in flight")


def user_lines(told: Json) -> Group:
    """Formats a user's devices: a line for each log that a device named."""
    table = _table("device", "connected", *_OF_A_LOG)
    for name, device in told["devices"].items():
        connection = device["connection"]
        connected = f"since {_at(connection['since'])}" if connection else f"no, seen {_at(device['last_seen'])}"
        first = (printable(name), connected)
        for row in _logs(device) or [()]:
            table.add_row(*first, *row)
            first = ("", "")
    return Group(Text(f"{printable(told['eid'])}: {counted(len(told['devices']), 'device')}"), table)


def device_lines(told: Json) -> Group:
    """Formats the one device that was asked for."""
    [(name, device)] = told["devices"].items()
    shown: list[RenderableType] = [Text(f"{what:11} {said}") for what, said in _facts(name, device)]
    rows = _logs(device)
    if rows:
        table = _table(*_OF_A_LOG)
        for row in rows:
            table.add_row(*row)
        shown.append(table)
    return Group(*shown)


def event_lines(events: Sequence[Json]) -> Iterator[str]:
    """Formats what happened to a device of late, the newest last."""
    if not events:
        yield "nothing was noted of it since the server began, or it went too long ago"
    for one in events:
        often = f" ({one['times']} times until {_at(one['until'])})" if one["times"] > 1 else ""
        yield f"{_at(one['at'])}  {one['what']:13} {printable(one['said'])}{often}".rstrip()


def _facts(name: str, device: Json) -> Iterator[tuple[str, str]]:
    label = f' "{printable(device["label"])}"' if device["label"] else ""
    yield "device", f"{printable(name)}{label}, known since {_at(device['created'])}"
    one = device["connection"]
    if one is None:
        yield "connected", f"no; last seen {_at(device['last_seen'])}"
        return
    yield "connected", f"since {_at(one['since'])} from {printable(one['address']) or 'an address that is not known'}"
    yield "client", printable(one["agent"]) or "it did not say"
    trip = one["round_trip_ms"]
    yield "round trip", "not measured yet: it is with each heartbeat" if trip is None else f"{trip:g} ms"
    yield "token", f"expires {_at(one['token_expires'])}"
    state = [] if one["greeted"] else ["its Hello was not granted yet"]
    state += [] if one["takes_frames"] else ["it takes no bytes just now"]
    yield "standing", ", ".join([*state, f"{counted(one['unanswered'], 'request')} unanswered"])


def _logs(device: Json) -> list[tuple[str, ...]]:
    """Formats what a device acknowledged and was sent of each log, as `_OF_A_LOG` has it."""
    asked = (device["connection"] or {"partitions": {}})["partitions"]
    return [_log(name, device["committed"].get(name), asked.get(name)) for name in {**device["committed"], **asked}]


def _log(name: str, known: Json | None, asked: Json | None) -> tuple[str, ...]:
    in_flight = "-" if asked is None else f"{asked['in_flight']:,} ({asked['in_flight_bytes']:,} bytes)"
    delivered = "-" if asked is None else f"{asked['position']:,}"
    if known is None:  # its first position is being written
        assert asked is not None
        return printable(name), f"{asked['head']:,}", delivered, "-", f"{asked['lag']:,}", "-", "-", "-", in_flight
    more = "+" if known["waiting_at_least"] else ""
    return (
        printable(name),
        f"{known['head']:,}",
        delivered,
        f"{known['floor']:,}",
        f"{known['lag']:,}",
        f"{known['waiting']:,}{more}",
        f"{known['waiting_bytes']:,}{more}",
        duration(known["waiting_seconds"]) if known["waiting"] else "-",
        in_flight,
    )


def _table(*names: str) -> Table:
    table = Table(*names, box=None, header_style="dim", pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    return table


def _at(at: int) -> str:
    return date_text(at, seconds=True)
