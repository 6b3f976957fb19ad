"""Words about contacts and blocks."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Eid, Who, as_device, with_device_options

app = typer.Typer(help="Whom the token's user knows, lets see them, or blocks.", no_args_is_help=True)


def _on_contact(what: str, *given: object, who: Who, **options: object) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import contacts

    as_device(getattr(contacts, what), *given, who=who, **options)


@app.command("list")
@with_device_options
def list_contacts(*, who: Who) -> None:
    """Show whom you know: who sees you, whom you see, who waits for an answer, whom you blocked."""
    _on_contact("show", who=who)


Mutual = Annotated[bool, typer.Option("--mutual", help="Each is to see the other.")]


@app.command("request")
@with_device_options
def request_contact(eid: Eid, mutual: Mutual = False, *, who: Who) -> None:
    """Ask to see somebody."""
    _on_contact("request", eid, mutual=mutual, who=who)


@app.command("accept")
@with_device_options
def accept_contact(eid: Eid, mutual: Mutual = False, *, who: Who) -> None:
    """Let who asked see you."""
    _on_contact("accept", eid, mutual=mutual, who=who)


@app.command("deny")
@with_device_options
def deny_contact(eid: Eid, *, who: Who) -> None:
    """Refuse who asked."""
    _on_contact("deny", eid, who=who)


@app.command("remove")
@with_device_options
def remove_contact(eid: Eid, *, who: Who) -> None:
    """End it in both directions, or withdraw a request."""
    _on_contact("remove", eid, who=who)


@app.command("block")
@with_device_options
def block_contact(eid: Eid, *, who: Who) -> None:
    """Get nothing more of somebody, without their knowing."""
    _on_contact("block", eid, who=who)


@app.command("unblock")
@with_device_options
def unblock_contact(eid: Eid, *, who: Who) -> None:
    """Lift a block. What they sent meanwhile does not come."""
    _on_contact("unblock", eid, who=who)


@app.command("name")
@with_device_options
def name_contact(
    eid: Eid, name: Annotated[str, typer.Argument(help="What you call them; empty: nothing any more.")], *, who: Who
) -> None:
    """Give somebody a name, for your devices alone."""
    _on_contact("name", eid, name, who=who)
