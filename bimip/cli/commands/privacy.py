"""The word `settings`: what others may see."""
# ruff: noqa: PLC0415

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from bimip.cli.commands.options import As, Config, Json, Token, Url
from bimip.cli.failures import telling


class ForWhom(StrEnum):
    EVERYBODY = "everybody"
    CONTACTS = "contacts"
    NOBODY = "nobody"


def privacy_settings(
    as_: As = None,
    token: Token = "",
    url: Url = "",
    send_read_receipts: Annotated[bool | None, typer.Option(help="Others learn what you have read.")] = None,
    show_read_receipts: Annotated[bool | None, typer.Option(help="You learn what others have read.")] = None,
    show_last_seen: Annotated[bool | None, typer.Option(help="Others learn when you were last there.")] = None,
    show_online_status: Annotated[bool | None, typer.Option(help="Others learn whether you are there.")] = None,
    read_receipts_to: Annotated[ForWhom | None, typer.Option(help="Who learns what you have read.")] = None,
    read_receipts_of: Annotated[ForWhom | None, typer.Option(help="Of whom you learn what they have read.")] = None,
    last_seen_to: Annotated[ForWhom | None, typer.Option(help="Who learns when you were last there.")] = None,
    online_status_to: Annotated[ForWhom | None, typer.Option(help="Who learns whether you are there.")] = None,
    visible: Annotated[
        bool | None,
        typer.Option("--visible/--invisible", help="Whether anybody learns that, what you do or where you are."),
    ] = None,
    except_: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            help="What holds for one other user instead: bob:show-last-seen=denied, or allowed, or none.",
            metavar="USER:SETTING=VALUE",
        ),
    ] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what others may know of you, on all your devices, and change what is given."""
    import trio

    from bimip.cli import devices
    from bimip.cli.settings import find_settings

    with telling():
        device = devices.device_of(url, find_settings(config), devices.read_token(token, as_))
        switches = {
            "send_read_receipts": send_read_receipts,
            "show_read_receipts": show_read_receipts,
            "show_last_seen": show_last_seen,
            "show_online_status": show_online_status,
            "visible": visible,
        }
        audiences = {
            "read_receipts_to": read_receipts_to,
            "read_receipts_of": read_receipts_of,
            "last_seen_to": last_seen_to,
            "online_status_to": online_status_to,
        }
        excepted = devices.exceptions_of(except_ or ())
        trio.run(partial(devices.change_settings, device, switches, audiences, excepted, as_json=json))
