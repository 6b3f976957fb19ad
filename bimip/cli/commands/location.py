"""Words about shared positions."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Who, as_device, with_device_options

app = typer.Typer(help="With whom the token's user shares where they are.", no_args_is_help=True)

WithWhom = Annotated[str, typer.Argument(help="A contact, or a conversation.", metavar="WHOM")]


@app.command("share")
@with_device_options
def share_location(
    with_whom: WithWhom,
    at: Annotated[str, typer.Option(help="Where they are now: latitude and longitude in degrees, as 52.5,13.4.")] = "",
    minutes: Annotated[float, typer.Option(help="For how long, a week at most.", min=1)] = 60.0,
    *,
    who: Who,
) -> None:
    """Show somebody, or all in a conversation, where you are, for a while."""
    from bimip.cli import location

    as_device(location.share, with_whom, at=at, minutes=minutes, who=who)


@app.command("stop")
@with_device_options
def stop_sharing_location(with_whom: WithWhom, *, who: Who) -> None:
    """Show it them no more: they are told at once."""
    from bimip.cli import location

    as_device(location.stop, with_whom, who=who)
