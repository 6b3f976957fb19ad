"""The table of scenarios that run without crashes has a reason for each, and no row that means nothing."""

import ast
from pathlib import Path

from tests.scenarios.uncrashed import CRASHED, UNCRASHED

HERE = Path(__file__).parent


def scenarios(name: str) -> set[str]:
    tree = ast.parse((HERE / f"{name}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")}


def test_every_file_and_every_exception_is_there() -> None:
    crashed = [test for name in CRASHED for test in scenarios(name)]

    assert set(UNCRASHED) <= set(crashed), "an exception for a test that is no more, or does not crash anyway"
    assert all(UNCRASHED.values())
    assert len(UNCRASHED) < len(crashed) / 10


def test_no_name_is_used_twice_where_one_is_an_exception() -> None:
    crashed = [test for name in CRASHED for test in scenarios(name)]

    assert [test for test in UNCRASHED if crashed.count(test) > 1] == []
