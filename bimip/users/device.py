"""One connected device: what it was sent, what it is owed, and the one function that sends.

Theory of operation. There is no queue per device and no live path beside catching up. A device has a position in each
partition; `send_some` reads the log from there, and sends as long as the connection takes frames without blocking and
the window has room. It runs when the device's fetcher wakes up, and at once in the task that committed something. A
frame that the connection took is in flight: the position moves then and only then, so whoever is killed at whatever
moment, the next step goes on behind the last frame that was taken.

One frame holds all that there is for the device: acknowledgements of its own messages, state, and the entries of one
partition.

It is mostly asked for when there is nothing to do, so that has to be known at once: a session counts its news, and a
device notes the count at which it had been sent all that could be sent (`_sent_at_news`). What else lets it go on, an
ack or a deadline, unsets that.

What `send_some` raises is the device's crash and not the committer's: `send_soon` keeps it for the fetcher, which
raises it. An entry that was being read when that happened twice is delivered as a gap.
"""

from collections.abc import Container, Hashable, Mapping
from enum import Enum, auto
from math import inf

import trio

from bimip.concurrency import Watch
from bimip.domain.awareness.activities import MAX_TTL_MS, Activity
from bimip.domain.awareness.status import Focus
from bimip.domain.core.clock import millis_of
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.operations import Received
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Cursor, Status, maker
from bimip.reading.cursors import read_cursors
from bimip.reading.salvage import UnreadableError
from bimip.requests.asker import Asker
from bimip.requests.statistics import SAMPLE_SECONDS
from bimip.session.close import Close
from bimip.session.window import Window
from bimip.users.awareness.notes import TimedActivity
from bimip.users.batches import BatchBuilder, addressed_to, deliver
from bimip.users.connection import Connection
from bimip.users.recorder import FlightRecorder
from bimip.users.session import Session, StatePage
from bimip.users.state_position import StatePosition
from bimip.users.statistics import DeviceLag
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames

FRAME_BYTES = 64 * 1024
"""Where a batch is cut. One message may be larger than this alone."""
FRAMES_AT_ONCE = 4
"""Until others have their turn. A page of state that is read from the store takes as long as all of them."""
PROGRESS_SECONDS = 10.0
"""Between two times that it is noted how far a device was sent."""
BLOCKED_SECONDS = 1.0
"""A connection that takes nothing for so long is noted."""
REDELIVERED_AT_ONCE = 256
"""Entries looked at for one frame that sends again."""


_received = maker(Received)

SIBLINGS_SECONDS = 30.0
"""What devices say to each other means nothing later."""
SIBLINGS_KEPT = 64
"""Of what one of them says, for a sibling that takes nothing just now: the oldest goes."""

MAX_EPHEMERAL = 1024
"""Of what is told and not stored, for a device that takes nothing just now: the oldest goes."""

RECEIVED_KEPT = 256
"""Runs of messages that are known to have been received, beside all that are in flight."""


class Phase(Enum):
    """How far a connection is with its Hello, whose answer is the first frame: until then all other answers wait."""

    CONNECTED = auto()
    GREETING = auto()  # Hello is being decided
    REFUSED = auto()
    OPEN = auto()  # it was granted: delivery goes on


