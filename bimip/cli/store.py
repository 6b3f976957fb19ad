"""The store: looking at it, copying it, putting a copy back. A backup and `stats` may be had of a running server."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bimip.cli.failures import Exit, Failure
from bimip.cli.words import show_json
from bimip.config import Settings
from bimip.storage.care import backup
from bimip.storage.care.check import Finding
from bimip.storage.care.check_apart import check_apart, repair_apart
from bimip.storage.care.upgrade import upgrade
from bimip.storage.errors import StorageError

POSTGRES: Final = "postgres"


def check_store(settings: Settings, *, repair: bool, as_json: bool) -> None:
    """Print what is wrong, a line each. Fails if anything is; with `repair`, if anything still is."""
    if settings.store.engine == POSTGRES:
        _check_database(settings, repair=repair, as_json=as_json)
        return
    path = Path(settings.store.path)
    if not path.is_dir():
        raise Failure(Exit.FAILED, f"{path} is no folder: set store.path to the store, or start the server once")
    show = _show_finding if as_json else print
    try:
        count = _show_all(check_apart(path, settings.store.map_size_bytes), show)
        if count and repair:
            _show_all(repair_apart(path, settings.store.map_size_bytes), show)
            print(f"{path}: looking again", file=sys.stderr)
            count = _show_all(check_apart(path, settings.store.map_size_bytes), show)
    except (StorageError, OSError) as error:
        raise Failure(Exit.FAILED, str(error)) from error
    if count:
        raise Failure(Exit.FAILED, f"{count} things are wrong in {path}; restore a copy, and keep this one to look at")
    if not as_json:
        print(f"{path}: nothing is wrong")


def _check_database(settings: Settings, *, repair: bool, as_json: bool) -> None:
    if repair:
        raise Failure(Exit.FAILED, _not_there("`bimip store check --repair`", "put a copy back"))
    with _using_database(settings) as (database, dsn):
        count = _show_all(database.check_database(dsn), _show_finding if as_json else print)
    if count:
        raise Failure(
            Exit.FAILED, f"{count} things are wrong in the database; put a copy back, and keep this one to look at"
        )
    if not as_json:
        print("the database: nothing is wrong")


def migrate_store(settings: Settings, *, as_json: bool = False) -> None:
    """Print which schema there was and is. Fails, and changes nothing, if a server runs."""
    with _using_database(settings) as (database, dsn):
        before, after = database.migrate_database(dsn)
    if as_json:
        show_json({"before": before and before._asdict(), "schema": after._asdict()})
    elif before == after:
        print(f"the database: it has {after}, and every relation")
    else:
        print(f"the database: {after}, and before {before or 'none'}; an earlier bimip refuses it from now on")


def note_restored(settings: Settings, *, as_json: bool = False) -> None:
    """Print what follows. Fails, and changes nothing, if a server runs."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with _using_database(settings) as (database, dsn):
        database.note_put_back(dsn, f"an operator said at {when} that a copy was put in place")
    if as_json:
        show_json({"restored": when})
    else:
        print("the database: the server begins another epoch with it when it starts")


def copy_store(settings: Settings, to: str, *, as_json: bool = False) -> None:
    """Print how much was copied. Fails, and leaves no store at the other end, where it cannot be."""
    folder, map_bytes, progress = Path(settings.store.path), settings.store.map_size_bytes, _Slices()
    with _using_database(settings, whatever_engine=True) as (_, dsn):
        from bimip.storage.care import copying  # noqa: PLC0415 - needs an extra, as what is above

        if to == POSTGRES:
            count = copying.copy_to_postgres(folder, dsn, map_bytes=map_bytes, progress=progress.show)
        else:
            count = copying.copy_to_lmdb(dsn, folder, map_bytes=map_bytes, progress=progress.show)
    if as_json:
        show_json({"copied_to": to, "records": count})
    else:
        print(
            f'{count} records copied, read back and compared; set store.engine = "{to}", and keep the other one aside'
        )


def _show_all(findings: Iterator[Finding], show: Callable[[Finding], None]) -> int:
    """How many there were."""
    count = 0
    for finding in findings:
        count += 1
        show(finding)
    return count


def _show_finding(finding: Finding) -> None:
    show_json(finding._asdict())


