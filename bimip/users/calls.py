"""Calls that ring or are talked in: who takes part, what each device was told, and when it ends by itself.

Theory of operation. What a step comes to stands in one table (domain/awareness/calls.py). Here is what it is about: a
`Call`, found by its two users and its name, and for each device that takes part a `Party`, which numbers what it is
told: 1, 2, 3 … A party keeps the last of that. So a device that was cut off and returns is told again what it may have
missed, under the same numbers, and knows what it had. One that comes while it rings is told what the others were.

Nothing of it is stored. When the process dies, its next incarnation finds calls of which nobody knows what is true:
each of them ends as LOST. A server that starts has none, and tells whoever names one the same.

Who may not call somebody, or may not see whether they are there, is told nothing that they would not be told of
somebody who is offline: it rings until it has rung for long enough.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, Protocol

import trio

from bimip.concurrency import Timers, Watch
from bimip.concurrency.buckets import Bucket, Rate, Remembered
from bimip.domain.awareness.calls import (
    Busyness,
    End,
    Phase,
    Said,
    Side,
    Step,
    To,
    Transition,
    is_busy,
    transition,
)
from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.awareness.settings import CallSettings
from bimip.domain.contacts.access import blocks
from bimip.domain.contacts.privacy import Seen, verdict
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.operations import Refused, Result
from bimip.domain.core.records import Status, Table, User
from bimip.domain.push.ringing import Ring
from bimip.domain.state.intents import intent_of, standing
from bimip.journal.queue import OperationQueue
from bimip.requests.refusals import rate_limited
from bimip.storage.interface import Store
from bimip.users.attending import Attending, Group
from bimip.users.sends import PendingSends
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.errors import WireError

KEPT: Final = 64
KEPT_BYTES: Final = 128 * 1024
"""Of what a device was told of one call, for when it returns; and of what a call rings with."""
BURST_SECONDS: Final = 5.0
MAX_USERS: Final = 4096
"""Whose rate is remembered."""
CALLS_AT_ONCE: Final = 64
"""That end by themselves, until others have their turn."""

RINGING, TALKING, OVER = Phase

Key = tuple[str, str, str]
"""The two users, the lesser eid first, and the name of a call."""


@dataclass(slots=True, eq=False)
class Party:
    """A device that takes part in a call."""

    call: str
    user: UserId
    device: DeviceId
    name: str
    eid: str
    peer: str
    """The other user's eid."""
    sequence: int = 0
    kept: deque[tuple[int, bytes]] = field(default_factory=deque)
    kept_bytes: int = 0
    away_until: float = inf
    """It is disconnected, and is lost at this time; inf: it is there."""
    end: End | None = None
    """It was told this one, last of all."""


@dataclass(slots=True, eq=False)
class Call:
    key: Key
    caller: Party
    callee: UserId | None
    """None: nobody has this eid."""
    started: Millis
    ring_until: float
    phase: Phase = RINGING
    reaches: bool = True
    """The callee's devices ring; else the caller hears what they would hear if there were none."""
    shows: bool = True
    """The caller may know whether the callee is there."""
    answerer: Party | None = None
    parties: dict[DeviceId, Party] = field(default_factory=dict)
    """The callee's devices that rang."""
    rung: list[pb.Signal] = field(default_factory=list)
    """What the caller has said while it rings."""
    is_ending: bool = False
    """It is over for those who say something, and for those who are told once it is on disk that it was missed."""
    forget_at: float = inf
    ring: Ring | None = None
    """It rings at the callee's devices, also at those that are not connected."""

    def everybody(self) -> Iterator[Party]:
        yield self.caller
        yield from self.parties.values()

    def deadline(self) -> float:
        """When something happens to it by itself."""
        if self.phase is OVER:
            return self.forget_at
        if self.is_ending:
            return inf
        if self.answerer is None:
            return min(self.ring_until, self.caller.away_until)
        return min(self.caller.away_until, self.answerer.away_until)


class Ringer(Protocol):
    """Is told which calls ring, for devices that are not connected."""

    def begun(self, ring: Ring) -> None: ...

    def ended(self, ring: Ring) -> None: ...


