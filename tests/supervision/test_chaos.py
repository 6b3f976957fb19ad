"""Random kills, restarts and cancellations at any moment. Hypothesis prints the plan that fails and shrinks it."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    BRUTAL_KILL,
    Child,
    ChildSpec,
    DynamicSupervisor,
    Kind,
    State,
    Strategy,
    SupervisionError,
    Supervisor,
    SupervisorGaveUp,
    Tree,
    open_tree,
)
from bimip.supervision.policy import RestartWindow

UNLIMITED = 1_000_000
PATHS = [
    "top/one/a", "top/one/b", "top/one", "top/all/c", "top/all/d", "top/all", "top/rest/e", "top/rest/deep/f",
    "top/rest/deep", "top/rest/g", "top/rest", "top/many/h", "top/many/i", "top/many",
]  # fmt: skip
SHAPE = {"top", *PATHS}
# A dynamic child that is killed before its first start is complete is forgotten.
MAY_BE_MISSING = {"top/many/h", "top/many/i"}
DELAYS = st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
PLANS = st.lists(
    st.tuples(DELAYS, st.sampled_from(["kill", "kill", "restart", "crash"]), st.sampled_from(PATHS)), max_size=25
)


class Plant:
    """Workers that take time to start and to stop; `alive` counts their tasks by id."""

    def __init__(self) -> None:
        self.alive: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._crash: dict[str, trio.Event] = {}

    async def worker(self, child: Child) -> None:
        crash = self._crash[child.path] = trio.Event()
        self.alive[child.id] += 1
        self.most |= self.alive
        try:
            await trio.sleep(1)
            child.started()
            await crash.wait()
            raise ValueError(child.id)
        finally:
            try:
                with child.grace():
                    await trio.sleep(2)
            finally:
                self.alive[child.id] -= 1

    def crash(self, path: str) -> None:
        if path in self._crash:
            self._crash[path].set()

    def root(self, intensity: int) -> Supervisor:
        def spec(child_id: str, shutdown: float = 5.0) -> ChildSpec:
            return ChildSpec(child_id, self.worker, shutdown=shutdown)

        def group(strategy: Strategy, *specs: ChildSpec) -> Supervisor:
            return Supervisor(specs, strategy=strategy, intensity=intensity)

        def fill(start: Callable[[ChildSpec], None]) -> None:
            for child_id in "hi":
                start(spec(child_id))

        one = group(Strategy.ONE_FOR_ONE, spec("a"), spec("b", BRUTAL_KILL))
        every = group(Strategy.ONE_FOR_ALL, spec("c"), spec("d", 1.0))
        deep = group(Strategy.ONE_FOR_ONE, spec("f"))
        rest = group(Strategy.REST_FOR_ONE, spec("e"), ChildSpec("deep", deep, shutdown=1.0), spec("g"))
        many = DynamicSupervisor(intensity=intensity, on_ready=lambda children: fill(children.start_child_nowait))
        specs = [ChildSpec("one", one), ChildSpec("all", every), ChildSpec("rest", rest), ChildSpec("many", many)]
        return Supervisor(specs, intensity=intensity)


async def act(tree: Tree, plant: Plant, what: str, path: str) -> None:
    try:
        match what:
            case "kill":
                await tree.kill(path)
            case "restart":
                await tree.restart(path)
            case _:
                plant.crash(path)
    except SupervisionError:
        pass  # not there now, or it went away meanwhile: an answer at least


async def scenario(plan: list[tuple[float, str, str]], intensity: int, cancel_after: float) -> None:
    plant = Plant()
    try:
        with trio.move_on_after(cancel_after):
            async with open_tree(plant.root(intensity), name="top") as tree, trio.open_nursery() as nursery:
                for delay, what, path in plan:
                    await trio.sleep(delay)
                    nursery.start_soon(act, tree, plant, what, path)
                await trio.sleep(1000)

                assert {each.path for each in tree.snapshot().walk()} | MAY_BE_MISSING == SHAPE
                assert {each.state for each in tree.snapshot().walk()} == {State.RUNNING}
                workers = Counter(each.id for each in tree.snapshot().walk() if each.kind is Kind.WORKER)
                assert workers == +plant.alive
    except SupervisorGaveUp:
        assert intensity < UNLIMITED
    # Nothing outlives its supervisor, and no child ever ran twice at a time.
    assert plant.alive.total() == 0
    assert set(plant.most.values()) <= {1}


@settings(deadline=None, max_examples=150)
@given(PLANS)
def test_whatever_is_killed_the_tree_regains_its_shape(plan: list[tuple[float, str, str]]) -> None:
    trio.run(scenario, plan, UNLIMITED, 1_000_000, clock=MockClock(autojump_threshold=0))


@settings(deadline=None, max_examples=150)
@given(PLANS, st.integers(0, 3), st.floats(0, 60))
def test_whatever_is_killed_or_cancelled_nothing_hangs_and_nothing_is_left(
    plan: list[tuple[float, str, str]], intensity: int, cancel_after: float
) -> None:
    trio.run(scenario, plan, intensity, cancel_after, clock=MockClock(autojump_threshold=0))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([0.25, 1.0, 2.0, 5.0, 6.0]), max_size=12), st.integers(0, 3), st.sampled_from(Strategy))
def test_it_gives_up_exactly_when_the_window_says_so(gaps: list[float], intensity: int, strategy: Strategy) -> None:
    async def worker(child: Child) -> None:
        child.started()
        await trio.sleep_forever()

    async def kills() -> int:
        survived = 0
        root = Supervisor([ChildSpec(i, worker) for i in "abc"], strategy=strategy, intensity=intensity, period=5.0)
        with suppress(SupervisorGaveUp):
            async with open_tree(root) as tree:
                for number, gap in enumerate(gaps):
                    await trio.sleep(gap)
                    await tree.kill(f"bimip/{'abc'[number % 3]}")
                    await wait_all_tasks_blocked()
                    survived += 1
        return survived

    window, now, expected = RestartWindow(intensity, 5.0), 0.0, 0
    for gap in gaps:
        now += gap
        if not window.add(now):
            break
        expected += 1

    assert expected == trio.run(kills, clock=MockClock(autojump_threshold=0))
