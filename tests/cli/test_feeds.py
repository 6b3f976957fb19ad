"""`bimip send --friends` and `bimip feed` against the real server."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from typer.testing import CliRunner

from bimip.cli import contacts, feeds
from bimip.cli.commands import app
from bimip.cli.devices import Device, send, show_inbox
from bimip.cli.failures import Failure
from tests.cli.test_devices import ALICE, BOB, MakeDevice, server


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def publish(device: Device, *texts: str) -> None:
    await send(device, None, texts, every=0.0, timeout=10.0)


async def make_friends(device: MakeDevice) -> tuple[Device, Device]:
    """Alice lets Bob see her, and he does not let her."""
    alice, bob = device(ALICE, "phone"), device(BOB, "phone")
    await send(alice, BOB, ["here I am"], every=0.0, timeout=10.0)
    await contacts.request(bob, ALICE, mutual=False)
    await contacts.accept(alice, BOB)
    return alice, bob


async def test_what_is_written_for_friends_they_see(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = await make_friends(device)
        capsys.readouterr()
        await publish(alice, "one", "two\x1b")
        await feeds.show_feed(bob, ALICE, limit=20)
        await feeds.show_feed(alice, "", limit=1)
        await feeds.show_feed(bob, ALICE, limit=1, as_json=True)
        await show_inbox(bob, limit=1)
        first, second, one, two, own, told, row = capsys.readouterr().out.splitlines()
        with pytest.raises(Failure, match="no feed of theirs"):
            await feeds.show_feed(alice, BOB, limit=1)

    assert (first[9:], second[9:]) == ("✓ sent: one   feed #1", r"✓ sent: two\x1b   feed #2")
    assert (one[23:], two[23:], own[23:]) == ("one   #1", r"two\x1b   #2", r"two\x1b   #2")
    fields = json.loads(told)
    assert (fields["author"], fields["text"], fields["conversation_offset"]) == (ALICE, r"two\x1b", 2)
    assert f"{ALICE} (feed)" in row


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["send", "--friends", "bob", "hello"], "with --friends there is no TO"),
        (["send", "hello"], "say whom to write to, and what"),
    ],
)
def test_what_is_written_is_for_somebody_or_for_friends(words: list[str], wrong: str) -> None:
    done = CliRunner().invoke(app, words)

    assert done.exit_code == 2
    assert wrong in done.output
