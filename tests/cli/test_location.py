"""`bimip location` against the real server, in this process, over real sockets."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from bimip.cli import contacts, location
from bimip.cli.devices import asking
from bimip.cli.failures import Exit, Failure
from bimip.client import Client
from bimip.client.events import LocationTold
from tests.cli.test_devices import ALICE, BOB, server


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def told(client: Client, fits: Callable[[LocationTold], bool]) -> LocationTold:
    """Waits until this is told of where somebody is."""
    while True:
        event = await anext(client)
        if isinstance(event, LocationTold) and fits(event):
            return event


async def test_a_location_is_shared_with_a_contact_and_shared_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = device(ALICE, "phone"), device(BOB, "phone")
        async with asking(alice):
            pass  # a user exists once they have connected
        await contacts.request(bob, ALICE)
        await contacts.accept(alice, BOB)
        capsys.readouterr()
        async with asking(bob) as client:
            await location.share(alice, BOB, at="-33.9,151.2", minutes=5)
            found = await told(client, lambda event: event.position is not None)
            await location.share(alice, BOB, as_json=True)
            await location.stop(alice, BOB)
            await told(client, lambda event: not event.is_shared)
        await location.stop(alice, BOB, as_json=True)
        shared, again, stopped, twice = capsys.readouterr().out.splitlines()

        assert (found.eid, found.position) == (ALICE, (-33.9, 151.2))
        assert shared.startswith(f"shared with {BOB} until 20")
        assert json.loads(again)["expires_at"] > found.expires_at
        assert stopped == f"not shared with {BOB}"
        assert json.loads(twice) == {"with": BOB}
        with pytest.raises(Failure) as raised:
            await location.share(bob, ALICE)  # who was never let see bob
        assert raised.value.code is Exit.REFUSED


@pytest.mark.parametrize("at", ["here", "52.5", "52.5,", "52.5,13.4,1"])
async def test_what_is_no_place_is_said_so_before_anything_is_shared(at: str) -> None:
    async with server() as device:
        with pytest.raises(Failure, match="--at is a latitude and a longitude"):
            await location.share(device(ALICE, "phone"), BOB, at=at)
