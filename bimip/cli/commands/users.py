"""An operator's words about users."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from bimip.cli.commands.options import Config, Eid, Json, as_operator

app = typer.Typer(help="What a running server holds about a user.", no_args_is_help=True)


@app.command("why")
def why_seen(
    viewer: Annotated[str, typer.Argument(help="Who sees.", metavar="VIEWER")],
    owner: Annotated[str, typer.Argument(help="Of whom.", metavar="OWNER")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what a user sees of another on a running server, whether they are online say, and the rule that decides."""
    as_operator("show_why", viewer, owner, config=config, as_json=json)


@app.command("show")
def show_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Show the devices of a user of a running server: connected or not, how far behind, and what waits for each."""
    as_operator("show_user", eid, config=config, as_json=json)


@app.command("device")
def show_device(
    eid: Eid,
    device: Annotated[str, typer.Argument(help="Which of theirs, by its name.", metavar="DEVICE")],
    events: Annotated[bool, typer.Option("--events", help="Show what happened to it of late, too.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Show one device of a user of a running server in full: its connection, its client, and each of its logs."""
    as_operator("show_device", eid, device, with_events=events, config=config, as_json=json)


@app.command("pins")
def show_pins(
    eid: Annotated[str, typer.Argument(help="The user; else all.", metavar="USER", show_default=False)] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show which devices keep logs of a running server from becoming shorter, and how much each of them holds back."""
    as_operator("show_pins", eid, config=config, as_json=json)


@app.command("evict")
def evict_device(
    eid: Eid,
    device: Annotated[str, typer.Argument(help="Which of theirs, by its name.", metavar="DEVICE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what that would free.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Remove a device of a user of a running server: its connection closes, and it holds back nothing any more."""
    as_operator("evict_device", eid, device, dry_run=dry_run, config=config, as_json=json)


@app.command("export")
def export_user(eid: Eid, config: Config = None) -> None:
    """Print everything that a running server holds about a user, a JSON object a line."""
    as_operator("export_user", eid, config=config)


@app.command("create")
def create_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Have a user exist on a running server before a device of theirs connects, so that others may write to them."""
    as_operator("create_user", eid, config=config, as_json=json)


@app.command("list")
def list_users(json: Json = False, config: Config = None) -> None:
    """List the users of a running server, by name."""
    as_operator("list_users", config=config, as_json=json)


@app.command("disable")
def disable_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Keep a user out of a running server at once: their devices are closed, and no token of theirs counts."""
    _bar_tokens("disable", eid, f"{eid} is kept out until `bimip user enable`", json=json, config=config)


@app.command("enable")
def enable_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Let a user in again who was disabled."""
    _bar_tokens("enable", eid, f"{eid} may come in again", json=json, config=config)


@app.command("revoke")
def revoke_tokens(
    eid: Eid,
    device: Annotated[str, typer.Option("--device", help="Only those that were issued to this device.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Revoke all tokens that were issued to a user so far, at once. Tokens that are issued from now on count."""
    whose = f"{eid}/{device}" if device else eid
    done = f"no token counts that was issued to {whose} until now"
    _bar_tokens("revoke", eid, done, device=device, json=json, config=config)


def _bar_tokens(action: str, eid: str, done: str, *, device: str = "", json: bool, config: Path | None) -> None:
    from bimip.cli.words import printable

    as_operator("bar_tokens", action, eid, printable(done), device=device, config=config, as_json=json)


@app.command("erase")
def erase_user(
    eid: Eid,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Erase a user from a running server: all that is theirs, and what they wrote to others. It cannot be undone."""
    if not yes:
        typer.confirm(f"Erase {eid!r} and all that they wrote, for everybody and for ever?", abort=True, err=True)
    as_operator("erase_user", eid, config=config, as_json=json)
