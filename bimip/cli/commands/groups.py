"""Words about groups."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Eid, Who, as_device, with_device_options

app = typer.Typer(help="Groups that the token's user is in.", no_args_is_help=True)

GroupId = Annotated[str, typer.Argument(help="The group, by its id, such as c12.", metavar="GROUP")]


def _on_group(what: str, *given: object, who: Who) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import groups

    as_device(getattr(groups, what), *given, who=who)


@app.command("create")
@with_device_options
def create_group(
    title: Annotated[str, typer.Argument(help="What it is called.")],
    members: Annotated[list[str] | None, typer.Argument(help="Who is in it besides you.", metavar="[USER]...")] = None,
    *,
    who: Who,
) -> None:
    """Create a group, and print its id."""
    _on_group("create", title, members or [], who=who)


@app.command("add")
@with_device_options
def add_members(
    group_id: GroupId,
    members: Annotated[list[str], typer.Argument(help="Whom to add.", metavar="USER...")],
    *,
    who: Who,
) -> None:
    """Add users to a group. Their history of it begins now."""
    _on_group("add", group_id, members, who=who)


@app.command("remove")
@with_device_options
def remove_member(group_id: GroupId, member: Eid, *, who: Who) -> None:
    """Remove a member, who gets nothing more of the group."""
    _on_group("remove", group_id, member, who=who)


@app.command("leave")
@with_device_options
def leave_group(group_id: GroupId, *, who: Who) -> None:
    """Leave a group."""
    _on_group("leave", group_id, who=who)


@app.command("rename")
@with_device_options
def rename_group(
    group_id: GroupId, title: Annotated[str, typer.Argument(help="What to call it.")], *, who: Who
) -> None:
    """Give a group another title."""
    _on_group("rename", group_id, title, who=who)


@app.command("role")
@with_device_options
def give_role(
    group_id: GroupId, member: Eid, role: Annotated[str, typer.Argument(help="owner, admin or member.")], *, who: Who
) -> None:
    """Give a member another role."""
    _on_group("give_role", group_id, member, role, who=who)


@app.command("list")
@with_device_options
def list_groups(*, who: Who) -> None:
    """Show the groups that you are in."""
    _on_group("show_all", who=who)


@app.command("show")
@with_device_options
def show_group(group_id: GroupId, *, who: Who) -> None:
    """Show a group: its title, its members and their roles."""
    _on_group("show", group_id, who=who)
