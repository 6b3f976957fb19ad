"""Content that stands in a user's log and is not theirs to see: a message was edited after they had left its group.

A message is stored once for all who have it, so an edit takes the place of what they could read. They are no members,
and are told nothing more: to them the message is one without content.
"""

from collections.abc import Sequence

from bimip.domain.conversations.membership import left_before
from bimip.domain.core.ids import Stamp, UserId
from bimip.domain.core.records import Entry, Reader
from bimip.wire import stored


def withhold(view: Reader, user: UserId, entries: Sequence[Entry], bodies: list[bytes | None]) -> None:
    """Replaces those of a log's bodies whose content is not the user's to see."""
    for at in [at for at, body in enumerate(bodies) if body and stored.EDITED_TAG in body]:
        body = bodies[at]
        assert body is not None
        edited = Stamp(stored.parse(body).edited)
        entry = entries[at]
        if edited and left_before(view, user, entry.conversation, entry.conversation_offset, edited):
            bodies[at] = stored.erased(body)
