"""The pure floors decide and do not act; time, randomness, threads, sockets and the disk come from outside."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Modules, imports_of, is_within, modules_of, names_used, read_modules

PURE = (
    "bimip.names",
    "bimip.domain",
    "bimip.session",
    "bimip.cli.chat.emoji",
    "bimip.cli.chat.model",
    "bimip.cli.chat.text",
    "bimip.supervision.policy",
    "bimip.storage.lmdb.blocks",
    "bimip.storage.keys",
    "bimip.storage.packing",
    "bimip.storage.postgres.rows",
    "bimip.storage.postgres.statements",
    "bimip.storage.postgres.writing",
)
PURE_IMPORTS = {
    "bimip",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "ipaddress",
    "itertools",
    "math",
    "operator",
    "re",
    "struct",
    "typing",
    "unicodedata",
    "urllib",
}

MACHINE = {
    "asyncio",
    "concurrent",
    "datetime",
    "fcntl",
    "httpcore",
    "httpx",
    "lmdb",
    "multiprocessing",
    "os",
    "pathlib",
    "psycopg",
    "random",
    "resource",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
"""Modules through which code reaches the machine by itself."""

MACHINE_NAMES = {
    "anyio.connect_tcp",
    "anyio.open_file",
    "anyio.run",
    "anyio.to_thread",
    "open",
    "trio.Path",
    "trio.from_thread",
    "trio.open_file",
    "trio.open_signal_receiver",
    "trio.open_tcp_listeners",
    "trio.open_tcp_stream",
    "trio.run",
    "trio.run_process",
    "trio.serve_tcp",
    "trio.socket",
    "trio.to_thread",
}

PLACES = {
    ("bimip.environment", "time"): "the real wall clock, the default of Surroundings",
    ("bimip.environment", "random"): "the real randomness, the default of Surroundings",
    ("bimip.parts", "time"): "how long turns of tasks last, for the operator alone",
    ("bimip.parts", "resource"): "how many files the system grants, for as many connections",
    ("bimip.audit", "os"): "the audit trail is a file; Surroundings chooses",
    ("bimip.audit", "pathlib"): "as above",
    ("bimip.audit", "datetime"): "writes times that are given to it, and reads no clock",
    ("bimip.environment", "pathlib"): "where the audit trail lies",
    ("bimip.systemd", "os"): "the process's own number, which a watchdog may name",
    ("bimip.systemd", "socket"): "tells the service manager, which Surroundings chooses",
    ("bimip.systemd", "time"): "what the protocol wants to be told of a reload",
    ("bimip.run", "os"): "the environment names the service manager, for serve",
    ("bimip.run", "signal"): "serve runs until SIGTERM or SIGINT, and reloads on SIGHUP",
    ("bimip.run", "trio.open_signal_receiver"): "serve runs until SIGTERM or SIGINT, and reloads on SIGHUP",
    ("bimip.run", "trio.to_thread"): "serve reads the configuration again while others have their turn",
    ("bimip.run", "resource"): "asks the system for as many files as it grants, for serve",
    ("bimip.gateway.draining", "random"): "in what order whom is closed; given by Surroundings",
    ("bimip.config.loading", "pathlib"): "reads the configuration",
    ("bimip.spans", "threading"): "ends what a collector does not take as the server stops",
    ("bimip.settings", "pathlib"): "reads the secrets that the configuration names",
    ("bimip.reading.export", "datetime"): "writes times that are given to it, and reads no clock",
    ("bimip.journal.worker", "socket"): "ThreadWorker is the real one of two; Surroundings chooses",
    ("bimip.journal.worker", "threading"): "as above",
    ("bimip.journal.worker", "time"): "as above",
    ("bimip.storage.memory", "threading"): "a lock, since snapshots may be taken in any thread; it starts none",
    ("bimip.storage.care.backup", "lmdb"): "copies the store on the disk, for commands",
    ("bimip.storage.care.backup", "os"): "as above",
    ("bimip.storage.care.backup", "pathlib"): "as above",
    ("bimip.storage.care.backup", "shutil"): "as above",
    ("bimip.storage.care.backup", "tempfile"): "as above",
    ("bimip.storage.care.backup", "threading"): "one that copies into a pipe, while the caller reads from it",
    ("bimip.storage.care.upgrade", "pathlib"): "names the store, for a command",
    ("bimip.storage.lmdb.store", "os"): "the store on the disk; Surroundings chooses",
    ("bimip.storage.lmdb.store", "lmdb"): "the store on the disk; Surroundings chooses",
    ("bimip.storage.lmdb.store", "pathlib"): "the store on the disk; Surroundings chooses",
    ("bimip.storage.lmdb.store", "resource"): "how much address space the system grants",
    ("bimip.storage.lmdb.snapshot", "lmdb"): "a part of that: it reads in a transaction",
    ("bimip.storage.lmdb.trees", "lmdb"): "a part of that: it writes to the transaction that it is given",
    ("bimip.storage.mark", "os"): "the mark beside the store's folder, and a number to know an opening by",
    ("bimip.storage.mark", "pathlib"): "the mark beside the store's folder",
    ("bimip.storage.lmdb.lock", "os"): "the lock on the store's folder",
    ("bimip.storage.lmdb.lock", "fcntl"): "the lock on the store's folder",
    ("bimip.storage.lmdb.lock", "pathlib"): "the lock on the store's folder",
    ("bimip.storage.lmdb.privacy", "os"): "whose the store's files are",
    ("bimip.storage.lmdb.privacy", "pathlib"): "whose the store's files are",
    ("bimip.storage.lmdb.file", "os"): "the file of the store, before LMDB maps it",
    ("bimip.storage.lmdb.file", "pathlib"): "the file of the store, before LMDB maps it",
    ("bimip.storage.lmdb.guard", "lmdb"): "a part of the store, for trees that LMDB is not to touch",
    ("bimip.storage.lmdb.guard", "pathlib"): "a part of the store, for trees that LMDB is not to touch",
    ("bimip.storage.care.copying", "pathlib"): "names the store, for a command",
    ("bimip.storage.care.copying", "shutil"): "removes what was left of a copy, for a command",
    ("bimip.storage.postgres.connection", "time"): "for how long it has waited",
    ("bimip.storage.postgres.connection", "psycopg"): "the way to the database; Surroundings chooses",
    ("bimip.storage.postgres.snapshot", "psycopg"): "the type of what it answers",
    ("bimip.storage.postgres.store", "os"): "a number to know an opening by",
    ("bimip.storage.postgres.store", "pathlib"): "names the place of the mark",
    ("bimip.storage.postgres.store", "psycopg"): "the type of what the database answers",
    ("bimip.storage.postgres.store", "time"): "how long ago the database did not answer",
    ("bimip.storage.care.check_apart", "pathlib"): "the check reads in a process apart, which garbage may end",
    ("bimip.storage.care.check_apart", "subprocess"): "the check reads in a process apart, which garbage may end",
    ("bimip.storage.care.check_apart", "signal"): "the names of signals, for what ended that process",
    ("bimip.supervision.waiting", "os"): "the folder of trio's source, to know its frames: no disk",
    ("bimip.gateway.listener", "trio.open_tcp_listeners"): "open_tcp, the default of Surroundings",
    ("bimip.push.gateways", "random"): "a type: the caller's Random",
    ("bimip.push.process", "random"): "a type: the caller's Random",
    ("bimip.push.webpush", "random"): "a type: the caller's Random",
    ("bimip.push.http", "httpcore"): "HttpPoster, the default of Surroundings",
    ("bimip.push.http", "trio.socket"): "resolves names for HttpPoster, the default of Surroundings",
    ("bimip.webhooks.process", "random"): "a type: the caller's Random",
    ("bimip.webhooks.telling", "datetime"): "writes times that are given to it, and reads no clock",
    ("bimip.gateway.tls", "pathlib"): "reads the certificate that the configuration names",
    ("bimip.gateway.connection", "os"): "writes to the socket that it was handed, without waiting",
    ("bimip.gateway.serving", "os"): "reads and answers the opening on the socket that it was handed",
    ("bimip.gateway.poller", "os"): "rings itself awake through an eventfd",
    ("bimip.gateway.poller", "time"): "measures how long it kept others waiting",
    ("bimip.gateway.admission", "trio.socket"): "names how a socket is ended; sockets are handed in",
    ("bimip.gateway.connection", "socket"): "names of socket options; sockets are handed in",
    ("bimip.console.server", "trio.open_tcp_listeners"): "open_loopback, the default of Surroundings",
    # The client is no part of the server: it brings its own defaults, and takes others by argument.
    ("bimip.client.backoff", "random"): "a type: the caller's Random",
    ("bimip.client.client", "random"): "the default of an argument",
    ("bimip.client.gossip.rtc", "asyncio"): "the loop on which the library of WebRTC runs",
    ("bimip.client.gossip.rtc", "threading"): "that loop's thread",
    ("bimip.client.gossip.rtc", "anyio.to_thread"): "waits for that loop",
    ("bimip.client.environment", "random"): "a type: the caller's Random",
    ("bimip.client.client", "time"): "the default of an argument",
    ("bimip.client.client", "pathlib"): "where the client's store lies",
    ("bimip.client.store", "os"): "makes the client's store for its owner alone",
    ("bimip.client.store", "pathlib"): "the client's store",
    ("bimip.client.store", "sqlite3"): "the client's store",
    ("bimip.client.transport", "anyio.connect_tcp"): "the default of an argument",
}
"""Who may reach the machine, for what, and why. Commands (bimip.cli, bimip.conformance) may, of course, what runs
servers for tests (bimip.testing), and programs to begin with (bimip.client.examples)."""
COMMANDS = ("bimip.cli", "bimip.conformance", "bimip.testing", "bimip.client.examples")


def impurities(modules: Modules) -> list[str]:
    """What a pure module does beside thinking."""
    found = []
    for name, module in modules.items():
        if any(is_within(name, pure) for pure in PURE):
            found += [f"{name}:{line} {what}" for what, line in _impurities_of(module)]
    return found


def _impurities_of(module: ast.Module) -> Iterator[tuple[str, int]]:
    for imported, line in imports_of(module):
        if imported.split(".")[0] not in PURE_IMPORTS:
            yield f"imports {imported}", line
    for node in ast.walk(module):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield type(node).__name__, node.lineno
        elif isinstance(node, ast.Global):
            yield "global", node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print"}:
            yield node.func.id, node.lineno


def reaches(modules: Modules) -> set[tuple[str, str]]:
    """Which module reaches the machine through what."""
    found = set()
    for name, module in modules.items():
        if any(is_within(name, part) for part in COMMANDS):
            continue
        roots = {imported.split(".")[0] for imported, _ in imports_of(module)}
        found |= {(name, root) for root in roots & MACHINE}
        used = {used for used, _ in names_used(module)} | {imported for imported, _ in imports_of(module)}
        found |= {(name, each) for each in MACHINE_NAMES if any(is_within(one, each) for one in used)}
    return found


def test_the_pure_floors_are_pure() -> None:
    assert impurities(read_modules()) == []


def test_every_pure_part_exists() -> None:
    names = set(read_modules())

    assert names.issuperset(PURE)


def test_only_the_places_named_reach_the_machine() -> None:
    assert sorted(reaches(read_modules()) - set(PLACES)) == []


def test_every_place_that_is_named_is_still_in_use() -> None:
    assert sorted(set(PLACES) - reaches(read_modules())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from datetime import datetime",
        "import random",
        "import trio",
        "import logging",
        "import os",
        "from socket import socket",
        "def f():\n    import time",
        "async def f(): ...",
        "async def f():\n    await g()",
        "def f():\n    global x\n    x = 1",
        "print('decided')",
    ],
)
@pytest.mark.parametrize("name", ["bimip__domain__x", "bimip__session__x", "bimip__storage__keys"])
def test_what_is_not_pure_is_found(name: str, source: str) -> None:
    assert len(impurities(modules_of(**{name: source}))) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import Random",
        "import secrets",
        "import os\nos.urandom(8)",
        "import threading",
        "from datetime import datetime",
        "import trio\nasync def f():\n    await trio.to_thread.run_sync(g)",
        "from trio import open_tcp_listeners",
        "import trio\ntrio.open_tcp_stream('localhost', 80)",
        "open('secrets')",
    ],
)
def test_reaching_the_machine_from_elsewhere_is_found(source: str) -> None:
    assert reaches(modules_of(bimip__users__x=source)) != set()
