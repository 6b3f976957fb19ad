"""One connected device: what it was sent, what it is owed, and the one step that sends.

Theory of operation. There is no queue per device and no live path beside catching up. A device has a position in each
partition; `step` reads the log from there, and sends as long as the connection takes frames without blocking and the
window has room. It runs when the device's fetcher wakes up, and at once in the task that committed something. A frame
that the connection took is in flight: the position moves then and only then, so whoever is killed at whatever moment,
the next step goes on behind the last frame that was taken.

One frame holds all that there is for the device: acknowledgements of its own messages, state, and the entries of one
partition.

What `step` raises is the device's crash and not the committer's: `step_soon` keeps it for the fetcher, which raises
it. An entry that was being read when that happened twice is delivered as a gap.
"""

from collections import deque
from math import inf
from typing import NamedTuple

import trio

from bimip.domain.identity import Claims
from bimip.domain.ids import DeviceId, Offset
from bimip.domain.ranges import contains
from bimip.domain.records import Addressed, Table
from bimip.session.close import Close
from bimip.session.window import Window
from bimip.users.connection import Connection
from bimip.users.fetching import Fetching
from bimip.users.session import Session, StatePage
from bimip.users.tail import Item
from bimip.users.wakeup import Wakeup
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, state, stored
from bimip.wire.errors import WireError

FRAME_BYTES = 64 * 1024
"""Where a batch is cut. One message may be larger than this alone."""


class _Plan(NamedTuple):
    """A frame's share of one partition's log."""

    parts: list[bytes]
    upto: Offset
    entries: list[tuple[Offset, int]]  # offset and bytes of what will be in flight


