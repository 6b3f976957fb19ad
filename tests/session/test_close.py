import pytest

from bimip.session.close import Close, again_in, may_reconnect, named_wait


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (Close.NORMAL, False),
        (Close.GOING_AWAY, True),
        (Close.PROTOCOL_ERROR, False),
        (Close.UNSUPPORTED_DATA, False),
        (Close.INVALID_DATA, False),
        (Close.TOO_BIG, False),
        (Close.INTERNAL_ERROR, True),
        (Close.TRY_AGAIN_LATER, True),
        (Close.UNACKNOWLEDGED, True),
        (Close.SILENT, True),
        (Close.TOO_SLOW, True),
        (Close.UNAUTHENTICATED, False),
        (Close.TOKEN_EXPIRED, False),
        (Close.TOKEN_REVOKED, False),
        (Close.REPLACED, False),
        (Close.LOGGED_OUT, False),
        (Close.TOO_MANY_ERRORS, False),
        (Close.HELLO_EXPECTED, False),
        (Close.USER_ERASED, False),
        (Close.USER_DISABLED, False),
    ],
)
def test_a_client_connects_again_by_itself_where_that_can_help(code: Close, *, again: bool) -> None:
    assert may_reconnect(code) is again


def test_the_range_tells_also_for_codes_that_are_not_known() -> None:
    assert all(may_reconnect(code) for code in range(4000, 4100))
    assert not any(may_reconnect(code) for code in range(4100, 4200))
    assert may_reconnect(1006)  # nothing was heard: the line was cut
    assert may_reconnect(4999)


@pytest.mark.parametrize("code", [Close.GOING_AWAY, Close.TRY_AGAIN_LATER])
@pytest.mark.parametrize("seconds", [1, 2, 3600])
def test_a_wait_is_read_as_it_was_written(code: Close, seconds: int) -> None:
    assert named_wait(code, f"it stops; connect {again_in(seconds)}, please") == seconds


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Close.GOING_AWAY, ""),
        (Close.GOING_AWAY, "again in a second"),
        (Close.GOING_AWAY, "again in 1234567890 seconds"),
        (Close.GOING_AWAY, "again in 5 secondsx"),
        (Close.INTERNAL_ERROR, "again in 5 seconds"),
        (4001, "again in 5 seconds"),
    ],
)
def test_what_is_not_written_so_is_no_wait(code: int, reason: str) -> None:
    assert named_wait(code, reason) == 0
