"""`bimip send` and `bimip listen` against the real server, in this process, over real sockets."""

import json
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio
from typer.testing import CliRunner

from bimip.app import open_server
from bimip.cli.commands import app
from bimip.cli.devices import (
    Device,
    asking,
    change_settings,
    exceptions_of,
    has_keys,
    head_line,
    label_device,
    list_devices,
    listen,
    read_token,
    remove_device,
    send,
    show_fingerprints,
    show_heads,
    show_inbox,
    show_synced,
)
from bimip.cli.failures import Exit, Failure
from bimip.cli.tokens import sign
from bimip.client.store import Store
from bimip.client.wire.bimip import GroupEvent, GroupEventKind, Identity, Message
from bimip.config import ConsoleSettings, Secret, Settings
from bimip.domain.core.rules import UserSettings
from bimip.environment import Surroundings, open_store
from bimip.gateway.settings import GatewaySettings, TokenSettings
from bimip.storage.settings import StoreSettings

ALICE, BOB = "alice@example.org", "bob@example.org"
SETTINGS = Settings(
    gateway=GatewaySettings(port=0),
    console=ConsoleSettings(port=0),
    store=StoreSettings(engine="memory"),
    tokens=TokenSettings(algorithm="HS256", key=Secret("k" * 32)),
    users=UserSettings(accept_unknown_recipients=True),
)

MakeDevice = Callable[..., Device]


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    """The server runs in this process, and what it logs would stand between what is printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@asynccontextmanager
async def server(settings: Settings = SETTINGS) -> AsyncIterator[MakeDevice]:
    with trio.fail_after(20):
        async with open_server(settings, Surroundings(open_store)) as running:
            url = f"ws://127.0.0.1:{running.listener.port}"

            def device(eid: str, name: str, store: Path | None = None, *, lifetime: int = 3600) -> Device:
                return Device(url, sign(SETTINGS, eid, name, lifetime), store)

            yield device


async def say(device: Device, *texts: str, to: str = BOB, keys: Path | None = None) -> None:
    await send(device, to, texts, every=0.0, timeout=10.0, keys=keys)


async def shown(capsys: pytest.CaptureFixture[str], wanted: str) -> str:
    """What is printed until `wanted` is. Standard output tells nobody that it was written to, so this looks again."""
    printed = ""
    while wanted not in printed:
        await trio.sleep(0.01)
        printed += capsys.readouterr().out
    return printed


async def listen_until(device: Device, wanted: str, capsys: pytest.CaptureFixture[str], *, last: int = 20) -> str:
    """Listen until `wanted` is printed, then end it as Ctrl-C does. What was printed."""
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await listen(device, ["chat"], last=last, as_json=True)

        nursery.start_soon(run)
        printed = await shown(capsys, wanted)
        os.kill(os.getpid(), signal.SIGINT)
    return printed + capsys.readouterr().out


def payloads(printed: str) -> list[str]:
    events = [json.loads(line) for line in printed.splitlines()]
    return [event["payload"] for event in events if event["event"] == "Received"]


async def test_what_is_sent_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await say(device(ALICE, "phone"), "one", "two")
    first, second = capsys.readouterr().out.splitlines()

    assert first.endswith("✓ sent: one   chat #1")
    assert second.endswith("✓ sent: two   chat #2")


async def test_a_device_without_a_place_begins_with_the_newest_entries(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await say(device(ALICE, "phone"), "one", "two", "three")
        capsys.readouterr()
        printed = await listen_until(device(BOB, "phone"), "three", capsys, last=2)

    assert payloads(printed) == ["two", "three"]


async def test_a_device_with_a_store_carries_on_where_it_stood(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with server() as device:
        phone = device(BOB, "phone", tmp_path / "phone.db")
        await say(device(ALICE, "phone"), "one")
        capsys.readouterr()
        before = await listen_until(phone, "one", capsys)
        await say(device(ALICE, "phone"), "two")
        capsys.readouterr()
        after = await listen_until(phone, "two", capsys)

    assert payloads(before) == ["one"]
    assert payloads(after) == ["two"]


async def test_a_device_that_listens_after_an_older_store_was_put_back_is_told_and_shows_all_that_is_new(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Those take the offsets of the ones that are lost."""
    folder, copy = tmp_path / "store", tmp_path / "copy"
    on_disk = replace(SETTINGS, store=StoreSettings(path=str(folder), map_size_bytes=64 << 20))
    async with server(on_disk) as device:
        await say(device(ALICE, "phone"), "A 1", "A 2")
        capsys.readouterr()
        await listen_until(device(BOB, "phone", tmp_path / "phone.db"), "A 2", capsys)
    shutil.copytree(folder, copy)
    async with server(on_disk) as device:
        await say(device(ALICE, "phone"), "B 1", "B 2")
        capsys.readouterr()
        await listen_until(device(BOB, "phone", tmp_path / "phone.db"), "B 2", capsys)
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    async with server(on_disk) as device:
        await say(device(ALICE, "phone"), "C 1", "C 2", "C 3")
        capsys.readouterr()
        printed = await listen_until(device(BOB, "phone", tmp_path / "phone.db"), "C 3", capsys)
    shown_events = [line for line in printed.splitlines() if line.startswith("{")]

    assert payloads("\n".join(shown_events)) == ["C 1", "C 2", "C 3"]
    assert [json.loads(line)["event"] for line in shown_events][:2] == ["EpochChanged", "Connected"]


