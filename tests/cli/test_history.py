import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bimip.cli.devices import send, show_inbox
from bimip.cli.failures import Exit, Failure
from bimip.cli.history import show_history
from tests.cli.test_devices import ALICE, BOB, server


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def test_history_is_shown_page_by_page_for_people_and_for_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = device(ALICE, "phone"), device(BOB, "phone")
        await send(bob, BOB, ["here I am"], every=0.0, timeout=5.0)
        await send(alice, BOB, ["one", "two\x1b[2J", "three"], every=0.0, timeout=5.0)
        capsys.readouterr()
        await show_inbox(bob, limit=1, as_json=True)
        conversation = json.loads(capsys.readouterr().out)["conversation"]
        await show_history(bob, conversation, limit=2)
        newest = capsys.readouterr().out.splitlines()
        await show_history(bob, conversation, limit=20, before=3, as_json=True)
        older = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        with pytest.raises(Failure, match="no such conversation") as raised:
            await show_history(bob, "c999", limit=1)

        assert [line.split()[0] for line in newest] == ["2", "3"]
        assert newest[0].endswith(f"{ALICE}/phone: two\\x1b[2J")
        assert [(one["conversation_offset"], one["from"], one["text"]) for one in older] == [
            (1, ALICE, "one"),
            (2, ALICE, "two\\x1b[2J"),
        ]
        assert raised.value.code is Exit.REFUSED
