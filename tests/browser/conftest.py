"""What tests of the pages share: one browser, in which each has a context of its own."""

from collections.abc import Iterator

import pytest

from tests.kit.browser import Browser, sharing


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with sharing(tmp_path_factory.mktemp("browser")) as started:
        yield started
