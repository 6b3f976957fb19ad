"""The real server while its disk fails to write, as those who are connected see it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bimip.client.wire import bimip as pb
from tests.chaos.test_full_disk import PATIENCE, Limited, connect, readiness
from tests.storage.tracing import why_not

NOT_NOW = {pb.ErrorCode.UNKNOWN_OUTCOME, pb.ErrorCode.UNAVAILABLE}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Limited]:
    if why_not():
        pytest.skip(why_not())
    process = Limited(tmp_path, BIMIP_LOGGING_LEVEL="error")
    yield process
    process.close()


class Failing:
    """Every write and every sync of the process fails, from here on."""

    def __init__(self, pid: int) -> None:
        calls = "pwrite64,writev,fdatasync"
        rules = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
        self._tracer = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", "-p", str(pid), *rules], stderr=subprocess.PIPE, text=True
        )
        assert self._tracer.stderr is not None
        assert "attached" in self._tracer.stderr.readline()

    def mend(self) -> None:
        self._tracer.terminate()
        self._tracer.communicate()


async def test_a_failing_disk_costs_writers_an_error_and_nobody_the_connection(
    server: Limited, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, failed = [], []
    await server.start_up()
    with trio.fail_after(PATIENCE):
        async with connect(server, "bob") as bob, connect(server, "ann") as ann:
            assert isinstance(await ann.post("before", 100), pb.Signal)
            disk = Failing(server.pid)
            for number in range(10):
                answer = await ann.post(f"during {number}", 100)
                assert isinstance(answer, pb.ErrorMessage)
                assert answer.code in NOT_NOW, answer
                assert answer.retry_after_ms > 0
                failed.append(answer.code)
            code, reasons = await readiness(server)
            disk.mend()

            assert code == 503
            assert "the disk failed" in reasons or "Input/output error" in reasons
            while (await readiness(server))[0] != 200:  # noqa: ASYNC110 - nothing tells it but asking
                await trio.sleep(0.05)
            for name in ["before", *(f"during {number}" for number in range(10)), "after"]:
                assert isinstance(await ann.post(name, 100), pb.Signal)
                sent.append(name)
            await bob.wait_for("after")

            assert sent == [message.id for message in bob.received]
    with capsys.disabled():
        sys.stdout.write(f"\n    failing disk: {len(failed)} refused or unknown, {len(sent)} sent, 0 doubled, 0 lost\n")
