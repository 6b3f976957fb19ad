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

    assert flood == MOST_LINES
    assert said[flood:] == [
        ("connections of which there is no line", {"count": 7}),
        ("login", {"connection": 999, "eid": "ann"}),
    ]
