"""Imports go down, never up, never round."""

import ast
from collections.abc import Collection

import pytest

from tests.architecture.source import Modules, dependencies, imports_of, is_within, modules_of, read_modules

MAY_IMPORT = {
    # floor 0
    "bimip.supervision": (),
    "bimip.settings": (),
    "bimip.histograms": (),
    "bimip.names": (),
    "bimip.wire": ("bimip.settings", "bimip.names"),
    "bimip.domain": ("bimip.settings", "bimip.names"),
    # floor 1
    "bimip.concurrency": ("bimip.supervision",),
    "bimip.session": ("bimip.domain",),
    "bimip.storage": ("bimip.settings", "bimip.domain"),
    # floor 2
    "bimip.journal": ("bimip.settings", "bimip.histograms", "bimip.concurrency", "bimip.domain", "bimip.storage"),
    "bimip.reading": ("bimip.names", "bimip.wire", "bimip.domain", "bimip.storage"),
    # floor 3
    "bimip.retention": ("bimip.settings", "bimip.concurrency", "bimip.domain", "bimip.storage", "bimip.journal"),
    "bimip.push": (
        "bimip.settings",
        "bimip.concurrency",
        "bimip.names",
        "bimip.wire",
        "bimip.domain",
        "bimip.storage",
        "bimip.journal",
    ),
    "bimip.webhooks": (
        "bimip.settings",
        "bimip.concurrency",
        "bimip.names",
        "bimip.wire",
        "bimip.domain",
        "bimip.storage",
        "bimip.journal",
        "bimip.push",
    ),
    "bimip.requests": (
        "bimip.histograms",
        "bimip.concurrency",
        "bimip.names",
        "bimip.wire",
        "bimip.domain",
        "bimip.session",
        "bimip.storage",
        "bimip.journal",
        "bimip.reading",
    ),
    "bimip.users": (
        "bimip.histograms",
        "bimip.settings",
        "bimip.names",
        "bimip.journal",
        "bimip.reading",
        "bimip.requests",
        "bimip.concurrency",
        "bimip.supervision",
        "bimip.wire",
        "bimip.domain",
        "bimip.session",
        "bimip.storage",
    ),
    # floor 4
    "bimip.http": ("bimip.settings", "bimip.wire", "bimip.domain"),
    "bimip.api": (
        "bimip.http",
        "bimip.users",
        "bimip.requests",
        "bimip.reading",
        "bimip.concurrency",
        "bimip.names",
        "bimip.wire",
        "bimip.domain",
        "bimip.session",
    ),
    "bimip.gateway": (
        "bimip.http",
        "bimip.concurrency",
        "bimip.supervision",
        "bimip.settings",
        "bimip.wire",
        "bimip.domain",
        "bimip.session",
        "bimip.users",
    ),
    "bimip.console": ("bimip.supervision",),
    "bimip.web": ("bimip.supervision", "bimip.http", "bimip.console"),
    "bimip.client": ("bimip.names", "bimip.domain", "bimip.session"),
    # the whole
    "bimip.config": (
        "bimip.settings",
        "bimip.wire",
        "bimip.domain",
        "bimip.storage",
        "bimip.journal",
        "bimip.retention",
        "bimip.push",
        "bimip.webhooks",
        "bimip.users",
        "bimip.gateway",
        "bimip.http",
    ),
    "bimip.systemd": (),
    "bimip.audit": (),
    "bimip.health": ("bimip.config", "bimip.histograms", "bimip.storage", "bimip.systemd"),
    "bimip.spans": ("bimip.config", "bimip.domain"),
    "bimip.environment": (
        "bimip.spans",
        "bimip.systemd",
        "bimip.audit",
        "bimip.config",
        "bimip.push",
        "bimip.webhooks",
        "bimip.domain",
        "bimip.storage",
        "bimip.journal",
        "bimip.gateway",
        "bimip.health",
        "bimip.console",
        "bimip.web",
    ),
    "bimip.parts": (
        "bimip.health",
        "bimip.config",
        "bimip.environment",
        "bimip.concurrency",
        "bimip.supervision",
        "bimip.names",
        "bimip.wire",
        "bimip.domain",
        "bimip.storage",
        "bimip.journal",
        "bimip.reading",
        "bimip.requests",
        "bimip.push",
        "bimip.webhooks",
        "bimip.users",
        "bimip.gateway",
        "bimip.http",
        "bimip.api",
        "bimip.console",
        "bimip.web",
    ),
    "bimip.operations": (
        "bimip.parts",
        "bimip.names",
        "bimip.domain",
        "bimip.reading",
        "bimip.users",
    ),
    "bimip.metrics": (
        "bimip.histograms",
        "bimip.parts",
        "bimip.push",
        "bimip.supervision",
        "bimip.storage",
        "bimip.users",
        "bimip.wire",
    ),
    "bimip.processes": (
        "bimip.environment",
        "bimip.parts",
        "bimip.operations",
        "bimip.metrics",
        "bimip.supervision",
        "bimip.storage",
        "bimip.journal",
        "bimip.retention",
        "bimip.push",
        "bimip.webhooks",
        "bimip.users",
        "bimip.console",
    ),
    "bimip.reloading": ("bimip.config", "bimip.gateway", "bimip.parts", "bimip.supervision"),
    "bimip.app": ("bimip.config", "bimip.environment", "bimip.parts", "bimip.processes", "bimip.supervision"),
    "bimip.run": (
        "bimip.app",
        "bimip.config",
        "bimip.environment",
        "bimip.parts",
        "bimip.reloading",
        "bimip.systemd",
        "bimip.web",
    ),
    # floor 5
    "bimip.cli": (
        "bimip.run",
        "bimip.environment",
        "bimip.config",
        "bimip.supervision",
        "bimip.domain",
        "bimip.session",
        "bimip.storage",
        "bimip.gateway",
        "bimip.client",
        "bimip.web",
    ),
    "bimip.conformance": ("bimip.wire", "bimip.client"),
    "bimip.testing": (
        "bimip.app",
        "bimip.cli",
        "bimip.client",
        "bimip.config",
        "bimip.domain",
        "bimip.environment",
        "bimip.gateway",
        "bimip.journal",
        "bimip.parts",
        "bimip.push",
        "bimip.storage",
    ),
    "bimip.__main__": ("bimip.cli",),
}
"""Each part imports itself and these. Parts of one floor do not know each other."""

