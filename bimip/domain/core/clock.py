"""The hybrid logical clock: the server's ids, and the order of concurrent changes.

A stamp is 64 bits: 42 of milliseconds since 1970 (until 2109), 12 of counter, 10 of node. Stamps of one node are
unique and increase, also when the wall clock stands still or steps back, and across restarts: the largest one given is
read back at start. Kulkarni et al., "Logical Physical Clocks", 2014.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from typing import cast

from bimip.domain.core.ids import Millis, Stamp

NODE_BITS = 10
COUNTER_BITS = 12
_MILLIS_SHIFT = NODE_BITS + COUNTER_BITS

SIGNAL_ID_CHARACTERS = 13
_NODE_MASK = (1 << NODE_BITS) - 1
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: sorts as the number does
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]  # of 10 bits: made for each message, so looked up


def next_stamp(last: Stamp, now: Millis, node: int) -> Stamp:
    """The stamp after `last`. A counter that runs over borrows from the future: the clock is then ahead of the wall."""
    ahead = (last >> NODE_BITS) + 1
    wall = now << COUNTER_BITS
    return Stamp(max(ahead, wall) << NODE_BITS | node & _NODE_MASK)


def stamps_from(first: Stamp) -> Iterator[Stamp]:
    """This stamp and those after it, as long as the wall clock is not looked at again."""
    return cast("Iterator[Stamp]", count(first, 1 << NODE_BITS))


def millis_of(stamp: Stamp) -> Millis:
    return Millis(stamp >> _MILLIS_SHIFT)


def earliest_stamp(at: Millis) -> Stamp:
    """No stamp given at or after this time is smaller."""
    return Stamp(at << _MILLIS_SHIFT)


def signal_id(stamp: Stamp) -> str:
    """The stamp as text of 13 characters, sortable as the number is."""
    return f"{_first_digits(stamp >> 20)}{_PAIRS[stamp >> 10 & 1023]}{_PAIRS[stamp & 1023]}"


@lru_cache(maxsize=16)
def _first_digits(high: int) -> str:
    """Nine, of the time alone: stamps of one moment share them."""
    pairs = "".join([_PAIRS[high >> shift & 1023] for shift in (30, 20, 10, 0)])
    return f"{_DIGITS[high >> 40]}{pairs}"


def stamp_of(signal_id: str) -> Stamp:
    """Raises ValueError for text that is no signal id."""
    if len(signal_id) != SIGNAL_ID_CHARACTERS:
        raise ValueError("a signal id has 13 characters")
    stamp = 0
    for character in signal_id:
        stamp = stamp << 5 | _DIGITS.index(character)
    if stamp >> 64:
        raise ValueError("a signal id is a number of 64 bits")
    return Stamp(stamp)


def stamp_in(text: str) -> Stamp:
    """Reads a stamp as people write it: its signal id, in any case, or its number. Raises ValueError."""
    stamp = stamp_of(text.upper()) if len(text) == SIGNAL_ID_CHARACTERS else int(text)
    if not 0 < stamp < 1 << 64:
        raise ValueError("a stamp is a number of 64 bits, and not 0")
    return Stamp(stamp)
