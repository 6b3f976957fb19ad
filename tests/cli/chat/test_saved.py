"""What is saved in the client's file while one writes: what a killed process, or a refusal, would lose."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bimip.cli.chat.app import ChatApp
from bimip.cli.chat.saved import DRAFTS, REFUSED, Saved
from bimip.client import open_client
from bimip.client.errors import StoreError
from bimip.testing import ServerProcess
from tests.cli.chat.screen import Screen, a_screen, in_touch, run, server

__all__ = ["server"]


@asynccontextmanager
async def a_screen_offline(server: ServerProcess, eid: str, folder: Path) -> AsyncIterator[Screen]:
    """Opens the screen of a device that never reaches its server."""
    async with a_screen(server, eid, folder=folder, url="ws://127.0.0.1:1") as one:
        await one.until(lambda: one.session.client)
        yield one


def as_after_a_kill(folder: Path, name: str) -> Path:
    """Copies a device's file as the disk has it while the process runs."""
    copy = folder / name
    copy.mkdir()
    for file in folder.glob("*.db*"):
        shutil.copy(file, copy)
    return copy


async def saved(one: Screen, text: str) -> None:
    """Waits until the file has a draft."""
    await one.until(lambda: text in drafts_in(one))


def drafts_in(one: Screen) -> list[str]:
    return [draft.text for draft in one.session._saved.drafts.values()] if one.session._saved is not None else []


