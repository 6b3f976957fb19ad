"""The line that says whether there is a connection, how far the server is and what waits; and the one that names the
open conversation.
"""

from rich.text import Text

from bimip.cli.chat.layout import SIGNS, fit, typing_text
from bimip.cli.chat.model import Conversation, Model
from bimip.cli.chat.muting import mute_text
from bimip.cli.chat.session import Link
from bimip.cli.chat.text import shown
from bimip.cli.words import counted
from bimip.domain.core.records import Status


def status_text(model: Model, link: Link, now: float, now_ms: int, width: int) -> Text:
    """Says it in one line, the weightiest first: a narrow one loses the end."""
    if link.ended:
        sign, colour, said = "✗", "bold red", shown(link.ended)
    elif link.is_connected:
        lag = "" if link.lag is None else f" {link.lag * 1000:.0f} ms"
        sign, colour, said = "●", "green", f"connected{lag}"
    else:
        wait = max(0, round(link.retry_at - now))
        again = f"again in {wait} s" if wait else "trying"
        sign, colour, said = "○", "yellow", f"offline, {again}" if link.reason or link.was_connected else "connecting"
    parts = [said]
    if link.waiting:
        parts.append(f"{counted(link.waiting, 'message')} {'waits' if link.waiting == 1 else 'wait'} to be sent")
    elif not link.is_connected and not link.ended:
        parts.append("what you write is kept and sent later")
    if unread := model.unread(now_ms):
        parts.append(f"{unread} unread")
    if link.reason and not link.is_connected and not link.ended:
        parts.append(link.reason)
    return Text.assemble((f" {sign} ", colour), fit(" · ".join(parts), max(1, width - 4)), no_wrap=True)


def header_text(model: Model, one: Conversation | None, now_ms: int, width: int) -> Text:
    """Names the open conversation, and how the other one is."""
    if one is None:
        return Text(" Ctrl-N begins a conversation, F1 helps", style="dim", no_wrap=True)
    title = shown(model.title_of(one))
    if one.is_feed:
        more = "posts for friends"
    elif one.peer:
        status = model.is_online(one.peer)
        said = {Status.DND: "do not disturb"}.get(status, status.name.lower())
        contact = model.contacts.get(one.peer)
        is_seen = status is not Status.OFFLINE or (contact is not None and contact.seen)
        more = (f"{SIGNS[status][0]} {said}" if is_seen else "") + (
            f"  {shown(one.peer)}" if model.name_of(one.peer) != one.peer else ""
        )
    else:
        more = counted(one.member_count, "member")
    more = typing_text(model, one) or more
    flags = f"  {said}" if (said := mute_text(one.muted_until, now_ms)) else ""
    return Text.assemble(
        (f" {fit(title, max(4, width // 2))}", "bold"),
        (f"  {fit(more.strip() + flags, max(1, width - min(len(title), width // 2) - 4))}", "dim"),
        no_wrap=True,
    )
