"""Every place where the server's code waits, and a hold on each of them.

`sites_of` walks the syntax tree of the given modules and finds each `await`, `async for` and `async with`. `held`
compiles them again with each of these led through a `Holds`, and swaps the code of the functions in place: the same
classes and functions, so the rest of the program notices nothing. What a `Holds` is asked at each visit, its `plan`
answers: nothing, or a kill, or an exception out of this very place.
"""

import ast
import gc
import inspect
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

import trio

from bimip.supervision.child import Incarnation, child_around

T = TypeVar("T")
PREFIX = "_held_"


class Site(NamedTuple):
    module: str
    line: int
    column: int
    kind: str  # "await", "async for" or "async with"
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.function}: {self.text}"


class Visit:
    """A task at a site."""

    __slots__ = ("boom", "child", "moments", "scope", "site")

    def __init__(self, site: Site, child: Incarnation, *moments: str) -> None:
        self.site = site
        self.child = child
        self.moments = moments
        """When something can be done to it: "before", "within", "after" what is awaited."""
        self.scope: trio.CancelScope | None = None
        self.boom: Exception | None = None

    def throw(self, error: Exception) -> bool:
        """Have it raise out of where it waits. False where that cannot be reached from outside."""
        if self.scope is None:
            return False
        self.boom = error
        self.scope.cancel()
        return True


class Plan(Protocol):
    def entering(self, visit: Visit) -> None:
        """Before what is awaited begins. What this raises is raised there."""

    def leaving(self, visit: Visit) -> None:
        """After it has ended well."""

    def ended(self, visit: Visit) -> None:
        """After it has ended, however."""


class Holds:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.live: dict[Visit, None] = {}
        self.visits: Counter[Site] = Counter()
        self.outside: set[Site] = set()
        """Visited by a task that is no process of the tree."""

    def _begin(self, site: Site, *moments: str) -> Visit | None:
        child = child_around(trio.lowlevel.current_task())
        if not isinstance(child, Incarnation):
            self.outside.add(site)
            return None
        self.visits[site] += 1
        visit = Visit(site, child, *moments)
        self.plan.entering(visit)
        self.live[visit] = None
        return visit

    def _end(self, visit: Visit) -> None:
        self.live.pop(visit, None)
        self.plan.ended(visit)

    async def hold_await(self, site: Site, awaitable: Awaitable[T]) -> T:
        try:
            visit = self._begin(site, "before", "within", "after")
        except BaseException:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
        if visit is None:
            return await awaitable
        try:
            with trio.CancelScope() as visit.scope:
                result = await awaitable
            if visit.boom is not None:
                raise visit.boom
            self.plan.leaving(visit)
        finally:
            self._end(visit)
        return result

    async def hold_enter(self, site: Site, manager: AbstractAsyncContextManager[T]) -> T:
        visit = self._begin(site, "before", "within")
        try:
            return await manager.__aenter__()
        finally:
            if visit is not None:
                self._end(visit)

    async def hold_exit(self, site: Site, manager: AbstractAsyncContextManager[Any], *error: Any) -> bool | None:
        """Nothing before it: a manager that is never left could not happen."""
        child = child_around(trio.lowlevel.current_task())
        if not isinstance(child, Incarnation):
            return await manager.__aexit__(*error)
        visit = Visit(site, child, "after")
        self.live[visit] = None
        if error[0] is None:
            self.plan.entering(visit)
        try:
            caught = await manager.__aexit__(*error)
            self.plan.leaving(visit)
        finally:
            self._end(visit)
        return caught


class _Manager:
    def __init__(self, holds: Holds, site: Site, manager: AbstractAsyncContextManager[Any]) -> None:
        self._holds = holds
        self._site = site
        self._manager = manager

    async def __aenter__(self) -> Any:
        return await self._holds.hold_enter(self._site, self._manager)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._holds.hold_exit(self._site, self._manager, kind, error, trace)


class _Iterator:
    def __init__(self, holds: Holds, site: Site, iterator: AsyncIterator[Any]) -> None:
        self._holds = holds
        self._site = site
        self._iterator = iterator

    def __aiter__(self) -> "_Iterator":
        return self

    async def __anext__(self) -> Any:
        return await self._holds.hold_await(self._site, _next(self._iterator))


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()


def _hide(*functions: Callable[..., Any]) -> None:
    """The debug tree shows where a process waits, but for frames of trio: let these pass for such."""
    for function in functions:
        function.__code__ = function.__code__.replace(co_filename=trio.__file__)


