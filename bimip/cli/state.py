"""`bimip state`: what changes of a user (receipts, edits, settings, devices), as the server has it."""

import json

import betterproto2

from bimip.cli.devices import Device, asking
from bimip.cli.output import is_lost
from bimip.cli.words import printable
from bimip.client.wire.bimip import StateItem


async def show_state(device: Device, since: int, *, as_json: bool = False) -> None:
    """Each item as a line, in the order of their versions."""
    async with asking(device) as client:
        page = await client.state.read(since)
        while True:
            for item in page.items:
                print(_json_of(item) if as_json else _line_of(item))
            if page.complete or is_lost():
                return
            page = await client.state.read(page.upto, whole=page.is_whole)


def _json_of(item: StateItem) -> str:
    return json.dumps(item.to_dict())


def _line_of(item: StateItem) -> str:
    kind, _ = betterproto2.which_one_of(item, "value")
    gone = "gone: " if item.removed else ""
    return printable(
        f"{item.version:>6}  {kind}  {gone}{json.dumps(next(iter(_values(item)), {}), ensure_ascii=False)}"
    )


def _values(item: StateItem) -> list[object]:
    return [value for name, value in item.to_dict().items() if name not in {"version", "removed"}]
