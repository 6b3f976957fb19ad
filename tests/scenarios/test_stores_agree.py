"""The whole server over LMDB and over the store in memory: the same steps, the same answers, the same that is stored.

BIMIP_HISTORIES says how many histories, BIMIP_FIRST_HISTORY where their seeds begin. One that differs is cut down to
the steps that it takes.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from bimip.domain.core.records import Changes, Reader, Table
from bimip.storage.care.check import check
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from tests.kit.histories import WEIGHTS, Step, Told, draw_steps, play, played
from tests.kit.rest_document import unsaid
from tests.kit.rest_requests import ANY
from tests.kit.speaker import DEVICES

HISTORIES = int(os.environ.get("BIMIP_HISTORIES", "100"))
FIRST = int(os.environ.get("BIMIP_FIRST_HISTORY", "1"))
CHUNK = 20
STEPS = 30
EVERYTHING = 1 << 20


def differences(steps: Sequence[Step], seed: int, memory: MemoryStore, folder: Path) -> Iterator[str]:
    """What was told or is stored otherwise, the first one of each."""

    def reopen() -> Store:
        memory.reopen()
        return memory

    expected = play(reopen, steps, seed)
    found = play(lambda: LmdbStore(folder, map_bytes=64 << 20), steps, seed)
    for one, other in zip(expected, found, strict=False):
        if one != other:
            yield f"{_words(one)}\nover memory, and over LMDB\n{_words(other)}"
            break
    memory.reopen()
    store = LmdbStore(folder, map_bytes=64 << 20)
    with memory.snapshot() as model, store.snapshot() as view:
        if _content(model, memory) != _content(view, memory):
            yield "what is stored"
    yield from (str(finding) for one in (memory, store) for finding in check(one))
    store.close()


def _words(told: Told) -> str:
    return "\n    ".join([f"behind step {told.step} {told.device} was told", *told.frames])


def _content(reader: Reader, memory: MemoryStore) -> list[object]:
    tables: list[object] = [reader.scan(table, (), table.schema.end, limit=EVERYTHING) for table in Table]
    logs = [reader.read(*place, 0, limit=EVERYTHING) for place in sorted(memory._state.runs, key=repr)]
    rows = [reader.find(*place, (), (1 << 70,), limit=EVERYTHING) for place in sorted(memory._state.rows, key=repr)]
    return tables + logs + rows


def compared(steps: Sequence[Step], seed: int, store: type[MemoryStore] = MemoryStore) -> list[str]:
    with TemporaryDirectory() as folder:
        return list(differences(steps, seed, store(), Path(folder)))


def smallest(steps: list[Step], seed: int, store: type[MemoryStore] = MemoryStore) -> list[Step]:
    """Those steps without which nothing differs."""
    for at in reversed(range(len(steps))):
        without = steps[:at] + steps[at + 1 :]
        if compared(without, seed, store):
            steps = without
    return steps


@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, CHUNK))
def test_both_stores_give_the_same_answers_and_keep_the_same(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FIRST + HISTORIES)):
        steps = draw_steps(Random(seed), STEPS)
        found = compared(steps, seed)

        assert not found, f"history {seed}: {smallest(steps, seed)}\n" + "\n".join(found)


def test_everything_is_played_and_mostly_answered() -> None:
    steps = [step for seed in range(FIRST, FIRST + CHUNK) for step in draw_steps(Random(seed), STEPS)]
    kinds = {step.what for step in steps}

    told = play(MemoryStore, steps[:120], FIRST)

    assert kinds == set(WEIGHTS)
    assert sum(len(one.frames) for one in told) > 120


def test_everything_that_there_is_by_http_is_asked_and_mostly_answered() -> None:
    random = Random(FIRST)
    what = random.choices(["rest", "rest_message", "rest_batch", "contact"], [10, 2, 1, 1], k=300)
    steps = [Step(one, random.randrange(len(DEVICES)), tuple(random.choices(range(1 << 16), k=6))) for one in what]
    answers = played(MemoryStore, steps, FIRST).answers
    done = [endpoint for endpoint, answer in answers if answer.status_code < 300]
    unlike = [(one.method, one.path, answer.text, unsaid(one.method, one.path, answer)) for one, answer in answers]

    assert all(answer.status_code < 500 for _, answer in answers)
    assert [one for one in unlike if one[-1]] == []
    assert len(done) > len(answers) / 2
    assert [endpoint.path for endpoint in ANY if endpoint not in [asked for asked, _ in answers]] == []
    assert len([endpoint for endpoint in ANY if endpoint not in done]) < 6


class Forgetful(MemoryStore):
    """Keeps what is done to messages, but never that it is undone."""

    def apply(self, changes: Changes) -> None:
        puts = dict(changes.puts)
        if Table.CHANGES in puts:
            records = puts[Table.CHANGES]
            puts[Table.CHANGES] = {key: record for key, record in records.items() if record is not None}
        super().apply(replace(changes, puts=puts))


def test_a_store_that_is_different_is_found_and_cut_down_to_what_it_takes() -> None:
    for seed in range(1, 20):
        steps = draw_steps(Random(seed), STEPS)
        if compared(steps, seed, Forgetful):
            few = smallest(steps, seed, Forgetful)

            assert len(few) < STEPS / 2
            assert compared(few, seed) == []
            return
    pytest.fail("a store that forgets was not found")
