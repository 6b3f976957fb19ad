"""Which tests are not measured for coverage: campaigns, which do by the hundred what other tests do once.

Everything is asserted all the same. All that they run is run by tests that are measured, or by their own first runs.

No example of Hypothesis has a deadline: a machine may be busy, and the first one pays for imports.

The log tells a crash as the server does, by a traceback without colours and local variables: those that structlog has
where nobody says otherwise took most of the time of tests in which much crashes. A test that has the log another way
has it so for itself alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.kit.coverage import unmeasured
from tests.kit.postgres import Cluster, open_cluster, why_not

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def configure_log() -> None:
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


configure_log()

HERE = Path(__file__).parent
CAMPAIGNS = tuple(
    HERE / name
    for name in (
        "benchmarks",
        "chaos",
        "domain/test_group_histories.py",
        "scenarios/test_client_keeps_its_word.py",
        "scenarios/test_damage_campaign.py",
        "scenarios/test_random_histories.py",
        "scenarios/test_stores_agree.py",
        "storage/test_crash_images.py",
        "storage/test_damage_campaign.py",
        "storage/test_disk_errors.py",
        "storage/test_stores_against_memory.py",
        "storage/test_write_points.py",
    )
)
assert all(campaign.exists() for campaign in CAMPAIGNS), "a campaign that is no more"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL for the whole session. Skipped, with the reason, where there can be none."""
    if why_not():
        pytest.skip(why_not())
    with open_cluster() as cluster:
        yield cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    configure_log()
    if is_crashing(item) or any(item.path.is_relative_to(campaign) for campaign in CAMPAIGNS):
        with unmeasured():
            return (yield)
    return (yield)


def is_crashing(item: pytest.Item) -> bool:
    """A scenario while its server crashes, which runs without that too."""
    return bool(isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.callspec.params.get("crashes"))
