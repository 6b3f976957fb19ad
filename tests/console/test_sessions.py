from itertools import count

from bimip.console.sessions import IDLE_SECONDS, LONGEST_SECONDS, MOST_SESSIONS, Sessions


class Opened:
    """Sessions whose secrets count up and whose clock a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        numbers = count(1)
        self.sessions = Sessions(lambda: f"secret {next(numbers)}", lambda: self.now)


def test_an_id_finds_its_session_and_no_other_text_does() -> None:
    sessions = Opened().sessions
    session_id, session = sessions.open("ada")

    assert sessions.find(session_id) is session
    assert session.csrf != session_id
    assert [sessions.find(other) for other in ("", "secret", session.csrf, f"{session_id} ")] == [None] * 4


def test_a_session_that_nobody_uses_ends() -> None:
    opened = Opened()
    session_id, _ = opened.sessions.open()
    opened.now += IDLE_SECONDS - 1
    assert opened.sessions.find(session_id)
    opened.now += IDLE_SECONDS - 1
    assert opened.sessions.find(session_id)
    opened.now += IDLE_SECONDS

    assert opened.sessions.find(session_id) is None
    assert len(opened.sessions) == 0


def test_a_session_ends_after_days_however_it_is_used() -> None:
    opened = Opened()
    session_id, _ = opened.sessions.open()
    begun = opened.now
    while opened.now - begun < LONGEST_SECONDS:
        assert opened.sessions.find(session_id)
        opened.now += IDLE_SECONDS / 2

    assert opened.sessions.find(session_id) is None


def test_there_are_so_many_at_most_and_the_one_used_the_longest_ago_goes() -> None:
    sessions = Opened().sessions
    ids = [sessions.open()[0] for _ in range(MOST_SESSIONS)]
    assert sessions.find(ids[0])
    sessions.open()

    assert len(sessions) == MOST_SESSIONS
    assert [one for one in ids if sessions.find(one) is None] == [ids[1]]


def test_a_closed_session_is_over() -> None:
    sessions = Opened().sessions
    session_id, _ = sessions.open()
    sessions.close(session_id)
    sessions.close(session_id)

    assert sessions.find(session_id) is None
