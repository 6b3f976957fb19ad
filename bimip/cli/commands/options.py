"""The options and arguments that several words share, and what connects as a device."""
# ruff: noqa: PLC0415

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated

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

Who = tuple[str, str, Path | None, Path | None]
"""URL, token, the token's file, settings: as they were given, each may be missing."""


def as_device(
    does: Callable[..., Awaitable[None]],
    *given: object,
    who: Who,
    **options: object,
) -> None:
    """Connects with a token, file or text, to a URL or where the settings say, and does what a command says."""
    import trio

    from bimip.cli.devices import device_of, read_token
    from bimip.cli.settings import find_settings

    url, token, file, config = who
    with telling():
        device = device_of(url, find_settings(config), read_token(token, file))
        trio.run(partial(does, device, *given, **options))


Partition = Annotated[str, typer.Option(help="Which log.")]

Eid = Annotated[str, typer.Argument(help="The user.", metavar="USER")]