class Device(Asker):
    __slots__ = (
        "_closing",
        "_crash",
        "_ephemeral_due",
        "_frames_left",
        "_overdue",
        "_progress",
        "_progress_at",
        "_said_to_siblings",
        "_sent_at_news",
        "agent",
        "answered",
        "attended",
        "connection",
        "ephemeral",
        "focus",
        "phase",
        "received",
        "recorder",
        "session",
        "since",
        "state",
        "wakeup",
        "windows",
    )

    def __init__(self, session: Session, number: DeviceId, claims: Claims, connection: Connection) -> None:
        rates = session.rates.of(number)
        super().__init__(session.services, session.number, session.eid, number, claims, rates)
        self.session = session
        self.connection = connection
        self.wakeup = Watch(session.services.timers)
        self.answered = Watch(session.services.timers)
        self.windows: dict[str, Window] = {}
        self.phase = Phase.CONNECTED
        self.state = StatePosition(session)
        self.focus = Focus.ACTIVE
        self.agent = ""
        """What its client is, and which version, as its Hello said."""
        self.since = trio.current_time()
        self.attended: Mapping[str, Cursor] | None = None
        """By partition, what it had acknowledged when the last who sat before it went; None: somebody does."""
        self.ephemeral: dict[Hashable, tuple[bytes, float]] | None = None
        """Elements of Body that nobody stores, by what they are about, each with the time from which on it means
        nothing; most devices are told none for long."""
        self._ephemeral_due = -inf
        """Until then they wait: nobody looks at the device, and none of them is urgent."""
        self.recorder = FlightRecorder()
        """Its own until it is connected, and from then on the one that its name has."""
        self._progress = ""
        """How far it was sent, as it was noted last."""
        self._progress_at = -inf
        """When that is to be noted again."""
        self.received: list[Received] = []
        """Of late, by this connection: at least all that is in flight."""
        self._sent_at_news = -1
        """The session's `news` when nothing was left that could be sent; -1: look again."""
        self._frames_left = FRAMES_AT_ONCE
        """Frames that may still be sent before others have their turn."""
        self._said_to_siblings = 0
        self._overdue = False
        """Something may be due to be sent again."""
        self._closing: tuple[Close, str] | None = None
        self._crash: Exception | None = None

    def tell(self, about: Hashable, part: bytes, *, until: float = inf, can_wait: bool = False) -> None:
        """Sends an element of Body that is stored nowhere, when there is room: of what is about the same the last.

        `until`: the event loop's time, from which on it means nothing. What `can_wait` is sent together, and now and
        then, to a device that nobody looks at.
        """
        if self.ephemeral is None:
            self.ephemeral = {}
        told = self.ephemeral
        told.pop(about, None)
        if len(told) >= MAX_EPHEMERAL:
            del told[next(iter(told))]
            self.session.services.delivery.ephemeral_dropped += 1
            self.session.services.presence.note_device(self)
        waits = can_wait and self.focus is Focus.INACTIVE
        if waits and not told:
            self._ephemeral_due = trio.current_time() + self.session.services.presence.settings.inactive_seconds
            self.wakeup.notify()  # which sleeps until then
        told[about] = (part, until)
        if not waits:
            self._send_ephemeral_now()

    def _send_ephemeral_now(self) -> None:
        self._ephemeral_due = -inf
        self._sent_at_news = -1
        self.schedule_send()

    def set_focus(self, focus: Focus) -> None:
        """Notes how far somebody is at the device."""
        if focus is self.focus:
            return
        services = self.session.services
        self.focus = focus
        if focus is not Focus.INACTIVE and self.ephemeral:
            self._send_ephemeral_now()
        if focus is Focus.ACTIVE:
            self.attended = None
        elif self.attended is None:
            self.attended = read_cursors(services.store, self.number, services.partitions)
            services.left(self.user)
        self.note_status()

    def note_status(self) -> None:
        self.session.services.presence.note_user(self.user)

    def say_activity(self, activity: Activity) -> None:
        lasts_ms = activity.ttl_ms or MAX_TTL_MS
        said = TimedActivity(activity, trio.current_time() + lasts_ms / 1000)
        self.session.services.presence.note_activity(self.number, said)

    def shown_as(self, user: UserId) -> tuple[Status, Millis] | None:
        return self.session.services.presence.shown_as(user)

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    @property
    def told_waiting(self) -> int:
        return len(self.ephemeral or ())

    def answer_hello(self, frame: bytes, phase: Phase) -> None:
        """Sends the answer to Hello before all other frames, and begins to deliver if it is granted: OPEN."""
        self.phase = phase
        self._sent_at_news = -1
        self.frames.insert(0, frame)
        self.schedule_send()
        if phase is Phase.OPEN:
            presence = self.session.services.presence
            presence.note_device(self, knows_somebody=False)
            presence.note_user(self.user, is_there=True)

    def close_after_answers(self, code: Close, reason: str) -> None:
        """Close once everything that is to be answered was sent."""
        self._closing = (code, reason)
        self.schedule_send()

    def acknowledge(self, partition: str, upto: Offset, ranges: Ranges) -> None:
        """The device holds these: there may be room for more."""
        window = self.windows.get(partition)
        if window is not None:
            if self.heard_at >= self.session.services.delivery.sample_at:
                self._sample(partition, window, upto)
            window.acknowledge(upto, ranges, self.heard_at)
            if window.position < self.session.logs[partition].head:
                self._sent_at_news = -1

    def _sample(self, partition: str, window: Window, upto: Offset) -> None:
        """Times the way of the newest message that is acknowledged, if it came while this device was there: what waited
        for a device that was away tells nothing of the server.
        """
        if window.is_in_flight(upto) and upto > window.own_upto:
            segments = self.session.logs[partition].after(upto - 1)
            if segments:  # else it is no longer in memory: read back it would cost more than it tells
                services, delivery = self.session.services, self.session.services.delivery
                delivery.sample_at = self.heard_at + SAMPLE_SECONDS
                accepted_at = millis_of(segments[0].entries[0].stamp)
                delivery.deliver_seconds.observe(max(0, services.wall_clock() - accepted_at) / 1000)

    def renew(self, claims: Claims) -> None:
        self.claims = claims
        self.wake()  # it expires at another time now

    def note_received(self, places: list[Received]) -> None:
        """It was sent these, and may say that they were read before it acknowledges them, or without."""
        received = self.received
        for place in places:
            last = received[-1] if received else place
            if last[0] == place[0] and last[2] + 1 == place[1]:  # the next part
                received[-1] = _received((place[0], last[1], place[2]))
            else:
                received.append(place)
        if len(received) > RECEIVED_KEPT:
            del received[: len(received) - max(RECEIVED_KEPT, sum(map(len, self.windows.values())))]

    def note_event(self, what: str, said: str = "", *, times: int = 1) -> None:
        """Has its flight recorder note something, behind how far it was sent until then."""
        if not self.recorder.ends_with(what, said):  # a flood of the same costs little, and is one event
            self._note_progress()
        self.recorder.note(self.services.wall_clock(), what, said, times=times)

    def note_hello(self, outcome: str) -> None:
        """Notes that its Hello was granted, and where it begins."""
        self._progress = self._how_far()
        self.note_event("hello", f"{outcome}; {self._progress}; client {self.agent!r}")

    def _note_progress(self) -> None:
        """Notes how far it was sent: as one event, whatever came since the last one of another kind."""
        self._progress_at = trio.current_time() + PROGRESS_SECONDS
        if self.phase is not Phase.OPEN:
            return
        progress = self._how_far()
        if progress != self._progress:
            self._progress = progress
            self.recorder.note(self.services.wall_clock(), "sent", progress, joins=True)

    def _how_far(self) -> str:
        windows = self.windows.items()
        return "; ".join([f"{name} up to {one.position}, {len(one)} in flight" for name, one in windows])

    def note_blocked(self, seconds: float) -> None:
        """Notes that the connection took nothing, where that is not how it mostly is."""
        if seconds >= BLOCKED_SECONDS:
            self.note_event("took no bytes", f"for {seconds:.1f} s")

    def count_refusal(self, code: int) -> None:
        super().count_refusal(code)
        self.note_event("refused", pb.ErrorCode.Name(pb.ErrorCode.ValueType(code)))

    def count_body_changes(self) -> int:
        return self.session.body_changes

    def list_received(self) -> list[Received]:
        return self.received

    def head_of(self, partition: str) -> Offset | None:
        log = self.session.logs.get(partition)
        return None if log is None else log.head

    def positions(self) -> Mapping[str, Offset]:
        return {partition: window.position for partition, window in self.windows.items()}

    def close_revoked(self, jti: str) -> None:
        """Closes the token's other connections in the user's session as it is now: this device's may have ended while
        that was written.
        """
        session = self.session.services.sessions.get(self.user)
        if session is not None:
            session.close_revoked(jti, but=self)

    def list_online(self) -> Container[str]:
        session = self.session.services.sessions.get(self.user)
        return () if session is None else session.devices

    def tell_siblings(self, name: str, part: bytes) -> int:
        session = self.session.services.sessions.get(self.user)
        found = () if session is None else session.devices.items()
        siblings = [one for own, one in found if one is not self and name in {"", own} and one.is_open]
        until = trio.current_time() + SIBLINGS_SECONDS
        self._said_to_siblings += 1
        for one in siblings:
            one.tell((self.name, self._said_to_siblings % SIBLINGS_KEPT), part, until=until)
        self.session.services.pending_sends.flush(trio.current_time())
        return len(siblings)

    def close_removed(self, device: DeviceId) -> None:
        session = self.session.services.sessions.get(self.user)
        if session is not None:
            session.close_removed(device)

    def wake(self) -> None:
        self.wakeup.notify()

    def schedule_send(self) -> None:
        """There is something to send: it is sent when the batch that is being answered is done."""
        self.session.services.pending_sends[self] = None

    def notify_room(self) -> None:
        self.answered.notify()

    def send_soon(self, now: float) -> None:
        """Step at once, on behalf of the fetcher: what is raised is its crash. It goes on where this stopped."""
        if self._crash or not (self._sent_at_news != self.session.news or self._has_something()):
            return
        try:
            self.send_some(now)
        except Exception as error:  # noqa: BLE001 - raised again by the fetcher, whose crash it is
            self._crash = error
            self.wakeup.notify()

    def _has_something(self) -> bool:
        return bool(self.parts or self.frames or self._overdue or self._closing)

    def raise_crash(self) -> None:
        crash, self._crash = self._crash, None
        if crash is not None:
            raise crash

    def send_some(self, now: float) -> None:
        """Send what there is until the connection declines, windows are full or it was much. No checkpoint in here.

        `now` is the event loop's time.
        """
        if self.phase is Phase.GREETING:
            return
        connection, session = self.connection, self.session
        self._frames_left = FRAMES_AT_ONCE
        while self._sent_at_news != session.news or self.parts or self.frames or self._overdue:
            if not connection.sendable or self._frames_left <= 0:
                self.wakeup.notify()  # the fetcher goes on when it is, and when others had their turn
                break
            if not self._send_one(now):
                break
            self._frames_left -= 1
        if self._closing is not None and not self.frames and not self.parts:
            connection.close(*self._closing)

    def _send_one(self, now: float) -> bool:
        """Offer the connection one frame; False when there is none to send."""
        if self.frames:
            if self.connection.send_nowait(self.frames[0]):
                del self.frames[0]
                self.pay(1)
                if self.pending is not None:
                    self.wakeup.notify()  # which may go on now
            return True
        if self._overdue:
            self._overdue = self._send_redelivery()
            return True
        if self.ephemeral and self.phase is Phase.OPEN and self._ephemeral_due <= now:
            self._send_ephemeral(self.ephemeral, now)
            return True
        return self._send_in_turn(now)

    def _send_in_turn(self, now: float) -> bool:
        """Replies, state and the first partition that has something: one Body."""
        session = self.session
        news = session.news
        parts = self._some_replies() if self.parts else []
        replies = len(parts)
        page: StatePage | None = None
        batch: BatchBuilder | None = None
        more = False
        if self.phase is Phase.OPEN:
            state = self.state
            if state.is_whole or state.version < session.state.head:
                page = state.read(session)
                parts.append(page.part)
                more = not page.live
            batch, more = self._next_batch(parts, now, more=more)
        if batch is not None:
            frame = frames.body(batch.partition, batch.window.position, batch.upto, pb.IN_TURN, parts)
        elif parts:
            frame = frames.body("", 0, 0, pb.IN_TURN, parts)
        else:
            self._sent_at_news = news
            return False
        if not self.connection.send_nowait(frame):
            return False
        if replies:
            del self.parts[:replies]
            self.pay(replies)
        if page is not None:
            self.state.sent(page)
            self._frames_left = 0 if page.is_read else self._frames_left
        if batch is not None:
            batch.window.sent(batch.upto, batch.flight, now)
            self.note_received(batch.places)
            session.services.delivery.sent += batch.count
        if not more:
            self._sent_at_news = news
        return True

    def _some_replies(self) -> list[bytes]:
        """The first ones, as many as one frame holds, or one."""
        size = 0
        for count, part in enumerate(self.parts):
            size += len(part)
            if count and size > FRAME_BYTES:
                return self.parts[:count]
        return self.parts.copy()

    def _next_batch(self, parts: list[bytes], now: float, *, more: bool) -> tuple[BatchBuilder | None, bool]:
        """Add to a frame's parts what the first partition has that has something. Whether there is more after it."""
        if self.pending is not None and self.pending.holds_back(now):
            return None, more
        logs = self.session.logs
        batch: BatchBuilder | None = None
        for partition, window in self.windows.items():
            head = logs[partition].head
            if window.position < head:
                if batch is not None:
                    return batch, True
                room = FRAME_BYTES - sum(map(len, parts)) if parts else FRAME_BYTES
                batch = BatchBuilder(self.session, self.number, partition, window, parts, room)
                batch.fill(head)
                if batch.upto == window.position:
                    batch = None  # the window is full: an ack lets it go on
                else:
                    more = more or batch.upto < head
        return batch, more

    def _send_ephemeral(self, waiting: dict[Hashable, tuple[bytes, float]], now: float) -> None:
        """Sends a frame of what is told and not stored, as much as there is room for."""
        size = 0
        told: list[Hashable] = []
        parts: list[bytes] = []
        for about, (part, until) in waiting.items():
            if until > now:
                size += len(part)
                if parts and size > FRAME_BYTES:
                    break
                parts.append(part)
            told.append(about)
        if not parts or self.connection.send_nowait(frames.body("", 0, 0, pb.IN_TURN, parts)):
            for about in told:
                del waiting[about]

    def _send_redelivery(self) -> bool:
        """Sends again what the grace period ran out for, out of turn: no range, nothing moves. False when all was."""
        for partition, window in self.windows.items():
            if not window.due:
                continue
            parts: list[bytes] = []
            again: list[Offset] = []
            size = 0
            for offset in window.iter_due():
                if len(again) == REDELIVERED_AT_ONCE:
                    break
                part = self._again(partition, offset)
                if parts and part is not None and size + len(part) > FRAME_BYTES:
                    break
                again.append(offset)
                if part is not None:
                    parts.append(part)
                    size += len(part)
            if not parts or self.connection.send_nowait(frames.body(partition, 0, 0, pb.REDELIVERED, parts)):
                window.redelivered(again)
                self.session.services.delivery.redelivered += len(again)
                self.note_event("sent again", partition, times=len(again))
            return True
        return False

    def _again(self, partition: str, offset: Offset) -> bytes | None:
        poison, place = self.session.services.poison, (self.session.number, partition, offset)
        try:
            try:
                segments = self.session.read_log(partition, offset - 1, 1, 0)
            except UnreadableError:
                return frames.gap_part(partition, offset, offset, pb.DAMAGED)
            item = next(segments[0].items()) if segments else None
            if item is None or item.offset != offset:
                return None
            if item.part is None or offset in poison.of(self.session.number, partition):
                return frames.gap_part(partition, offset, offset, pb.DAMAGED)
            addressed = addressed_to(self.session, self.number, item) if item.entry.addressed else None
            return deliver(item, addressed.payload if addressed else None)
        except Exception as error:
            poison.note(place, error)
            raise

    def _token_seconds_left(self) -> float:
        services = self.session.services
        return (self.claims.expires_at - services.wall_clock()) / 1000 + services.token_leeway_seconds

    def next_deadline(self) -> float:
        """When the fetcher must look even if nobody wakes it: a grace period ends, or the token expires."""
        grace = min((window.deadline for window in self.windows.values()), default=inf)
        left = self._token_seconds_left()
        expiry = trio.current_time() + left if left > 0 else inf  # what expired was noticed before
        ephemeral = self._ephemeral_due if self.ephemeral and self._ephemeral_due > trio.current_time() else inf
        answers = inf
        if self.pending is not None and self.phase is Phase.OPEN:  # before, the answer to Hello wakes the fetcher
            answers = self.pending.deadline(trio.current_time())
        return min(grace, expiry, ephemeral, answers)

    def work(self, now: float) -> bool:
        """Do a slice of what this device asked for and takes longer. False: there is nothing of that to do now."""
        return self.pending is not None and self.phase is Phase.OPEN and self.pending.work(now)

    def go_on(self) -> bool:
        """One slice of all that there is to do. Whether there may be more of what the device asked for."""
        self.check_deadlines()
        self.send_some(trio.current_time())
        return self.connection.sendable and self.work(trio.current_time())

    def check_deadlines(self) -> None:
        """Closes or redelivers what is overdue. To be followed by `send_some`, which looks at everything: what should
        have been noticed and was not heals here.
        """
        self._sent_at_news = -1
        now = trio.current_time()
        if now >= self._progress_at:
            self._note_progress()
        for partition, window in self.windows.items():
            if not window.expire(now):
                self.connection.close(
                    Close.UNACKNOWLEDGED,
                    f"{len(window)} entries of {partition} stayed unacknowledged; the log keeps them",
                )
            self._overdue = self._overdue or window.due
        if self._token_seconds_left() <= 0:
            self.connection.close(Close.TOKEN_EXPIRED, "the token expired; connect again with a new one")

    def measure_lag(self) -> DeviceLag:
        entries = in_flight = size = 0
        for partition, window in self.windows.items():
            entries += self.session.logs[partition].head - window.position
            in_flight += len(window)
            size += window.bytes
        return DeviceLag(entries, in_flight, size, self.owed)

    def statistics(self) -> dict[str, object]:
        """Tells the operator where this connection stands."""
        partitions = {
            partition: {
                "position": window.position,
                "head": self.session.logs[partition].head,
                "lag": self.session.logs[partition].head - window.position,
                "in_flight": len(window),
                "in_flight_bytes": window.bytes,
            }
            for partition, window in self.windows.items()
        }
        return {
            "greeted": self.phase is Phase.OPEN,
            "takes_frames": self.connection.sendable,
            "partitions": partitions,
            "unanswered": self.owed,
            "state_version": self.state.version,
        }

    def describe(self) -> dict[str, object]:
        """Tells the same with who is there: since when, from where, and with which client."""
        connection, services = self.connection, self.session.services
        round_trip = connection.round_trip_seconds
        return {
            **self.statistics(),
            "since": services.wall_clock() - round((trio.current_time() - self.since) * 1000),
            "address": connection.address,
            "agent": self.agent,
            "round_trip_ms": None if round_trip is None else round(round_trip * 1000, 1),
            "token_expires": self.claims.expires_at,
            "may_be_unanswered": self.max_owed,
            "rate_wait_seconds": max(0.0, round(self.rates.wait(trio.current_time()), 3)),
        }
