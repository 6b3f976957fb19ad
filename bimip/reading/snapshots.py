"""What a device has of its user's logs, judged by their chains; and what it costs to go on from there, or anew.

Each question is asked a slice at a time: a generator that yields how many entries or changes it looked at.
"""

from collections.abc import Generator, Iterable
from typing import NamedTuple

from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.records import Checkpoint, Log, LogTable, Table
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.messages.chaining import STEP, chain_at
from bimip.domain.messages.checkpoints import checkpoints_of
from bimip.domain.state.changes import state_of
from bimip.storage.interface import Store

SLICE = 64
MOST = 1000
"""Entries, and changes of state, that are looked at to tell a cost; beyond it the cost is an estimate."""


class Claim(NamedTuple):
    """A device says that its copy of a log has this chain at an offset."""

    partition: str
    offset: int
    chain: bytes


class Match(NamedTuple):
    """The judgement over a device's claims of one partition."""

    partition: str
    offset: int  # the newest that matches; 0: none
    matches: bool  # that is the newest that was claimed
    unknown: bool  # what is needed to judge that one is not here any more


class Cost(NamedTuple):
    entries: int
    bytes: int
    states: int


def read_chain(store: Store, user: UserId, partition: str, offset: int) -> bytes | None:
    """Reads the chain of a log at an offset; None: it cannot be told."""
    with store.snapshot() as view:
        return chain_at(view, user, partition, offset)


def read_checkpoint(store: Store, user: UserId, partition: str, offset: int = 0) -> Checkpoint | None:
    """Reads the checkpoint of a log that was taken at an offset; 0: the newest."""
    with store.snapshot() as view:
        found = checkpoints_of(view, user, partition)
    if not offset:
        return found[-1] if found else None
    return next((one for one in found if one.offset == offset), None)


def read_state_head(store: Store, user: UserId) -> Version:
    with store.snapshot() as view:
        return state_of(view, user).head


def judge(store: Store, user: UserId, claims: Iterable[Claim]) -> Generator[int, None, dict[str, Match]]:
    """Judges what a device claims, in each partition from the newest claim on until one matches."""
    matches: dict[str, Match] = {}
    for partition, offset, chain in sorted(claims, key=lambda one: -one.offset):
        known = matches.get(partition)
        if known is not None and (known.offset or known.unknown):
            continue
        found = read_chain(store, user, partition, offset)
        if found == chain:
            matches[partition] = Match(partition, offset, matches=known is None, unknown=False)
        elif known is None:
            matches[partition] = Match(partition, 0, matches=False, unknown=found is None)
        yield STEP
    return matches


def weigh(
    store: Store, user: UserId, partition: str, offset: int, version: int, last: int
) -> Generator[int, None, tuple[Cost, Cost]]:
    """Tells what it costs to go on behind an offset and a state version, and what to begin anew with the `last`
    entries and the whole state.
    """
    with store.snapshot() as view:
        log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
        head = state_of(view, user).head
    after, begin = max(offset, log.first - 1), max(log.head - last, log.first - 1)
    delta_bytes = yield from _bytes(store, user, partition, after, log.head)
    whole_bytes = yield from _bytes(store, user, partition, begin, log.head)
    delta_states = yield from _states(store, user, version, head)
    whole_states = yield from _states(store, user, 0, head)
    return (
        Cost(max(0, log.head - after), delta_bytes, delta_states),
        Cost(max(0, log.head - begin), whole_bytes, whole_states),
    )


def _bytes(store: Store, user: UserId, partition: str, after: int, head: int) -> Generator[int, None, int]:
    """Tells how many bytes the messages in (after, head] have: of many about so many."""
    size = looked = 0
    while looked < MOST:
        with store.snapshot() as view:
            found = view.read(LogTable.ENTRIES, (user, partition), after + looked, limit=min(SLICE, MOST - looked))
            size += sum(len(one or b"") for one in view.get_all(Table.BODIES, [(entry.stamp,) for _, entry in found]))
        if not found:
            break
        looked = found[-1][0] - after
        yield len(found)
    return size * (head - after) // looked if looked else 0


def _states(store: Store, user: UserId, after: int, head: int) -> Generator[int, None, int]:
    """Counts the changes behind a version; of many, as many as there can be."""
    count = 0
    low = after + 1
    while count < MOST:
        with store.snapshot() as view:
            found = view.scan(Table.CHANGES, (user, low), (user + 1, 0), limit=SLICE)
        count += len(found)
        if len(found) < SLICE:
            return count
        low = found[-1][0][1] + 1
        yield len(found)
    return max(count, head - after)
