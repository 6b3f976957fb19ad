"""What a process told, held against what it left on disk: nothing lost, nothing half, nothing falsely acknowledged."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from bimip.domain.core.operations import Append, Appended
from bimip.domain.core.records import Cursor, Entry, LogTable, Reader, ReceiptKey, ReceiptKind, Table
from bimip.domain.state.receipts import covers, read_block
from bimip.journal.worker import InlineWorker
from bimip.storage.care.check import check
from bimip.storage.lmdb.store import LmdbStore
from tests.storage.crash_script import (
    BOB,
    CHAT,
    EXPIRED,
    MAP_BYTES,
    MESSAGES,
    NUMBERS,
    OWNERS,
    PREPARED,
    STEPS,
    TOGETHER,
    JournalHost,
    keep,
    prepare,
    say,
)

Line = dict[str, Any]
OPERATIONS = {name: operation for step in STEPS for name, operation in step}


def read_lines(output: Path) -> list[Line]:
    """What was told. A line that the end cut off was not."""
    if not output.exists():
        return []
    return [json.loads(line) for line in output.read_text().splitlines(keepends=True) if line.endswith("}\n")]


def verify_all(folders: list[str], lines: list[list[Line]], *, fresh: bool = False) -> None:
    """One line for each store, so that the reader sees which of them ended the process."""
    for folder, each in zip(folders, lines, strict=True):
        try:
            problems = verify_fresh(folder, each) if fresh else verify(Path(folder), each)
        except Exception as error:  # noqa: BLE001 - a store that cannot be opened or read is what is looked for
            problems = [f"{type(error).__name__}: {error}"]
        say(folder=folder, problems=problems)


def verify_fresh(folder: str, lines: list[Line]) -> list[str]:
    """For a process that was ended while it made the store: what it told is there, and it can be made whole."""
    acknowledged = max([line["prepared"] for line in lines if "prepared" in line], default=0)
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    problems = [str(finding) for finding in check(store)]
    with store.snapshot() as view:
        if len(_log(view, BOB)) < acknowledged:
            problems.append(f"lost: {acknowledged} were acknowledged, {len(_log(view, BOB))} are there")
    store.close()
    with open(os.devnull, "w") as nowhere, redirect(1, nowhere.fileno()):  # noqa: PTH123 - a device, not a file
        prepare(folder)
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    problems += [f"afterwards: {finding}" for finding in check(store)]
    with store.snapshot() as view:
        if len(_log(view, BOB)) != PREPARED:
            problems.append(f"afterwards: {len(_log(view, BOB))} messages, and not {PREPARED}")
    store.close()
    return problems


@contextmanager
def redirect(number: int, target: int) -> Iterator[None]:
    saved = os.dup(number)
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(saved, number)
        os.close(saved)


def verify(folder: Path, lines: list[Line]) -> list[str]:
    """Open what was left, compare, and send everything again."""
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    try:
        problems = [str(finding) for finding in check(store)]
        with store.snapshot() as view:
            stamps = _stamps(view)
            found = {
                name: _places(view, append, stamps.get(append.messages[0].sent, []))
                for name, append in MESSAGES.items()
            }
            problems += [
                f"half: {name} is in {places}" for name, places in found.items() if len(set(places.values())) > 1
            ]
            present = {name for name, places in found.items() if all(places.values())}
            problems += _prepared(view)
            problems += [problem for line in lines for problem in _kept(view, line, present)]
        problems += _false_refusals(lines, present)
        problems += trio.run(_send_again, store, present)
        problems += [f"afterwards: {finding}" for finding in check(store)]
    finally:
        store.close()
    return problems


def _stamps(view: Reader) -> dict[bytes, list[int]]:
    """Where a message's bytes are stored."""
    stamps: dict[bytes, list[int]] = {}
    for (stamp,), body in view.scan(Table.BODIES, (EXPIRED,), (1 << 64,), limit=9999):
        stamps.setdefault(body, []).append(stamp)
    return stamps


def _places(view: Reader, append: Append, stamps: list[int]) -> dict[str, bool]:
    """Where a message is: everywhere, or nowhere."""
    seen = view.get(Table.SEEN, (append.device, append.messages[0].id))
    places = {"seen": seen is not None, "bodies": bool(stamps)}
    for user in {append.user, NUMBERS[append.to]}:
        places[f"log {user}"] = any(entry.stamp in stamps for _, entry in _log(view, user))
    pair = (min(append.user, NUMBERS[append.to]), max(append.user, NUMBERS[append.to]))
    conversation = view.get(Table.DIRECT, pair)
    history = [] if conversation is None else view.read(LogTable.HISTORY, (conversation,), 0, limit=9999)
    places["history"] = any(mention.stamp in stamps for _, mention in history)
    return places


