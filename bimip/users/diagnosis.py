"""Why a device does not receive: one decision for the server, one for a user, and one for each device, each of which
ends with what to do. Pure: whoever asks gathers what is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bimip.domain.core.ids import Millis

CLOSING_MS: Final = 10_000
"""A device that is closed since its token was revoked was last seen at most so much later."""
PINS_ENTRIES: Final = 1000
PINS_MS: Final = 24 * 3600 * 1000
"""A device holds a log back that others have acknowledged: by so many entries, or for so long, that it is told."""
NAMED: Final = 3
"""Names in one sentence."""
LOG_IN_AGAIN: Final = "the client must get a new token from whoever issues them"


class Finding(NamedTuple):
    """One thing that keeps messages from somebody, or may soon."""

    about: str  # `server`, `user`, or `device` and its name
    finding: str
    because: str
    advice: str
    since: Millis = Millis(0)  # 0: that is not known


class RefusedToken(NamedTuple):
    """A token of a device was refused, whose signature holds."""

    at: Millis
    reason: str


class ServerFacts(NamedTuple):
    """The server as a whole, as far as it is known."""

    readiness: Sequence[str]
    warnings: Sequence[str]
    breakers_open: int  # gateways and hosts that push leaves alone
    push_failure: str
    webhooks_waiting: Mapping[str, int]
    webhook_failure: str


class UserFacts(NamedTuple):
    """A user, as far as it matters to their devices."""

    disabled: Millis  # since when an operator keeps them out; 0: nobody does
    revoked: Millis  # of all their tokens those that were issued until then; 0: none were
    devices: int
    blocked_by: Sequence[str] = ()  # of those with whom they wrote last


class PinnedLog(NamedTuple):
    """A log of which a device keeps entries from being removed, as it has not acknowledged them."""

    partition: str
    entries: int
    since: Millis  # when the oldest of them was accepted; 0: that is not known


class Refusals(NamedTuple):
    """Requests of a device that were refused of late."""

    code: str  # of the last
    times: int
    since: Millis


class DeviceFacts(NamedTuple):
    """A device of theirs, as far as it is known."""

    name: str
    last_seen: Millis
    revoked: Millis  # of its tokens those that were issued until then; 0: none were
    lags: Mapping[str, int]  # by partition the entries that are kept and not acknowledged
    refused: RefusedToken | None  # the last one
    connection: Mapping[str, Any] | None  # as `Connected.describe` has it; None: it is not connected
    pinned: Sequence[PinnedLog] = ()
    refusals: Refusals | None = None


def diagnose_server(facts: ServerFacts) -> Iterator[Finding]:
    """Finds what keeps messages from everybody."""
    for reason in facts.readiness:
        yield Finding("server", "not_ready", reason, "mend this first: it concerns everybody; /readyz tells when it is")
    for warning in facts.warnings:
        yield Finding("server", "warning", warning, "look at the server's log")
    if facts.breakers_open:
        said = f"push leaves {facts.breakers_open} gateways alone, which failed: {facts.push_failure}"
        advice = (
            "look whether they can be reached from here, and at `push` in the settings; it is tried again by itself"
        )
        yield Finding("server", "push_gateway", said, advice)
    for name, waiting in facts.webhooks_waiting.items():
        if waiting and facts.webhook_failure.startswith(f"{name}: "):
            said = f"{waiting} events wait for a webhook, which failed: {facts.webhook_failure}"
            advice = "look at the back end; it is told again by itself"
            yield Finding("server", "webhook", said, advice)


def diagnose_user(facts: UserFacts) -> Iterator[Finding]:
    """Finds what keeps messages from all devices of a user, and what they write from others."""
    if facts.disabled:
        yield Finding(
            "user", "disabled", "an operator keeps this user out", "`bimip user enable` lets them in", facts.disabled
        )
    elif not facts.devices:
        advice = "a device becomes known when it connects with a token of theirs"
        said = "no device of this user is known: none ever connected, or all were removed"
        yield Finding("user", "no_device", said, advice)
    if facts.blocked_by:
        count, names = len(facts.blocked_by), ", ".join(facts.blocked_by[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        said = f"{names}{more} blocked this user: what they write to them is accepted, and reaches nobody"
        advice = "that is for those to lift who blocked; this user is not told, and must not learn it from you"
        yield Finding("user", "blocked_by", said, advice)


def diagnose_device(facts: DeviceFacts, user: UserFacts) -> Finding:
    """Finds why a device does not receive, by the first thing that keeps it from doing so; or that nothing does."""
    about = f"device {facts.name}"
    if facts.connection is None:
        return _away(about, facts, user)
    if not facts.connection["greeted"]:
        said = "it is connected, and its Hello was not granted yet: nothing is sent before"
        return Finding(about, "no_hello", said, "the client must send Hello first, and keep to its answer")
    if not facts.connection["takes_frames"]:
        said = "it takes no bytes: its network, or the client's reading, stands still"
        return Finding(about, "takes_nothing", said, "it is closed by itself when that lasts; look at the client")
    return _connected(about, facts.lags, facts.connection["partitions"])


def diagnose_sender(facts: DeviceFacts) -> Iterator[Finding]:
    """Finds what keeps a device from writing, or from anything else that it asks for."""
    about, refusals = f"device {facts.name}", facts.refusals
    wait = 0.0
    if facts.connection is not None:
        wait = facts.connection["rate_wait_seconds"]
        owed, most = facts.connection["unanswered"], facts.connection["may_be_unanswered"]
        if owed >= most:
            said = (
                f"{owed} of its requests wait for an answer, or it has not taken the answers: nothing is read from it"
            )
            advice = "the client must read what it is sent; `bimip top` tells whether the server is slow"
            yield Finding(about, "not_read_from", said, advice)
        if wait > 0:
            said = f"it or its user asks faster than the server allows: all that it asks is refused for {wait:.1f} s"
            advice = (
                "the client must wait for as long as the error says (retry_after_ms); see the rates in the settings"
            )
            yield Finding(about, "asks_too_fast", said, advice)
    if refusals is not None and not (wait > 0 and refusals.code == "RATE_LIMITED"):
        said = f"{refusals.times} of its requests were refused of late, the last with {refusals.code}"
        advice = '`bimip user device --events` tells when; PROTOCOL.md, "Errors", says what the code means'
        yield Finding(about, "requests_refused", said, advice, refusals.since)


def diagnose_pins(facts: DeviceFacts, now: Millis) -> Iterator[Finding]:
    """Finds the logs that a device keeps from becoming shorter, by much or for long."""
    for log in facts.pinned:
        if log.entries >= PINS_ENTRIES or (log.since and log.since + PINS_MS <= now):
            said = f"it holds back {log.entries} entries of {log.partition!r}, which go only once it acknowledges them"
            advice = (
                "`bimip user pins` tells what that costs, and until when it counts as live; `bimip user evict` removes "
                "a device that never comes back"
            )
            yield Finding(f"device {facts.name}", "pins_log", said, advice, log.since)


def _connected(about: str, lags: Mapping[str, int], asked: Mapping[str, Mapping[str, int]]) -> Finding:
    """Finds how far a device is that takes what it is sent. `asked`: of each partition that it named."""
    lagging = [name for name, lag in lags.items() if lag]
    unasked = [name for name in lagging if name not in asked]
    for name, one in asked.items():
        if one["in_flight"]:
            said = (
                f"it was sent {one['in_flight']} messages of {name!r} that it has not acknowledged, and "
                f"{one['lag']} more wait behind them"
            )
            advice = 'the client must acknowledge what it has stored (PROTOCOL.md, "Acknowledging")'
            return Finding(about, "does_not_acknowledge", said, advice)
        if one["lag"]:
            said = f"{one['lag']} entries of {name!r} are on their way to it"
            return Finding(about, "catches_up", said, "wait: GET /debug/user tells how far it is")
    if unasked:
        said = f"it is connected, and has not asked for {', '.join(map(repr, unasked))}, where messages wait for it"
        return Finding(about, "not_asked_for", said, "the client must name the partition in its Hello")
    return Finding(about, "nothing", "it has all that is for it", "of one message `bimip message explain` tells more")


def unknown_device(name: str, refused: RefusedToken) -> Finding:
    """Tells of a device that never connected why its token was refused."""
    said = f"it never connected, and its token was refused: {refused.reason}"
    return Finding(f"device {name}", "token_refused", said, LOG_IN_AGAIN, refused.at)


def _away(about: str, facts: DeviceFacts, user: UserFacts) -> Finding:
    """Finds why a device that is not connected is not."""
    if user.disabled:
        return Finding(about, "disabled", "its user is kept out", "`bimip user enable` lets them in", user.disabled)
    if facts.refused is not None and facts.refused.at >= facts.last_seen:
        said = f"its token was refused: {facts.refused.reason}"
        return Finding(about, "token_refused", said, LOG_IN_AGAIN, facts.refused.at)
    revoked = max(facts.revoked, user.revoked)
    if revoked and revoked + CLOSING_MS >= facts.last_seen:
        said = "its tokens that were issued until then were revoked"
        return Finding(about, "token_revoked", said, LOG_IN_AGAIN, revoked)
    behind = sum(facts.lags.values())
    said = "it is not connected" + (
        f"; {behind} entries that it has not acknowledged are kept for it" if behind else ""
    )
    advice = "it gets what is for it when it comes; `bimip devices remove` forgets one that never will"
    return Finding(about, "not_connected", said, advice, facts.last_seen)
