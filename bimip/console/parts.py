"""What the console needs of the rest of the server: `processes.py` gives it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bimip.console.sessions import Sessions
from bimip.supervision import Happening, Opened, Snapshot

Eviction = Callable[[str, str], Awaitable[Mapping[str, object] | None]]
"""Takes an eid and a device of theirs."""


class Audit(Protocol):
    """Takes an action's name, who did it from where, on what, and the status that it was answered with."""

    def __call__(self, action: str, *, who: str, source: str, target: str, outcome: str) -> None: ...


def _record_nothing(action: str, *, who: str, source: str, target: str, outcome: str) -> None:
    """Nobody keeps a trail."""


class Operable(Protocol):
    """A tree as the console acts on it: `supervision.Tree`."""

    def snapshot(self, path: str | None = None, *, folded: bool = False, opened: Opened | None = None) -> Snapshot: ...

    async def kill(self, path: str) -> None: ...

    async def restart(self, path: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The rest of the server, as the console needs it."""

    tree: Callable[[], Operable | None]
    """None while the tree is starting: the console is a part of it and may answer first."""

    readiness: Callable[[], Sequence[str]]
    """Why the server should get no new work now; nothing when it is ready."""

    operator_token: str = field(repr=False)
    """Empty: the debug endpoint refuses everybody."""

    now: Callable[[], float]
    """The tree's clock."""

    user: Callable[[str, str], Awaitable[Mapping[str, object] | None]] | None = None
    """The devices of an eid, or the one of a name, as JSON has them; or None where there is no such user or device.
    None: there is no such page."""

    sight: Callable[[str, str], Mapping[str, object] | None] | None = None
    """What a viewer sees of an owner, both by eid, as JSON has it; or None where one of them does not exist. None:
    there is no such page."""

    diagnose: Callable[[str, str], Mapping[str, object] | None] | None = None
    """Why the devices of an eid, or one of them, do not receive, as JSON has it; without an eid what concerns
    everybody. None where there is no such user or device. None: there is no such page."""

    explain_message: Callable[[str, str, str], Iterator[Sequence[Mapping[str, object]]] | None] | None = None
    """What became of a message, as JSON has it, some lines at a time: by its signal id or signal offset, or by the id
    under which an eid sent it, from any device or a named one. None where there is no such message, or no more. Raises
    ValueError for what is no signal id. None: there is no such page."""

    export_user: Callable[[str], Iterator[Sequence[Mapping[str, object]]] | None] | None = None
    """Everything that is held about an eid, as JSON has it, some lines at a time; or None for a user who does not
    exist. None: there is no such page."""

    create_user: Callable[[str], Awaitable[Mapping[str, object] | None]] | None = None
    """Has an eid exist: their number, and whether they are new; or None for what is no eid. Raises ValueError where
    that cannot be written just now. None: there is no such page."""

    erase_user: Callable[[str], Awaitable[Mapping[str, object] | None]] | None = None
    """Has an eid erased: their number, or None for a user who does not exist. Raises ValueError where that cannot be
    written just now."""

    users: Callable[[str, int], Mapping[str, object]] | None = None
    """Users behind a name, so many at most, as JSON has them, and the name behind which the next stand. None: there is
    no such page."""

    disable_user: Callable[[str], Awaitable[bool]] | None = None
    """Keeps an eid out; whether there is such a user. Raises ValueError where that cannot be written just now."""

    enable_user: Callable[[str], Awaitable[bool]] | None = None
    """Lets an eid in again, in the same way."""

    revoke_tokens: Callable[[str, str], Awaitable[bool]] | None = None
    """Revokes the tokens that were issued so far to an eid, or to one device of theirs, in the same way. Returns
    once a token counts that is issued from then on."""

    kick: Callable[[str, str], Sequence[str] | None] | None = None
    """Closes the connections of an eid's devices, or of one: their names, or None for a user who does not exist. None:
    there is no such page."""

    pins: Callable[[str, str], Awaitable[Mapping[str, object] | None]] | None = None
    """Which devices hold back the logs of an eid, as JSON has it, or None for a user who does not exist; without an eid
    those of all users that hold back the most, of a page that begins behind a place. Raises ValueError where that is
    none. None: there is no such page."""

    foresee_eviction: Eviction | None = None
    """What would go if a device of an eid were evicted, as JSON has it, or None where there is no such device. None:
    there is no such page."""

    evict_device: Eviction | None = None
    """Evicts a device of an eid: what that frees, or None where there is no such device. Raises ValueError where that
    cannot be written just now."""

    erasures: Callable[[], Mapping[str, object]] | None = None
    """Who is being erased, as JSON has it. None: there is no such page."""

    try_push: Callable[[str, str, str], Awaitable[Mapping[str, object] | None]] | None = None
    """Sends a notification to an eid's subscriptions, of one device or one name if those are given: what each gateway
    answered, or None for a user who does not exist. Raises ValueError where nobody pushes just now. None: there is no
    such page."""

    conflicts: Callable[[], Mapping[str, object]] | None = None
    """The newest writes that lost against others, as JSON has them. None: there is no such page."""

    clock: Callable[[], Mapping[str, object]] | None = None
    """The server's time and the machine's, as JSON has them. None: there is no such page."""

    accept_clock: Callable[[], Awaitable[bool]] | None = None
    """Takes the machine's clock over; whether that is on disk. Raises ValueError where it cannot be right."""

    draining: Callable[[], Mapping[str, object]] | None = None
    """Whether the server drains, and who is left, as JSON has it. None: there is no such page."""

    drain: Callable[[float | None], Mapping[str, object]] | None = None
    """Begins to close all connections within so many seconds, None: as the settings have it; and tells what
    `draining` does."""

    cancel_drain: Callable[[], Mapping[str, object]] | None = None
    """Accepts connections again."""

    metrics: Callable[[str], Awaitable[tuple[bytes, str]]] | None = None
    """What the server counts, in a format that an Accept header allows, and its content type. None: there is no such
    page."""

    busiest: Callable[[], Awaitable[Mapping[str, object]]] | None = None
    """The devices that have most to do, as JSON has them. None: there is no such page."""

    metrics_token: str = field(default="", repr=False)
    """Opens /metrics and nothing else; empty: the operator's alone does."""

    sessions: Sessions | None = None
    """Who logged in on the page. None: there is no page."""

    history: Callable[[int], Sequence[Happening]] = lambda _after: ()
    """What happened to processes of late, behind a number."""

    warnings: Callable[[], Sequence[str]] = list
    """What an operator should know of a server that may well be ready."""

    audit: Audit = _record_nothing
    """Told of each thing that an operator does, and by what address."""

    token_refused: Callable[[str, str], None] = lambda _source, _path: None
    """Told of a token that is not the operator's: by what address, for what."""

    own_path: str = "bimip/console"
    """Where the console itself is in the tree: who ends that is answered first."""
