from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.kit import Api, open_api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """A server on which Alice, Bob and Carol are known."""
    async with open_api(tmp_path) as served:
        await served.know("alice", "bob", "carol")
        yield served
