"""Where the two invisible joiners, U+200C and U+200D, may stand: where they change what is seen.

Elsewhere two names that look the same would be two people. The rules are Unicode's for identifiers (UAX #31, 2.3, of
Unicode 14.0; L letters, M nonspacing marks, V a virama, M1 marks of a combining class other than 0):

    A1  ZWNJ between a character that joins to its left neighbour and one that joins to its right, marks left aside
    A2  ZWNJ in  L M* V M1* ZWNJ M1* L
    B   ZWJ in   L M* V M1* ZWJ, not before a dependent vowel
    and ZWJ between two pictographs, behind the first one's selector and skin tone (UAX #29, GB11): 👨‍👩‍👧
"""

import re
from unicodedata import combining

from bimip.names.code_points import code_points

ZWNJ, ZWJ = "\u200c", "\u200d"

_VIRAMA = 9
_BEHIND_A_PICTOGRAPH = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]*$")


def are_joiners_in_place(text: str) -> bool:
    return all(
        _may_stand(character, text[:at], text[at + 1 :])
        for at, character in enumerate(text)
        if character in {ZWNJ, ZWJ}
    )


def _may_stand(joiner: str, before: str, behind: str) -> bool:
    if joiner == ZWNJ:
        return _joins(before, behind) or (_ends_with_virama(before) and _begins_with_letter(behind))
    if _ends_with_virama(before):
        return not behind or behind[0] not in code_points("DEPENDENT_VOWEL")
    return _is_between_pictographs(before, behind)


def _joins(before: str, behind: str) -> bool:
    transparent = code_points("TRANSPARENT")
    left = next((one for one in reversed(before) if one not in transparent), "")
    right = next((one for one in behind if one not in transparent), "")
    return bool(left and right) and left in code_points("JOINS_LEFT") and right in code_points("JOINS_RIGHT")


def _ends_with_virama(text: str) -> bool:
    """L M* V M1* at the end."""
    nonspacing = code_points("NONSPACING")
    seen = False
    for character in reversed(text):
        if combining(character) == _VIRAMA:
            seen = True
        elif character not in nonspacing or not (seen or combining(character)):
            return seen and character in code_points("LETTER")
    return False


def _begins_with_letter(text: str) -> bool:
    """M1* L at the beginning."""
    nonspacing = code_points("NONSPACING")
    for character in text:
        if character not in nonspacing or not combining(character):
            return character in code_points("LETTER")
    return False


def _is_between_pictographs(before: str, behind: str) -> bool:
    pictographic = code_points("PICTOGRAPHIC")
    first = _BEHIND_A_PICTOGRAPH.sub("", before)
    return bool(first and behind) and first[-1] in pictographic and behind[0] in pictographic
