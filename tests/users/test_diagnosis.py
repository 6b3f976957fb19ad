"""Each thing that keeps a device from receiving has its finding, with what to do, and the first of them is told."""

from typing import Any

import pytest

from bimip.domain.core.ids import Millis
from bimip.users.diagnosis import (
    PINS_MS,
    DeviceFacts,
    PinnedLog,
    Refusals,
    RefusedToken,
    ServerFacts,
    UserFacts,
    diagnose_device,
    diagnose_pins,
    diagnose_sender,
    diagnose_server,
    diagnose_user,
    unknown_device,
)

USER = UserFacts(disabled=Millis(0), revoked=Millis(0), devices=1)
AWAY = DeviceFacts("phone", Millis(50_000), Millis(0), {"chat": 3}, None, None)
WHOLE = {"chat": {"in_flight": 0, "lag": 0}}
REFUSED = RefusedToken(Millis(60_000), "The token has expired; get a new one.")


def connected(**told: Any) -> dict[str, Any]:
    sends = {"unanswered": 0, "may_be_unanswered": 64, "rate_wait_seconds": 0.0}
    return {"greeted": True, "takes_frames": True, "partitions": WHOLE, **sends} | told


@pytest.mark.parametrize(
    ("device", "user", "finding", "words", "since"),
    [
        (AWAY, USER, "not_connected", "3 entries that it has not acknowledged are kept", 50_000),
        (AWAY._replace(lags={}), USER, "not_connected", "it is not connected", 50_000),
        (AWAY, USER._replace(disabled=Millis(9)), "disabled", "its user is kept out", 9),
        (AWAY._replace(refused=REFUSED), USER, "token_refused", "refused: The token has expired", 60_000),
        (AWAY._replace(refused=REFUSED, last_seen=Millis(60_001)), USER, "not_connected", "3 entries", 60_001),
        (AWAY._replace(revoked=Millis(49_000)), USER, "token_revoked", "issued until then were revoked", 49_000),
        (AWAY, USER._replace(revoked=Millis(49_000)), "token_revoked", "issued until then were revoked", 49_000),
        (AWAY, USER._replace(revoked=Millis(39_000)), "not_connected", "3 entries", 50_000),
        (AWAY._replace(connection=connected(greeted=False)), USER, "no_hello", "Hello was not granted", 0),
        (AWAY._replace(connection=connected(takes_frames=False)), USER, "takes_nothing", "takes no bytes", 0),
        (
            AWAY._replace(connection=connected(partitions={"chat": {"in_flight": 2, "lag": 7}})),
            USER,
            "does_not_acknowledge",
            "2 messages of 'chat' that it has not acknowledged, and 7 more wait",
            0,
        ),
        (
            AWAY._replace(connection=connected(partitions={"chat": {"in_flight": 0, "lag": 7}})),
            USER,
            "catches_up",
            "7 entries of 'chat' are on their way",
            0,
        ),
        (
            AWAY._replace(lags={"chat": 0, "feed": 2}, connection=connected()),
            USER,
            "not_asked_for",
            "has not asked for 'feed'",
            0,
        ),
        (AWAY._replace(lags={}, connection=connected()), USER, "nothing", "it has all that is for it", 0),
    ],
)
def test_a_device_has_the_finding_of_what_comes_first(
    device: DeviceFacts, user: UserFacts, finding: str, words: str, since: int
) -> None:
    found = diagnose_device(device, user)

    assert (found.about, found.finding, found.since) == ("device phone", finding, since)
    assert words in found.because
    assert found.advice


LIMITED = Refusals("RATE_LIMITED", 7, Millis(900))


