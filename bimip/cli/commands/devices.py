"""Words about a user's devices."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from bimip.cli.commands.options import Partition, Who, as_device, with_device_options
from bimip.cli.failures import telling

app = typer.Typer(help="The devices of a token's user.")


@app.callback(invoke_without_command=True)
@with_device_options
def list_devices(context: typer.Context, *, who: Who) -> None:
    """Show the devices of the token's user: which are connected, and how far behind each is."""
    if context.invoked_subcommand is None:
        from bimip.cli import devices

        as_device(devices.list_devices, who=who)


@app.command("label")
@with_device_options
def label_device(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")],
    label: Annotated[str, typer.Argument(help="What to call it; an empty text: nothing.")],
    *,
    who: Who,
) -> None:
    """Say what a device is called."""
    from bimip.cli import devices

    as_device(devices.label_device, name, label, who=who)


@app.command("remove")
@with_device_options
def remove_device(name: Annotated[str, typer.Argument(help="Which one, as the list has it.")], *, who: Who) -> None:
    """Remove a device that is gone. Its connection ends; a token of it that still counts makes it a new device."""
    from bimip.cli import devices

    as_device(devices.remove_device, name, who=who)


@app.command("fingerprint")
def show_fingerprint(
    store: Annotated[Path, typer.Argument(help="The file of `bimip listen --store`.", metavar="FILE")],
    user: Annotated[str, typer.Argument(help="Whose; else this device's own.", metavar="[USER]")] = "",
) -> None:
    """Show the key with which others encrypt for this device, or those of a user's devices, to compare them."""
    from bimip.cli import devices

    with telling():
        devices.show_fingerprints(store, user)


@app.command("synced")
@with_device_options
def synced_devices(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it; else the token's own.")] = "",
    partition: Partition = "chat",
    *,
    who: Who,
) -> None:
    """Show how far a device is with what each of the others wrote."""
    from bimip.cli import devices

    as_device(devices.show_synced, name, partition, who=who)
