"""The options and arguments that several words share, and what connects as a device, or asks as the operator."""
# ruff: noqa: PLC0415

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bimip.cli.failures import telling

Config = Annotated[
    Path | None,
    typer.Option(
        help="The settings, a TOML file. Else the one that BIMIP_CONFIG names, else the defaults.", metavar="FILE"
    ),
]

As = Annotated[Path | None, typer.Option("--as", help="A file with this device's token.", metavar="FILE")]

Token = Annotated[
    str,
    typer.Option(
        envvar="BIMIP_TOKEN",
        help="This device's token itself: better in the environment or a file, since others see a command's words.",
        show_default=False,
    ),
]

Url = Annotated[
    str, typer.Option(envvar="BIMIP_URL", help="The server. Else where the settings put one on this machine.")
]

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


class Who(NamedTuple):
    """The device that a command is done as, and how it answers: as it was given, each may be missing."""

    file: Path | None
    """Has the device's token."""
    token: str
    url: str
    as_json: bool
    config: Path | None


def with_device_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say as which device a command is done behind its own, and gives it them as `who`."""

    @wraps(command, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def called(
        as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None, **own: object
    ) -> None:
        command(**own, who=Who(as_, token, url, json, config))

    shared = [one for one in signature(called, follow_wrapped=False).parameters.values() if one.name != "own"]
    own = [one for one in signature(command).parameters.values() if one.name != "who"]
    called.__annotations__ = {one.name: one.annotation for one in [*own, *shared]}
    vars(called)["__signature__"] = signature(command).replace(parameters=[*own, *shared])
    return called


def as_device(does: Callable[..., Awaitable[None]], *given: object, who: Who, **options: object) -> None:
    """Connects with a token, file or text, to a URL or where the settings say, and does what a command says."""
    import trio

    from bimip.cli.devices import device_of, read_token
    from bimip.cli.settings import find_settings

    with telling():
        device = device_of(who.url, find_settings(who.config), read_token(who.token, who.file))
        trio.run(partial(does, device, *given, as_json=who.as_json, **options))


def as_operator(does: str, *given: object, config: Path | None, **options: object) -> None:
    """Asks the console of a running server for what a command says, a function of `operate.py`."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(getattr(operate, does), find_settings(config), *given, **options))


Partition = Annotated[str, typer.Option(help="Which log.")]

Eid = Annotated[str, typer.Argument(help="The user.", metavar="USER")]
