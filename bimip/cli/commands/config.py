"""Words about the settings."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from bimip.cli.commands.options import Config, Json
from bimip.cli.failures import telling

app = typer.Typer(help="The settings: what they are, and whether a server can start with them.", no_args_is_help=True)


@app.command("show")
def show_settings(
    given: Annotated[bool, typer.Option("--given", help="Only those that are not by default.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Show each setting, and where it came from: the file, the environment, or the default;
    and which of them SIGHUP reloads. Secrets are not shown.
    """
    from bimip.cli import config as settings

    with telling():
        settings.show_settings(config, given_only=given, as_json=json)


@app.command("check")
def check_settings(json: Json = False, config: Config = None) -> None:
    """Check the settings as the start of a server would, with the keys, tokens and certificates that they name."""
    from bimip.cli import config as settings

    with telling():
        settings.check_settings(config, as_json=json)
