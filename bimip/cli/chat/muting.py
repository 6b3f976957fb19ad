"""For how long a conversation is muted: what is offered, and how it is said."""

from datetime import datetime

HOUR_MS = 3_600_000

FOREVER = 4_102_444_800_000
"""The year 2100, in milliseconds: `muted_until` has no word for always."""

_ALWAYS_FROM = 25 * 365 * 24 * HOUR_MS
"""What is muted for so long is said to be so always, whichever far time a client took for it."""

LENGTHS = (
    ("hour", "For an hour", HOUR_MS),
    ("hours", "For eight hours", 8 * HOUR_MS),
    ("week", "For a week", 7 * 24 * HOUR_MS),
)

UNMUTE = "unmute"


def mute_choices(muted_until: int, now: int) -> list[tuple[str, str]]:
    """Returns what can be chosen, each with what it says: the end of it first, where it is muted."""
    ends = [(UNMUTE, f"Not any more: it is {mute_text(muted_until, now)}")] if muted_until > now else []
    return [*ends, *((value, said) for value, said, _ in LENGTHS), ("always", "Always")]


def muted_by(choice: str, now: int) -> int:
    """Returns the end of a choice, in milliseconds; 0: it is not muted."""
    if choice == UNMUTE:
        return 0
    return next((now + length for value, _, length in LENGTHS if value == choice), FOREVER)


def mute_text(muted_until: int, now: int) -> str:
    """Says until when something is muted; empty: it is not."""
    if muted_until <= now:
        return ""
    if muted_until - now > _ALWAYS_FROM:
        return "muted"
    end, today = (datetime.fromtimestamp(at / 1000).astimezone() for at in (muted_until, now))
    return f"muted until {end:%H:%M}" if end.date() == today.date() else f"muted until {end:%d %b %H:%M}"