class Device:
    def __init__(self, session: Session, number: DeviceId, claims: Claims, connection: Connection) -> None:
        self.session = session
        self.number = number
        self.claims = claims
        self.connection = connection
        self.wakeup = Wakeup()
        self.answered = Wakeup()
        self.windows: dict[str, Window] = {}
        self.said_hello = False
        self.greeted = False
        """Hello was answered, which is the first frame: until then all other answers wait."""
        self.seated = False
        """Hello was granted: delivery may begin."""
        self.state_position = 0
        self.state_reset = False
        self.state_live = False
        """All of the state up to the position was sent; else it is being caught up with."""
        self.unanswered = 0
        """Requests that were taken from this device and whose answer the connection has not taken yet."""
        self.fetching = Fetching(self)
        self.rates = session.rates.of(number)
        self._frames: deque[bytes] = deque()
        self._replies: deque[bytes] = deque()
        self._closing: tuple[Close, str] | None = None
        self._reading: tuple[str, int] | None = None
        self._crash: Exception | None = None

    @property
    def name(self) -> str:
        return self.claims.device

    @property
    def has_unsent_answers(self) -> bool:
        return bool(self._frames)

    def reply(self, part: bytes) -> None:
        """An answer that may share a frame with others: an element of Body."""
        self._replies.append(part)
        self.touch()

    def answer(self, frame: bytes) -> None:
        """An answer that stands alone."""
        self._frames.append(frame)
        self.touch()

    def greet(self, frame: bytes) -> None:
        """The answer to Hello."""
        self.greeted = True
        self._frames.appendleft(frame)
        self.touch()

    def fail(self, error: WireError, ref: int = 0) -> None:
        message = error.to_proto()
        message.ref = message.ref or ref
        self.reply(frames.error_part(message))

    def close_after_answers(self, code: Close, reason: str) -> None:
        """Close once everything that is to be answered was sent."""
        self._closing = (code, reason)
        self.touch()

    def touch(self) -> None:
        """There is something to send: step when the batch that is being answered is done."""
        self.session.services.touched[self] = None

    def was_answered(self, count: int) -> None:
        self.unanswered -= count
        self.answered.ring()

    def step_soon(self) -> None:
        """Step at once, on behalf of the fetcher: what is raised is its crash. It goes on where this stopped."""
        if self._crash:
            return
        try:
            self.step()
        except Exception as error:  # noqa: BLE001 - raised again by the fetcher, whose crash it is
            self._crash = error
            self.wakeup.ring()
        else:
            if not self.connection.sendable:
                self.wakeup.ring()

    def raise_crash(self) -> None:
        crash, self._crash = self._crash, None
        if crash is not None:
            raise crash

    def step(self) -> None:
        """Send all that there is, until the connection declines or the windows are full. No checkpoint in here."""
        if self.said_hello and not self.greeted:
            return
        self._reading = None
        try:
            while self._is_behind() and self.connection.sendable and self._send_one():
                pass
            if self._closing is not None and not self._frames and not self._replies:
                self.connection.close(*self._closing)
        except Exception:
            self._note_damage()
            raise

    def _note_damage(self) -> None:
        if self._reading is not None:
            self.session.services.damage.note((self.session.number, *self._reading))

    def _is_behind(self) -> bool:
        """Whether there may be something to send: asked after each frame that comes, when mostly there is not."""
        if self._frames or self._replies or self.state_reset or self.state_position < self.session.state.head:
            return True
        for partition, window in self.windows.items():
            if window.due or window.position < self.session.logs[partition].head:
                return True
        return False

    def _send_one(self) -> bool:
        """Offer the connection one frame; False when there is none to send."""
        if self._frames:
            frame = self._frames[0]
            if self.connection.send_nowait(frame):
                self._frames.popleft()
                self.was_answered(1)
                self.fetching.go_on()
            return True
        return self._send_redelivery() or self._send_in_turn()

    def _send_in_turn(self) -> bool:
        """Replies, state and the first partition that has something: one Body."""
        parts, replies = self._take_replies()
        page: StatePage | None = None
        partition, window, plan = "", None, None
        if self.seated:
            page = self._add_state(parts)
            partition, window, plan = self._next_partition(FRAME_BYTES - sum(map(len, parts)))
        if plan is None and not parts:
            return False
        after = upto = 0
        if window is not None and plan is not None:
            after, upto = window.position, plan.upto
            parts += plan.parts
        frame = frames.body(partition, after, upto, pb.IN_TURN, parts)
        if not self.connection.send_nowait(frame):
            return False
        for _ in range(replies):
            self._replies.popleft()
        self.was_answered(replies)
        self._state_sent(page)
        if window is not None and plan is not None:
            window.sent(plan.upto, plan.entries, trio.current_time())
        return True

    def _take_replies(self) -> tuple[list[bytes], int]:
        parts: list[bytes] = []
        size = 0
        for part in self._replies:
            if parts and size + len(part) > FRAME_BYTES:
                break
            parts.append(part)
            size += len(part)
        return parts, len(parts)

    def _add_state(self, parts: list[bytes]) -> StatePage | None:
        """Append the next page of state, if there is one."""
        position = self.state_position
        if position >= self.session.state.head and not self.state_reset:
            return None
        page = self.session.read_state(position, live=self.state_live)
        reset, complete = self.state_reset and position == 0, self.state_reset and page.live
        parts.append(state.delta_part(position, page.upto, page.items, reset=reset, complete=complete))
        return page

    def _state_sent(self, page: StatePage | None) -> None:
        if page is not None:
            self.state_position = page.upto
            self.state_live = page.live
            self.state_reset = self.state_reset and not page.live

    def _next_partition(self, room: int) -> tuple[str, Window | None, _Plan | None]:
        for partition, window in self.windows.items():
            if window.position < self.session.logs[partition].head:
                plan = self._plan(partition, window, room)
                self._reading = None
                if plan.upto > window.position:
                    return partition, window, plan
        return "", None, None

    def _plan(self, partition: str, window: Window, room: int) -> _Plan:
        """What is owed behind the position, as far as window and frame have room."""
        parts: list[bytes] = []
        entries: list[tuple[Offset, int]] = []
        upto, size = window.position, 0
        while items := self.session.read_log(partition, upto):
            for item in items:
                self._reading = (partition, item.offset)
                if item.offset > upto + 1:
                    parts.append(self._hole(partition, upto + 1, item.offset - 1))
                    upto = Offset(item.offset - 1)
                part = self._part(partition, window, item)
                if part is not None:
                    if not window.has_room(len(part), len(entries), size) or (entries and size + len(part) > room):
                        return _Plan(parts, upto, entries)
                    parts.append(part)
                    if not part.startswith(frames.GAP):
                        entries.append((item.offset, len(part)))
                        size += len(part)
                upto = item.offset
        head = self.session.logs[partition].head
        if upto < head:
            parts.append(self._hole(partition, upto + 1, head))
            upto = head
        return _Plan(parts, upto, entries)

    def _part(self, partition: str, window: Window, item: Item) -> bytes | None:
        """The entry as this device gets it; None if it is not owed, or held already."""
        entry = item.entry
        own = entry.origin == self.number
        if (window.held and contains(window.held, item.offset)) or (own and item.offset > window.own_upto):
            return None
        addressed = self._addressed(item) if entry.addressed and not own else None
        if addressed is None and entry.addressed and not own:
            return None
        if self.session.services.damage.is_damaged((self.session.number, partition, item.offset)):
            return self._gap(partition, item.offset, item.offset, pb.DAMAGED)
        return deliver(item, addressed.payload if addressed else None)

    def _addressed(self, item: Item) -> Addressed | None:
        with self.session.services.store.snapshot() as view:
            found = view.get(Table.ADDRESSED, (item.entry.stamp, self.session.number)) or ()
        return next((one for one in found if one.device == self.number), None)

    def _hole(self, partition: str, first: int, last: int) -> bytes:
        """Offsets that the log does not have: expired, as far as its first one tells.

        That is asked of the store, as the entries were: what it says may be newer than what the session was told.
        """
        with self.session.services.store.snapshot() as view:
            log = view.get(Table.LOGS, (self.session.number, partition))
        expired = log is not None and last < log.first
        return self._gap(partition, first, last, pb.EXPIRED if expired else pb.DAMAGED)

    @staticmethod
    def _gap(partition: str, first: int, last: int, reason: pb.GapReason) -> bytes:
        gap = pb.Gap(partition=partition, to=last, reason=reason)
        setattr(gap, "from", first)
        return frames.gap_part(gap)

    def _send_redelivery(self) -> bool:
        """What the grace period ran out for, again, out of turn: no range, and nothing moves."""
        for partition, window in self.windows.items():
            if not window.due:
                continue
            parts: list[bytes] = []
            again: list[Offset] = []
            size = 0
            for offset in window.iter_due():
                self._reading = (partition, offset)
                item = next(iter(self.session.read_log(partition, offset - 1)), None)
                part = None if item is None or item.offset != offset else self._redelivered(partition, item)
                if parts and part is not None and size + len(part) > FRAME_BYTES:
                    break
                again.append(offset)
                if part is not None:
                    parts.append(part)
                    size += len(part)
            self._reading = None
            if not parts or self.connection.send_nowait(frames.body(partition, 0, 0, pb.REDELIVERED, parts)):
                window.redelivered(again)
            return True
        return False

    def _redelivered(self, partition: str, item: Item) -> bytes:
        if self.session.services.damage.is_damaged((self.session.number, partition, item.offset)):
            return self._gap(partition, item.offset, item.offset, pb.DAMAGED)
        addressed = self._addressed(item) if item.entry.addressed else None
        return deliver(item, addressed.payload if addressed else None)

    def _token_seconds_left(self) -> float:
        services = self.session.services
        return (self.claims.expires_at - services.wall_clock()) / 1000 + services.token_leeway_seconds

    def next_deadline(self) -> float:
        """When the fetcher must look even if nobody wakes it: a grace period ends, or the token expires."""
        grace = min((window.deadline for window in self.windows.values()), default=inf)
        left = self._token_seconds_left()
        expiry = trio.current_time() + left if left > 0 else inf  # what expired was noticed before
        return min(grace, expiry, self.fetching.deadline)

    def check_deadlines(self) -> None:
        now = trio.current_time()
        for partition, window in self.windows.items():
            if not window.expire(now):
                self.connection.close(
                    Close.UNACKNOWLEDGED,
                    f"{len(window)} entries of {partition} stayed unacknowledged; the log keeps them",
                )
        if self._token_seconds_left() <= 0:
            self.connection.close(Close.TOKEN_EXPIRED, "the token expired; connect again with a new one")
        self.fetching.go_on()

    def statistics(self) -> dict[str, object]:
        """For the operator: where this connection stands."""
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
        return {"partitions": partitions, "unanswered": self.unanswered, "state_version": self.state_position}


class BodyMissingError(Exception):
    """An entry whose message is not in the store: reported, and after the second time told as a gap."""


def deliver(item: Item, payload: bytes | None = None) -> bytes:
    """The entry as an element of Body.messages."""
    if item.stored is None:
        raise BodyMissingError(f"the message {item.entry.stamp} of offset {item.offset} is not in the store")
    message = item.stored if payload is None else stored.readdressed(item.stored, payload)
    return stored.deliver(message, item.offset)