async def test_a_sibling_sees_what_its_user_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await say(device(ALICE, "phone"), "one")
        capsys.readouterr()
        printed = await listen_until(device(ALICE, "laptop"), "one", capsys)

    assert '"own": true' in printed


async def test_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device, trio.open_nursery() as nursery:

        async def run() -> None:
            await listen(device(BOB, "phone"), ["chat"], last=20, as_json=False)

        nursery.start_soon(run)
        printed = await shown(capsys, "connected")
        await say(device(ALICE, "phone"), "Hello Bob")
        printed += await shown(capsys, "←")
        os.kill(os.getpid(), signal.SIGINT)

    assert "● connected as bob@example.org/phone   newest: chat #0" in printed
    assert "← alice@example.org/phone: Hello Bob   chat #1" in printed


async def test_a_token_that_is_refused_is_told_with_what_to_do() -> None:
    async with server() as device:
        forged = replace(device(ALICE, "phone"), token=device(ALICE, "phone").token[:-4] + "AAAA")
        with pytest.raises(Failure, match=r"the server refuses this token: .* \(`bimip token` makes") as sending:
            await say(forged, "one")
        with pytest.raises(Failure, match="the server refuses this token") as listening:
            await listen(forged, ["chat"], last=0, as_json=True)

    assert sending.value.code is listening.value.code is Exit.REFUSED


async def test_a_token_that_expired_is_told() -> None:
    async with server() as device:
        with pytest.raises(Failure, match=r"the server refuses this token: .*expired") as raised:
            await say(device(ALICE, "phone", lifetime=-60), "one")

    assert raised.value.code is Exit.REFUSED


async def test_a_recipient_who_is_not_known_is_told() -> None:
    async with server(replace(SETTINGS, users=UserSettings())) as device:
        with pytest.raises(Failure, match="the server refuses it: ") as raised:
            await say(device(ALICE, "phone"), "one")

    assert raised.value.code is Exit.REFUSED


async def test_a_device_that_connects_twice_ends_the_older(capsys: pytest.CaptureFixture[str]) -> None:
    failures: list[Failure] = []
    async with server() as device, trio.open_nursery() as nursery:

        async def older() -> None:
            with pytest.raises(Failure, match="this device has connected again somewhere else") as raised:
                await listen(device(BOB, "phone"), ["chat"], last=0, as_json=True)
            failures.append(raised.value)
            nursery.cancel_scope.cancel()

        nursery.start_soon(older)
        await shown(capsys, "Connected")
        await listen(device(BOB, "phone"), ["chat"], last=0, as_json=True)

    assert failures[0].code is Exit.REFUSED


async def test_a_store_of_another_device_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async with server() as device:
        await listen_until(device(BOB, "phone", tmp_path / "phone.db"), "Connected", capsys)
        with pytest.raises(Failure, match="--store: this file belongs to") as raised:
            await listen(device(BOB, "laptop", tmp_path / "phone.db"), ["chat"], last=0, as_json=True)

    assert raised.value.code is Exit.FAILED


