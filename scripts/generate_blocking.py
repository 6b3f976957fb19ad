"""Writes the SDK for programs without an event loop, bimip/client/blocking/facets.py: each facet as blocking calls.

Every public method and property of a facet becomes one of the same name and signature, which has it run in the loop's
thread. Run by scripts/generate; a test holds that the file is what this writes.
"""

import ast
import builtins
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, cast

from bimip.client.client import Client
from bimip.client.facets.facet import Facet
from bimip.client.own_device import OwnDevice

HEAD = '''"""A client's facets as calls that block. Written by scripts/generate from the facets, which say the rest."""
# ruff: noqa: A002, ANN401, FBT001 - the names and types are the facets'

'''


def facets() -> dict[str, type[Facet]]:
    """Lists a client's facets by name."""
    nothing = cast("Any", None)
    made = Client(nothing, nothing, nothing)
    return {
        name: type(value) for name, value in vars(made).items() if isinstance(value, Facet) and not name.startswith("_")
    }


def members(kind: type) -> Iterator[tuple[str, FunctionType, bool]]:
    """Lists the public methods and properties of a facet; whether each is a property."""
    for base in reversed(kind.__mro__[:-1]):
        for name, value in vars(base).items():
            if name.startswith("_"):
                continue
            if isinstance(value, property):
                assert isinstance(value.fget, FunctionType)
                yield name, value.fget, True
            elif isinstance(value, FunctionType):
                yield name, value, False


class Writer:
    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {}
        self.modules: set[str] = set()

    def facet(self, name: str, kind: type) -> str:
        methods = "\n".join(self._member(*one) for one in members(kind))
        first = f"The calls of `{name}`, which block." if name else "The calls of a device about itself, which block."
        self.imports.setdefault(kind.__module__, set()).add(f"{kind.__name__} as Async{kind.__name__}")
        return f'class {kind.__name__}(Blocking[Async{kind.__name__}]):\n    """{first}"""\n\n{methods}\n'

    def _member(self, name: str, function: FunctionType, is_property: bool) -> str:  # noqa: FBT001
        [node] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in ast.walk(node.args):
            self._import_name(part, function)
        assert node.returns is not None, f"{function.__qualname__} says not what it returns"
        for part in ast.walk(node.returns):
            self._import_name(part, function)
        doc = _documented(function)
        returned = ast.unparse(node.returns)
        if is_property:
            return (
                f"    @property\n    def {name}(self) -> {returned}:\n"
                f'        """{doc}"""\n        return self._call(lambda: self._facet.{name})\n'
            )
        called = ", ".join(_passed_on(node.args))
        return (
            f"    def {name}({ast.unparse(node.args)}) -> {returned}:\n"
            f'        """{doc}"""\n        return self._call(partial(self._facet.{name}, {called}))\n'
        )

    def _import_name(self, part: ast.AST, function: FunctionType) -> None:
        if not isinstance(part, ast.Name) or hasattr(builtins, part.id):
            return
        value: Any = function.__globals__[part.id]
        if inspect.ismodule(value):
            self.modules.add(value.__name__)
            return
        home, real = value.__module__, getattr(value, "__qualname__", part.id)
        named = part.id if real == part.id else f"{real} as {part.id}"
        self.imports.setdefault(home, set()).add(named)

    def head(self) -> str:
        self.imports.setdefault("functools", set()).add("partial")
        self.imports.setdefault("bimip.client.blocking.calls", set()).add("Blocking")
        lines = [f"import {module}" for module in sorted(self.modules)]
        lines += [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(self.imports.items())]
        return "\n".join(lines)


def _documented(function: FunctionType) -> str:
    """Takes the first sentence of a docstring."""
    sentence = " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())
    sentence = f"{sentence.split('. ')[0].rstrip('.')}." if sentence else f"Returns `{function.__name__}`."
    indent = f"\n{' ' * 8}"
    filled = textwrap.fill(sentence, 105).replace("\n", indent)
    return filled + indent if "\n" in filled else filled


def _passed_on(arguments: ast.arguments) -> Iterator[str]:
    yield from [one.arg for one in (*arguments.posonlyargs, *arguments.args)[1:]]
    if arguments.vararg:
        yield f"*{arguments.vararg.arg}"
    yield from [f"{one.arg}={one.arg}" for one in arguments.kwonlyargs]
    if arguments.kwarg:
        yield f"**{arguments.kwarg.arg}"


def written() -> str:
    writer = Writer()
    classes = [writer.facet(name, kind) for name, kind in facets().items()]
    classes.append(writer.facet("", OwnDevice))
    return f"{HEAD}{writer.head()}\n\n\n" + "\n\n".join(classes)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written())
