"""Each sequence lets a client pass that obeys, and finds the one that is wrong in that point, under virtual time."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trio
import trio.testing

from bimip.conformance.playing import Outcome, play_sequence
from bimip.conformance.sequences import SEQUENCES
from bimip.conformance.server import ScriptedServer
from tests.conformance.small_client import WRONG, SmallClient

BY_NAME = {one.name: one for one in SEQUENCES}


class InThisThread:
    """Starts the small client as a task; it reaches the server in memory."""

    def __init__(self, wrong: str) -> None:
        self._wrong = wrong

    async def launch(
        self,
        nursery: trio.Nursery,
        server: ScriptedServer,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> "Life":
        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(server.handle, theirs)
            return ours

        life = Life(SmallClient(environment, dial, on_line, self._wrong))
        nursery.start_soon(life.run)
        return life


class Life:
    def __init__(self, client: SmallClient) -> None:
        self._client = client
        self._say, self._lines = trio.open_memory_channel[str](100)
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self) -> None:
        with self._scope:
            await self._client.run(self._lines)
        self._ended.set()

    async def say(self, line: str) -> None:
        await self._say.send(line)

    async def kill(self) -> None:
        self._scope.cancel()
        await self._ended.wait()


async def played(name: str, folder: Path, wrong: str = "") -> Outcome:
    return await play_sequence(BY_NAME[name], InThisThread(wrong), folder, "bimip.v1")


@pytest.mark.parametrize("name", BY_NAME)
async def test_a_client_that_obeys_passes(name: str, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    outcome = await played(name, tmp_path)

    assert outcome.why == ""
    assert outcome.is_passed


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_client_that_is_wrong_in_one_point_is_found_there(
    wrong: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    outcome = await played(WRONG[wrong], tmp_path, wrong)

    assert not outcome.is_passed
    assert outcome.why


def test_the_readme_counts_right() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")

    assert re.search(rf"\({len(SEQUENCES)}\s+sequences", readme)
    assert f"one of {len(WRONG)} points" in readme
    assert readme.count(f"| {len(SEQUENCES)} passed |") == 2
    assert f"| {len(SEQUENCES) - 1} passed, 1 skipped: " in readme


def test_each_sequence_finds_a_client_that_is_wrong() -> None:
    assert set(WRONG.values()) == set(BY_NAME)
    assert len(BY_NAME) == len(SEQUENCES)
