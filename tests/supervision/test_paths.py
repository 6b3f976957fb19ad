from hypothesis import given
from hypothesis import strategies as st

from bimip.supervision import paths


def test_an_id_keeps_its_text_except_for_slash_and_percent() -> None:
    assert paths.join("bimip", "users", "alice@example.org", "phone") == "bimip/users/alice@example.org/phone"
    assert paths.join("bimip", "a/b%2F", "c") == "bimip/a%2Fb%252F/c"


@given(st.lists(st.text(min_size=1), min_size=1))
def test_split_is_the_inverse_of_join(ids: list[str]) -> None:
    assert ids == paths.split(paths.join(*ids))


@given(st.lists(st.text(min_size=1), min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_different_ids_have_different_paths(one: list[str], other: list[str]) -> None:
    assert (one == other) == (paths.join(*one) == paths.join(*other))