def make_backup(settings: Settings, target: Path, *, as_json: bool = False) -> None:
    """Print what was made. Fails, and leaves nothing, where it cannot be."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    with _telling(settings, "`bimip store backup`", "pg_basebackup or pg_dump"):
        manifest = backup.back_up(Path(settings.store.path), target, made=made, progress=_Progress().show)
    if as_json:
        show_json({"backup": str(target), "bytes": manifest.bytes, "made": made})
    else:
        print(f"{target}: {manifest.bytes} bytes, as of {made}")


def restore_backup(settings: Settings, source: Path, *, as_json: bool = False) -> None:
    """Print where the store that was there lies. Fails, and changes nothing, if a server runs or the backup is bad."""
    path = Path(settings.store.path)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with _telling(
        settings,
        "`bimip store restore`",
        "pg_restore, or what put your base backup back, and then `bimip store restored`",
    ):
        old = backup.restore(source, path, when=when, progress=_Progress().show)
    if as_json:
        show_json({"store": str(path), "restored": str(source), "kept_aside": None if old is None else str(old)})
        return
    print(f"{path}: {source} is in place; the server begins another epoch with it when it starts")
    if old is not None:
        print(f"the store that was there lies in {old}: remove it when nobody needs it")


def compact_store(settings: Settings, *, as_json: bool = False) -> None:
    """Print how much smaller it is. Fails, and changes nothing, if a server runs."""
    path = Path(settings.store.path)
    with _telling(settings, "`bimip store compact`", "VACUUM FULL"):
        before, after = backup.compact(path, progress=_Progress().show)
    if as_json:
        show_json({"store": str(path), "bytes_before": before, "bytes": after})
    else:
        print(f"{path}: {after} bytes, and {before} before; what was deleted is nowhere in it")


def upgrade_store(settings: Settings, *, as_json: bool = False) -> None:
    """Print what format it had and has. Fails, and changes nothing, if a server runs."""
    path = Path(settings.store.path)
    with _telling(settings, "`bimip store upgrade`", "`bimip store migrate`"):
        before, after = upgrade(path, map_bytes=settings.store.map_size_bytes)
    if as_json:
        show_json({"store": str(path), "format_before": before, "format": after})
    elif before == after:
        print(f"{path}: it has format {after}, nothing is to be done")
    else:
        print(f"{path}: format {after}, and {before} before; an earlier bimip refuses it from now on")


def show_stats(settings: Settings, *, as_json: bool = False) -> None:
    """Print what the store holds, a line each."""
    if settings.store.engine == POSTGRES:
        with _using_database(settings) as (database, dsn):
            found = database.overview(dsn)
    else:
        with _telling(settings, "`bimip store stats`"):
            found = backup.overview(Path(settings.store.path))
    lines = {
        "format": found.format,
        "epoch": found.epoch,
        "starts": found.starts,
        "users": found.users,
        "devices": found.devices,
        "messages": found.messages,
        "newest message": _time(found.newest_message) if found.newest_message else "none",
        "bytes in use": found.used_bytes,
        "bytes on disk": found.file_bytes,
        "quota": settings.store.quota_bytes or "none",
        "backup": f"of {found.made}, not served yet" if found.made else "no",
    }
    if as_json:
        show_json({name.replace(" ", "_"): value for name, value in lines.items()})
        return
    for name, value in lines.items():
        print(f"{name:15} {value}")


def _not_there(command: str, instead: str) -> str:
    return f"{command} is not for PostgreSQL: use {instead}"


@contextmanager
def _using_database(settings: Settings, *, whatever_engine: bool = False) -> Iterator[tuple[Any, str]]:
    """Around what needs a database: the module that looks after one, and the DSN."""
    if settings.store.engine != POSTGRES and not whatever_engine:
        raise Failure(Exit.SETTINGS, f'store.engine is "{settings.store.engine}": this is for "{POSTGRES}"')
    dsn = settings.store.read_dsn().reveal()
    if not dsn:
        raise Failure(Exit.SETTINGS, "store.dsn is empty: set it to how the database is reached")
    from bimip.storage.care import database  # noqa: PLC0415 - an extra

    with _sentences():
        yield database, dsn


@contextmanager
def _telling(settings: Settings, command: str, instead: str = "") -> Iterator[None]:
    """Around what needs a store on this machine's disk."""
    if settings.store.engine == POSTGRES:
        raise Failure(Exit.FAILED, _not_there(command, instead))
    if settings.store.engine != "lmdb":
        raise Failure(Exit.SETTINGS, f'store.engine is "{settings.store.engine}", which keeps nothing on disk')
    with _sentences():
        yield


@contextmanager
def _sentences() -> Iterator[None]:
    """SIGTERM ends what is in it as Ctrl-C does, and what goes wrong is a sentence."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (StorageError, OSError) as error:
        raise Failure(Exit.FAILED, str(error)) from error
    finally:
        signal.signal(signal.SIGTERM, before)


class _Progress:
    """Tells each tenth of a copy, on standard error."""

    def __init__(self) -> None:
        self._told = 0

    def show(self, done: int, total: int) -> None:
        tenth = min(done * 10 // max(total, 1), 10)
        if tenth > self._told:
            self._told = tenth
            with suppress(OSError, ValueError):  # nobody looks: the copy goes on
                print(f"{tenth * 10} % of {total} bytes", file=sys.stderr, flush=True)


class _Slices:
    """Tells where a copy is, on standard error: each table and log once, and each hundred thousand records."""

    def __init__(self) -> None:
        self._told = ("", 0)

    def show(self, what: str, count: int) -> None:
        now = (what, count // 100_000)
        if now != self._told:
            self._told = now
            with suppress(OSError, ValueError):  # nobody looks: the copy goes on
                print(f"{what}: {count} records so far", file=sys.stderr, flush=True)


def _time(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="seconds")
