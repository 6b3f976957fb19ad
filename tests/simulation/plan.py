"""What goes wrong in a run, and when: drawn from the seed before it begins."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

Disaster = Literal["task kill", "process kill", "power loss", "backup", "restore", "clock jump", "erase"]
Moment = Literal["now", "before", "after"]
"""Of a commit: at once, before it is on disk, or between that and its answers."""

KINDS = (
    "journal",
    "journal",
    "users",
    "session",
    "device",
    "reader",
    "fetcher",
    "calls",
    "locations",
    "presence",
    "retention",
    "gateway",
    "listener",
    "connections",
    "connection",
    "console",
)
RARE = {"users", "gateway", "connections"}
"""All have to connect again: one of them in a run is enough."""


@dataclass(frozen=True)
class Fault:
    at: int  # messages written
    what: Disaster
    moment: Moment = "now"
    kind: str = ""  # of the task to kill; how many days ahead of the time the wall clock jumps; whom to erase


@dataclass(frozen=True)
class Plan:
    users: dict[str, tuple[str, ...]]  # their devices
    late: tuple[str, str]  # connects when there is something to catch up with, and begins at the head
    messages: int
    faults: tuple[Fault, ...]
    window: int
    pause_seconds: float  # between two writes of one device
    blocks: bool  # whether users block one another: of some messages nobody knows then for whom they are
    hurry: int  # how fast the wall clock goes: where it hurries, days pass and retention has something to remove


NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
DEVICES = ("phone", "laptop", "tablet", "watch")


BLOCKING = 0.4
"""In how many worlds users block."""


def draw(random: Random, messages: int) -> Plan:
    names = NAMES[: random.choice((6, 6, 6, 7))]
    users = {f"{name}@example.org": DEVICES[: random.choice((2, 3, 3, 4))] for name in names}
    plan = Plan(
        users=users,
        late=(random.choice(list(users)), "late"),
        messages=messages,
        faults=_faults(random, messages),
        window=random.choice((8, 32, 256)),
        pause_seconds=random.choice((0.1, 0.3)),
        hurry=random.choice((1, 1, 1, 86_400)),
        blocks=False,
    )
    plan = replace(plan, blocks=Random(f"{plan} blocks").random() < BLOCKING)
    faults = [*plan.faults, *_jumps(random, messages)]
    faults += _erasures(Random(repr(plan)), messages, plan)
    return replace(plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


def _faults(random: Random, messages: int) -> tuple[Fault, ...]:
    def at() -> int:
        return random.randint(messages // 20, messages * 19 // 20)

    def moment() -> Moment:
        return random.choice(("now", "before", "after"))

    faults = [Fault(at(), "power loss", moment()) for _ in range(random.choice((2, 2, 3)))]
    faults += [Fault(at(), "process kill", moment()) for _ in range(random.choice((0, 1)))]
    faults += _restores(random, messages)
    rare = random.sample(sorted(RARE), 1)
    kinds = [kind for kind in KINDS if kind not in RARE or kind in rare]
    chosen = random.sample(kinds, random.randint(6, len(kinds)))
    together = at()  # some come at once
    for kind in chosen:
        when = together if random.random() < 0.3 else at()
        faults.append(Fault(when, "task kill", moment() if kind == "journal" else "now", kind))
    return tuple(sorted(faults, key=lambda fault: fault.at))


JUMPS = (40, -40, 400, 36_500, -30_000)
"""Days. The last ones lead to years that cannot be."""


def _jumps(random: Random, messages: int) -> list[Fault]:
    """There and, after some messages, kills and restarts, back."""
    at = sorted(random.sample(range(messages // 20, messages * 19 // 20), random.choice((0, 2, 4))))
    days = [random.choice(JUMPS) if number % 2 == 0 else 0 for number in range(len(at))]
    return [Fault(when, "clock jump", kind=str(off)) for when, off in zip(at, days, strict=True)]


def _erasures(random: Random, messages: int, plan: Plan) -> list[Fault]:
    """One user, in the middle of things; none where an older copy would bring them back."""
    whom = random.choice([eid for eid in plan.users if eid != plan.late[0]])
    at = random.randint(messages // 3, messages * 4 // 5)
    is_put_back = any(fault.what == "restore" for fault in plan.faults)
    return [] if is_put_back or random.random() < 0.3 else [Fault(at, "erase", kind=whom)]


_COPYING: tuple[Disaster, ...] = ("backup", "restore", "restore")


def _restores(random: Random, messages: int) -> list[Fault]:
    """Copies of the store, of which one or another is put back: the last one, and perhaps twice."""
    at = sorted(random.sample(range(messages // 20, messages * 19 // 20), random.choice((0, 0, 2, 3, 4))))
    whats: list[Disaster] = ["backup", *(random.choice(_COPYING) for _ in at[1:])]
    return [Fault(when, what) for when, what in zip(at, whats, strict=False)]