BACK = {
    ("bimip.supervision.spec", "bimip.supervision.dynamic"): "the type of the handle that a spec's hook is given",
}
"""Imports of a name alone, behind TYPE_CHECKING, that close a circle, and why. At run time nothing goes round."""

SUPERVISION_IMPORTS = {
    "bimip",
    "bisect",
    "collections",
    "contextlib",
    "contextvars",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "logging",
    "math",
    "os",
    "traceback",
    "trio",
    "types",
    "typing",
}
"""A library that can be published by itself: trio and the standard library."""


def part_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def strays(modules: Modules) -> list[str]:
    """Imports that do not go down."""
    found = []
    for name, module in modules.items():
        allowed = (part_of(name), *MAY_IMPORT.get(part_of(name), ()))
        for imported, line in imports_of(module):
            outside = is_within(imported, "bimip") and imported != "bimip" and imported != "bimip.__version__"
            left_behind = imported.split(".")[0] in {"tests", "scripts"}  # when the package is installed
            if imported.startswith(".") or left_behind or (outside and part_of(imported) not in allowed):
                found.append(f"{name}:{line} imports {imported}")
    return found


def circles(modules: Modules, excused: Collection[tuple[str, str]] = ()) -> list[frozenset[str]]:
    """Sets of modules each of which leads to each other."""
    graph = {
        name: {other for other in found if (name, other) not in excused}
        for name, found in dependencies(modules).items()
    }
    reach = {name: _reachable(graph, name) for name in graph}
    found = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]}
    return sorted(found, key=sorted)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    front = [start]
    while front:
        for following in graph[front.pop()] - seen:
            seen.add(following)
            front.append(following)
    return seen


def run_time_only(modules: Modules) -> dict[str, ast.Module]:
    """Without what stands behind `if TYPE_CHECKING`."""

    class Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return None
            return self.generic_visit(node)

    return {name: Strip().visit(ast.parse(ast.unparse(module))) for name, module in modules.items()}


def foreign(modules: Modules) -> list[str]:
    """What the supervision library imports beside trio and the standard library."""
    return [
        f"{name}:{line} imports {imported}"
        for name, module in modules.items()
        if is_within(name, "bimip.supervision")
        for imported, line in imports_of(module)
        if imported.split(".")[0] not in SUPERVISION_IMPORTS
    ]


def test_every_part_has_its_place_on_a_floor() -> None:
    parts = {part_of(name) for name in read_modules()}

    assert parts == {"bimip", *MAY_IMPORT}


def test_imports_go_down() -> None:
    assert strays(read_modules()) == []


def unused(modules: Modules) -> list[str]:
    """Permissions that no module makes use of."""
    taken = {
        (part_of(name), part_of(imported)) for name, module in modules.items() for imported, _ in imports_of(module)
    }
    return [
        f"{part} imports {other}"
        for part, others in MAY_IMPORT.items()
        for other in others
        if (part, other) not in taken
    ]


