"""Words about groups."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import As, Config, Eid, Json, Token, Url, Who, as_device

app = typer.Typer(help="Groups that the token's user is in.", no_args_is_help=True)

GroupId = Annotated[str, typer.Argument(help="The group, by its id, such as c12.", metavar="GROUP")]


def _on_group(what: str, *given: object, who: Who, as_json: bool) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import groups

    as_device(getattr(groups, what), *given, who=who, as_json=as_json)


@app.command("create")
def create_group(
    title: Annotated[str, typer.Argument(help="What it is called.")],
    members: Annotated[list[str] | None, typer.Argument(help="Who is in it besides you.", metavar="[USER]...")] = None,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Create a group, and print its id."""
    _on_group("create", title, members or [], who=(url, token, as_, config), as_json=json)


@app.command("add")
def add_members(
    group_id: GroupId,
    members: Annotated[list[str], typer.Argument(help="Whom to add.", metavar="USER...")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Add users to a group. Their history of it begins now."""
    _on_group("add", group_id, members, who=(url, token, as_, config), as_json=json)


@app.command("remove")
def remove_member(
    group_id: GroupId,
    member: Eid,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Remove a member, who gets nothing more of the group."""
    _on_group("remove", group_id, member, who=(url, token, as_, config), as_json=json)


@app.command("leave")
def leave_group(
    group_id: GroupId,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Leave a group."""
    _on_group("leave", group_id, who=(url, token, as_, config), as_json=json)


@app.command("rename")
def rename_group(
    group_id: GroupId,
    title: Annotated[str, typer.Argument(help="What to call it.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a group another title."""
    _on_group("rename", group_id, title, who=(url, token, as_, config), as_json=json)


@app.command("role")
def give_role(
    group_id: GroupId,
    member: Eid,
    role: Annotated[str, typer.Argument(help="owner, admin or member.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a member another role."""
    _on_group("give_role", group_id, member, role, who=(url, token, as_, config), as_json=json)


@app.command("show")
def show_group(
    group_id: GroupId,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show a group: its title, its members and their roles."""
    _on_group("show", group_id, who=(url, token, as_, config), as_json=json)