def test_what_is_typed_to_whom_nobody_wrote_yet_outlives_a_killed_process_and_reaches_the_server_once_it_can(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bimip.cli.chat.app.DRAFT_PAUSE", 0.05)
    monkeypatch.setattr("bimip.cli.chat.app.GIVE_SECONDS", 0.1)

    async def scenario() -> None:
        alice, bob = "alice@begun.org", "bob@begun.org"
        await in_touch(server, alice, bob)
        async with a_screen_offline(server, alice, tmp_path) as one:
            await one.open(bob)
            await one.press(*"to be")
            await saved(one, "to be")
            folder = as_after_a_kill(tmp_path, "killed")
        async with a_screen(server, alice, folder=folder) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.until(lambda: one.app.composer.text == "to be")
            await one.press("enter")
            await one.until(lambda: one.opened().id)
            await one.press(*"more")
            await one.until(lambda: kept_by_server(one) == b"more")
            await one.until(lambda: not drafts_in(one))  # the server has it
            assert one.session.client is not None
            assert one.session.client.notes.all(DRAFTS) == {}

    run(scenario)


def kept_by_server(one: Screen) -> bytes:
    """Returns the draft of the open conversation as the server told it."""
    assert one.session.client is not None
    return one.session.client.conversations.settings(one.opened().id).draft


def test_what_is_typed_without_a_connection_is_given_to_the_server_with_the_next_one(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bimip.cli.chat.app.DRAFT_PAUSE", 0.05)

    async def scenario() -> None:
        alice, bob = "alice@away.org", "bob@away.org"
        await in_touch(server, alice, bob)
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            await one.write("Hello")
            await one.until(lambda: one.opened().id and not one.session.link.waiting)
        async with a_screen_offline(server, alice, tmp_path) as one:
            await one.until(lambda: one.model.open_one is not None)
            await one.press(*"first")
            await saved(one, "first")
            await one.press(*" second")
            await saved(one, "first second")
            assert one.session.client is not None
            assert one.session.client._device.store.commands.size() == 0  # and no command for each pause
            folder = as_after_a_kill(tmp_path, "killed")
        async with a_screen(server, alice, folder=folder) as one:
            await one.until(lambda: one.app.composer.text == "first second")
            await one.until(lambda: kept_by_server(one) == b"first second")

    run(scenario)


def test_a_draft_of_another_device_is_shown_and_not_wiped_by_an_empty_line(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bimip.cli.chat.app.DRAFT_PAUSE", 0.05)
    monkeypatch.setattr("bimip.cli.chat.app.GIVE_SECONDS", 0.05)

    async def scenario() -> None:
        alice, bob = "alice@both.org", "bob@both.org"
        await in_touch(server, alice, bob)
        async with (
            a_screen(server, alice) as one,
            open_client(server.url, token=server.token(alice, "phone")) as phone,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            await one.write("Hello")
            await one.until(lambda: one.opened().id)
            await phone.conversations.keep(one.opened().id, draft=b"from my phone")
            await one.until(lambda: one.app.composer.text == "from my phone")
            await one.press("!")
            await one.until(lambda: kept_by_server(one) == b"from my phone!" and not one.opened().draft_waits)
            await phone.conversations.keep(one.opened().id, draft=b"")
            await one.until(lambda: not one.app.composer.text)
            assert drafts_in(one) == []

    run(scenario)


def test_what_was_typed_before_it_was_said_to_whom_stays_and_so_does_what_was_typed_before_a_search(
    server: ServerProcess,
) -> None:
    async def scenario() -> None:
        bob, carol = "bob@whom.org", "carol@whom.org"
        async with a_screen(server, "alice@whom.org") as one:
            await one.until(lambda: one.session.client)
            await one.press(*"Hello", "enter")
            await one.sees("to whom?")
            await one.open(bob)
            assert one.app.composer.text == "Hello"
            await one.open(bob)
            assert one.app.composer.text == "Hello"
            await one.open(carol)
            assert one.app.composer.text == ""
            await one.open(bob)
            assert one.app.composer.text == "Hello"

    run(scenario)


def test_a_disk_that_is_full_is_said_once_and_the_draft_is_not_lost_while_the_program_runs(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@nospace.org") as one:
            await one.until(lambda: one.session.client)
            complained: list[str] = []
            monkeypatch.setattr(ChatApp, "complain", lambda _app, sentence: complained.append(sentence))

            def full(*_: object) -> None:
                raise StoreError("the client's file failed: database or disk is full")

            await one.open("bob@nospace.org")
            monkeypatch.setattr(Saved, "keep_draft", full)
            await one.press(*"pre")
            one.app._save_draft()
            await one.press(*"cious")
            one.app._save_draft()
            assert [sentence for sentence in complained if sentence] == [
                "--store: the client's file failed: database or disk is full"
            ]
            await one.open("carol@nospace.org")
            await one.open("bob@nospace.org")
            assert one.app.composer.text == "precious"

    run(scenario)


def test_what_was_refused_outlives_the_program_with_what_the_server_said_and_is_sent_again_changed_or_dropped(
    server: ServerProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        alice, bob = "alice@again.org", "bob@again.org"
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            for text in ("one", "two", "three"):
                await one.write(text)
            await one.until(lambda: [entry.is_refused for entry in one.opened().entries] == [True] * 3)
            await one.sees("s: send it again")
            said = one.opened().entries[0].failure
            folder = as_after_a_kill(tmp_path, "killed")
        await in_touch(server, bob)
        async with a_screen(server, alice, folder=folder) as one:
            await one.sees("not sent: t")  # in the list
            await one.until(lambda: one.model.open_one is not None and one.session.link.is_connected)
            assert [(entry.text, entry.failure) for entry in one.opened().entries] == [
                (text, said) for text in ("one", "two", "three")
            ]
            await one.press(*"begun", "escape", "enter")
            assert one.app.composer.text == "begun\nthree"
            await one.press("escape", "d")
            await one.sees("Drop it")
            await one.press("enter")
            await one.until(lambda: len(one.opened().entries) == 1 and not one.app._wanted_draw)
            await one.press("s")
            await one.until(lambda: [entry.offset for entry in one.opened().entries] == [1])
            assert one.opened().entries[0].text == "one"
            assert one.session.client is not None
            assert one.session.client.notes.all(REFUSED) == {}

    run(scenario)


def test_a_refusal_that_nobody_saw_before_the_process_was_killed_is_shown_with_the_text(
    server: ServerProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        alice, bob = "alice@unseen.org", "bob@unseen.org"
        store = tmp_path / f"{alice}-laptop.db"
        async with open_client(server.url, token=server.token(alice, "laptop"), path=store) as client:
            await client.wait_connected()
            client.messages.send_nowait(bob, b"Hello")
            while not client.messages.waiting(answered=True):
                await client.ping()
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.model.open_one is not None)
            await one.until(
                lambda: [(entry.text, entry.is_refused) for entry in one.opened().entries] == [("Hello", True)]
            )

    run(scenario)
