"""What may be a name, in any payload."""

import pytest

from bimip.wire import bimip_pb2 as pb
from bimip.wire.checks import check_eid, check_id
from bimip.wire.errors import WireError


@pytest.mark.parametrize("text", ["a", "a@x", "日本" * 40, "x" * 255, "A B", "👋"])
def test_an_eid_is_any_printable_text_up_to_255_bytes(text: str) -> None:
    check_eid(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", pb.INVALID),
        ("a\n", pb.INVALID),
        ("a\0b", pb.INVALID),
        ("a\x7f", pb.INVALID),
        ("a\u200f", pb.INVALID),
        ("x" * 256, pb.TOO_LARGE),
        ("日" * 86, pb.TOO_LARGE),
    ],
)
def test_no_other_text_is_an_eid(text: str, code: int) -> None:
    with pytest.raises(WireError) as caught:
        check_eid(text, "to.eid")

    assert (caught.value.code, caught.value.field) == (code, "to.eid")


@pytest.mark.parametrize(
    ("text", "code"), [("", pb.INVALID), ("\t", pb.INVALID), ("x" * 65, pb.TOO_LARGE), ("日" * 22, pb.TOO_LARGE)]
)
def test_an_id_is_printable_and_at_most_64_bytes(text: str, code: int) -> None:
    check_id("x" * 64, "id")
    check_id("日" * 21, "id")

    with pytest.raises(WireError) as caught:
        check_id(text, "id")

    assert (caught.value.code, caught.value.field) == (code, "id")
