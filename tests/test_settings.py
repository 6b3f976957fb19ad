"""What a floor declares its settings with. What each rule allows is tested where files are read."""

from dataclasses import dataclass, fields
from typing import Any

import pytest

from bimip.settings import FLAG, SECRET, Declared, Rule, Secret, choice, items, nonempty, seconds, setting, whole


@dataclass(frozen=True, slots=True)
class Oven:
    degrees: int = setting(180, whole(50, 250))
    names: dict[str, int] = setting({"left": 1}, whole(0, 1), section="shelves")
    depth: int = 60


def declared(name: str) -> Declared | None:
    return next(one.metadata.get(Declared) for one in fields(Oven) if one.name == name)


def test_a_setting_has_its_default_and_carries_its_rule() -> None:
    degrees = declared("degrees")

    assert Oven().degrees == 180
    assert degrees is not None
    assert degrees.rule.allowed == "a whole number from 50 to 250"
    assert degrees.section == ""


def test_a_setting_may_stand_in_another_section() -> None:
    names = declared("names")

    assert names is not None
    assert names.section == "shelves"


def test_a_field_without_a_rule_is_no_setting() -> None:
    assert declared("depth") is None


def test_a_default_that_can_change_is_nobody_elses() -> None:
    Oven().names["right"] = 2

    assert Oven().names == {"left": 1}


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        (whole(0, 5), "5", 5),
        (whole(0, 5000), "5_000", 5000),
        (seconds(0, 5), 5, 5.0),
        (seconds(0, 5), "0.5", 0.5),
        (choice("a", "b"), "b", "b"),
        (nonempty("a path"), " x ", "x"),
        (FLAG, "TRUE", True),
        (FLAG, False, False),
        (SECRET, "hush", Secret("hush")),
        (Rule(items, "a list"), "a, b,,", ["a", "b"]),
        (Rule(items, "a list"), ["a"], ["a"]),
    ],
)
def test_a_rule_reads_what_a_file_or_the_environment_has(rule: Rule, given: Any, expected: Any) -> None:
    assert rule.parse(given) == expected


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (whole(1, 5), 0),
        (whole(1, 5), 6),
        (whole(1, 5), True),
        (whole(1, 5), 1.0),
        (seconds(1, 5), True),
        (seconds(1, 5), "nan"),
        (choice("a", "b"), "c"),
        (nonempty("a path"), " "),
        (SECRET, 5),
        (Rule(items, "a list"), 5),
    ],
)
def test_a_rule_refuses_what_it_does_not_allow(rule: Rule, given: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        rule.parse(given)


def test_a_secret_does_not_show_itself() -> None:
    assert "hush" not in f"{Secret('hush')!r} {Secret('hush')}"
    assert Secret("hush") == Secret("hush")
    assert len({Secret("hush"), Secret("hush"), Secret()}) == 2
