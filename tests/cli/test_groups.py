import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bimip.cli import groups
from bimip.cli.devices import send, show_inbox
from bimip.cli.failures import Exit, Failure
from tests.cli.test_devices import ALICE, BOB, server


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def test_a_group_is_created_changed_shown_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = device(ALICE, "phone"), device(BOB, "phone")
        await send(bob, BOB, ["here I am"], every=0.0, timeout=5.0)
        capsys.readouterr()
        await groups.create(alice, "trip", [BOB], as_json=True)
        group = json.loads(capsys.readouterr().out)["group"]
        await send(bob, group, ["hello"], every=0.0, timeout=5.0)
        capsys.readouterr()
        await groups.rename(alice, group, "journey")
        await groups.give_role(alice, group, BOB, "admin")
        await groups.show(bob, group)

        assert capsys.readouterr().out.splitlines() == [
            f"{group} is called 'journey'",
            f"{BOB} is admin of {group}",
            f"journey   {group}, 2 members, 4 entries",
            f"admin  {BOB}",
            f"owner  {ALICE}",
        ]
        await groups.show(bob, group, as_json=True)
        assert [one["eid"] for one in json.loads(capsys.readouterr().out)["members"]] == [BOB, ALICE]
        await groups.remove(alice, group, BOB)
        await groups.add(alice, group, [BOB])
        await groups.leave(bob, group)
        assert capsys.readouterr().out.splitlines() == [
            f"removed {BOB} from {group}",
            f"added {BOB} to {group}",
            f"left {group}",
        ]
        with pytest.raises(Failure, match="you are in no such conversation") as raised:
            await groups.show(bob, group)
        assert raised.value.code is Exit.REFUSED


async def test_a_group_stands_in_the_inbox_with_its_id_and_what_happened_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with server() as device:
        alice = device(ALICE, "phone")
        await groups.create(alice, "trip", [], as_json=True)
        group = json.loads(capsys.readouterr().out)["group"]
        await groups.show(alice, group)
        shown = capsys.readouterr().out.splitlines()
        await show_inbox(alice, limit=5)
        (line,) = capsys.readouterr().out.splitlines()
        await show_inbox(alice, limit=5, as_json=True)

        assert shown == [f"trip   {group}, 1 member, 1 entry", f"owner  {ALICE}"]
        assert line.startswith(f"   0 trip {group}   ")
        assert line.endswith(f"{ALICE} created 'trip', {group}")
        assert json.loads(capsys.readouterr().out)["last_text"] == f"{ALICE} created 'trip', {group}"


async def test_groups_are_listed_for_people_and_for_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        alice, bob = device(ALICE, "phone"), device(BOB, "phone")
        await send(bob, BOB, ["here I am"], every=0.0, timeout=5.0)
        for title in ("trip", "choir", "left"):
            await groups.create(alice, title, [BOB])
        capsys.readouterr()
        await groups.show_all(bob, as_json=True)
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        await groups.leave(bob, next(one["group"] for one in told if one["title"] == "left"))
        capsys.readouterr()
        await groups.show_all(bob)
        lines = capsys.readouterr().out.splitlines()

        assert [(one["title"], one["role"]) for one in told] == [
            ("choir", "member"),
            ("left", "member"),
            ("trip", "member"),
        ]
        assert [line.split("   ")[0] for line in lines] == ["choir", "trip"]
