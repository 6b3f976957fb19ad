from collections.abc import Iterator
from contextlib import closing

import pytest

from bimip.client.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    """In memory; closed at the end, as Python 3.13 warns of what is not."""
    with closing(Store()) as opened:
        yield opened
