"""OTP's rules for a supervisor with a fixed list of children, each by name, under virtual time."""

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    BRUTAL_KILL,
    Action,
    AutoShutdown,
    Child,
    ChildFailedToStart,
    ChildSpec,
    Crashed,
    Exit,
    Factory,
    GaveUp,
    NoSuchProcess,
    Overdue,
    Progress,
    Report,
    Restart,
    State,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    SupervisorStopping,
    Tree,
    open_tree,
)

ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE
PERMANENT, TRANSIENT, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


class Lab:
    """Workers that do as told, and what happened: "+a" started, "-a" ended."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.reports: list[Report] = []
        self.failing_starts: Counter[str] = Counter()
        self.hanging_starts: set[str] = set()
        self.cleanup: dict[str, float] = {}
        self.alive: Counter[str] = Counter()
        self._orders: dict[str, tuple[trio.Event, list[Exception]]] = {}

    async def worker(self, child: Child) -> None:
        self.alive[child.id] += 1
        try:
            if self.failing_starts[child.id] > 0:
                self.failing_starts[child.id] -= 1
                raise OSError(f"{child.id} cannot start")
            if child.id in self.hanging_starts:
                await trio.sleep_forever()
            self._orders[child.id] = order, errors = trio.Event(), list[Exception]()
            self.log.append(f"+{child.id}")
            child.started(child.id.upper())
            await order.wait()
            if errors:
                raise errors[0]
        finally:
            with child.grace():
                await trio.sleep(self.cleanup.get(child.id, 0))
                self.log.append(f"-{child.id}")
            self.alive[child.id] -= 1

    def spec(self, child_id: str, restart: Restart = PERMANENT, **options: float) -> ChildSpec:
        return ChildSpec(child_id, self.worker, restart, **options)  # type: ignore[arg-type]  # bool is a float too

    def specs(self, ids: str, restart: Restart = PERMANENT) -> Sequence[ChildSpec]:
        return [self.spec(child_id, restart) for child_id in ids]

    def finish_nowait(self, child_id: str) -> None:
        self._orders[child_id][0].set()

    def crash_nowait(self, child_id: str) -> None:
        self._orders[child_id][1].append(ValueError(child_id))
        self._orders[child_id][0].set()

    async def finish(self, child_id: str) -> None:
        self.finish_nowait(child_id)
        await wait_all_tasks_blocked()

    async def crash(self, child_id: str) -> None:
        self.crash_nowait(child_id)
        await wait_all_tasks_blocked()

    def take_log(self) -> str:
        taken = " ".join(self.log)
        self.log.clear()
        return taken

    def crashes(self) -> list[tuple[str, Exit, Action]]:
        return [(each.path, each.reason.exit, each.will) for each in self.reports if isinstance(each, Crashed)]

    @asynccontextmanager
    async def open(self, supervisor: Supervisor) -> AsyncIterator[Tree]:
        async with open_tree(supervisor, name="top", report=self.reports.append) as tree:
            self.log.clear()
            yield tree
        assert self.alive.total() == 0


@pytest.fixture
def lab() -> Lab:
    return Lab()


async def test_children_start_in_order_and_stop_in_reverse(autojump_clock: MockClock, lab: Lab) -> None:
    async with open_tree(Supervisor(lab.specs("abc"))):
        assert lab.take_log() == "+a +b +c"
    assert lab.take_log() == "-c -b -a"


async def test_start_is_synchronous(autojump_clock: MockClock, lab: Lab) -> None:
    """The next sibling, and the body, begin only after `started()`."""
    begun: list[tuple[str, float]] = []

    async def slow(child: Child) -> None:
        begun.append((child.id, trio.current_time()))
        await trio.sleep(3)
        child.started()
        await trio.sleep_forever()

    async with open_tree(Supervisor([ChildSpec("a", slow), ChildSpec("b", slow)])):
        begun.append(("body", trio.current_time()))

    assert begun == [("a", 0.0), ("b", 3.0), ("body", 6.0)]


async def test_a_failed_start_unwinds_in_reverse_order_and_fails_the_supervisor(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.failing_starts["c"] = 1

    with pytest.raises(ChildFailedToStart, match="top/c") as caught:
        async with lab.open(Supervisor(lab.specs("abcd"))):
            pytest.fail("the body must not run")

    assert isinstance(caught.value.__cause__, OSError)
    assert lab.take_log() == "+a +b -c -b -a"
    assert lab.crashes() == [("top/c", Exit.CRASHED, Action.GIVE_UP), ("top", Exit.CRASHED, Action.IGNORE)]


async def test_returning_before_started_is_a_failed_start(autojump_clock: MockClock) -> None:
    async def returns(_child: Child) -> None:
        pass

    with pytest.raises(ChildFailedToStart) as caught:
        async with open_tree(Supervisor([ChildSpec("a", returns, TEMPORARY)])):
            pytest.fail("the body must not run")

    assert caught.value.reason.exit is Exit.NORMAL


async def test_ready_at_once_needs_no_started(autojump_clock: MockClock) -> None:
    async def never_says(_child: Child) -> None:
        await trio.sleep_forever()

    async with open_tree(Supervisor([ChildSpec("a", never_says, ready_at_once=True)])) as tree:
        assert tree.snapshot("bimip/a").state is State.RUNNING


async def test_a_start_that_never_returns_ends_by_kill(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor(lab.specs("ab"))) as tree, trio.open_nursery() as nursery:
        lab.hanging_starts.add("b")
        lab.crash_nowait("b")
        await trio.sleep(100)
        nursery.start_soon(tree.restart, "top/a")
        await trio.sleep(100)
        assert tree.snapshot("top/b").state is State.STARTING
        lab.hanging_starts.clear()
        await tree.kill("top/b")

    assert [will for path, _, will in lab.crashes() if path == "top/b"] == [Action.RESTART, Action.RESTART]


async def test_a_start_that_never_returns_ends_by_cancelling_the_tree(autojump_clock: MockClock, lab: Lab) -> None:
    lab.hanging_starts.add("b")

    with trio.move_on_after(100) as scope:
        async with lab.open(Supervisor([ChildSpec("s", Supervisor(lab.specs("ab")))])):
            pytest.fail("the body must not run")

    assert scope.cancelled_caught
    assert lab.take_log() == "+a -b -a"
    assert lab.alive.total() == 0


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("how", [Exit.NORMAL, Exit.KILLED, Exit.CRASHED])
async def test_restart_type_by_exit_reason(autojump_clock: MockClock, lab: Lab, restart: Restart, how: Exit) -> None:
    restarted = {
        PERMANENT: {Exit.NORMAL, Exit.KILLED, Exit.CRASHED},
        TRANSIENT: {Exit.KILLED, Exit.CRASHED},
        TEMPORARY: set[Exit](),
    }
    async with lab.open(Supervisor(lab.specs("a", restart))) as tree:
        match how:
            case Exit.NORMAL:
                await lab.finish("a")
            case Exit.KILLED:
                await tree.kill("top/a")
                await wait_all_tasks_blocked()
            case _:
                await lab.crash("a")

        expected = {"a": State.RUNNING} if how in restarted[restart] else {"a": State.STOPPED}
        if restart is TEMPORARY:
            expected = {}  # forgotten
        assert expected == {child.id: child.state for child in tree.which_children("top")}


@pytest.mark.parametrize(
    ("strategy", "crashed", "expected"),
    [
        (ONE, "b", "-b +b"),
        (ALL, "a", "-a -d -c -b +a +b +c +d"),
        (ALL, "d", "-d -c -b -a +a +b +c +d"),
        (REST, "a", "-a -d -c -b +a +b +c +d"),
        (REST, "b", "-b -d -c +b +c +d"),
        (REST, "d", "-d +d"),
    ],
)
async def test_strategy(autojump_clock: MockClock, lab: Lab, strategy: Strategy, crashed: str, expected: str) -> None:
    async with lab.open(Supervisor(lab.specs("abcd"), strategy=strategy)) as tree:
        await lab.crash(crashed)

        assert expected == lab.take_log()
        assert all(child.state is State.RUNNING for child in tree.which_children("top"))


@pytest.mark.parametrize("strategy", [ALL, REST])
async def test_a_temporary_child_taken_down_by_a_siblings_restart_is_forgotten(
    autojump_clock: MockClock, lab: Lab, strategy: Strategy
) -> None:
    specs = [lab.spec("a"), lab.spec("t", TEMPORARY), lab.spec("b")]
    async with lab.open(Supervisor(specs, strategy=strategy)) as tree:
        await lab.crash("a")

        assert lab.take_log() == "-a -b -t +a +b"
        assert [child.id for child in tree.which_children("top")] == ["a", "b"]


@pytest.mark.parametrize("strategy", Strategy)
async def test_the_crash_of_a_temporary_child_concerns_nobody(
    autojump_clock: MockClock, lab: Lab, strategy: Strategy
) -> None:
    specs = [lab.spec("t", TEMPORARY), lab.spec("a")]
    async with lab.open(Supervisor(specs, strategy=strategy, intensity=0)):
        await lab.crash("t")

        assert lab.take_log() == "-t"
        assert lab.crashes() == [("top/t", Exit.CRASHED, Action.IGNORE)]


@pytest.mark.parametrize("strategy", [ALL, REST])
async def test_a_transient_child_that_ended_comes_back_with_its_group(
    autojump_clock: MockClock, lab: Lab, strategy: Strategy
) -> None:
    specs = [lab.spec("a"), lab.spec("t", TRANSIENT)]
    async with lab.open(Supervisor(specs, strategy=strategy)):
        await lab.finish("t")
        await lab.crash("a")

        assert lab.take_log() == "-t -a +a +t"


async def test_it_gives_up_at_the_restart_after_intensity(autojump_clock: MockClock, lab: Lab) -> None:
    with pytest.raises(SupervisorGaveUp, match="more than 2 restarts within 5 s; the last was a") as caught:  # noqa: PT012 -- the tree raises
        async with lab.open(Supervisor(lab.specs("abc"), intensity=2, period=5.0)) as tree:
            await lab.crash("a")
            await lab.crash("b")
            assert tree.budgets()["top"].left == 0
            lab.take_log()
            await lab.crash("a")
            pytest.fail("the body must be cancelled")

    assert isinstance(caught.value.__cause__, ValueError)
    assert lab.take_log() == "-a -c -b"
    assert lab.crashes() == [
        ("top/a", Exit.CRASHED, Action.RESTART),
        ("top/b", Exit.CRASHED, Action.RESTART),
        ("top/a", Exit.CRASHED, Action.GIVE_UP),
        ("top", Exit.CRASHED, Action.IGNORE),
    ]
    gave_up = [each for each in lab.reports if isinstance(each, GaveUp)]
    assert [(each.path, each.child, each.intensity, each.period) for each in gave_up] == [("top", "a", 2, 5.0)]


async def test_intensity_0_gives_up_at_the_first(autojump_clock: MockClock, lab: Lab) -> None:
    with pytest.raises(SupervisorGaveUp):
        async with lab.open(Supervisor(lab.specs("a"), intensity=0)):
            await lab.crash("a")


@pytest.mark.parametrize(("gap", "survives"), [(4.9, False), (5.0, False), (5.1, True)])
async def test_a_restart_a_period_ago_still_counts(
    autojump_clock: MockClock, lab: Lab, gap: float, *, survives: bool
) -> None:
    survived = False
    try:
        async with lab.open(Supervisor(lab.specs("a"), intensity=1, period=5.0)):
            await lab.crash("a")
            await trio.sleep(gap)
            await lab.crash("a")
            survived = True
    except SupervisorGaveUp:
        pass

    assert survives is survived


async def test_a_group_restart_counts_once(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor(lab.specs("abcd"), strategy=ALL, intensity=1)) as tree:
        await lab.crash("b")

        assert tree.budgets()["top"].restarts == 1
        assert [child.restarts for child in tree.snapshot().children] == [1, 1, 1, 1]


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_failed_restart_is_tried_again_and_counted(
    autojump_clock: MockClock, lab: Lab, strategy: Strategy
) -> None:
    async with lab.open(Supervisor(lab.specs("abc"), strategy=strategy, intensity=3)) as tree:
        lab.failing_starts["b"] = 2
        await lab.crash("b")

        assert tree.budgets()["top"].restarts == 3
        assert all(child.state is State.RUNNING for child in tree.which_children("top"))
        # Each try begins with whom the strategy says of the child that failed.
        assert (
            lab.take_log()
            == {
                ONE: "-b -b -b +b",
                ALL: "-b -c -a +a -b -a +a -b -a +a +b +c",
                REST: "-b -c -b -b +b +c",
            }[strategy]
        )


async def test_a_restart_that_keeps_failing_uses_up_the_budget(autojump_clock: MockClock, lab: Lab) -> None:
    with pytest.raises(SupervisorGaveUp):  # noqa: PT012 -- the tree raises
        async with lab.open(Supervisor(lab.specs("abc"), strategy=REST, intensity=3)):
            lab.failing_starts["b"] = 4
            await lab.crash("b")

    assert [will for path, _, will in lab.crashes() if path == "top/b"] == [Action.RESTART] * 3 + [Action.GIVE_UP]


async def test_a_transient_child_whose_restart_fails_is_tried_again_however_it_ended(autojump_clock: MockClock) -> None:
    lives = 0

    async def worker(child: Child) -> None:
        nonlocal lives
        lives += 1
        if lives == 2:
            return
        child.started()
        if lives == 1:
            raise ValueError
        await trio.sleep_forever()

    async with open_tree(Supervisor([ChildSpec("a", worker, TRANSIENT)])) as tree:
        await wait_all_tasks_blocked()

        assert lives == 3
        assert tree.snapshot("bimip/a").restarts == 2


async def test_a_child_that_crashes_while_another_starts_waits_its_turn(autojump_clock: MockClock, lab: Lab) -> None:
    """As in OTP, where the exit signal waits in the mailbox."""

    async def slow(child: Child) -> None:
        lab.crash_nowait("a")
        await trio.sleep(10)
        lab.log.append("+slow")
        child.started()
        await trio.sleep_forever()

    async with open_tree(Supervisor([lab.spec("a"), ChildSpec("slow", slow)])):
        await wait_all_tasks_blocked()

        assert lab.take_log() == "+a -a +slow +a"


async def test_a_child_that_crashed_while_its_group_restarted_is_restarted_once_and_reported(
    autojump_clock: MockClock, lab: Lab
) -> None:
    async with lab.open(Supervisor(lab.specs("abc"), strategy=ALL, intensity=1)):
        lab.crash_nowait("a")
        lab.crash_nowait("c")
        await wait_all_tasks_blocked()

        assert Counter(["-a", "-c", "-b", "+a", "+b", "+c"]) == Counter(lab.log)
        assert {("top/a", Exit.CRASHED, Action.RESTART), ("top/c", Exit.CRASHED, Action.RESTART)} == set(lab.crashes())


async def test_grace_is_cut_after_shutdown_seconds(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 100
    async with lab.open(Supervisor([lab.spec("a", shutdown=7.0)])):
        pass

    assert trio.current_time() == 7.0
    assert lab.take_log() == ""
    assert lab.crashes() == [("top/a", Exit.KILLED, Action.IGNORE)]


async def test_grace_that_suffices_is_an_orderly_end(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 6
    async with lab.open(Supervisor([lab.spec("a", shutdown=7.0)])):
        pass

    assert trio.current_time() == 6.0
    assert lab.take_log() == "-a"
    assert lab.crashes() == []


async def test_brutal_kill_cuts_grace_at_its_first_checkpoint(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 1
    async with lab.open(Supervisor([lab.spec("a", shutdown=BRUTAL_KILL)])):
        pass

    assert trio.current_time() == 0
    assert lab.take_log() == ""
    assert lab.crashes() == []


async def test_infinity_waits(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 10_000
    async with lab.open(Supervisor([lab.spec("a", shutdown=math.inf)])):
        pass

    assert trio.current_time() == 10_000


async def test_each_child_has_its_own_time(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup.update(a=100, b=100, c=1)
    async with lab.open(Supervisor([lab.spec("a", shutdown=2.0), lab.spec("b", shutdown=3.0), lab.spec("c")])):
        pass

    assert trio.current_time() == 6.0


async def test_a_supervisor_lends_no_more_time_than_it_has(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup.update(a=100, b=100)
    nested = ChildSpec("s", Supervisor([lab.spec("a", shutdown=50.0), lab.spec("b", shutdown=2.0)]), shutdown=4.0)
    async with lab.open(Supervisor([nested])):
        pass

    assert trio.current_time() == 4.0


async def test_a_kill_cuts_a_stop_that_is_under_way(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 100
    nested = ChildSpec("s", Supervisor([lab.spec("a", shutdown=math.inf)]))
    async with lab.open(Supervisor([nested])) as tree, trio.open_nursery() as nursery:
        nursery.start_soon(tree.terminate, "top/s")
        await trio.sleep(1)
        assert tree.snapshot("top/s/a").state is State.STOPPING
        await tree.kill("top/s")
        await wait_all_tasks_blocked()

        assert trio.current_time() == 1.0
        assert tree.snapshot("top/s").state is State.STOPPED


async def test_a_crash_while_stopping_is_reported(autojump_clock: MockClock, lab: Lab) -> None:
    async def worker(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("in clean-up")

    async with lab.open(Supervisor([ChildSpec("a", worker)])):
        pass

    assert lab.crashes() == [("top/a", Exit.CRASHED, Action.IGNORE)]


async def test_a_child_that_does_not_stop_is_reported_and_awaited(autojump_clock: MockClock, lab: Lab) -> None:
    async def stubborn(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)

    async with lab.open(Supervisor([ChildSpec("a", stubborn, shutdown=3.0)])):
        pass

    assert trio.current_time() == 60.0
    overdue = [each for each in lab.reports if isinstance(each, Overdue)]
    assert [each.path for each in overdue] == ["top/a"]
    assert "stubborn" in overdue[0].waiting_at


@pytest.mark.parametrize("how", ["finish", "crash"])
async def test_any_significant(autojump_clock: MockClock, lab: Lab, how: str) -> None:
    """A significant temporary child ends its supervisor however it ends."""
    specs = [
        lab.spec("a"),
        lab.spec("x", TEMPORARY, significant=True),
        lab.spec("y", TEMPORARY, significant=True),
    ]
    async with lab.open(Supervisor(specs, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)):
        getattr(lab, f"{how}_nowait")("x")
        await trio.sleep(math.inf)

    assert lab.take_log() == "-x -y -a"


async def test_a_significant_transient_child_that_crashes_is_restarted(autojump_clock: MockClock, lab: Lab) -> None:
    specs = [lab.spec("x", TRANSIENT, significant=True)]
    async with lab.open(Supervisor(specs, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)):
        await lab.crash("x")
        assert lab.take_log() == "-x +x"
        lab.finish_nowait("x")
        await trio.sleep(math.inf)

    assert lab.take_log() == "-x"


async def test_all_significant(autojump_clock: MockClock, lab: Lab) -> None:
    specs = [
        lab.spec("a"),
        lab.spec("x", TEMPORARY, significant=True),
        lab.spec("y", TRANSIENT, significant=True),
    ]
    async with lab.open(Supervisor(specs, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)):
        await lab.finish("y")
        assert lab.take_log() == "-y"
        lab.finish_nowait("x")
        await trio.sleep(math.inf)

    assert lab.take_log() == "-x -a"


async def test_a_significant_child_that_was_terminated_does_not_end_its_supervisor(
    autojump_clock: MockClock, lab: Lab
) -> None:
    specs = [lab.spec("a"), lab.spec("x", TEMPORARY, significant=True), lab.spec("y", TRANSIENT, significant=True)]
    async with lab.open(Supervisor(specs, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)) as tree:
        await tree.terminate("top/x")
        await tree.terminate("top/y")

        assert [(child.id, child.state) for child in tree.which_children("top")] == [
            ("a", State.RUNNING),
            ("y", State.STOPPED),
        ]


@pytest.mark.parametrize(("restart", "expected"), [(PERMANENT, "+x"), (TRANSIENT, ""), (TEMPORARY, "")])
async def test_the_end_by_significant_children_is_shutdown(
    autojump_clock: MockClock, lab: Lab, restart: Restart, expected: str
) -> None:
    """Normal to a transient supervisor; a permanent one is started again."""
    nested = Supervisor([lab.spec("x", TEMPORARY, significant=True)], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    async with lab.open(Supervisor([ChildSpec("s", nested, restart)])):
        await lab.finish("x")

        assert f"-x {expected}".strip() == lab.take_log()


@pytest.mark.parametrize(("restart", "expected"), [(PERMANENT, "-x +x"), (TRANSIENT, "-x +x"), (TEMPORARY, "-x")])
async def test_giving_up_is_a_crash_so_a_transient_supervisor_is_restarted(
    autojump_clock: MockClock, lab: Lab, restart: Restart, expected: str
) -> None:
    nested = Supervisor(lab.specs("x"), intensity=0)
    async with lab.open(Supervisor([ChildSpec("s", nested, restart)])):
        await lab.crash("x")

        assert expected == lab.take_log()
        assert ("top/s", Exit.CRASHED, Action.IGNORE if restart is TEMPORARY else Action.RESTART) in lab.crashes()


async def test_failure_escalates_through_nested_supervisors(autojump_clock: MockClock, lab: Lab) -> None:
    """Each level allows one restart, so the leaf may crash 2 x 2 x 2 - 1 times."""
    leaf = Supervisor(lab.specs("x"), intensity=1, period=100.0)
    middle = Supervisor([ChildSpec("leaf", leaf)], intensity=1, period=100.0)
    crashes = 0
    with pytest.raises(SupervisorGaveUp, match=r"^top gave up") as caught:  # noqa: PT012 -- the tree raises
        async with lab.open(Supervisor([ChildSpec("middle", middle)], intensity=1, period=100.0)):
            while True:
                crashes += 1
                await lab.crash("x")

    assert crashes == 8
    cause: BaseException | None = caught.value
    chain = []
    while cause is not None:
        chain.append(type(cause))
        cause = cause.__cause__
    assert [SupervisorGaveUp, SupervisorGaveUp, SupervisorGaveUp, ValueError] == chain


async def test_a_nested_supervisor_that_cannot_start_again_counts_against_its_parent(
    autojump_clock: MockClock, lab: Lab
) -> None:
    nested = Supervisor(lab.specs("x"), intensity=0)
    async with lab.open(Supervisor([ChildSpec("s", nested)], intensity=2)) as tree:
        lab.failing_starts["x"] = 1
        await lab.crash("x")

        assert tree.budgets()["top"].restarts == 2
        assert tree.snapshot("top/s/x").state is State.RUNNING


async def test_fresh_makes_a_supervisor_for_each_incarnation(autojump_clock: MockClock, lab: Lab) -> None:
    made: list[list[str]] = []

    def make() -> Supervisor:
        state: list[str] = []
        made.append(state)

        async def worker(child: Child) -> None:
            state.append("begun")
            await lab.worker(child)

        return Supervisor([ChildSpec("x", worker)], intensity=1)

    async with lab.open(Supervisor([ChildSpec("s", Factory(make))])) as tree:
        await lab.crash("x")
        await lab.crash("x")
        assert made == [["begun", "begun"], ["begun"]]
        await tree.restart("top/s")

    assert made == [["begun", "begun"], ["begun"], ["begun"]]


async def test_a_fresh_that_raises_is_a_failed_start(autojump_clock: MockClock) -> None:
    def make() -> Supervisor:
        raise LookupError("no configuration")

    with pytest.raises(ChildFailedToStart, match="no configuration"):
        async with open_tree(Supervisor([ChildSpec("s", Factory(make))])):
            pytest.fail("the body must not run")


async def test_terminate_keeps_the_child_down_until_it_is_restarted(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor(lab.specs("ab"))) as tree:
        await tree.terminate("top/a")
        assert tree.snapshot("top/a").state is State.STOPPED
        await tree.terminate("top/a")
        await tree.restart("top/a")

        assert lab.take_log() == "-a +a"
        assert tree.budgets()["top"].restarts == 0


async def test_restart_concerns_the_child_alone_and_is_not_counted(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor(lab.specs("abc"), strategy=ALL, intensity=0)) as tree:
        await tree.restart("top/b")

        assert lab.take_log() == "-b +b"
        assert lab.crashes() == []


async def test_restart_of_a_temporary_child(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor(lab.specs("a", TEMPORARY))) as tree:
        await tree.restart("top/a")
        assert lab.take_log() == "-a +a"
        lab.failing_starts["a"] = 1
        with pytest.raises(ChildFailedToStart):
            await tree.restart("top/a")
        await wait_all_tasks_blocked()

        assert list(tree.which_children("top")) == []


async def test_a_restart_whose_start_fails_tells_the_caller_and_goes_by_the_policy(
    autojump_clock: MockClock, lab: Lab
) -> None:
    async with lab.open(Supervisor(lab.specs("a"))) as tree:
        lab.failing_starts["a"] = 1
        with pytest.raises(ChildFailedToStart, match="a cannot start"):
            await tree.restart("top/a")
        await wait_all_tasks_blocked()

        assert tree.snapshot("top/a").state is State.RUNNING
        assert tree.budgets()["top"].restarts == 1


async def test_whoever_awaits_a_supervisor_that_is_killed_gets_an_error(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 5
    nested = ChildSpec("s", Supervisor(lab.specs("ab")))
    async with lab.open(Supervisor([nested])) as tree, trio.open_nursery() as nursery:

        async def restart(path: str) -> None:
            with pytest.raises(SupervisorStopping):
                await tree.restart(path)

        nursery.start_soon(restart, "top/s/a")  # in the middle of it
        await trio.sleep(1)
        nursery.start_soon(restart, "top/s/b")  # in the queue
        await trio.sleep(1)
        await tree.kill("top/s")


async def test_a_request_for_a_child_that_was_forgotten_meanwhile(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 5
    specs = [lab.spec("a"), lab.spec("t", TEMPORARY)]
    async with lab.open(Supervisor(specs)) as tree, trio.open_nursery() as nursery:
        nursery.start_soon(tree.restart, "top/a")
        await trio.sleep(1)
        nursery.start_soon(tree.terminate, "top/t")

        async def too_late() -> None:
            with pytest.raises(NoSuchProcess):
                await tree.restart("top/t")

        await trio.sleep(1)
        nursery.start_soon(too_late)


async def test_cancelling_a_caller_leaves_the_restart_to_be_done(autojump_clock: MockClock, lab: Lab) -> None:
    lab.cleanup["a"] = 4
    async with lab.open(Supervisor(lab.specs("a"))) as tree:
        with trio.move_on_after(1) as scope:
            await tree.restart("top/a")
        assert scope.cancelled_caught
        await trio.sleep(5)

        assert lab.take_log() == "-a +a"


async def test_progress_is_reported_for_each_start_and_restart(autojump_clock: MockClock, lab: Lab) -> None:
    async with lab.open(Supervisor([ChildSpec("s", Supervisor(lab.specs("ab")))])):
        await lab.crash("a")

    assert [(each.path, each.restarts) for each in lab.reports if isinstance(each, Progress)] == [
        ("top/s/a", 0),
        ("top/s/b", 0),
        ("top/s", 0),
        ("top", 0),
        ("top/s/a", 1),
    ]


async def test_an_empty_supervisor_idles(autojump_clock: MockClock) -> None:
    async with open_tree(Supervisor([])) as tree:
        await trio.sleep(1000)

        assert tree.snapshot().state is State.RUNNING


async def test_a_group_goes_on_when_a_request_dealt_with_the_child_at_fault(autojump_clock: MockClock) -> None:
    """Its restart broke off where that one was killed while it started; the others were left behind, for ever."""

    async def slow(child: Child) -> None:
        await trio.sleep(1)
        child.started()
        await trio.sleep_forever()

    group = Supervisor(
        [ChildSpec("c", slow), ChildSpec("d", slow)], strategy=Strategy.ONE_FOR_ALL, intensity=9, period=99
    )
    async with open_tree(group, name="top") as tree, trio.open_nursery() as nursery:
        nursery.start_soon(tree.kill, "top/c")
        await trio.sleep(0.5)
        nursery.start_soon(tree.restart, "top/c")
        await trio.sleep(0.1)
        nursery.start_soon(tree.kill, "top/c")
        await trio.sleep(20)

        assert [child.state for child in tree.snapshot().children] == [State.RUNNING, State.RUNNING]
