"""Names as PROTOCOL.md has them: what is one, and what form it takes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.names import NameRefusedError, conversation_id, conversation_number, is_printable, normal_eid
from bimip.names.code_points import code_points

GIVEN_IN_14 = unicodedata.unidata_version == "14.0.0"

NAMES = {
    "an address": "alice@example.org",
    "with a space within": "Alice B.",
    "Japanese": "日本太郎",
    "Persian, with a non-joiner (A1)": "می\u200cخواهم",
    "Persian, marks between": "مِی\u200cخَواهم",
    "Sinhala, with a joiner (B)": "ශ්\u200dරී",
    "Kannada, a non-joiner behind a virama (A2)": "ರಾಜ್\u200cಕುಮಾರ್",
    "a family": "👨\u200d👩\u200d👧",
    "a pictograph with selector and skin tone": "👩🏽\u200d⚕\ufe0f",
    "a heart on fire": "❤\ufe0f\u200d🔥",
    "a rainbow flag": "🏳\ufe0f\u200d🌈",
    "nearly a conversation": "c",
    "a conversation's form and more": "c12@example.org",
    "a large C": "C12",
    "other digits": "c\u0661\u0662",
}
NO_NAMES = {
    "nothing": "",
    "a space alone": " ",
    "space before": " alice",
    "space behind": "alice ",
    "a line end": "alice\n",
    "a NUL": "al\0ice",
    "delete": "alice\x7f",
    "C1 control": "al\x85ice",
    "no-break space within": "al\u00a0ice",
    "ideographic space at the end": "alice\u3000",
    "a right-to-left override": "al\u202eice",
    "an isolate": "al\u2066ice\u2069",
    "a right-to-left mark": "alice\u200f",
    "a soft hyphen": "al\u00adice",
    "a byte order mark": "\ufeffalice",
    "a line separator": "al\u2028ice",
    "private use": "al\ue000ice",
    "unassigned": "al\u0378ice",
    "a noncharacter": "al\uffffice",
    "assigned in Unicode 15 only": "al\U0001fae8ice",
    "a tag": "al\U000e0061ice",
    "a joiner between Latin letters": "al\u200dice",
    "a non-joiner between Latin letters": "al\u200cice",
    "a joiner at the beginning": "\u200dalice",
    "a joiner at the end": "👨\u200d",
    "a joiner before a letter": "👨\u200da",
    "a non-joiner at the end": "می\u200c",
    "two joiners": "👨\u200d\u200d👩",
    "a joiner before a dependent vowel": "ක්\u200dා",
    "a conversation": "c1",
    "a conversation with a zero": "c007",
    "a conversation beyond all numbers": "c99999999999999",
}


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
def test_a_name_is_its_own_normal_form(text: str) -> None:
    assert normal_eid(text) == text


@pytest.mark.parametrize("text", NO_NAMES.values(), ids=NO_NAMES)
def test_what_is_no_name_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(NameRefusedError, match=r"^(is|has|holds) .*[.]$"):
        normal_eid(text)


@pytest.mark.parametrize(
    ("written", "normal"),
    [("Zoe\u0308", "Zoë"), ("\u212bngström", "Ångström"), ("\u1112\u1161\u11ab", "한"), ("a\u0323\u0302", "ậ")],
)
def test_one_name_however_it_is_composed(written: str, normal: str) -> None:
    assert normal_eid(written) == normal


def test_case_matters() -> None:
    assert normal_eid("Alice") != normal_eid("alice")


@given(st.text(max_size=12))
def test_a_normal_form_is_stable(text: str) -> None:
    try:
        normal = normal_eid(text)
    except NameRefusedError:
        return

    assert normal_eid(normal) == normal


@given(st.integers(1, 2**32 - 1))
def test_an_id_of_a_conversation_is_no_name(number: int) -> None:
    assert conversation_number(conversation_id(number)) == number
    with pytest.raises(NameRefusedError):
        normal_eid(conversation_id(number))


@pytest.mark.parametrize("text", ["", "c", "c0", "c01", "c-1", "c1 ", "c\u0661", "C1", "c12345678901"])
def test_no_other_text_names_a_conversation(text: str) -> None:
    assert conversation_number(text) is None


def test_printable_is_what_unicode_14_says_it_is() -> None:
    """With another version at hand only what that one knows can be compared."""
    printable = code_points("PRINTABLE")
    known = {number: unicodedata.category(chr(number)) for number in range(0x110000)}

    wrong = [hex(number) for number, kind in known.items() if (chr(number) in printable) > (kind[0] in "LMNPS")]
    missing = [hex(number) for number, kind in known.items() if (chr(number) in printable) < (kind[0] in "LMNPS")]

    assert wrong == []
    assert not GIVEN_IN_14 or missing == []
    assert is_printable("a b")
    assert not is_printable("a\tb")
