"""The word `conversation`: how a conversation is kept on one's own devices."""
# ruff: noqa: PLC0415

from datetime import UTC, datetime
from typing import Annotated

import typer

from bimip.cli.commands.options import Who, as_device, with_device_options


@with_device_options
def keep_conversation(
    conversation: Annotated[str, typer.Argument(help="Its id, such as c12.")],
    archived: Annotated[bool | None, typer.Option(help="Put it away.")] = None,
    pinned: Annotated[bool | None, typer.Option(help="Keep it on top.")] = None,
    unread: Annotated[bool | None, typer.Option(help="Mark it as unread.")] = None,
    muted_until: Annotated[
        datetime | None, typer.Option(help="No notifications until then, in UTC; a time in the past: as ever.")
    ] = None,
    draft: Annotated[str | None, typer.Option(help="What is written so far; an empty text: nothing.")] = None,
    *,
    who: Who,
) -> None:
    """Say how you keep a conversation, on all your devices: what is given of it changes."""
    from bimip.cli import changes

    as_device(
        changes.keep_conversation,
        conversation,
        archived=archived,
        pinned=pinned,
        marked_unread=unread,
        muted_until=None if muted_until is None else int(muted_until.replace(tzinfo=UTC).timestamp() * 1000),
        draft=draft,
        who=who,
    )
