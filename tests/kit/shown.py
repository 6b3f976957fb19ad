"""What programs showed to their users, and what is wrong with it.

A message is *shown* once the program has it where nothing takes it away any more (here a line of a file, synced), and
before it asks the SDK for the next event. Killed between the two it gets the same message again, as the SDK says: it
knows that by the last line alone, and writes that it came again. Nothing else may come twice.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Shown(NamedTuple):
    offset: int
    """In the log of the reader."""
    id: str


def wrong(
    reader: str,
    shown: Sequence[Shown],
    *,
    accepted: Mapping[str, Sequence[str]],
    tried: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Faults in what one device showed, in words. `accepted`: the ids that each writer's outbox took, in their order,
    and `tried` those that it may have taken besides, since it was killed meanwhile.
    """
    tried = accepted if tried is None else tried
    found = []
    ids = [one.id for one in shown]
    known = set(ids)
    offsets = [one.offset for one in shown]
    if offsets != sorted(offsets):
        found.append(f"{reader} showed out of the log's order")
    if doubled := sorted({one for one in known if ids.count(one) > 1}):
        found.append(f"{reader} showed twice: {doubled}")
    if strange := sorted(known - {one for written in tried.values() for one in written}):
        found.append(f"{reader} showed what nobody wrote: {strange}")
    for writer, written in accepted.items():
        if missing := [one for one in written if one not in known]:
            found.append(f"{reader} never showed what {writer}'s outbox had taken: {missing}")
    for writer, written in tried.items():
        of_writer = [one for one in ids if one in set(written)]
        if of_writer != [one for one in written if one in known]:
            found.append(f"{reader} showed {writer}'s messages in another order than they were written in")
    return found
