"""A docstring is read without the line above it: it begins with a subject or a verb, and not in the middle."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import modules_of, read_modules

FRAGMENTS = frozenset(
    {"Of", "As", "For", "From", "Also", "But", "What", "Who", "Whose", "Where", "None", "By", "To", "With", "In"}
)


def fragments(name: str, node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = (ast.get_docstring(child) or "-").split()[0].rstrip(",.:;")
            if first in FRAGMENTS:
                yield f"{name}:{child.lineno} {child.name} begins with {first!r}"


def test_docstrings_begin_with_a_subject_or_a_verb() -> None:
    assert [line for name, module in read_modules().items() for line in fragments(name, module)] == []


@pytest.mark.parametrize("docstring", ["Of one request.", "As Reader.read.", "None: it is not there."])
def test_one_that_begins_in_the_middle_is_found(docstring: str) -> None:
    modules = modules_of(bimip__x=f'def f():\n    """{docstring}"""')

    assert len(list(fragments("bimip.x", modules["bimip.x"]))) == 1
