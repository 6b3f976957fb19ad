"""The store: looking at it, copying it, putting a copy back. A backup and `stats` may be had of a running server."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bimip.cli.failures import Exit, Failure
from bimip.cli.words import show_json
from bimip.config import Settings
from bimip.storage.care import backup
from bimip.storage.care.check import Finding
from bimip.storage.care.check_apart import check_apart, repair_apart
from bimip.storage.care.upgrade import upgrade
from bimip.storage.errors import StorageError


def check_store(settings: Settings, *, repair: bool, as_json: bool) -> None:
    """Print what is wrong, a line each. Fails if anything is; with `repair`, if anything still is."""
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
    with _telling(settings):
        manifest = backup.back_up(Path(settings.store.path), target, made=made, progress=_Progress().show)
    if as_json:
        show_json({"backup": str(target), "bytes": manifest.bytes, "made": made})
    else:
        print(f"{target}: {manifest.bytes} bytes, as of {made}")


def restore_backup(settings: Settings, source: Path, *, as_json: bool = False) -> None:
    """Print where the store that was there lies. Fails, and changes nothing, if a server runs or the backup is bad."""
    path = Path(settings.store.path)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with _telling(settings):
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
    with _telling(settings):
        before, after = backup.compact(path, progress=_Progress().show)
    if as_json:
        show_json({"store": str(path), "bytes_before": before, "bytes": after})
    else:
        print(f"{path}: {after} bytes, and {before} before; what was deleted is nowhere in it")


def upgrade_store(settings: Settings, *, as_json: bool = False) -> None:
    """Print what format it had and has. Fails, and changes nothing, if a server runs."""
    path = Path(settings.store.path)
    with _telling(settings):
        before, after = upgrade(path, map_bytes=settings.store.map_size_bytes)
    if as_json:
        show_json({"store": str(path), "format_before": before, "format": after})
    elif before == after:
        print(f"{path}: it has format {after}, nothing is to be done")
    else:
        print(f"{path}: format {after}, and {before} before; an earlier bimip refuses it from now on")


def show_stats(settings: Settings, *, as_json: bool = False) -> None:
    """Print what the store holds, a line each."""
    with _telling(settings):
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


@contextmanager
def _telling(settings: Settings) -> Iterator[None]:
    """Around what needs a store on disk: SIGTERM ends it as Ctrl-C does, and what goes wrong is a sentence."""
    if settings.store.engine != "lmdb":
        raise Failure(Exit.SETTINGS, f'store.engine is "{settings.store.engine}", which keeps nothing on disk')
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


def _time(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="seconds")
