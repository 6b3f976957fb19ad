from typing import Any

from bimip.gateway.connection_log import MOST_LINES, ConnectionLog


def test_a_flood_has_so_many_lines_a_second_and_is_counted() -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    now = 0.0
    log = ConnectionLog(lambda what, **more: said.append((what, more)), lambda: now)
    for number in range(MOST_LINES + 7):
        log.tell("refused", number, status=429)
    flood = len(said)
    now = 1.5
    log.tell("login", 999, eid="ann")

    assert log.statistics.refused == {429: MOST_LINES + 7}
    assert log.statistics.logins == 1
    assert flood == MOST_LINES
    assert said[flood:] == [
        ("connections of which there is no line", {"count": 7}),
        ("login", {"connection": 999, "eid": "ann"}),
    ]


def test_codes_are_counted_by_name_and_those_that_a_peer_made_up_as_one() -> None:
    log = ConnectionLog(lambda _what, **_more: None, lambda: 0.0)
    for code in (1001, 4101, 4101, 1006, *range(3000, 3100)):
        log.tell("closed", 1, code=code, reason="")

    assert log.statistics.closed == {"going_away": 1, "token_expired": 2, "abnormal": 1, "other": 100}
