"""An operator's words about the clock."""

import typer

from bimip.cli.commands.options import Config, Json, as_operator

app = typer.Typer(help="The time that a running server goes by.")


@app.callback(invoke_without_command=True)
def show_clock(context: typer.Context, json: Json = False, config: Config = None) -> None:
    """Show what time a running server goes by, and the machine's."""
    if context.invoked_subcommand is None:
        as_operator("show_clock", config=config, as_json=json)


@app.command("accept")
def accept_clock(json: Json = False, config: Config = None) -> None:
    """Have a running server follow the machine's clock, which it held for wrong."""
    as_operator("accept_clock", config=config, as_json=json)
