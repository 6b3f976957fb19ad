"""The project's own source, as syntax trees: what the tests of the architecture ask."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = {"bimip.wire.bimip_pb2", "bimip.client.wire.bimip", "bimip.client.wire.message_pool"}

Modules = Mapping[str, ast.Module]
"""By dotted name. A package stands for its __init__."""


@cache
def read_modules() -> Modules:
    """Parses the package, once for all tests: nobody changes a tree."""
    modules = {}
    for path in sorted((ROOT / "bimip").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name not in GENERATED:
            modules[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return modules


def modules_of(**sources: str) -> dict[str, ast.Module]:
    """Made-up modules: `bimip__domain__ids="import time"`."""
    return {name.replace("__", "."): ast.parse(source) for name, source in sources.items()}


def imports_of(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Every dotted name that an import anywhere in the module may load, with its line.

    Those within functions and behind TYPE_CHECKING too. `from a import b` may load `a.b`, and names `a` all the same.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield source, node.lineno
            for alias in node.names:
                yield f"{source}.{alias.name}", node.lineno


def dependencies(modules: Modules) -> dict[str, set[str]]:
    """Which of the modules each one imports. A package that is passed through on the way is not counted."""
    graph: dict[str, set[str]] = {}
    for name, module in modules.items():
        found = {imported for imported, _ in imports_of(module) if imported in modules}
        passed = {imported.rpartition(".")[0] for imported in found} & _packages_of_names_only(modules, module)
        graph[name] = found - passed - {name}
    return graph


def _packages_of_names_only(modules: Modules, module: ast.Module) -> set[str]:
    """Packages from which the module takes nothing but other modules."""
    packages: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module in modules:
            whole = all(f"{node.module}.{alias.name}" in modules for alias in node.names)
            (packages if whole else used).add(node.module)
        elif isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
    return packages - used


def names_used(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Dotted names in expressions, such as `trio.to_thread.run_sync`, with their lines."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            if name is not None:
                yield name, node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")
