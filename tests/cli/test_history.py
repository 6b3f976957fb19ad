import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from bimip.cli import history
from bimip.cli.devices import send, show_inbox
from bimip.cli.failures import Exit, Failure
from bimip.cli.history import forget_history, show_history
from bimip.client.core.kept import KeptMessages
from bimip.client.store import Store
from bimip.client.wire.bimip import Message
from bimip.domain.core.clock import earliest_stamp, signal_id
from bimip.domain.core.ids import Millis
from tests.cli.test_commands import typed
from tests.cli.test_devices import ALICE, BOB, server

DAY_MS = 86_400_000


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


def a_file(path: Path, **conversations: list[int]) -> Path:
    """Makes a device's file that keeps messages of conversations, each so many days old."""
    now = time.time_ns() // 1_000_000
    with closing(Store(path)) as store:
        kept = KeptMessages(store, lambda: now, wanted=True)
        for name, ages in conversations.items():
            for number, days in enumerate(ages, start=1):
                stamp = signal_id(earliest_stamp(Millis(now - days * DAY_MS + ord(name[-1]))))
                message = Message(signal_id=stamp, conversation=name, conversation_offset=number, payload=b"text")
                kept.keep(message, "chat", number)
    return path


def left(path: Path) -> dict[str, int]:
    with closing(Store(path)) as store:
        rows = store.execute("SELECT conversation, count(*) FROM messages GROUP BY conversation")
        return {str(name): int(count) for name, count in rows}


@pytest.mark.parametrize(
    ("words", "forgotten", "rest"),
    [
        (["c1"], 3, {"c2": 2}),
        (["--older-than", "30d"], 3, {"c1": 1, "c2": 1}),
        (["c1", "--older-than", "30d"], 2, {"c1": 1, "c2": 2}),
        (["--all"], 5, {}),
        (["--all", "--older-than", "60d"], 2, {"c1": 2, "c2": 1}),
        (["c3"], 0, {"c1": 3, "c2": 2}),
    ],
)
def test_a_device_forgets_a_conversation_what_is_old_or_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], forgotten: int, rest: dict[str, int]
) -> None:
    monkeypatch.setattr(history, "FORGOTTEN_TOGETHER", 2)
    path = a_file(tmp_path / "bob.db", c1=[90, 40, 1], c2=[90, 1])
    code, out, _ = typed("history", *words, "--forget", str(path), "--json")

    assert (code, json.loads(out), left(path)) == (Exit.OK, {"forgotten": forgotten}, rest)


def test_it_says_how_much_was_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_file(tmp_path / "bob.db", c1=[1])
    forget_history(path, "c1", older_than=None)
    forget_history(path, "c1", older_than=None)

    assert capsys.readouterr().out.splitlines() == [f"{path} keeps 1 message fewer", f"{path} kept none of these"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["history"], "which one? `bimip inbox --json` has their ids"),
        (["history", "c1", "--older-than", "30d"], "give --forget FILE"),
        (["history", "--all"], "give --forget FILE"),
        (["history", "--forget", "bob.db"], "what of it? name a conversation, say --older-than 30d, or give --all"),
        (["history", "c1", "--all", "--forget", "bob.db"], "what of it?"),
        (["history", "c1", "--older-than", "long", "--forget", "bob.db"], "'long' is not a time such as"),
        (["history", "c1", "--forget", "no/such.db"], "no/such.db does not exist"),
    ],
)
def test_what_is_not_said_whole_is_asked_for(words: list[str], sentence: str) -> None:
    code, _, errors = typed(*words)

    assert code != Exit.OK
    assert sentence in " ".join(errors.replace("│", " ").split())


def test_a_file_that_a_command_has_open_is_said_to_be(tmp_path: Path) -> None:
    path = a_file(tmp_path / "bob.db", c1=[1])
    with closing(Store(path)) as store:
        store.execute("SELECT 1")
        code, _, errors = typed("history", "c1", "--forget", str(path))

    assert code == Exit.FAILED
    assert "is it open in another process?" in errors
    assert left(path) == {"c1": 1}
