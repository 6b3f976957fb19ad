"""A conversation's id on the wire: a small c and its number. No eid has this form, so one field can hold either."""

import re

_MOST_DIGITS = 10
_FORM = re.compile("c[0-9]+")


def conversation_id(number: int) -> str:
    return f"c{number}"


def is_conversation_id(text: str) -> bool:
    """Whether a text has the form of a conversation's id, be there such a one or not."""
    return _FORM.fullmatch(text) is not None


def conversation_number(text: str) -> int | None:
    """The number that an id stands for; None for text that names no conversation."""
    if not is_conversation_id(text) or text[1] == "0" or len(text) > 1 + _MOST_DIGITS:
        return None
    return int(text[1:])
