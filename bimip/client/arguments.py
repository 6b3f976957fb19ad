"""What programs pass is looked at before anything is done with it. What goes into a frame is `frames.checked`'s."""

from bimip.client.errors import InvalidArgument

MOST = 2**63 - 1
MOST_SECONDS = 10**12


def checked_number(name: str, value: object, *, least: int = 1, most: int = MOST) -> int:
    """Returns a program's offset or other count. Raises InvalidArgument."""
    if not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgument(f"{name} is a whole number from {least} to 2**{most.bit_length()} - 1, not {value!r}")
    return value


def checked_text(name: str, value: object) -> str:
    """Returns a program's text. Raises InvalidArgument for what is none, or none that UTF-8 can write."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is text, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError as problem:
        raise InvalidArgument(f"{name} holds half a character: {problem}") from None
    return value


def checked_ttl(value: object, name: str = "ttl") -> int:
    """Returns a program's seconds as milliseconds. Raises InvalidArgument for less than one, and for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MOST_SECONDS:
        raise InvalidArgument(f"{name} is a number of seconds, 1 at least, not {value!r}")
    return int(value * 1000)
