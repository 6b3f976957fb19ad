"""A disk that fails or fills up costs those who write then an error that says what is known, and nothing else.

strace has the n-th write, or the n-th sync, fail with an error, once, a few times in a row or from then on. The script
goes on, and tells every answer: what was acknowledged is there afterwards, what was refused is not, what is unknown
may be either; reads work beside it; and a fault that has passed is over without anybody's doing.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bimip.domain.core.operations import Fault
from tests.storage.crash_folder import MORE, CrashFolder, count_by, flat
from tests.storage.durability_claims import Line, read_lines
from tests.storage.tracing import Call

DATA = ("writev", "pwrite64")
NOT_STORED = {Fault.STORAGE_FULL, Fault.UNAVAILABLE}
SHORT = 4096 // 2


class Injection(NamedTuple):
    kind: str
    rule: str
    meta: bool = False
    lasting: bool = False


def is_meta(call: Call) -> bool:
    return call.name == "pwrite64" and call.arguments.endswith((", 120, 32", ", 120, 4128"))


def injections(calls: list[Call]) -> Iterator[Injection]:
    """One after another at each call. The normal run leaves most of the data pages' out: they are alike."""
    calls = [call for call in calls if call.file.endswith("/data.mdb")]
    for name in ("fdatasync", *DATA):
        for number, call in enumerate((each for each in calls if each.name == name), 1):
            meta = is_meta(call)
            if name in DATA and not meta and number % 4 and MORE == 1:
                continue
            what = "sync" if name == "fdatasync" else "meta page" if meta else "data"
            for error in ("EIO", "ENOSPC"):
                yield Injection(f"{error} at a {what}", f"{name}:error={error}:when={number}", meta)
            if name in DATA:
                yield Injection(f"short write of {what}", f"{name}:retval={60 if meta else SHORT}:when={number}", meta)
            if number % 5 == 0 or MORE > 1:
                yield Injection(f"EIO at 3 of {what}", f"{name}:error=EIO:when={number}..{number + 2}", meta)
                yield Injection(
                    f"ENOSPC for ever from a {what} on", f"{name}:error=ENOSPC:when={number}+", meta, lasting=True
                )


def misbehaviour(lines: list[Line], injection: Injection) -> list[str]:
    """What the answers themselves show to be wrong."""
    problems = []
    faults = {line["fault"] for line in lines if line.get("kind") == "Refused"} - {Fault.CONFLICT}
    reads = [line for line in lines if line.get("reads") is False]
    if not faults <= {*NOT_STORED, Fault.UNKNOWN_OUTCOME}:
        problems.append(f"answered {faults}")
    if injection.meta and not injection.lasting and faults and Fault.UNKNOWN_OUTCOME not in faults:
        problems.append(f"a failed meta page is answered {faults}, and its outcome is unknown")
    if not faults and not any("start" in line for line in lines):
        problems.append("nobody was told of the fault")
    if reads and not injection.lasting:
        problems.append(f"reads stopped: {reads}")
    last = next((line for line in lines if line.get("name") == "last"), None)
    if not injection.lasting and "when=" in injection.rule and last is None:
        problems.append("did not come to its end")
    return problems


def test_errors_at_writes_and_syncs(crash_folder: CrashFolder, tell: Callable[[str], None]) -> None:
    _, _, recorded = crash_folder.trace(crash_folder.place())
    made = list(injections(recorded))
    places, lines, problems = [], [], []
    for injection in made:
        place = crash_folder.place()
        in_thread = injection.rule.startswith("fdatasync")
        code, told, _ = crash_folder.trace(place, inject=[injection.rule], in_thread=in_thread)
        problems += [f"{injection.rule}: {problem}" for problem in misbehaviour(told, injection)]
        if code:
            problems.append(f"{injection.rule}: ended with {code}")
        places.append(place)
        lines.append(told)
    problems += flat(crash_folder.verify(places, lines), [injection.rule for injection in made])
    crash_folder.clear()

    tell(f"{len(made)} storage errors ({count_by([each.kind for each in made])}): {len(problems)} false answers")
    assert not problems
    assert len(made) > 100


def test_a_store_that_does_not_listen_to_the_disk_is_found(crash_folder: CrashFolder) -> None:
    place = crash_folder.place()
    _, told, _ = crash_folder.trace(place, inject=["fdatasync:error=EIO:when=4"], in_thread=True, fault="deaf")
    [problems] = crash_folder.verify([place], [told])

    assert any("lost: " in problem for problem in problems), problems


def test_a_quota_refuses_messages_lets_the_rest_through_and_ends_with_expiry(crash_folder: CrashFolder) -> None:
    place = crash_folder.place()
    code = crash_folder.forks.run("tests.storage.crash_script:fill_quota", place / "told", folder=str(place))
    told = read_lines(place / "told")

    assert code == 0, (place / "told").read_text()
    assert [line["kind"] for line in told] == ["Appended", "Refused", "Acknowledged", "Expired", "Appended"]
    assert told[1]["fault"] == Fault.STORAGE_FULL
    assert told[1]["retry_after_ms"] > 0
