from collections.abc import Iterator

import pytest

from tests.kit.postgres import Cluster


@pytest.fixture
def dsn(postgres: Cluster) -> Iterator[str]:
    """An empty store's."""
    name = postgres.make_database()
    yield name
    postgres.give_back(name)