def _log(view: Reader, user: int) -> list[tuple[int, Entry]]:
    return view.read(LogTable.ENTRIES, (user, CHAT), 0, limit=9999)


def _prepared(view: Reader) -> Iterator[str]:
    """Nothing that was there before is gone, but what may have expired."""
    entries = [entry for _, entry in _log(view, BOB) if entry.stamp >= EXPIRED]
    log = view.get(Table.LOGS, (BOB, CHAT))
    if log is None or log.head < PREPARED or len(entries) < PREPARED // 2 - 10:
        yield f"lost: what was prepared ({log})"


def _kept(view: Reader, line: Line, present: set[str]) -> Iterator[str]:
    if "told" in line:
        yield from (f"told and gone: {name}" for name in line["told"] if name not in present)
    elif "kind" in line and not _is_kept(view, line):
        yield f"lost: {line}"


def _is_kept(view: Reader, line: Line) -> bool:
    operation: Any = OPERATIONS[line["name"]]
    match line["kind"]:
        case "Appended":
            place = (line["stamp"], line["offset"], line["conversation"], line["conversation_offset"])
            seen = view.get(Table.SEEN, (operation.device, operation.messages[0].id))
            found = view.read(LogTable.ENTRIES, (operation.user, CHAT), line["offset"] - 1, limit=1)
            return (
                seen is not None
                and place == (seen.stamp, seen.offset, seen.conversation, seen.conversation_offset)
                and found[0][1].stamp == line["stamp"]
            )
        case "Registered":
            device = view.get(Table.DEVICES, (line["user"], operation.device))
            return device is not None and device.number == line["device"]
        case "Acknowledged":
            cursor: Cursor | None = view.get(Table.CURSORS, (operation.device, CHAT))
            kept = set() if cursor is None else set(cursor.above)
            return cursor is not None and cursor.floor >= line["floor"] and set(operation.ranges) <= kept
        case _:
            return _is_done(view, line)


def _is_done(view: Reader, line: Line) -> bool:
    match line["name"], line["kind"]:
        case "read", "Done":
            return covers(read_block(view, ReceiptKey(TOGETHER, BOB, ReceiptKind.READ, 0)), 180)
        case "revoke", "Done":
            return view.get(Table.REVOKED, (1, "a token")) is not None
        case "expire bodies", "Expired":
            return not view.scan(Table.BODIES, (0,), (EXPIRED,), limit=1)
        case "expire ann" | "expire bob", "Expired":
            operation: Any = OPERATIONS[line["name"]]
            return bool(view.get(Table.LOGS, (operation.user, CHAT)).first > line["removed"])
    return True


def _false_refusals(lines: list[Line], present: set[str]) -> Iterator[str]:
    """What was refused as not stored is not there, unless the same was sent again."""
    last: dict[str, str] = {}
    for line in lines:
        operation = OPERATIONS.get(line.get("name", ""))
        if isinstance(operation, Append) and line["name"] != "m1 otherwise":
            name = operation.messages[0].id
            refused = line["kind"] == "Refused" and line["fault"] != UNKNOWN_OUTCOME
            last[name] = "refused" if refused and last.get(name, "refused") == "refused" else "maybe"
        if line.get("there") and last.get(line["refused"]) == "refused":
            yield f"refused and there: {line}"
    yield from (f"refused and stored: {name}" for name, state in last.items() if state == "refused" and name in present)


UNKNOWN_OUTCOME = 13


async def _send_again(store: LmdbStore, present: set[str]) -> list[str]:
    """What is there is answered as it was, what is not is taken, and then all are there, once."""
    host = JournalHost(store, InlineWorker(), day=3)
    problems: list[str] = []
    with store.snapshot() as view:
        before = {name: view.get(Table.SEEN, (MESSAGES[name].device, name)) for name in present}
        known = {eid for eid in NUMBERS if view.get(Table.USERS, (eid,)) is not None}
    sendable = [(name, append) for name, append in MESSAGES.items() if OWNERS[append.device][1] in known]
    async with trio.open_nursery() as nursery:
        await nursery.start(keep, host)
        for name, result in await host.submit(sendable):
            first = before.get(name)
            if not isinstance(result, Appended) or result.duplicate != (name in present):
                problems.append(f"sent again: {name} is answered {result}")
            elif first is not None and (result.stamp, result.offset) != (first.stamp, first.offset):
                problems.append(f"sent again: {name} was {first} and is {result}")
        nursery.cancel_scope.cancel()
    with store.snapshot() as view:
        stamps = _stamps(view)
        for name, append in sendable:
            if (times := len(stamps.get(append.messages[0].sent, []))) != 1:
                problems.append(f"sent again: {name} is stored {times} times")
    return problems
