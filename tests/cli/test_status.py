"""`bimip status` against the real server: what one device says, all show."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import trio

from bimip.cli import contacts, status
from bimip.cli.devices import Device, listen, send
from bimip.client import Client, open_client
from bimip.users.awareness.settings import PresenceSettings
from tests.cli.test_devices import ALICE, BOB, SETTINGS, MakeDevice, server, shown

AT_ONCE = replace(SETTINGS, presence=PresenceSettings(offline_delay_seconds=0, interval_seconds=0))


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def make_friends(device: MakeDevice) -> tuple[Device, Device]:
    alice, bob = device(ALICE, "phone"), device(BOB, "phone")
    for one, eid in ((alice, ALICE), (bob, BOB)):
        await send(one, eid, ["here I am"], every=0.0, timeout=5.0)
    await contacts.request(alice, BOB, mutual=True)
    await contacts.accept(bob, ALICE)
    return alice, bob


async def test_what_a_user_says_of_themselves_their_contacts_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with server(AT_ONCE) as device:
        alice, bob = await make_friends(device)
        capsys.readouterr()
        await status.set_intent(bob, "dnd", seconds=None)
        await status.show(bob)
        async with open_client(bob.url, token=device(BOB, "laptop").token, partitions=()) as laptop:
            await laptop.wait_connected()
            await status.show(alice)
            await status.show(alice, as_json=True)
        before = time.time_ns() // 1_000_000
        await status.set_intent(bob, "away", seconds=3600, as_json=True)
        await status.set_intent(bob, "online", seconds=None)
        *lines, own, contact, away, online = capsys.readouterr().out.splitlines()

        assert lines[:2] == ["you do not want to be disturbed", "you do not want to be disturbed"]
        assert lines[2].startswith(f"○ {ALICE} is offline, last seen 20")
        assert lines[3] == "you say nothing of how you are: you are online while a device of yours is"
        assert lines[4:] == [f"● {BOB} does not want to be disturbed"]
        assert json.loads(own) == {"eid": ALICE, "says": "online", "until": 0}
        assert (json.loads(contact)["eid"], json.loads(contact)["status"]) == (BOB, "dnd")
        assert json.loads(away)["says"] == "away"
        assert before + 3_600_000 <= json.loads(away)["until"] <= before + 3_700_000
        assert online == lines[3]


async def test_who_listens_sees_contacts_come_type_and_write(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with server(AT_ONCE) as device:
        alice, bob = await make_friends(device)
        capsys.readouterr()
        listener = Device(alice.url, alice.token, tmp_path / "phone.db")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, listener)
            await shown(capsys, "Connected")
            async with open_client(bob.url, token=device(BOB, "laptop").token, partitions=()) as laptop:
                await _type_and_write(laptop)
                printed = await shown(capsys, '"cancelled"')
            nursery.cancel_scope.cancel()

        told = [json.loads(line) for line in printed.splitlines()]
        doings = [one["activity"] for one in told if one["event"] == "ActivityChanged"]
        assert doings == ["typing", "cancelled"]


async def _listen(device: Device) -> None:
    await listen(device, ["chat"], last=20, as_json=True)


async def _type_and_write(client: Client) -> None:
    await client.wait_connected()
    await client.presence.say_typing(ALICE)
    await client.messages.send(ALICE, b"hello")
