"""A person's name: normalised once, at the edge, so that everything behind it compares texts."""

from unicodedata import normalize

from bimip.names.code_points import is_printable
from bimip.names.conversations import is_conversation_id
from bimip.names.joiners import ZWJ, ZWNJ, are_joiners_in_place

_JOINERS = str.maketrans("", "", ZWNJ + ZWJ)


class NameRefusedError(ValueError):
    """A text is no eid. The error's text says why, as the end of a sentence that begins with what it was given as."""


def normal_eid(text: str) -> str:
    """The one form of an eid: its NFC. Raises NameRefusedError. How long it may be is the caller's to say."""
    if not text.isascii():
        text = normalize("NFC", text)
    if not text:
        raise NameRefusedError("is empty: name a user.")
    if text[0] == " " or text[-1] == " ":
        raise NameRefusedError("has a space at one of its ends: leave it away.")
    if not is_printable(text.translate(_JOINERS)):
        raise NameRefusedError(
            "holds a character that is not printable, sets the direction of writing or is not in Unicode 14.0: "
            "leave it out."
        )
    if not are_joiners_in_place(text):
        raise NameRefusedError("holds an invisible joiner where it joins nothing: leave it out.")
    if is_conversation_id(text):
        raise NameRefusedError("has the form of a conversation's id, a small c and digits alone: name a user.")
    return text
