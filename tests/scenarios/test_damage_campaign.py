"""Pages, bits and cuts anywhere in a store, and what its server then tells: healthy messages are delivered, damaged
ones are gaps, the check says which, and no bytes end the server. The seed is in a case's name.
"""

import json
import random
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bimip.storage.care.check_apart import check_apart
from bimip.storage.lmdb.file import LmdbFile
from tests.scenarios.damaged_reading import MAP_BYTES, USERS
from tests.storage.forking import Forks
from tests.storage.test_damage_campaign import DAMAGES, PAGE

SEEDS = 45
CONTROL_SEEDS = 5
HEADER, NODE = struct.Struct("=QHHHH"), struct.Struct("=HHHH")
LEAF = 2


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks("tests.scenarios.damaged_reading") as started:
        yield started


class Original:
    """A whole store, its pages in use, and whose messages lie in each."""

    def __init__(self, data: bytes, used: list[int], bodies: dict[bytes, tuple[str, int]]) -> None:
        self.data = data
        self.used = used
        self._bodies = bodies

    def harmed_by(self, page: int) -> set[tuple[str, int]] | None:
        """Users and offsets of the messages of which that page alone holds the content. None: it holds other things."""
        keys = self._keys(page)
        if keys is None or any(key not in self._bodies for key in keys):
            return None
        return {self._bodies[key] for key in keys}

    def _keys(self, page: int) -> list[bytes] | None:
        at = page * PAGE
        _, _, flags, lower, _ = HEADER.unpack_from(self.data, at)
        if flags != LEAF:
            return None
        keys = []
        for number in range((lower - HEADER.size) // 2):
            place = at + struct.unpack_from("=H", self.data, at + HEADER.size + 2 * number)[0]
            size = NODE.unpack_from(self.data, place)[3]
            keys.append(self.data[place + NODE.size : place + NODE.size + size])
        return keys


@pytest.fixture(scope="module")
def original(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("whole")
    output = folder / "output"
    assert forks.run("tests.scenarios.damaged_reading:write_all", output, folder=str(folder / "store")) == 0
    assert list(check_apart(folder / "store", MAP_BYTES)) == []
    with LmdbFile(folder / "store/data.mdb") as file:
        assert list(file.flaws()) == []  # and now it knows which pages are in use
        used = [page for page in range(2, file.meta.last_page + 1) if file.is_used(page)]
    data = (folder / "store/data.mdb").read_bytes()
    return Original(data, used, bodies_of(folder / "store"))


def bodies_of(folder: Path) -> dict[bytes, tuple[str, int]]:
    """Whose message, and at which offset, lies under each key of the bodies."""
    from bimip.domain.core.records import LogTable, Table  # noqa: PLC0415
    from bimip.storage.keys import PACK  # noqa: PLC0415
    from bimip.storage.lmdb.store import LmdbStore  # noqa: PLC0415

    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    found = {}
    with store.snapshot() as view:
        for user in USERS:
            number = view.get(Table.USERS, (user,)).number
            for offset, entry in view.read(LogTable.ENTRIES, (number, "chat"), 0, limit=10_000):
                found[PACK[Table.BODIES]((entry.stamp,))] = user, offset
    store.close()
    return found


def verdict(told: dict[str, Any], harmed: set[tuple[str, int]] | None, *, said: bool) -> list[str]:
    """What is wrong with what the devices were told. `harmed`: see `Original`; `said`: the check found something."""
    wrong: list[str] = []
    for user, count in USERS.items():
        found = told[user]
        offsets = [offset for offset, _ in found["messages"]]
        gaps = {offset for first, last in found["gaps"] for offset in range(first, last + 1)}
        wrong += [f"{user} {offset}: {text!r}" for offset, text in found["messages"] if text != str(offset)]
        wrong += [f"{user} {offset} came twice" for offset in set(offsets) if offsets.count(offset) > 1]
        missing = set(range(1, count + 1)) - set(offsets)
        if missing and not said:
            wrong.append(f"{user}: {missing} did not come, and the check says nothing")
        if harmed is not None:
            wrong += [f"{user} was refused: {error}" for error in found["errors"]]
            mine = {offset for one, offset in harmed if one == user}
            wrong += [f"{user} {offset} is healthy and did not come" for offset in missing - mine]
            wrong += [f"{user} {offset} neither came nor is a gap" for offset in missing - gaps]
        elif not found["code"]:
            wrong += [f"{user} {offset} neither came nor is a gap" for offset in missing - gaps if gaps or offsets]
    return wrong


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_healthy_comes_and_what_is_damaged_is_a_gap(
    tmp_path: Path,
    forks: Forks,
    original: Original,
    damage: Callable[[random.Random, bytearray, int, int], None],
    seed: int,
) -> None:
    harmed, told = read_damaged(tmp_path, forks, original, damage, seed)
    said = list(check_apart(tmp_path / "checked", MAP_BYTES, partial(forks.check, output=tmp_path / "findings")))

    if "refused" in told:
        assert said != []
    else:
        assert verdict(told, harmed, said=bool(said)) == []


def test_a_server_that_does_not_look_at_seals_is_found(tmp_path: Path, forks: Forks, original: Original) -> None:
    """Another text than was sent, which nothing but its seal gives away."""
    holders = [page for page in original.used if original.harmed_by(page)]

    def digit(rng: random.Random, data: bytearray, _page: int, _other: int) -> None:
        page = rng.choice(holders)
        _, offset = rng.choice(sorted(original.harmed_by(page) or ()))
        text = str(offset).encode()
        data[data.index(bytes((len(text),)) + text, page * PAGE, (page + 1) * PAGE) + len(text)] ^= 1

    for seed in range(CONTROL_SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _, told = read_damaged(folder, forks, original, digit, seed, trusting=True)
        wrong = verdict(told, set(), said=True)

        assert any("'" in one for one in wrong), wrong


def read_damaged(
    folder: Path,
    forks: Forks,
    original: Original,
    damage: Callable[[random.Random, bytearray, int, int], None],
    seed: int,
    *,
    trusting: bool = False,
) -> tuple[set[tuple[str, int]] | None, dict[str, Any]]:
    """What the damage harmed, and what a server told over it. It ended by itself."""
    data, rng = bytearray(original.data), random.Random(f"{seed} {damage.__name__}")
    page = rng.choice(original.used)
    other = rng.choice([one for one in original.used if one != page])
    damage(rng, data, page, other)
    for name in ("served", "checked"):
        (folder / name).mkdir()
        (folder / name / "data.mdb").write_bytes(data)
    output = folder / "output"
    code = forks.run(
        "tests.scenarios.damaged_reading:read_all", output, folder=str(folder / "served"), trusting=trusting
    )
    lines = output.read_text(errors="replace").splitlines()
    assert code == 0, (code, page, lines[-5:])
    harmed: set[tuple[str, int]] | None = set()
    for one in {page, other} if damage.__name__ == "swapped" else {page}:
        more = original.harmed_by(one)
        harmed = None if more is None or harmed is None else harmed | more
    return harmed, json.loads(lines[-1])
