"""Words about push subscriptions."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Config, Json, Who, as_device, as_operator, with_device_options

app = typer.Typer(help="How a user's devices are reached while they are not connected.")

Subscription = Annotated[str, typer.Option("--id", help="Which subscription of the device.")]


@app.callback(invoke_without_command=True)
@with_device_options
def show_push(context: typer.Context, *, who: Who) -> None:
    """Show which devices of the token's user are reached how while they are not connected."""
    if context.invoked_subcommand is None:
        from bimip.cli import push

        as_device(push.show_push, who=who)


@app.command("subscribe")
@with_device_options
def subscribe_push(
    platform: Annotated[str, typer.Argument(help="One of the server's gateways, as the list has it.")],
    address: Annotated[str, typer.Argument(help="What the gateway knows the device by.", metavar="TOKEN")],
    name: Subscription = "push",
    *,
    who: Who,
) -> None:
    """Have the token's device told by a gateway what waits for it while it is not connected."""
    from bimip.cli import push

    as_device(push.subscribe, platform, address, name, who=who)


@app.command("remove")
@with_device_options
def unsubscribe_push(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")] = "push",
    device: Annotated[str, typer.Option(help="Of which device; else the token's own.")] = "",
    *,
    who: Who,
) -> None:
    """Have a device told no more."""
    from bimip.cli import push

    as_device(push.unsubscribe, name, device, who=who)


@app.command("test")
def try_push(
    eid: Annotated[str, typer.Argument(help="The user.", metavar="USER")],
    device: Annotated[str, typer.Option(help="Of which device; else of all.")] = "",
    name: Annotated[str, typer.Option("--id", help="Which subscription; else all.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Send one notification to a user's subscriptions, as the operator, and show what the gateways answered."""
    as_operator("try_push", eid, device, name, config=config, as_json=json)
