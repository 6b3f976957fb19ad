"""Words about contacts and blocks."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import As, Config, Eid, Json, Token, Url, Who, as_device

app = typer.Typer(help="Whom the token's user knows, lets see them, or blocks.", no_args_is_help=True)


def _on_contact(what: str, *given: object, who: Who, as_json: bool, **options: object) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import contacts

    as_device(getattr(contacts, what), *given, who=who, as_json=as_json, **options)


@app.command("list")
def list_contacts(as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None) -> None:
    """Show whom you know: who sees you, whom you see, who waits for an answer, whom you blocked."""
    _on_contact("show", who=(url, token, as_, config), as_json=json)


Mutual = Annotated[bool, typer.Option("--mutual", help="Each is to see the other.")]


@app.command("request")
def request_contact(
    eid: Eid,
    mutual: Mutual = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Ask to see somebody."""
    _on_contact("request", eid, mutual=mutual, who=(url, token, as_, config), as_json=json)


@app.command("accept")
def accept_contact(
    eid: Eid,
    mutual: Mutual = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Let who asked see you."""
    _on_contact("accept", eid, mutual=mutual, who=(url, token, as_, config), as_json=json)


@app.command("deny")
def deny_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Refuse who asked."""
    _on_contact("deny", eid, who=(url, token, as_, config), as_json=json)


@app.command("remove")
def remove_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """End it in both directions, or withdraw a request."""
    _on_contact("remove", eid, who=(url, token, as_, config), as_json=json)


@app.command("block")
def block_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Get nothing more of somebody, without their knowing."""
    _on_contact("block", eid, who=(url, token, as_, config), as_json=json)


@app.command("unblock")
def unblock_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Lift a block. What they sent meanwhile does not come."""
    _on_contact("unblock", eid, who=(url, token, as_, config), as_json=json)


@app.command("name")
def name_contact(
    eid: Eid,
    name: Annotated[str, typer.Argument(help="What you call them; empty: nothing any more.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give somebody a name, for your devices alone."""
    _on_contact("name", eid, name, who=(url, token, as_, config), as_json=json)
