"""`bimip status`: how a user and their contacts are, and what the user says of themselves."""

import time

from rich.console import Console
from rich.text import Text

from bimip.cli.devices import Device, asking
from bimip.cli.show_events import intent_text, presence_text, status_name, status_sign
from bimip.cli.words import printable, show_json
from bimip.client import Client, Status
from bimip.client.events import KnownPresence


async def show(device: Device, *, as_json: bool = False) -> None:
    """How the token's user is, and each of the contacts whom they are let see, a line each."""
    async with asking(device) as client:
        await client.state.refresh()
        own, intent = client.identity.eid if client.identity else "", client.presence.intent
        found = {eid: await client.presence.ask(eid) for eid in await _seen_by(client)}
    if as_json:
        show_json({"eid": own, "says": status_name(intent.status), "until": intent.until})
    else:
        print(f"you {intent_text(intent)}")
    screen = Console(highlight=False, soft_wrap=True)
    for eid, presence in found.items():
        if as_json:
            told = {"status": status_name(presence.status), "since": presence.since, "last_seen": presence.last_seen}
            show_json({"eid": eid} | told)
        else:
            screen.print(_line(eid, presence))


async def _seen_by(client: Client) -> list[str]:
    return sorted(eid for eid, contact in (await client.contacts.list()).items() if contact.seen)


def _line(eid: str, presence: KnownPresence) -> Text:
    sign, colour = status_sign(presence.status)
    return Text.assemble((f"{sign} ", colour), f"{printable(eid)} {presence_text(presence)}")


async def set_intent(device: Device, status: str, *, seconds: int | None, as_json: bool = False) -> None:
    """Says how the token's user is, for so long or until they say another."""
    until = 0 if seconds is None else time.time_ns() // 1_000_000 + seconds * 1000
    async with asking(device) as client:
        intent = await client.presence.set_intent(Status[status.upper()], until=until)
    if as_json:
        show_json({"says": status_name(intent.status), "until": intent.until})
    else:
        print(f"you {intent_text(intent)}")
