import pytest

from bimip.supervision import (
    Action,
    Crashed,
    Exit,
    ExitReason,
    GaveUp,
    Overdue,
    Progress,
    Report,
    ReportHistory,
)


def crashed(path: str, exit_: Exit = Exit.CRASHED) -> Crashed:
    error = KeyError("x") if exit_ is Exit.CRASHED else None
    return Crashed(path, ExitReason(exit_, error), "Traceback", 0, Action.RESTART)


@pytest.mark.parametrize(
    ("report", "what", "text"),
    [
        (crashed("a"), "crashed", "crashed: KeyError: 'x'"),
        (crashed("a", Exit.KILLED), "killed", "killed"),
        (Progress("a", 2), "restarted", "restart 2"),
        (
            GaveUp("a", "b", ExitReason(Exit.KILLED), 3, 5.0),
            "gave up",
            "more than 3 restarts within 5 s, the last of b",
        ),
        (Overdue("a", "x.py:1 f"), "overdue", "told to stop, and still at x.py:1 f"),
    ],
)
def test_what_a_person_asks_for_is_kept_in_words(report: Report, what: str, text: str) -> None:
    history = ReportHistory(lambda: 7.0)
    history.note(report)
    [happening] = history.after(0)

    assert (happening.number, happening.when, happening.what, happening.path) == (1, 7.0, what, "a")
    assert happening.text == text


def test_a_first_start_is_no_news() -> None:
    history = ReportHistory(lambda: 7.0)
    history.note(Progress("a", 0))

    assert history.after(0) == []


def test_only_what_is_new_is_told_again() -> None:
    history = ReportHistory(lambda: 7.0)
    for path in "abc":
        history.note(crashed(path))

    assert [one.path for one in history.after(1)] == ["b", "c"]
    assert history.after(3) == []


def test_it_keeps_so_many_of_so_many_seconds() -> None:
    now = [0.0]
    history = ReportHistory(lambda: now[0], seconds=10, most=3)
    for path in "abcd":
        history.note(crashed(path))
        now[0] += 4

    assert [one.path for one in history.after(0)] == ["c", "d"]
    now[0] = 10
    assert [one.path for one in history.after(0)] == ["b", "c", "d"]


def test_a_failures_words_are_cut() -> None:
    history = ReportHistory(lambda: 0.0)
    history.note(Overdue("a", "x" * 1000))

    assert len(history.after(0)[0].text) == 200
