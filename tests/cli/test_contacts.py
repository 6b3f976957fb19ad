import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bimip.cli import contacts
from bimip.cli.devices import send
from bimip.cli.failures import Exit, Failure
from tests.cli.test_devices import ALICE, BOB, server


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def test_contacts_are_asked_for_answered_listed_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = device(ALICE, "phone"), device(BOB, "phone")
        for one, eid in ((alice, ALICE), (bob, BOB)):
            await send(one, eid, ["here I am"], every=0.0, timeout=5.0)
        capsys.readouterr()
        await contacts.request(alice, BOB)
        await contacts.show(bob)
        await contacts.accept(bob, ALICE, mutual=True)
        await contacts.accept(alice, BOB)
        await contacts.name(alice, BOB, "Bobby")
        await contacts.block(alice, BOB)
        await contacts.show(alice)
        await contacts.unblock(alice, BOB)
        await contacts.show(alice, as_json=True)
        await contacts.remove(alice, BOB)
        *lines, listed, removed = capsys.readouterr().out.splitlines()

        assert lines == [
            f"{BOB}: asked by you",
            f"{ALICE}   asks to see you",
            f"{ALICE}: asked by you, who let them see you, sees you",
            f"{BOB}: you see each other",
            f"{BOB}: called 'Bobby', you see each other",
            f"{BOB}: called 'Bobby', you see each other, blocked",
            f"{BOB}   called 'Bobby', you see each other, blocked",
            f"{BOB}: called 'Bobby', you see each other",
        ]
        told = json.loads(listed)
        assert (told["eid"], told["state"], told["name"], told["sees_you"]) == (BOB, "accepted", "Bobby", True)
        assert removed == f"{BOB}: nothing stands between you"
        await contacts.request(alice, BOB, mutual=True)
        await contacts.deny(bob, ALICE, as_json=True)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["eid"] == ALICE
        with pytest.raises(Failure) as raised:
            await contacts.deny(bob, ALICE)
        assert raised.value.code is Exit.REFUSED
