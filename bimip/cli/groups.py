"""`bimip group`: groups as a device of one of their members sees and changes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from bimip.cli.devices import Device, asking
from bimip.cli.words import counted, printable, show_json
from bimip.client.facets.groups import GroupInfo


async def create(device: Device, title: str, members: Sequence[str], *, as_json: bool = False) -> None:
    async with asking(device) as client:
        group = await client.groups.create(title, members)
    show_json({"group": group}) if as_json else print(f"created {group}: `bimip send {group} TEXT` writes to it")


async def add(device: Device, group: str, members: Sequence[str], *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.groups.add(group, *members)
    _done({"group": group, "added": list(members)}, f"added {_listed(members)} to {group}", as_json=as_json)


async def remove(device: Device, group: str, member: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.groups.remove(group, member)
    _done({"group": group, "removed": member}, f"removed {printable(member)} from {group}", as_json=as_json)


async def leave(device: Device, group: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.groups.leave(group)
    _done({"group": group, "left": True}, f"left {group}", as_json=as_json)


async def rename(device: Device, group: str, title: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.groups.rename(group, title)
    _done({"group": group, "title": title}, f"{group} is called {printable(title)!r}", as_json=as_json)


async def give_role(device: Device, group: str, member: str, role: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.groups.set_role(group, member, role)
    told = {"group": group, "member": member, "role": role}
    _done(told, f"{printable(member)} is {printable(role)} of {group}", as_json=as_json)


async def show(device: Device, group: str, *, as_json: bool = False) -> None:
    """The group with its members, a line each."""
    async with asking(device) as client:
        found = await client.groups.fetch(group)
    if as_json:
        show_json(asdict(found))
        return
    screen = Console(highlight=False, soft_wrap=True)
    for line in lines_of(found):
        screen.print(line)


def lines_of(group: GroupInfo) -> list[Text]:
    count = f"{counted(len(group.members), 'member')}, {counted(group.head, 'entry', 'entries')}"
    head = Text.assemble((printable(group.title) or group.id, "bold"), (f"   {group.id}, {count}", "dim"))
    width = max((len(member.role) for member in group.members), default=0)
    return [head, *(Text(f"{member.role:{width}}  {printable(member.eid)}") for member in group.members)]


def _listed(members: Sequence[str]) -> str:
    return ", ".join(map(printable, members))


def _done(told: Mapping[str, object], sentence: str, *, as_json: bool) -> None:
    show_json(dict(told)) if as_json else print(sentence)
