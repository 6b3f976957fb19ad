"""A call that rings is pushed to its callee's devices: what such a notification is known by, and who is told of none.

Calls are nowhere on disk, and so neither is what is pushed of them: see `push/rings.py`. What is told of one is worth
something for as long as it rings, so that it ends by itself where nobody is there any more who would take it away.
"""

from hashlib import blake2b
from typing import NamedTuple

from bimip.domain.contacts.privacy import Seen, verdict
from bimip.domain.conversations.membership import direct_with
from bimip.domain.core.ids import ConversationId, Millis, Stamp, UserId
from bimip.domain.core.records import Reader
from bimip.domain.push.outbox import ID_BYTES, quiet_until
from bimip.domain.state.conversation_settings import AS_THEY_WERE, read_settings


class Ring(NamedTuple):
    """A call rings at a user."""

    callee: UserId
    caller: UserId
    caller_eid: str
    call: str
    started: Millis
    until: Millis
    """When it has rung for long enough."""


def conversation_of(view: Reader, ring: Ring) -> ConversationId | None:
    """Finds the conversation of the two; None: they have none yet."""
    return direct_with(view, ring.callee, ring.caller_eid)


def is_let_through(view: Reader, ring: Ring) -> bool:
    """Tells whether a user wants to hear of a call: not from whom they have blocked since it began, and not where they
    have muted or archived the conversation of the two.
    """
    if not verdict(view, ring.caller, ring.callee, Seen.CALL).allowed:
        return False
    conversation = conversation_of(view, ring)
    if conversation is None:
        return True
    kept = read_settings(view, ring.callee, conversation) or AS_THEY_WERE
    return ring.started >= quiet_until(kept)


def ring_id(ring: Ring, subscription: Stamp, *, is_over: bool) -> str:
    """Makes the id of the notification that a call rings, or rings no more: the same when it is sent again."""
    return _digest(f"{subscription}/{_name(ring)}/{ring.started}{'/clear' if is_over else ''}")


def ring_collapse_key(ring: Ring) -> str:
    """Makes what all notifications of a call share: that it rings no more takes the place of that it rings."""
    return _digest(_name(ring))


def _name(ring: Ring) -> str:
    return f"{ring.callee}/{ring.caller}/{ring.call}/call"


def _digest(about: str) -> str:
    return blake2b(about.encode(), digest_size=ID_BYTES).hexdigest()
