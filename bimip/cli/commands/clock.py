"""An operator's words about the clock."""
# ruff: noqa: PLC0415

from functools import partial

import typer

from bimip.cli.commands.options import Config, Json
from bimip.cli.failures import telling

app = typer.Typer(help="The time that a running server goes by.")


@app.callback(invoke_without_command=True)
def show_clock(context: typer.Context, json: Json = False, config: Config = None) -> None:
    """Show what time a running server goes by, and the machine's."""
    if context.invoked_subcommand is None:
        import trio

        from bimip.cli import operate
        from bimip.cli.settings import find_settings

        with telling():
            trio.run(partial(operate.show_clock, find_settings(config), as_json=json))


@app.command("accept")
def accept_clock(json: Json = False, config: Config = None) -> None:
    """Have a running server follow the machine's clock, which it held for wrong."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.accept_clock, find_settings(config), as_json=json))
