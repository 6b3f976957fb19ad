"""A message loses its content and keeps its place: who deleted it for everyone, or whose time was over, leaves a
tombstone.

The body is replaced by one without content, and single devices to which it was addressed are addressed without any; so
nothing that reads messages finds it any more. Offsets, the hash chain and deduplication stand on digests and places,
and stay whole.
"""

from collections.abc import Iterable

from bimip.domain.core.decision import Put
from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp, UserId
from bimip.domain.core.records import Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import payload_bytes

MAX_ADDRESSED = 1000
"""Users of whom one message may address devices."""


def erase(view: Reader, author: UserId, message: Stamp, context: Context) -> list[Put]:
    """Takes a message's content out of the store, and its bytes out of what its author has there."""
    body: bytes | None = view.get(Table.BODIES, (message,))
    if body is None:
        return []
    erased = context.rules.bodies.erase(body)
    addressed = view.scan(Table.ADDRESSED, (message,), (message + 1,), limit=MAX_ADDRESSED)
    freed = len(body) - len(erased) + sum(payload_bytes(devices) for _, devices in addressed)
    puts: list[Put] = [(Table.BODIES, {(message,): erased}), use(view, author, -freed)]
    if addressed:
        kept = {key: tuple(one._replace(payload=None) for one in devices) for key, devices in addressed}
        puts.append((Table.ADDRESSED, kept))  # to whom it was addressed is told that it is gone
    return puts


def unmention(
    view: Reader, users: Iterable[UserId], conversation: ConversationId, place: ConversationOffset
) -> list[Put]:
    """Takes away that a message mentions any of these: what has no content mentions nobody."""
    keys = [(user, conversation, place) for user in users]
    known = view.get_all(Table.MENTIONS, keys)
    mentioned = dict.fromkeys(key for key, stamp in zip(keys, known, strict=True) if stamp is not None)
    return [(Table.MENTIONS, mentioned)] if mentioned else []


def use(view: Reader, user: UserId, size: int) -> Put:
    """Counts bytes that a user has in the store, or has no more."""
    known: int = view.get(Table.USAGE, (user,)) or 0
    return Table.USAGE, {(user,): max(0, known + size)}
