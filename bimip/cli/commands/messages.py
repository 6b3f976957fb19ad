"""Words that change a message."""
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Annotated

import typer

from bimip.cli.commands.options import Config, Json, Who, as_device, as_operator, with_device_options

if TYPE_CHECKING:
    from bimip.cli.changes import Change

app = typer.Typer(
    help="Change a message that was sent, or explain as operator what became of it.", no_args_is_help=True
)

Which = Annotated[str, typer.Argument(help="Its signal_id or signal_offset, as `bimip listen --json` shows it.")]


def _change(change: "Change", which: str, who: Who) -> None:
    """Does to a message what one of the commands below says."""
    from bimip.cli import changes

    as_device(changes.change_message, which, change, who=who)


@app.command("edit")
@with_device_options
def edit_message(
    which: Which, text: Annotated[str, typer.Argument(help="What it says from now on.")], *, who: Who
) -> None:
    """Give a message that you wrote another content, for whoever reads it from now on."""
    _change(lambda client, at: client.messages.edit(at, text.encode()), which, who)


@app.command("delete")
@with_device_options
def delete_message(
    which: Which,
    for_everyone: Annotated[bool, typer.Option("--for-everyone", help="Take its content away: you wrote it.")] = False,
    *,
    who: Who,
) -> None:
    """Hide a message for you, or take it away for everyone."""
    _change(
        lambda client, at: client.messages.delete(at, for_everyone=for_everyone),
        which,
        who,
    )


@app.command("react")
@with_device_options
def react_to_message(
    which: Which,
    emoji: Annotated[str, typer.Argument(help="With what.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    *,
    who: Who,
) -> None:
    """React to a message, for all who may see it."""
    _change(lambda client, at: client.messages.react(at, emoji, remove=remove), which, who)


@app.command("pin")
@with_device_options
def pin_message(
    which: Which, off: Annotated[bool, typer.Option("--off", help="Take it back.")] = False, *, who: Who
) -> None:
    """Pin a message, for you."""
    _change(lambda client, at: client.messages.pin(at, pinned=not off), which, who)


@app.command("explain")
def explain_message(
    which: Annotated[str, typer.Argument(help="Its signal_id or signal_offset; with --from the id that they gave it.")],
    eid: Annotated[str, typer.Option("--from", help="The user who sent it.", metavar="USER")] = "",
    device: Annotated[str, typer.Option("--device", help="Which device of theirs sent it; else any.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what became of a message on a running server: on each device, and which rule kept it away."""
    as_operator("explain_message", which, eid, device, config=config, as_json=json)
