"""Playing sequences: each with a client and a folder of its own, several at a time."""

import tempfile
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import trio

from bimip.conformance.client import Launcher
from bimip.conformance.play import PATIENCE, Broken, Play, Skipped
from bimip.conformance.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one sequence: it passed, failed or was skipped."""

    sequence: Sequence
    why: str = ""
    """What was wrong, or why it was left out, in a sentence."""
    is_skipped: bool = False
    seconds: float = 0.0

    @property
    def is_passed(self) -> bool:
        return not self.why

    @property
    def word(self) -> str:
        return "skipped" if self.is_skipped else "FAILED" if self.why else "passed"


async def play_sequence(
    sequence: Sequence, launcher: Launcher, folder: Path, subprotocol: str, patience: float = PATIENCE
) -> Outcome:
    """Plays one sequence with a client that keeps what it has within a folder. Cancelling it ends the client."""
    begun = trio.current_time()
    why, is_skipped = "", False
    async with trio.open_nursery() as nursery:
        play = Play(nursery, launcher, folder, subprotocol, patience)
        try:
            await sequence.run(play)
        except Broken as broken:
            why = str(broken)
        except Skipped as skipped:
            why, is_skipped = str(skipped), True
        nursery.cancel_scope.cancel()
    if why and not is_skipped and (last := _last_error(folder)):
        why += f"; its standard error ends with: {last}"
    return Outcome(sequence, why, is_skipped, trio.current_time() - begun)


def _last_error(folder: Path) -> str:
    """Returns the last line that the client wrote to its standard error."""
    errors = folder / "stderr.txt"
    lines = errors.read_text("utf-8", "replace").split("\n") if errors.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


async def play_all(
    sequences: Many[Sequence],
    launcher: Callable[[], Launcher],
    subprotocol: str,
    tell: Callable[[Outcome], None],
    *,
    jobs: int = 4,
    patience: float = PATIENCE,
) -> list[Outcome]:
    """Plays sequences, so many at a time, each with a client and a folder of its own. Returns them in their order."""
    outcomes: dict[str, Outcome] = {}
    limiter = trio.CapacityLimiter(jobs)

    async def play_one(sequence: Sequence) -> None:
        async with limiter:
            with tempfile.TemporaryDirectory(prefix="bimip-conformance-", ignore_cleanup_errors=True) as folder:
                outcome = await play_sequence(sequence, launcher(), Path(folder), subprotocol, patience)
        outcomes[sequence.name] = outcome
        tell(outcome)

    async with trio.open_nursery() as nursery:
        for one in sequences:
            nursery.start_soon(play_one, one)
    return [outcomes[one.name] for one in sequences]
