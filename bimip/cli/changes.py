"""Changing what is there: `message` and `conversation`."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import trio

from bimip.cli.devices import Device, asking
from bimip.cli.failures import Exit, Failure
from bimip.cli.words import printable, show_json
from bimip.client import Client
from bimip.client.events import CommandDone
from bimip.domain.core.clock import stamp_in

ANSWER_SECONDS = 30

Change = Callable[[Client, int], Awaitable[CommandDone]]


def signal_offset_of(text: str) -> int:
    """Reads which message is meant: its signal_id, 13 characters, or its signal_offset, a number."""
    try:
        return stamp_in(text)
    except ValueError as error:
        sentence = f"{text!r} is no message: give the signal_id or the signal_offset that `bimip listen --json` shows"
        raise Failure(Exit.USAGE, sentence) from error


async def change_message(device: Device, message: str, change: Change, *, as_json: bool = False) -> None:
    signal_offset = signal_offset_of(message)
    async with asking(device) as client:
        with _in_time():
            done = await change(client, signal_offset)
    if as_json:
        show_json(asdict(done))
        return
    where = f"conversation {printable(done.conversation)} #{done.conversation_offset}"
    print(f"nothing changes, something later was there already: {where}" if done.superseded else f"done: {where}")


async def keep_conversation(
    device: Device,
    conversation: str,
    *,
    archived: bool | None,
    pinned: bool | None,
    marked_unread: bool | None,
    muted_until: int | None,
    draft: str | None,
    as_json: bool = False,
) -> None:
    """Sets what is not None."""
    async with asking(device) as client:
        with _in_time():
            await client.conversations.keep(
                conversation,
                archived=archived,
                pinned=pinned,
                marked_unread=marked_unread,
                muted_until=muted_until,
                draft=None if draft is None else draft.encode(),
            )
    show_json({"conversation": conversation}) if as_json else print(f"done: conversation {printable(conversation)}")


@contextmanager
def _in_time() -> Iterator[None]:
    """The SDK gives a command again and again; a person is told when that takes long."""
    try:
        with trio.fail_after(ANSWER_SECONDS):
            yield
    except trio.TooSlowError:
        sentence = f"no answer within {ANSWER_SECONDS} s: it may have been done or not; asking again is safe"
        raise Failure(Exit.FAILED, sentence) from None
