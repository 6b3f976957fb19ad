"""`bimip group`: groups as a device of one of their members sees and changes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from bimip.cli.devices import Device, asking
from bimip.cli.output import is_lost
from bimip.cli.words import counted, printable, show_json
from bimip.client.facets.groups import GroupInfo
from bimip.client.wire.bimip import Conversation


async def show_all(device: Device, *, as_json: bool = False) -> None:
    """The groups that the token's user is in, a line each, by title."""
    found: dict[str, Conversation] = {}
    async with asking(device) as client:
        page = await client.state.read(0)
        while True:
            for item in page.items:
                if item.group is not None:
                    _note(found, item.group, is_gone=item.removed)
            if page.complete or is_lost():
                break
            page = await client.state.read(page.upto, whole=page.is_whole)
    screen = Console(highlight=False, soft_wrap=True)
    for one in sorted(found.values(), key=lambda group: (group.title, group.id)):
        if as_json:
            show_json({"group": one.id, "title": one.title, "role": one.role, "member_count": one.member_count})
        else:
            about = f"   {one.id}, {one.role}, {counted(one.member_count, 'member')}"
            screen.print(Text.assemble((printable(one.title) or one.id, "bold"), (about, "dim")))


def _note(found: dict[str, Conversation], group: Conversation, *, is_gone: bool) -> None:
    """A group as a later page has it takes the place of what an earlier one said."""
    if is_gone:
        found.pop(group.id, None)
    else:
        found[group.id] = group


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
