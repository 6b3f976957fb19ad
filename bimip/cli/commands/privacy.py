"""The word `settings`: what others may see."""
# ruff: noqa: PLC0415

from enum import StrEnum
from typing import Annotated

import typer

from bimip.cli.commands.options import Who, as_device, with_device_options
from bimip.cli.failures import telling


class ForWhom(StrEnum):
    EVERYBODY = "everybody"
    CONTACTS = "contacts"
    NOBODY = "nobody"


@with_device_options
def privacy_settings(
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
    *,
    who: Who,
) -> None:
    """Show what others may know of you, on all your devices, and change what is given."""
    from bimip.cli import devices

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
    with telling():
        excepted = devices.exceptions_of(except_ or ())
    as_device(devices.change_settings, switches, audiences, excepted, who=who)