@dataclass(slots=True)
class CallStatistics:
    begun: int = 0
    answered: int = 0
    missed: int = 0
    lost: int = 0


class Calls:
    """Made once, by parts.py; `run` is each incarnation of the process `calls`."""

    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        sessions: Mapping[UserId, Group],
        pending_sends: PendingSends,
        timers: Timers,
        wall_clock: Callable[[], Millis],
        settings: CallSettings,
        ringer: Ringer,
        accepts_unknown: bool = False,
    ) -> None:
        """`accepts_unknown`: whoever is no user is called like one who is not there."""
        self._store = store
        self._queue = queue
        self._sessions = sessions
        self._pending_sends = pending_sends
        self._wall_clock = wall_clock
        self._settings = settings
        self._ringer = ringer
        self._accepts_unknown = accepts_unknown
        self._calls: dict[Key, Call] = {}
        self._by_user: dict[str, dict[Key, Call]] = {}
        self._rate = Rate(settings.steps_per_second, 0, BURST_SECONDS)
        self._buckets = Remembered[str, Bucket](MAX_USERS)
        self._due: list[tuple[float, int, Call]] = []
        self._numbers = count()
        self._watch = Watch(timers)
        self.statistics = CallStatistics()

    def __len__(self) -> int:
        return sum(call.phase is not OVER for call in self._calls.values())

    async def run(self) -> None:
        """Ends what ends by itself, until cancelled."""
        await self._lose_all()
        while True:
            version = self._watch.version
            if not self._end_due():
                await self._watch.wait_changed_since(version, self._due[0][0] if self._due else inf)
            else:
                await trio.lowlevel.checkpoint()

    async def _lose_all(self) -> None:
        for number, call in enumerate(list(self._calls.values()), 1):
            if call.phase is not OVER:
                self._finish(call, End.LOST)
            if not number % CALLS_AT_ONCE:
                self._flush()
                await trio.lowlevel.checkpoint()
        self._flush()

    def _end_due(self) -> bool:
        """Ends some of what is due. Whether there may be more."""
        now = trio.current_time()
        for _ in range(CALLS_AT_ONCE):
            if not self._due or self._due[0][0] > now:
                self._flush()
                return False
            when, _, call = heappop(self._due)
            if when == call.deadline():
                self._end_by_itself(call, now)
        self._flush()
        return True

    def _end_by_itself(self, call: Call, now: float) -> None:
        if call.phase is OVER:
            self._forget(call)
            return
        step = Step.TIME_OUT if call.phase is RINGING and call.ring_until <= now else Step.BE_AWAY
        row = transition(call.phase, Side.SERVER, step)
        assert row is not None
        self._end(call, row)

    # What devices say.

    def say(self, said: Said) -> int:
        """Takes what a device says of a call, and tells whom it concerns. Returns how many. Raises WireError."""
        now = trio.current_time()
        bucket = self._buckets.get(said.eid) or self._buckets.put(said.eid, Bucket(self._rate))
        if (wait := bucket.wait(now)) > 0:
            raise rate_limited(wait)
        bucket.take(1, 0, now)
        try:
            return self._say(said, now)
        finally:
            self._flush()

    def _say(self, said: Said, now: float) -> int:
        call = self._calls.get(_key(said))
        if call is None and said.step is Step.OFFER:
            return self._begin(said, self._known(said.peer), now)
        found = None if call is None else _party_of(call, said)
        if call is None or found is None:
            return self._tell_unknown(said)
        side, party = found
        if party.end is not None:
            if said.step is Step.OFFER and call.phase is OVER:
                raise WireError(pb.CONFLICT, "another call had this name: give each call its own", field="call")
            return self._tell_again(party, party.sequence)
        if call.is_ending:
            return 0
        row = transition(call.phase, side, said.step)
        if row is None:
            sentence = f"{side.value} says no {said.step.name} while a call {call.phase.value}"
            raise WireError(pb.CONFLICT, sentence, field="step")
        return self._take(call, row, party, said, now)

    def _known(self, eid: str) -> UserId | None:
        with self._store.snapshot() as view:
            user: User | None = view.get(Table.USERS, (eid,))
        if user is None and not self._accepts_unknown:
            sentence = f"there is no user {eid!r} here; check the address: a user exists once they have connected"
            raise WireError(pb.NOT_FOUND, sentence, field="to.eid")
        return None if user is None else user.number

    def _begin(self, said: Said, callee: UserId | None, now: float) -> int:
        settings = self._settings
        if self._busyness(said.eid).talks >= settings.at_once:
            sentence = f"you make or talk in {settings.at_once} calls already: end one before the next"
            raise WireError(pb.CONFLICT, sentence, field="call")
        ring_ms = min(said.ttl or inf, int(settings.ring_seconds * 1000))
        caller = Party(said.call, said.user, said.device, said.device_name, said.eid, said.peer)
        started = self._wall_clock()
        call = Call(_key(said), caller, callee, started, now + ring_ms / 1000)
        with self._store.snapshot() as view:
            if callee is not None and blocks(view, said.user, callee):
                raise WireError(pb.FORBIDDEN, "you have blocked them: unblock them first", field="to.eid")
            call.reaches = callee is not None and verdict(view, said.user, callee, Seen.CALL).allowed
            call.shows = call.reaches and callee is not None and verdict(view, said.user, callee, Seen.ONLINE).allowed
            wants_quiet = callee is not None and standing(intent_of(view, callee), started) is Status.DND
        session = None if callee is None else self._sessions.get(callee)
        is_callee_busy = is_busy(self._busyness(said.peer), settings.at_once)
        if wants_quiet:  # which nobody is shown of who is not there
            is_callee_busy |= session is not None and bool(session.devices)
        for eid in (said.eid, said.peer):
            self._by_user.setdefault(eid, {})[call.key] = call
        self._calls[call.key] = call
        self.statistics.begun += 1
        if call.reaches and is_callee_busy:
            return self._be_busy(call)
        call.reaches &= not wants_quiet
        self._schedule(call)
        _note_rung(call, _relayed(said, started, ttl_ms=int(ring_ms)))
        if call.reaches and callee is not None:
            call.ring = Ring(callee, said.user, said.eid, said.call, started, Millis(started + int(ring_ms)))
            self._ringer.begun(call.ring)
        rings = session.devices.values() if call.reaches and session is not None else ()
        return sum(self._ring_at(call, one) for one in rings)

    def _be_busy(self, call: Call) -> int:
        """The callee has no hand free, or is not to be disturbed: nothing rings. Who is being called by the callee just
        then missed nothing.
        """
        call.reaches = False
        if not call.shows:
            self._schedule(call)
            return 0
        row = transition(RINGING, Side.SERVER, Step.BE_BUSY)
        assert row is not None
        crossing = (one for one in self._by_user.get(call.caller.peer, {}).values() if one is not call)
        if any(one.caller.eid == call.caller.peer and one.caller.peer == call.caller.eid for one in crossing):
            row = row._replace(is_missed=False)
        return self._end(call, row)

    def _busyness(self, eid: str) -> Busyness:
        talks = rings = 0
        for call in self._by_user.get(eid, {}).values():
            if call.phase is TALKING or (call.phase is RINGING and call.caller.eid == eid):
                talks += not call.is_ending
            elif call.phase is RINGING:
                rings += call.reaches
        return Busyness(talks, rings)

    def _take(self, call: Call, row: Transition, party: Party, said: Said, now: float) -> int:
        ttl_ms = max(1, int((call.ring_until - now) * 1000)) if said.step is Step.OFFER and row.then is RINGING else 0
        signal = _relayed(said, self._wall_clock(), ttl_ms=ttl_ms)
        if row.relayed is To.CALLEES:
            _note_rung(call, signal)
            return sum(self._tell(one, signal) for one in call.parties.values())
        if row.then is TALKING and call.phase is RINGING:
            return self._answer(call, row, party, signal)
        told = 0
        if row.relayed is To.CALLER and call.shows:
            told = self._tell(call.caller, signal)
        elif row.relayed is To.OTHER_END:
            assert call.answerer is not None
            told = self._tell(call.answerer if party is call.caller else call.caller, signal)
        return told + (self._end(call, row, by=party) if row.then is OVER else 0)

    def _answer(self, call: Call, row: Transition, party: Party, signal: pb.Signal) -> int:
        assert row.end is not None
        call.phase, call.answerer = TALKING, party
        self._ring_no_more(call)
        call.rung.clear()
        self.statistics.answered += 1
        self._schedule(call)
        told = self._tell(call.caller, signal)
        return told + sum(self._tell_end(one, row.end, by=party) for one in call.parties.values() if one is not party)

    # How a call ends.

    def _end(self, call: Call, row: Transition, *, by: Party | None = None) -> int:
        assert row.end is not None
        if not row.is_missed:
            return self._finish(call, row.end, by=by)
        call.is_ending = True
        self._ring_no_more(call)
        caller = call.caller
        missed = MissCall(caller.user, caller.device, caller.peer, caller.call, row.end, call.started)
        self._queue.submit(missed, partial(self._noted, call, row.end, by), owner=caller.user)
        return 0

    def _noted(self, call: Call, end: End, by: Party | None, result: Result) -> None:
        """Tells who takes part, once it is on disk that the call was missed; where that is refused, that it is lost."""
        is_noted = not isinstance(result, Refused)
        self.statistics.missed += is_noted
        if call.phase is not OVER:
            self._finish(call, end if is_noted else End.LOST, by=by if is_noted else None)
            self._flush()

    def _finish(self, call: Call, end: End, *, by: Party | None = None) -> int:
        call.phase, call.is_ending = OVER, False
        self._ring_no_more(call)
        call.rung.clear()
        self.statistics.lost += end is End.LOST
        call.forget_at = trio.current_time() + self._settings.away_seconds
        self._schedule(call)
        return sum(self._tell_end(party, end, by=by) for party in call.everybody())

    def _ring_no_more(self, call: Call) -> None:
        if call.ring is not None:
            self._ringer.ended(call.ring)
            call.ring = None

    def _forget(self, call: Call) -> None:
        """Forgets a call. One that was due twice, as a device came and went meanwhile, is forgotten already."""
        if self._calls.get(call.key) is not call:
            return
        del self._calls[call.key]
        for eid in call.key[:2]:
            calls = self._by_user[eid]
            del calls[call.key]
            if not calls:
                del self._by_user[eid]

    def _schedule(self, call: Call) -> None:
        deadline = call.deadline()
        if deadline < inf:
            heappush(self._due, (deadline, next(self._numbers), call))
            self._watch.notify()

    # Who comes and goes.

    def joined(self, device: Attending) -> None:
        """Tells a device again what it may have missed of its calls, or lets it ring."""
        user = device.eid
        for call in list(self._by_user.get(user, {}).values()):
            for party in call.everybody():
                if party.eid == user and party.device == device.number:
                    party.away_until = inf
                    self._schedule(call)
                    self._tell_again(party, 1)
            if call.phase is RINGING and call.reaches and not call.is_ending and call.caller.eid != user:
                self._ring_at(call, device)

    def left(self, device: Attending) -> None:
        """Gives a device a while to return to its calls."""
        for call in self._by_user.get(device.eid, {}).values():
            for party in call.everybody():
                if (party.eid, party.device) == (device.eid, device.number) and self._device_of(party) is None:
                    party.away_until = trio.current_time() + self._settings.away_seconds
                    self._schedule(call)

    # Who is told.

    def _ring_at(self, call: Call, device: Attending) -> int:
        """Lets a device ring that does not yet, with all that the caller has said so far."""
        if call.callee is None or device.number in call.parties:
            return 0
        caller = call.caller
        party = Party(caller.call, call.callee, device.number, device.name, caller.peer, caller.eid)
        call.parties[device.number] = party
        return max([self._tell(party, signal) for signal in call.rung], default=0)

    def _tell(self, party: Party, signal: pb.Signal) -> int:
        """Tells a device something under its next number, unless it was told an end. Returns how many were told."""
        if party.end is not None:
            return 0
        party.sequence += 1
        told = pb.Signal(sequence=party.sequence, to=pb.Identity(eid=party.peer))
        told.MergeFrom(signal)
        author = getattr(told, "from")
        if author.eid and author.eid != party.eid:
            author.ClearField("connection_resource_id")  # which of their devices it was is not the other's to know
        part = frames.signal_part(told)
        party.kept.append((party.sequence, part))
        party.kept_bytes += len(part)
        while len(party.kept) > KEPT or (party.kept_bytes > KEPT_BYTES and len(party.kept) > 1):
            party.kept_bytes -= len(party.kept.popleft()[1])
        self._send(party, party.sequence, part)
        return 1

    def _tell_end(self, party: Party, end: End, *, by: Party | None = None) -> int:
        signal = _ended(party.call, end, self._wall_clock())
        if by is not None:
            getattr(signal, "from").eid = by.eid
            getattr(signal, "from").connection_resource_id = by.name
        told = self._tell(party, signal)
        party.end = party.end or end
        return told

    def _tell_again(self, party: Party, first: int) -> int:
        """Tells a device what it was told before, from one number on."""
        for sequence, part in party.kept:
            if sequence >= first:
                self._send(party, sequence, part)
        return 1

    def _tell_unknown(self, said: Said) -> int:
        """Tells a device of a call that nobody knows, or that it takes no part in."""
        signal = _ended(said.call, End.LOST, self._wall_clock())
        signal.to.eid = said.peer
        party = Party(said.call, said.user, said.device, said.device_name, said.eid, said.peer)
        self._send(party, 0, frames.signal_part(signal))
        return 1

    def _send(self, party: Party, sequence: int, part: bytes) -> None:
        device = self._device_of(party)
        if device is not None:
            device.tell(("call", party.peer, party.call, sequence), part)

    def _device_of(self, party: Party) -> Attending | None:
        session = self._sessions.get(party.user)
        device: Attending | None = None if session is None else session.devices.get(party.name)
        return device if device is not None and device.number == party.device else None

    def _flush(self) -> None:
        self._pending_sends.flush(trio.current_time())


