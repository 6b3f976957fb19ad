"""What the client's file has for the screen alone: drafts as they are typed, and messages that the server refused.

A draft stays here until the server has it: while there is no connection, and of a conversation that is none yet.
"""

import json
from typing import NamedTuple

from bimip.client.facets.notes import Notes

DRAFTS, REFUSED = "chat-drafts", "chat-refused"


class Draft(NamedTuple):
    text: str  # empty: the server is to drop the one that it has
    at: int  # milliseconds


class RefusedMessage(NamedTuple):
    """A message that the server did not take, and what it said."""

    to: str  # empty: this user's friends
    text: str
    at: int  # milliseconds
    reply_to: str
    said: str


class Saved:
    """Reads it once, and writes each change at once: a process that is killed finds it again."""

    def __init__(self, notes: Notes) -> None:
        self.drafts = {key: Draft(*json.loads(value)) for key, value in notes.all(DRAFTS).items()}
        self.refused = {key: RefusedMessage(*json.loads(value)) for key, value in notes.all(REFUSED).items()}
        self._notes = notes

    def keep_draft(self, key: str, draft: Draft) -> None:
        """Keeps what was begun in a conversation, by its key."""
        self._notes.keep(DRAFTS, key, json.dumps(draft).encode())
        self.drafts[key] = draft

    def drop_draft(self, key: str) -> None:
        if self.drafts.pop(key, None) is not None:
            self._notes.drop(DRAFTS, key)

    def keep_refused(self, message_id: str, message: RefusedMessage) -> None:
        self._notes.keep(REFUSED, message_id, json.dumps(message).encode())
        self.refused[message_id] = message

    def drop_refused(self, message_id: str) -> None:
        self._notes.drop(REFUSED, message_id)
        self.refused.pop(message_id, None)
