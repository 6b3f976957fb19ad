"""The life of a message, as `bimip message explain` shows it to people, and what `bimip doctor` finds."""

from collections.abc import Iterator
from typing import Any

from bimip.cli.words import counted, date_text, printable

Json = dict[str, Any]


HEALTHY = frozenset({"nothing", "catches_up", "blocked_by"})
"""Findings that nobody need do anything about."""


def finding_lines(told: Json) -> Iterator[str]:
    """Formats one finding: whom it is about and what it is, and below what to do."""
    since = f" (since {_at(told['since'])})" if told["since"] else ""
    yield f"{printable(told['about'])}: {printable(told['because'])}{since}"
    yield f"  {printable(told['advice'])}"


def message_lines(told: Json) -> Iterator[str]:
    """Formats one line of the console's answer: what all have alike of a message, or one whom it might have reached."""
    return _recipient_lines(told) if told["kind"] == "recipient" else _message_lines(told)


def _message_lines(told: Json) -> Iterator[str]:
    who = f"{printable(told['from']) or 'somebody who was erased'}/{printable(told['device'])}"
    name = f"{printable(told['id'])}, " if told["id"] else ""
    yield f"message {told['signal_id']} ({name}from {who})"
    yield f"  accepted {_at(told['accepted'])}, conversation {told['conversation']} #{told['conversation_offset']}"
    content = {"kept": counted(told["bytes"], "byte"), "gone": "is gone", "deleted": "was deleted for everyone"}
    yield f"  content  {content.get(told['content'], told['content'])}"
    for what in ("edited", "deleted", "expires"):
        if told[what]:
            yield f"  {what:8} {_at(told[what])}"
    if told["addressed"]:
        yield "  addressed to single devices"


def _recipient_lines(told: Json) -> Iterator[str]:
    where = f" at offset {told['offset']}" if told["offset"] is not None else ""
    role = " (wrote it)" if told["author"] else ""
    yield f"{printable(told['eid']) or 'somebody who was erased'}{role}: {told['because']}{where}"
    for what, at in told["receipts"].items():
        private = ", which the author is not told" if told["receipts_private"] and what != "delivered" else ""
        yield f"  {what:9} {_at(at)}{private}"
    if told["hidden"]:
        yield "  they hid it for themselves"
    for name in told["pushes_waiting"]:
        yield f"  push      waits for the subscription {printable(name)}"
    for one in told["devices"]:
        since = "" if one["connected"] or not one["last_seen"] else f" (since {_at(one['last_seen'])})"
        yield f"  {printable(one['device']):12}  {one['because']}{since if one['standing'] == 'not_connected' else ''}"
    if told["more_devices"]:
        yield "  and more devices"


def _at(at: int) -> str:
    return date_text(at, seconds=True)
