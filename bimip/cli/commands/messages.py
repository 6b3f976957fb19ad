"""Words that change a message."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bimip.cli.commands.options import As, Config, Json, Token, Url, as_device

if TYPE_CHECKING:
    from bimip.cli.changes import Change

app = typer.Typer(help="Change a message that was sent.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="Its signal_id or signal_offset, as `bimip listen --json` shows it.")]


def _change(
    change: "Change", which: str, as_: Path | None, token: str, url: str, *, json: bool, config: Path | None
) -> None:
    from bimip.cli import changes

    as_device(changes.change_message, which, change, as_json=json, who=(url, token, as_, config))


@app.command("edit")
def edit_message(
    which: Which,
    text: Annotated[str, typer.Argument(help="What it says from now on.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a message that you wrote another content, for whoever reads it from now on."""
    _change(lambda client, at: client.edit(at, text.encode()), which, as_, token, url, json=json, config=config)


@app.command("delete")
def delete_message(
    which: Which,
    for_everyone: Annotated[bool, typer.Option("--for-everyone", help="Take its content away: you wrote it.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Hide a message for you, or take it away for everyone."""
    _change(
        lambda client, at: client.delete(at, for_everyone=for_everyone),
        which,
        as_,
        token,
        url,
        json=json,
        config=config,
    )


@app.command("react")
def react_to_message(
    which: Which,
    emoji: Annotated[str, typer.Argument(help="With what.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """React to a message, for all who may see it."""
    _change(lambda client, at: client.react(at, emoji, remove=remove), which, as_, token, url, json=json, config=config)


@app.command("pin")
def pin_message(
    which: Which,
    off: Annotated[bool, typer.Option("--off", help="Take it back.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Pin a message, for you."""
    _change(lambda client, at: client.pin_message(at, pinned=not off), which, as_, token, url, json=json, config=config)