def _key(said: Said) -> Key:
    return (min(said.eid, said.peer), max(said.eid, said.peer), said.call)


def _party_of(call: Call, said: Said) -> tuple[Side, Party] | None:
    """Which side of a call a device is on; None: it takes no part in it."""
    if said.device == call.caller.device and said.eid == call.caller.eid:
        return Side.CALLER, call.caller
    party = call.parties.get(said.device)
    if party is None:
        return None
    if call.answerer is None:
        return Side.CALLEE, party
    return (Side.ANSWERER if party is call.answerer else Side.OTHER), party


def _note_rung(call: Call, signal: pb.Signal) -> None:
    """Keeps what the caller says, for devices that come while it rings. An offer takes the place of all before it."""
    if signal.step == pb.CALL_OFFER:
        call.rung.clear()
    elif len(call.rung) >= KEPT or sum(len(one.payload) for one in call.rung) + len(signal.payload) > KEPT_BYTES:
        sentence = f"until it is answered a call holds {KEPT} candidates and {KEPT_BYTES} bytes: wait for the answer"
        raise WireError(pb.TOO_LARGE, sentence, field="payload")
    call.rung.append(signal)


def _relayed(said: Said, time: Millis, *, ttl_ms: int) -> pb.Signal:
    signal = pb.Signal(status=pb.CALLING, call=said.call, payload=said.payload, timestamp=time, ttl_ms=ttl_ms)
    signal.step = int(said.step)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    getattr(signal, "from").eid = said.eid
    getattr(signal, "from").connection_resource_id = said.device_name
    return signal


def _ended(call: str, end: End, time: Millis) -> pb.Signal:
    status = pb.DECLINE if end is End.DECLINED else pb.CALLING
    signal = pb.Signal(status=status, call=call, step=pb.CALL_ENDED, timestamp=time)
    signal.end = int(end)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return signal
