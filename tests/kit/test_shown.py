"""Each fault in what was shown is found."""

import pytest

from tests.kit.shown import Shown, wrong


def shown(*ids: str) -> list[Shown]:
    return [Shown(number, one) for number, one in enumerate(ids, 1)]


def test_what_is_right_is_not_found() -> None:
    assert wrong("r", shown("a1", "b1", "a2"), accepted={"a": ["a1", "a2"], "b": ["b1"]}) == []
    assert wrong("r", shown("a1", "a2"), accepted={"a": ["a1"]}, tried={"a": ["a1", "a2"]}) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (shown("a1"), "never showed what a's outbox had taken: ['a2']"),
        (shown("a1", "a2", "a1"), "showed twice: ['a1']"),
        (shown("a2", "a1"), "in another order"),
        ([Shown(2, "a1"), Shown(1, "a2")], "out of the log's order"),
        (shown("a1", "a2", "c1"), "what nobody wrote: ['c1']"),
    ],
)
def test_what_is_wrong_is_found(seen: list[Shown], words: str) -> None:
    assert any(words in line for line in wrong("r", seen, accepted={"a": ["a1", "a2"]}))
