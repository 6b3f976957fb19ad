import json

import pytest

from bimip.cli.devices import send
from bimip.cli.state import show_state
from tests.cli.test_devices import ALICE, BOB, _without_a_log, server

__all__ = ["_without_a_log"]


async def test_the_state_is_shown_item_by_item_and_behind_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        bob, alice = device(BOB, "phone"), device(ALICE, "phone")
        await send(bob, BOB, ["here I am"], every=0.0, timeout=5.0)
        await send(alice, BOB, ["hello"], every=0.0, timeout=5.0)
        capsys.readouterr()
        await show_state(alice, 0)
        people = capsys.readouterr().out.splitlines()
        await show_state(alice, 0, as_json=True)
        [item] = map(json.loads, capsys.readouterr().out.splitlines())
        await show_state(alice, int(item["version"]))

        assert len(people) == 1
        assert people[0].split()[:2] == [str(item["version"]), "device"]
        assert item["device"]["name"] == "phone"
        assert capsys.readouterr().out == ""
