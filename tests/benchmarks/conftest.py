import gc
from collections.abc import Iterator

import pytest

from scripts.benchmarks import server


@pytest.fixture(scope="session")
def running() -> Iterator[server.Server]:
    """One server for all workloads: to start one takes longer than what they do here."""
    with server.running() as started:
        yield started
        complaints = started.complaints()
    assert not complaints


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The workloads switch it off in their own process, which here is everybody's."""
    yield
    gc.unfreeze()
    gc.enable()
