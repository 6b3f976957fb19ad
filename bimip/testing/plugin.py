"""The fixtures, which pytest finds by itself wherever `bimip[testing]` is installed.

Whoever has the SDK alone loads this file with each run of their tests: so it imports nothing until it is asked.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bimip.testing.memory import MemoryServer
    from bimip.testing.process import ServerProcess

try:
    from pytest_trio import trio_fixture  # type: ignore[import-untyped]
except ImportError:
    trio_fixture = None


@pytest.fixture
def bimip_settings() -> Mapping[str, str]:
    """Settings of the servers of a test, by their names in the environment. Define it anew to give others."""
    return {}


@pytest.fixture
def bimip_server(tmp_path: Path, bimip_settings: Mapping[str, str]) -> "Iterator[ServerProcess]":
    """A real server in a process of its own, which serves: see `bimip.testing.ServerProcess`."""
    from bimip.testing.process import ServerProcess  # noqa: PLC0415 - see above

    folder = tmp_path / "bimip"
    folder.mkdir()
    with ServerProcess(folder, **bimip_settings) as server:
        yield server


if trio_fixture is None:

    @pytest.fixture
    def bimip_memory_server() -> None:
        """A server in memory, which wants trio."""
        pytest.fail("bimip_memory_server wants pytest-trio: pip install 'bimip[testing]'")

else:

    @trio_fixture  # type: ignore[untyped-decorator]
    async def bimip_memory_server(bimip_settings: Mapping[str, str]) -> "AsyncIterator[MemoryServer]":
        """A server in memory, for a test that runs on trio: see `bimip.testing.MemoryServer`."""
        from bimip.testing.memory import open_memory_server  # noqa: PLC0415 - see above

        async with open_memory_server(seed=0, **bimip_settings) as server:
            yield server
