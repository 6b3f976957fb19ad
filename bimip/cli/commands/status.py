"""Words about how users are."""
# ruff: noqa: PLC0415

from enum import StrEnum
from typing import Annotated

import typer

from bimip.cli.commands.options import Who, as_device, with_device_options
from bimip.cli.failures import telling

app = typer.Typer(help="How you and your contacts are: online, away, busy.")


class Said(StrEnum):
    AWAY = "away"
    BUSY = "busy"
    DND = "dnd"
    ONLINE = "online"


@app.callback(invoke_without_command=True)
@with_device_options
def show_status(context: typer.Context, *, who: Who) -> None:
    """Show what you say of yourself, and how the contacts are whom you are let see."""
    if context.invoked_subcommand is None:
        from bimip.cli import status

        as_device(status.show, who=who)


@app.command("set")
@with_device_options
def set_status(
    said: Annotated[Said, typer.Argument(help="away, busy, dnd (do not disturb); online takes it back.")],
    for_: Annotated[
        str, typer.Option("--for", help="For so long: 90s, 15m, 2h, 30d. Else until you say another.")
    ] = "",
    *,
    who: Who,
) -> None:
    """Say how you are, on all your devices."""
    from bimip.cli import status
    from bimip.cli.words import seconds_of

    with telling():
        try:
            seconds = seconds_of(for_) if for_ else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--for") from error
        if seconds and said is Said.ONLINE:
            raise typer.BadParameter("online is until you say another", param_hint="--for")
    as_device(status.set_intent, said.value, seconds=seconds, who=who)
