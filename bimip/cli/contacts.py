"""`bimip contacts`: whom a user knows, as one of their devices sees and changes it."""

from rich.console import Console
from rich.text import Text

from bimip.cli.devices import Device, asking
from bimip.cli.show_events import contact_text
from bimip.cli.words import printable, show_json
from bimip.client.events import KnownContact


async def show(device: Device, *, as_json: bool = False) -> None:
    """The contacts of the token's user, a line each."""
    async with asking(device) as client:
        found = await client.contacts.list()
    screen = Console(highlight=False, soft_wrap=True)
    for eid, contact in sorted(found.items()):
        if as_json:
            show_json({"eid": eid, **contact._asdict()})
        else:
            screen.print(Text.assemble((printable(eid), "bold"), f"   {contact_text(contact)}"))


async def request(device: Device, eid: str, *, mutual: bool = False, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.request(eid, mutual=mutual), as_json=as_json)


async def accept(device: Device, eid: str, *, mutual: bool = False, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.accept(eid, mutual=mutual), as_json=as_json)


async def deny(device: Device, eid: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.deny(eid), as_json=as_json)


async def remove(device: Device, eid: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.remove(eid), as_json=as_json)


async def block(device: Device, eid: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.block(eid), as_json=as_json)


async def unblock(device: Device, eid: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.unblock(eid), as_json=as_json)


async def name(device: Device, eid: str, text: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        _done(eid, await client.contacts.name(eid, text), as_json=as_json)


def _done(eid: str, contact: KnownContact, *, as_json: bool) -> None:
    show_json({"eid": eid, **contact._asdict()}) if as_json else print(f"{printable(eid)}: {contact_text(contact)}")