@pytest.mark.parametrize(
    ("device", "found"),
    [
        (AWAY, []),
        (AWAY._replace(connection=connected()), []),
        (AWAY._replace(connection=connected(unanswered=63)), []),
        (AWAY._replace(connection=connected(unanswered=64)), [("not_read_from", "64 of its requests", 0)]),
        (AWAY._replace(connection=connected(rate_wait_seconds=2.5)), [("asks_too_fast", "refused for 2.5 s", 0)]),
        (
            AWAY._replace(connection=connected(rate_wait_seconds=2.5), refusals=LIMITED),
            [("asks_too_fast", "faster than the server allows", 0)],
        ),
        (AWAY._replace(refusals=LIMITED), [("requests_refused", "7 of its requests", 900)]),
        (
            AWAY._replace(connection=connected(rate_wait_seconds=2.5), refusals=LIMITED._replace(code="FORBIDDEN")),
            [("asks_too_fast", "2.5 s", 0), ("requests_refused", "the last with FORBIDDEN", 900)],
        ),
    ],
)
def test_a_device_that_cannot_write_is_told_why(device: DeviceFacts, found: list[tuple[str, str, int]]) -> None:
    findings = [*diagnose_sender(device)]

    assert [(one.finding, one.since) for one in findings] == [(name, since) for name, _, since in found]
    assert all(words in one.because and one.advice for one, (_, words, _) in zip(findings, found, strict=True))


@pytest.mark.parametrize(
    ("log", "is_told"),
    [
        (PinnedLog("chat", 1000, Millis(0)), True),
        (PinnedLog("chat", 999, Millis(0)), False),
        (PinnedLog("chat", 1, Millis(1)), True),
        (PinnedLog("chat", 1, Millis(2)), False),
    ],
)
def test_a_device_that_holds_a_log_back_by_much_or_for_long_is_told(log: PinnedLog, *, is_told: bool) -> None:
    now = Millis(PINS_MS + 1)
    found = [*diagnose_pins(AWAY._replace(pinned=(log,)), now)]

    assert [(one.about, one.finding, one.since) for one in found] == (
        [("device phone", "pins_log", log.since)] if is_told else []
    )
    assert all(f"{log.entries} entries of 'chat'" in one.because and "bimip user evict" in one.advice for one in found)


def test_of_a_device_that_never_connected_its_token_is_told() -> None:
    found = unknown_device("tablet", REFUSED)

    assert (found.about, found.finding, found.since) == ("device tablet", "token_refused", 60_000)
    assert found.because == "it never connected, and its token was refused: The token has expired; get a new one."


def test_of_a_user_it_is_told_who_keeps_them_out_and_that_they_have_no_device() -> None:
    assert [*diagnose_user(USER)] == []
    assert [one.finding for one in diagnose_user(USER._replace(disabled=Millis(9), devices=0))] == ["disabled"]
    assert [one.finding for one in diagnose_user(USER._replace(devices=0))] == ["no_device"]


def test_who_blocked_a_user_is_told_by_name_and_of_many_how_many() -> None:
    [few] = diagnose_user(USER._replace(blocked_by=["bob"]))
    [many] = diagnose_user(USER._replace(blocked_by=["bob", "carol", "dora", "emil"]))

    assert (few.about, few.finding) == ("user", "blocked_by")
    assert few.because.startswith("bob blocked this user")
    assert many.because.startswith("bob, carol, dora and 1 more blocked")


def test_of_the_server_everything_is_told_that_keeps_messages_from_all() -> None:
    whole = ServerFacts((), (), 0, "", {"crm": 0}, "")
    ill = ServerFacts(
        ("the journal cannot write: no space left",),
        ("2 records of the audit trail could not be written",),
        1,
        "fcm: 503",
        {"crm": 5, "erp": 7},
        "crm: 500",
    )

    assert [*diagnose_server(whole)] == []
    assert [(one.finding, one.because) for one in diagnose_server(ill)] == [
        ("not_ready", "the journal cannot write: no space left"),
        ("warning", "2 records of the audit trail could not be written"),
        ("push_gateway", "push leaves 1 gateways alone, which failed: fcm: 503"),
        ("webhook", "5 events wait for a webhook, which failed: crm: 500"),
    ]