ROOMS = {
    "bimip.storage.interface": (
        "bimip.storage.memory",
        "bimip.storage.lmdb",
        "bimip.storage.postgres",
        "bimip.storage.care",
    ),
    "bimip.storage.memory": ("bimip.storage.lmdb", "bimip.storage.postgres", "bimip.storage.care"),
    "bimip.storage.lmdb": ("bimip.storage.memory", "bimip.storage.postgres", "bimip.storage.care"),
    "bimip.storage.postgres": ("bimip.storage.memory", "bimip.storage.lmdb", "bimip.storage.care"),
}
"""Parts of a floor, and what they do not know: the store that defines the behaviour knows no file's format, and a store
that is open none of what is done to one that is not."""


def trespasses(modules: Modules) -> list[str]:
    """Imports from one room into another that it does not know."""
    return [
        f"{name}:{line} imports {imported}"
        for name, module in modules.items()
        for room, unknown in ROOMS.items()
        if is_within(name, room)
        for imported, line in imports_of(module)
        if any(is_within(imported, other) for other in unknown)
    ]


def test_rooms_keep_apart() -> None:
    assert trespasses(read_modules()) == []


def test_a_room_that_knows_another_is_found() -> None:
    modules = modules_of(bimip__storage__memory="from bimip.storage.lmdb import keys")

    assert trespasses(modules) != []


def test_each_permission_is_used() -> None:
    assert unused(read_modules()) == []


def test_a_permission_that_nobody_uses_is_found() -> None:
    modules = read_modules()
    alone = {name: module for name, module in modules.items() if not is_within(name, "bimip.console")}

    assert unused(alone) == ["bimip.console imports bimip.supervision"]


def test_no_import_goes_round() -> None:
    assert circles(read_modules(), BACK) == []


def test_at_run_time_nothing_goes_round_at_all() -> None:
    assert circles(run_time_only(read_modules())) == []


def test_each_import_that_is_excused_is_still_there() -> None:
    graph = dependencies(read_modules())

    assert [back for back in BACK if back[1] not in graph[back[0]]] == []


def test_supervision_imports_trio_and_the_standard_library_alone() -> None:
    assert foreign(read_modules()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("bimip__domain__x", "from bimip.journal.journal import Journal"),
        ("bimip__domain__x", "from bimip import wire"),
        ("bimip__domain__x", "import bimip.wire.codec"),
        ("bimip__domain__x", "def f():\n    from bimip.users import session"),
        ("bimip__domain__x", "if TYPE_CHECKING:\n    from bimip.app import Server"),
        ("bimip__session__x", "from bimip.journal import queue"),
        ("bimip__storage__x", "from bimip.journal.queue import OperationQueue"),
        ("bimip__journal__x", "from bimip.retention.process import Retention"),
        ("bimip__storage__x", "from bimip.session.close import Close"),
        ("bimip__storage__x", "from bimip.supervision import Child"),
        ("bimip__users__x", "from bimip.gateway.connection import Connection"),
        ("bimip__gateway__x", "from bimip.console import tree"),
        ("bimip__client__x", "from bimip.wire import codec"),
        ("bimip__console__x", "from bimip.client import errors"),
        ("bimip__settings", "from bimip.wire.limits import Limits"),
        ("bimip__wire__x", "from bimip.config import Settings"),
        ("bimip__config__x", "from bimip.console import tree"),
        ("bimip__app", "from bimip.cli import commands"),
        ("bimip__cli__x", "from bimip import __main__"),
        ("bimip__domain__x", "from . import ids"),
        ("bimip__testing__x", "from tests.kit.codecs import SDK"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_found(name: str, source: str) -> None:
    assert len(strays(modules_of(**{name: source}))) >= 1


@pytest.mark.parametrize("first", ["from bimip.domain.b import B", "def f():\n    from bimip.domain import b"])
def test_a_circle_is_found_also_when_it_is_hidden(first: str) -> None:
    modules = modules_of(
        bimip__domain__a=first,
        bimip__domain__b="from bimip.domain.c import C",
        bimip__domain__c="if TYPE_CHECKING:\n    from bimip.domain import a",
        bimip__domain__d="from bimip.domain import a",
    )

    assert circles(modules) == [frozenset({"bimip.domain.a", "bimip.domain.b", "bimip.domain.c"})]
    assert circles(run_time_only(modules)) == []


def test_a_package_that_is_passed_through_makes_no_circle() -> None:
    modules = modules_of(
        bimip__domain="from bimip.domain.a import A", bimip__domain__a="from bimip.domain import b", bimip__domain__b=""
    )

    assert circles(modules) == []


def test_a_package_whose_own_names_are_taken_makes_one() -> None:
    modules = modules_of(bimip__domain="from bimip.domain.a import A", bimip__domain__a="from bimip.domain import A")

    assert circles(modules) == [frozenset({"bimip.domain", "bimip.domain.a"})]


def test_a_library_in_supervision_is_found() -> None:
    assert foreign(modules_of(bimip__supervision__x="import structlog")) == [
        "bimip.supervision.x:1 imports structlog",
    ]
