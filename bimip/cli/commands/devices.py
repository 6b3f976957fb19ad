"""Words about a user's devices."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Partition, Who, as_device, with_device_options

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