async def test_an_answer_that_does_not_come_is_not_called_a_refusal() -> None:
    async with server() as device:
        with pytest.raises(Failure, match="no answer within 0 s: the server may have it or not") as raised:
            await send(device(ALICE, "phone"), BOB, ["one"], every=0.0, timeout=0.0)

    assert raised.value.code is Exit.FAILED


def test_a_token_is_given_or_read(tmp_path: Path) -> None:
    file = tmp_path / "alice-phone.token"
    file.write_text("from a file\n")

    assert read_token("given", file) == "given"
    assert read_token(" given\r\n", file) == "given"
    assert read_token("", file) == "from a file"
    assert "given" not in repr(Device("ws://x", "given"))


async def test_the_inbox_has_the_newest_conversation_first(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        phone = device(BOB, "phone")
        await say(device(ALICE, "phone"), "one", "two\x1b[2J")
        await say(device("carol@example.org", "phone"), "three")
        capsys.readouterr()
        await show_inbox(phone, limit=5)
        lines = capsys.readouterr().out.splitlines()
        await show_inbox(phone, limit=1, as_json=True)
        (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        assert [line.split()[:2] for line in lines] == [["1", "carol@example.org"], ["2", ALICE]]
        assert lines[1].endswith("two\\x1b[2J")
        assert (row["peer"], row["unread"], row["last_from"], row["last_text"]) == (
            "carol@example.org",
            1,
            "carol@example.org",
            "three",
        )


async def test_devices_are_listed_labelled_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        phone = device(ALICE, "phone")
        await list_devices(device(ALICE, "laptop"))
        capsys.readouterr()
        await label_device(phone, "laptop", "at work")
        await list_devices(phone)
        told = capsys.readouterr().out
        await list_devices(phone, as_json=True)
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        await remove_device(phone, "laptop")
        with pytest.raises(Failure, match="you have no device 'laptop'"):
            await remove_device(phone, "laptop")

        assert told.splitlines()[0] == "laptop is called 'at work'"
        assert "○ laptop (at work)   seen " in told
        assert "● phone   this one" in told
        assert [(row["name"], row["label"], row["is_this"]) for row in rows] == [
            ("laptop", "at work", False),
            ("phone", "", True),
        ]
        assert capsys.readouterr().out == "removed laptop\n"


async def test_heads_and_how_far_a_device_is_with_another(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        phone = device(ALICE, "phone")
        await send(device(BOB, "phone"), BOB, ["here I am"], every=0.0, timeout=10.0)
        await list_devices(device(ALICE, "laptop"))
        await send(phone, BOB, ["one", "two"], every=0.0, timeout=10.0)
        capsys.readouterr()
        await show_heads(phone, "", "chat", limit=5)
        heads = capsys.readouterr().out
        await show_heads(phone, ALICE, "chat", limit=5, as_json=True)
        [head] = map(json.loads, capsys.readouterr().out.splitlines())
        await show_synced(phone, "laptop", "chat")
        synced = capsys.readouterr().out
        await show_synced(phone, "laptop", "chat", as_json=True)
        [told] = map(json.loads, capsys.readouterr().out.splitlines())

        assert heads == f"{ALICE}/phone   #2   two\n"
        assert (head["from"], head["device"], head["text"]) == (ALICE, "phone", "two")
        assert synced == "phone   up to 0 of 2, 2 missing\n"
        assert (told["origin"], told["head"], told["missing"]) == ("phone", 2, 2)


def test_the_newest_of_somebody_may_be_an_event_of_a_group_or_of_who_was_erased() -> None:
    created = GroupEvent(kind=GroupEventKind.CREATED, title="trip")
    event = Message(from_=Identity(eid=ALICE), to=Identity(eid="c7"), user_offset=3, group_event=created)

    assert head_line(event) == f"{ALICE}   #3   {ALICE} created 'trip', c7"
    assert head_line(Message(from_=Identity(), user_offset=4, erased=True)) == "an erased user   #4   (deleted)"


async def test_settings_are_shown_with_for_whom_they_hold_and_the_exceptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with server() as device:
        await say(device(ALICE, "phone"), "hello")
        excepted = exceptions_of([f"{BOB}:show-last-seen=denied", f"{BOB}:send-read-receipts=allowed"])
        capsys.readouterr()
        changed = partial(change_settings, device(ALICE, "laptop"))
        await changed({"visible": False}, {"last_seen_to": "contacts", "online_status_to": None}, excepted)
        shown = capsys.readouterr().out
        await changed({}, {}, exceptions_of([f"{BOB}:send-read-receipts=none"]), as_json=True)

    assert shown.splitlines() == [
        "read receipts to: everybody",
        "read receipts of: everybody",
        "last seen to: contacts",
        "online status to: everybody",
        "visible: off",
        f"for {BOB}: send read receipts: allowed, show last seen: denied",
    ]
    assert json.loads(capsys.readouterr().out) == {
        "read_receipts_to": "everybody",
        "read_receipts_of": "everybody",
        "last_seen_to": "contacts",
        "online_status_to": "everybody",
        "visible": False,
        "exceptions": {BOB: {"show_last_seen": "denied"}},
    }


@pytest.mark.parametrize(
    "text", ["bob", "bob:", ":show-last-seen=denied", "bob:show-last-seen", "bob:visible=none", "b:x=none"]
)
def test_an_exception_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="USER:SETTING=VALUE") as raised:
        exceptions_of([text])

    assert raised.value.code is Exit.USAGE


def test_the_keys_of_a_file_that_is_open_are_not_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    store = Store(path)
    try:
        with pytest.raises(Failure, match="open in another process"):
            show_fingerprints(path, "")
    finally:
        store.close()


async def test_what_is_sent_with_keys_is_read_by_who_listens_with_keys_and_both_show_their_fingerprints(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine, theirs = tmp_path / "alice.db", tmp_path / "bob.db"
    async with server() as device:
        alice, phone = device(ALICE, "phone"), replace(device(BOB, "phone", theirs), encrypts=True)
        with pytest.raises(Failure, match="can be encrypted for"):
            await say(alice, "too early", keys=mine)
        async with trio.open_nursery() as nursery, asking(device(ALICE, "laptop")) as laptop:

            async def run() -> None:
                await listen(phone, ["chat"], last=20, as_json=True)

            nursery.start_soon(run)
            while not await laptop.keys.query([(BOB, "phone")]):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
            await say(alice, "between us", keys=mine)
            printed = await shown(capsys, "between us")
            while '"Received"' not in printed:
                printed += await shown(capsys, "\n")
            os.kill(os.getpid(), signal.SIGINT)
    [line] = [line for line in printed.splitlines() if '"Received"' in line]

    assert json.loads(line)["payload"] == "between us"
    assert has_keys(theirs)
    assert not has_keys(tmp_path / "none.db")
    for own, other, eid in ((mine, theirs, ALICE), (theirs, mine, BOB)):
        show_fingerprints(own, "")
        fingerprint = capsys.readouterr().out.strip()
        show_fingerprints(other, eid)
        assert capsys.readouterr().out.strip() == f"phone: {fingerprint} (not verified)"
        assert json.loads(line)["sealed_by"]["fingerprint"] == fingerprint or own == theirs


def test_the_words_about_keys_want_a_file_that_has_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "plain.db"
    Store(plain).close()
    keyed = tmp_path / "keyed.db"
    store = Store(keyed)
    store.execute("INSERT INTO olm_account VALUES (1, 'p', x'', 0, x'', 0)")
    store.close()
    run = partial(CliRunner().invoke, app)
    told: list[Device] = []

    async def heard(device: Device, *_names: object, **_options: object) -> None:
        await trio.lowlevel.checkpoint()
        told.append(device)

    monkeypatch.setattr("bimip.cli.devices.listen", heard)
    for words, wrong in (
        (["devices", "fingerprint", str(plain)], "has no keys"),
        (["devices", "fingerprint", str(tmp_path / "none.db")], "has no keys"),
        (["send", "--friends", "--encrypt", str(plain), "hello"], "what is for friends is not encrypted"),
        (["listen", "--encrypt"], "give --store FILE"),
    ):
        done = run(words)
        assert done.exit_code != 0
        assert wrong in " ".join(done.output.split())
    for store_file, words in ((plain, []), (keyed, []), (plain, ["--encrypt"])):
        done = run(["listen", "--token", "t", "--store", str(store_file), *words])
        assert done.exit_code == 0, done.output

    assert [device.encrypts for device in told] == [False, True, True]