_hide(
    Holds.hold_await, Holds.hold_enter, Holds.hold_exit, _Manager.__aenter__, _Manager.__aexit__, _Iterator.__anext__,
    _next,
)  # fmt: skip


class _Finder(ast.NodeTransformer):
    """Finds the sites of a module, and leads each through a global function of the module."""

    def __init__(self, module: str, source: str) -> None:
        self.sites: list[Site] = []
        self._module = module
        self._lines = source.splitlines()
        self._names: list[str] = []

    def _add(self, node: Any, kind: str, at: ast.AST) -> ast.expr:
        line = self._lines[node.lineno - 1].strip()
        function = ".".join(self._names)
        self.sites.append(Site(self._module, node.lineno, node.col_offset, kind, function, line))
        return ast.copy_location(ast.Constant(len(self.sites) - 1), at)

    def _call(self, kind: str, number: ast.expr, of: ast.expr) -> ast.expr:
        name = ast.copy_location(ast.Name(PREFIX + kind.replace(" ", "_"), ast.Load()), of)
        return ast.copy_location(ast.Call(name, [number, of], []), of)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        number = self._add(node, "await", node.value)
        self.generic_visit(node)
        node.value = self._call("await", number, node.value)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        number = self._add(node, "async for", node.iter)
        self.generic_visit(node)
        node.iter = self._call("async for", number, node.iter)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        numbers = [self._add(item.context_expr, "async with", item.context_expr) for item in node.items]
        self.generic_visit(node)
        for number, item in zip(numbers, node.items, strict=True):
            item.context_expr = self._call("async with", number, item.context_expr)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        assert not node.is_async, "no such thing in the server so far: lead it through as an `async for`"
        self.generic_visit(node)
        return node

    def _visit_named(self, node: Any) -> ast.AST:
        self._names.append(node.name)
        self.generic_visit(node)
        self._names.pop()
        return node  # type: ignore[no-any-return]

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _visit_named  # noqa: N815 - see above


@cache
def _parse(module: ModuleType) -> tuple[list[Site], dict[tuple[str, int], CodeType]]:
    """Reads the sites of a module, and the code of its functions that leads through them, by name and line."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    finder = _Finder(module.__name__, source)
    tree = ast.fix_missing_locations(finder.visit(ast.parse(source)))
    whole = compile(tree, module.__file__, "exec", dont_inherit=True)
    return finder.sites, {(code.co_qualname, code.co_firstlineno): code for code in _codes(whole) if _is_led(code)}


def sites_of(modules: Iterable[ModuleType]) -> list[Site]:
    return [site for module in modules for site in _parse(module)[0]]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _is_led(code: CodeType) -> bool:
    """Whether there is a site in it, or in a function within it."""
    return any(name.startswith(PREFIX) for name in code.co_names) or any(map(_is_led, _codes(code)))


@contextmanager
def held(modules: Sequence[ModuleType], holds: Holds) -> Iterator[None]:
    """Until it ends, tasks that enter the modules' functions are led through `holds` at each site."""
    files = {module.__file__ for module in modules}
    functions = defaultdict[str, list[FunctionType]](list)
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename in files:
            functions[thing.__code__.co_filename].append(thing)
    before: list[tuple[FunctionType, CodeType]] = []
    try:
        for module in modules:
            sites, led = _parse(module)
            _lead_through(module, sites, holds)
            for function in functions[module.__file__ or ""]:
                old = function.__code__
                if (code := led.get((old.co_qualname, old.co_firstlineno))) is not None:
                    before.append((function, old))
                    function.__code__ = code
        yield
    finally:
        for function, old in before:
            function.__code__ = old


def _lead_through(module: ModuleType, sites: list[Site], holds: Holds) -> None:
    def hold_await(number: int, awaitable: Awaitable[T]) -> Awaitable[T]:
        return holds.hold_await(sites[number], awaitable)

    def hold_with(number: int, manager: AbstractAsyncContextManager[Any]) -> _Manager:
        return _Manager(holds, sites[number], manager)

    def hold_for(number: int, iterable: Any) -> _Iterator:
        return _Iterator(holds, sites[number], aiter(iterable))

    names = {"await": hold_await, "async_with": hold_with, "async_for": hold_for}
    vars(module).update({PREFIX + name: function for name, function in names.items()})


def modules_below(*names: str) -> list[ModuleType]:
    """The loaded modules of these packages, in the order of their names."""
    return [
        module
        for name, module in sorted(sys.modules.items())
        if any(name == one or name.startswith(f"{one}.") for one in names)
    ]
