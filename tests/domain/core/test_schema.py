"""Each table, log and index has one row, and rows do not contradict each other."""

import pytest

from bimip.domain.core.records import Index, Kind, LogTable, Table
from bimip.domain.core.schema import BYTES, NAME, NUMBER, TEXT, behind

KINDS: list[Kind] = [*Table, *LogTable, *Index]


def test_each_has_a_name_of_its_own() -> None:
    assert len({kind.value for kind in KINDS}) == len(KINDS)
    assert [kind.schema.name for kind in KINDS] == [kind.value for kind in KINDS]


def test_each_tag_in_the_hot_tree_is_one_kinds() -> None:
    tags = [kind.schema.hot for kind in KINDS if kind.schema.hot]

    assert len(set(tags)) == len(tags)
    assert all(0 < tag < 0xFF for tag in tags)  # one byte, and a scan leaps behind all with the last


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.schema.hot], ids=lambda kind: kind.value)
def test_what_is_hot_begins_with_whose_it_is(kind: Kind) -> None:
    assert kind.schema.key[0] == NUMBER


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)
def test_only_the_end_of_a_key_has_no_fixed_length(kind: Kind) -> None:
    assert {TEXT, NAME, BYTES}.isdisjoint(kind.schema.key[:-1])


@pytest.mark.parametrize("key", [(1,), (1, "a"), ("a",), (1, b"a"), (0,)])
def test_nothing_lies_between_a_key_and_the_bound_behind_it(key: tuple[object, ...]) -> None:
    following = {int: lambda last: last + 1, str: lambda last: last + "\0", bytes: lambda last: last + b"\0"}
    least = (*key[:-1], following[type(key[-1])](key[-1]))

    assert key < behind(key) < least


def test_the_end_lies_behind_the_greatest_keys() -> None:
    assert Table.CURSORS.schema.end > ((1 << 32) - 1, "\U0010ffff")
    assert Table.ADDRESSED.schema.end > ((1 << 64) - 1, (1 << 32) - 1)
    assert Table.USERS.schema.end > ("zebra@example.org",)
