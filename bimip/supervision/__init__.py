"""Erlang/OTP's supervisors on trio: a tree of tasks in which a failure ends at the nearest supervisor that can repair
it.

    async def worker(child: Child) -> None:
        async with await open_something() as thing:
            child.started(thing)
            try:
                await thing.serve()
            finally:
                with child.grace():
                    await thing.say_goodbye()

    root = Supervisor([ChildSpec("store", store), ChildSpec("worker", worker)], strategy=Strategy.REST_FOR_ONE)
    async with open_tree(root, name="app", report=print) as tree:
        await tree.restart("app/worker")

The floor imports trio and the standard library alone, and knows nothing of messaging.

    spec.py       what to run, as values          policy.py    the rules as tables; pure
    child.py      one run of a child              running.py   the books that both kinds of supervisor keep
    static.py     `Supervisor` at work            dynamic.py   `DynamicSupervisor` at work, and `Children`
    tree.py       `open_tree`, kill, restart      snapshot.py  the frozen picture; waiting.py: where a task waits
    reports.py    typed facts for one hook        errors.py    what is raised; paths.py: addresses
    history.py    what supervisors told of late
    notify.py     where one task waits until another notifies it
    turns.py      the longest turns of late

Theory of operation:

*One task per process.* A worker is one trio task; a supervisor is one too, the loop, with a nursery for its
children's tasks. So nothing outlives its supervisor, by construction and not by care.

*Only its supervisor cancels a child.* Each child runs in a cancel scope of its own that is shielded from all others.
Cancellation from outside reaches the body of `open_tree`, which stops the root; a supervisor that is told to stop is
cancelled in its loop, whose `finally` stops the children in reverse order, each with its own `shutdown`. Shielding is
what makes order possible: without it trio would cancel the whole tree at once.

*Ends become facts, failures stay exceptions.* What a child raises is caught outside its scope, if it is an
`Exception`, and classified: normal, shutdown, killed, crashed. `Cancelled` belongs to the scope and is never caught;
KeyboardInterrupt and its like pass through all nurseries and end the tree. A supervisor that gives up raises
SupervisorGaveUp, which is its parent's child that crashed; from the root it comes out of `open_tree`. An
ExceptionGroup is one failure; it is unwrapped for display only.

*Readiness.* A child has started when it calls `started()`. Until then its supervisor waits, and starts no later
sibling. One that ends before has failed to start, however it ended. `ChildSpec.ready_at_once` is for functions that
know nothing of this.

*Stopping.* A child that is asked to stop gets `Cancelled`, and `Child.grace()` lends it a scope to clean up in, which
is cut `shutdown` seconds after it was asked. BRUTAL_KILL is a deadline that is over already, INFINITY one that never
comes; a supervisor with little time lends no more than it has. Deadlines only ever move nearer, so a kill cuts a stop
that is under way.

*A static supervisor does one thing at a time*, as OTP's: an end or a request is handled to its end before the next. A
child therefore must not await a restart of its sibling before it has started itself. *A dynamic one never waits*: its
children start, restart and stop side by side, so a slow start delays nobody, and a child that is gone takes no
memory.

*Nothing that matters to another task is lost.* Whoever awaits a start, a stop or a restart gets an answer also when
the supervisor ends first: SupervisorStopping.

*Time comes from the caller.* Periods and deadlines use `trio.current_time()`, so a `MockClock` rules them; `since`
and `when` use `now`.

Where it departs from OTP:

- A supervisor that gives up has *crashed*, so a transient one is restarted by its parent. In OTP it exits with
  `shutdown`, and a transient supervisor that gave up stays down in silence; a tree with a part missing was never what
  anybody wanted. Only the end by significant children is `shutdown` here, and normal to a transient supervisor. A
  failed start of a supervisor is a crash too.
- A coroutine cannot be killed. A child that swallows `Cancelled`, or shields itself beyond its grace, keeps its
  supervisor waiting; after a second more than its time an `Overdue` report says where it hangs. Likewise a start that
  never returns blocks a static supervisor, as in OTP, until `kill` ends it.
- A child cancelled in its clean-up outside of `grace` ends at its next checkpoint, at once: grace is asked for, not
  given by default.
- `kill` of a supervisor also ends all below it, in reverse order and without grace; in OTP they notice one by one.
- Killing counts as a crash for the policy (as `exit(Pid, kill)`); `Tree.restart` does not count, and if the new start
  fails, the policy takes over, where OTP leaves the child down.
- A child that waits to be started again after its restart failed is tried again at once, and counted, as in OTP.
  There is no back-off: the intensity is what keeps restarts from spinning. Put patience into the child, before
  `started()`.
- There is no `ignore` from a start, no `delete_child`, and no start_child on a static supervisor: that is what
  dynamic ones are for.
- A dynamic child's first start that fails is an error for whoever started it, and not counted, as in OTP; starts run
  side by side, unlike OTP.

Ways not taken:

*A nursery alone* cancels siblings on a crash and has no order. *One nursery for the whole tree* would save memory,
but then only care keeps tasks within their supervisor. *A mailbox for the dynamic supervisor* costs two more steps
for each connection and lets one slow start block the rest. *Cancelling by deadline on the child's own scope* cannot
tell "stop now" from "your time is over". *Callbacks for restarts* hide what a table shows.
"""

from bimip.supervision.child import Child, current_child
from bimip.supervision.dynamic import Children
from bimip.supervision.errors import (
    ChildFailedToStart,
    DuplicateChild,
    MaxChildren,
    NoSuchProcess,
    ProcessKilled,
    Refused,
    RootHasNoSupervisor,
    SupervisionError,
    SupervisorGaveUp,
    SupervisorStopping,
    WouldDeadlock,
)
from bimip.supervision.history import Happening, ReportHistory
from bimip.supervision.notify import Notify
from bimip.supervision.policy import Action, AutoShutdown, Exit, ExitReason, Restart, Strategy, root_error
from bimip.supervision.reports import Crash, Crashed, GaveUp, Overdue, Progress, Report, ReportCounts
from bimip.supervision.running import State
from bimip.supervision.snapshot import Budget, ChildInfo, Counts, Kind, Opened, Snapshot
from bimip.supervision.spec import (
    BRUTAL_KILL,
    INFINITY,
    ChildSpec,
    DynamicSupervisor,
    Factory,
    Start,
    Supervisor,
)
from bimip.supervision.tree import Tree, open_tree
from bimip.supervision.turns import TurnMeter, Turns

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "Action",
    "AutoShutdown",
    "Budget",
    "Child",
    "ChildFailedToStart",
    "ChildInfo",
    "ChildSpec",
    "Children",
    "Counts",
    "Crash",
    "Crashed",
    "DuplicateChild",
    "DynamicSupervisor",
    "Exit",
    "ExitReason",
    "Factory",
    "GaveUp",
    "Happening",
    "Kind",
    "MaxChildren",
    "NoSuchProcess",
    "Notify",
    "Opened",
    "Overdue",
    "ProcessKilled",
    "Progress",
    "Refused",
    "Report",
    "ReportCounts",
    "ReportHistory",
    "Restart",
    "RootHasNoSupervisor",
    "Snapshot",
    "Start",
    "State",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "SupervisorGaveUp",
    "SupervisorStopping",
    "Tree",
    "TurnMeter",
    "Turns",
    "WouldDeadlock",
    "current_child",
    "open_tree",
    "root_error",
]
