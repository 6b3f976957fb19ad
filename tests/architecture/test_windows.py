"""A package that is a library has a window: what `__all__` names is there, and what others take comes through it."""

import ast
import importlib

import pytest

from tests.architecture.source import imports_of, is_within, read_modules

WINDOWS = (
    "bimip.api",
    "bimip.client",
    "bimip.client.blocking",
    "bimip.config",
    "bimip.console",
    "bimip.names",
    "bimip.supervision",
    "bimip.testing",
    "bimip.web",
)


def names_bound(source: ast.Module) -> set[str]:
    """What a package's own file imports or defines, for others to take."""
    found: set[str] = set()
    for node in source.body:
        if isinstance(node, ast.ImportFrom):
            found |= {one.asname or one.name for one in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_names_all_that_is_in_it_and_nothing_else(window: str) -> None:
    package = importlib.import_module(window)

    assert list(package.__all__) == sorted(
        package.__all__, key=lambda name: (name.upper() != name, name[0].islower(), name)
    )
    assert all(hasattr(package, name) for name in package.__all__)
    assert names_bound(read_modules()[window]) <= set(package.__all__)


@pytest.mark.parametrize("window", ["bimip.names", "bimip.supervision", "bimip.console"])
def test_nobody_reaches_past_a_window(window: str) -> None:
    past = [
        f"{name}:{line} imports {imported}"
        for name, module in read_modules().items()
        if not is_within(name, window)
        for imported, line in imports_of(module)
        if is_within(imported, window) and imported.count(".") > window.count(".") + 1
    ]

    assert past == []
