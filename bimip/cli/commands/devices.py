"""Words about a user's devices."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import As, Config, Json, Partition, Token, Url, as_device

app = typer.Typer(help="The devices of a token's user.")


@app.callback(invoke_without_command=True)
def list_devices(
    context: typer.Context, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Show the devices of the token's user: which are connected, and how far behind each is."""
    if context.invoked_subcommand is None:
        from bimip.cli import devices

        as_device(devices.list_devices, as_json=json, who=(url, token, as_, config))


@app.command("label")
def label_device(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")],
    label: Annotated[str, typer.Argument(help="What to call it; an empty text: nothing.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Say what a device is called."""
    from bimip.cli import devices

    as_device(devices.label_device, name, label, as_json=json, who=(url, token, as_, config))


@app.command("remove")
def remove_device(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Remove a device that is gone. Its connection ends; a token of it that still counts makes it a new device."""
    from bimip.cli import devices

    as_device(devices.remove_device, name, as_json=json, who=(url, token, as_, config))


@app.command("synced")
def synced_devices(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it; else the token's own.")] = "",
    partition: Partition = "chat",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show how far a device is with what each of the others wrote."""
    from bimip.cli import devices

    as_device(devices.show_synced, name, partition, as_json=json, who=(url, token, as_, config))
