"""A connected peer, for its socket's whole life: `bimip.users.connection.Connection` over a stream.

Theory of operation. The poller reads the socket, and *all* messages that are complete go at once to whoever takes
them (`hand_to`: the device's reader), in the poller's task; pings and the peer's close are dealt with on the way. What
nobody takes yet waits in `_received`, and no more is read until it was taken. The connection's own task, `run`, sleeps:
it wakes for the heartbeat, for what the socket did not take at once, and for the end.

A frame is written to the socket by whoever has it, at once (`send_nowait`), without a task in between. What the
socket does not take stays in `_unsent` and is `run`'s to finish within the send deadline; until then every further
frame is declined. So a frame leaves whole, or is the last thing that left, whoever is killed: nothing here is lost by
cancelling. Over TLS that is so too: what is read is decrypted first, what is written encrypted last, both at once
(`tls_stream.py`). What is no socket has two tasks more (`pumps.py`); a peer that speaks JSON has its texts converted
(`texts.py`).

`_ending` is the code and the reason, set at the moment of leaving the open state, by whoever comes first; `_happened`
is all that `closing.py` decides the rest by. Everything is bounded: one unfinished frame, one pong, one unfinished
answer, one message that is arriving, `send_seconds` for each frame, `message_seconds` for each message, `close_seconds`
for the end.
"""

import math
import os
import socket
import ssl
import struct
from collections.abc import Hashable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress

import trio
import trio.abc

from bimip.concurrency import Timer
from bimip.concurrency.buckets import Bucket, Rate
from bimip.gateway import tls_stream
from bimip.gateway.closing import (
    ABNORMAL,
    ABORTED,
    BROKEN,
    CLOSE_SENT,
    CLOSED_HERE,
    EOF,
    HALF_CLOSED,
    PEER_CLOSED,
    Step,
    may_reset,
    next_step,
)
from bimip.gateway.framing import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    CloseFrame,
    Event,
    Fault,
    FrameReader,
    Ping,
    Pong,
    close_payload,
    frame_head,
)
from bimip.gateway.poller import Poller
from bimip.gateway.pumps import DEAD, RECEIVE_BYTES, Pumps
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.texts import Texts
from bimip.gateway.wire import JSON, error_frame, text_of
from bimip.session.close import Close
from bimip.supervision import Notify
from bimip.users.connection import ConnectionClosedError, Take
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

FAILED = (Close.INTERNAL_ERROR, "the server failed here; please connect again")
GONE = (ABNORMAL, "the peer is gone")
UNREAD_BYTES = 1 << 20
"""What is received and thrown away of a peer that broke a rule, so that it sees why."""
UNREAD_UNKNOWN_BYTES = 1 << 17
"""Of one that showed no token yet, or came too often."""
EXTRA_BURST_SECONDS = 8.0
MAX_UNSENT_ANSWERS = 16 << 10
"""What TLS itself may have to say to a peer that does not read."""
MAX_FIRST_EXTRA = 128
"""Pings, pongs and fragments of a peer that showed no token yet."""


class WebSocketConnection:
    __slots__ = (
        "_admitted",
        "_answer",
        "_changed",
        "_close_deadline",
        "_consumer",
        "_consumer_error",
        "_consumer_waiting",
        "_ending",
        "_extra",
        "_fd",
        "_happened",
        "_heard_at",
        "_limits",
        "_malformed_in_a_row",
        "_message_since",
        "_ping_at",
        "_pinged_at",
        "_poller",
        "_pong",
        "_pumps",
        "_reader",
        "_reader_error",
        "_reading",
        "_reading_since",
        "_received",
        "_send_deadline",
        "_sendable",
        "_settings",
        "_stream",
        "_texts",
        "_tls",
        "_unconverted",
        "_unread",
        "_unsent",
        "_wake",
        "_while_open",
        "account",
        "address",
        "round_trip_seconds",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        settings: GatewaySettings,
        limits: Limits,
        poller: Poller,
        wake: Timer,
        subprotocol: str,
        rest: bytes,
        *,
        account: Hashable,
        admitted: bool,
        address: str = "",
        tls: tls_stream.TlsRecords | None = None,
    ) -> None:
        """`wake` is a new one; `rest` are bytes that came with the opening. Not `admitted`: it showed no token yet.
        `tls`: what comes over the socket, and leaves, is encrypted.
        """
        self.account = account
        """On which it is served; others may share it."""
        self.address = address
        self.round_trip_seconds: float | None = None
        self._stream = stream
        self._tls = tls
        self._poller = poller
        self._settings, self._limits = settings, limits
        self._texts = Texts(settings.json_objects_per_second) if subprotocol == JSON else None
        self._fd = stream.socket.fileno() if isinstance(stream, trio.SocketStream) else -1
        self._reader = FrameReader(
            max_message_bytes=limits.max_frame_bytes,
            max_fragments=settings.max_fragments,
            max_first_bytes=0 if admitted else settings.max_first_frame_bytes,
        )
        self._admitted = admitted
        self._extra: Bucket | None = None
        self._unread = UNREAD_BYTES if admitted else UNREAD_UNKNOWN_BYTES
        self._received: list[bytes] = []
        self._unsent: bytes | memoryview = b""
        self._send_deadline = math.inf
        self._close_deadline = math.inf
        self._unconverted: bytes | None = None
        self._pong: bytes | None = None
        self._answer: bytes | None = None
        self._malformed_in_a_row = 0
        self._ending: tuple[int, str] | None = None
        self._happened = 0  # of what `closing.py` knows
        now = trio.current_time()
        self._heard_at = self._ping_at = now
        self._ping_at += limits.heartbeat_seconds
        self._pinged_at = math.inf
        """When the ping was sent that was not answered yet; inf: all were."""
        self._reading = False
        self._reading_since = now
        self._message_since = math.inf
        self._wake = wake
        self._sendable: trio.Event | None = None
        self._consumer_waiting = Notify()
        self._changed: trio.Event | None = None
        self._consumer: Take | None = None
        self._consumer_error: Exception | None = None
        self._reader_error: Exception | None = None
        self._while_open: trio.CancelScope | None = None
        self._pumps = Pumps(stream) if self._fd < 0 else None
        if rest:
            self._on_bytes(rest)

    def admit(self, account: Hashable) -> None:
        """It showed a valid token. `account`: on which it is served from now on."""
        self.account = account
        self._admitted = True
        self._unread = UNREAD_BYTES
        self._reader.admit()
        self.read_on()

    async def receive(self) -> list[bytes]:
        """See `Connection`. Raises at once when the connection was closed from this side."""
        received: list[bytes] = []

        def consume(frames: list[bytes], _now: float) -> bool:
            received.extend(frames)
            return False

        await self.hand_to(consume)
        return received

    async def hand_to(self, consumer: Take) -> None:
        """See `Connection`. Raises at once when the connection was closed from this side."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._consumer = consumer
        try:
            self._hand_over()
            while self._consumer == consumer:
                if self._ending is not None:
                    raise ConnectionClosedError(*self._ending)
                self.read_on()
                await self._consumer_waiting
                self._hand_over()
        finally:
            self._consumer = None
        if self._consumer_error is not None:
            error, self._consumer_error = self._consumer_error, None
            raise error

    def _hand_over(self) -> None:
        """Hands over what has arrived to whoever takes it. An answer that the peer is still owed goes first."""
        consumer = self._consumer
        if consumer is None or not self._received or self._happened & CLOSED_HERE:
            return
        if self._answer is not None and self._ending is None:
            return
        frames, self._received = self._received, []
        try:
            if consumer(frames, self._heard_at):
                return
        except Exception as error:  # noqa: BLE001 - raised again by whoever called `hand_to`: its crash, not the poller's
            self._consumer_error = error
        self._consumer = None
        self._notify_changed()

    @property
    def sendable(self) -> bool:
        return self._ending is not None or not (self._unsent or self._unconverted is not None)

    def send_nowait(self, frame: bytes) -> bool:
        if self._ending is not None:
            return True
        if self._unsent or self._unconverted is not None:
            return False
        if self._texts is not None:
            self._unconverted = frame
            self._wake.notify()
        else:
            self._write(frame_head(BINARY, len(frame)) + frame)
        return True

    async def wait_sendable(self) -> None:
        while not self.sendable:
            await self._wait_sendable()
        await trio.lowlevel.checkpoint()
        if self._ending is not None:
            raise ConnectionClosedError(*self._ending)

    def close(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._happened |= CLOSED_HERE
            self._end(code, reason)

    @property
    def ending(self) -> tuple[int, str]:
        """The code that it ended with, and why, where this side says so: what a peer writes is not for a log."""
        code, reason = self._ending or (ABNORMAL, "")
        return code, "" if self._happened & PEER_CLOSED else reason

    async def wait_closed(self) -> None:
        while not self._happened & ABORTED:
            await self._wait_changed()

    @contextmanager
    def while_open(self) -> Iterator[None]:
        """Cancels what runs in here when the connection ends."""
        with trio.CancelScope() as scope:
            if self._ending is not None:
                scope.cancel()
            self._while_open = scope
            try:
                yield
            finally:
                self._while_open = None

    def shorten_send_deadline(self) -> None:
        """The server stops: the unfinished frame has no more time than a close frame."""
        self._close_deadline = min(self._close_deadline, trio.current_time() + self._settings.close_seconds)

    def pumping(self) -> AbstractAsyncContextManager[None]:
        """Entered for the connection's life: what is no plain socket has tasks that read and write."""
        return nullcontext() if self._pumps is None else self._pumps.open(self)

    @property
    def is_aborted(self) -> bool:
        return bool(self._happened & ABORTED)

    @property
    def unsent(self) -> bytes | memoryview:
        return self._unsent

    async def wait_wanted(self) -> bool:
        """See `Pumped`. Handles on the way what was read before."""
        while not self._happened & (EOF | ABORTED):
            if not self._reading:
                await self._wait_changed()
            elif self._has_pending_events:
                self._read(None)
                await trio.lowlevel.checkpoint()
            else:
                return True
        return False

    def on_data(self, data: bytes) -> None:
        self._heard_at = trio.current_time()
        self._read(data)

    def on_all_sent(self) -> None:
        self._unsent = b""

    def on_broken(self) -> None:
        self._break(*GONE)

    async def run(self) -> None:
        """Serve the connection until its closing is over. Cancelling it loses nothing: call it again to go on."""
        self.read_on()
        try:
            while self._ending is None or self._is_sending():
                await self._serve()
                self.notify_sendable()
        except Exception:
            self._unconverted = self._answer = None  # it may be what failed
            self.close(*FAILED)
            await self._finish()
            raise
        await self._finish()

    def abort(self) -> None:
        """Close the socket now, if that has not happened."""
        if self._happened & ABORTED:
            return
        self._happened |= ABORTED
        self._end(ABNORMAL, "the connection was cut")
        if self._pumps is not None:
            self._pumps.stop()
        self._notify_changed()

    def _is_sending(self) -> bool:
        return not self._happened & (BROKEN | EOF) and bool(self._unsent or self._unconverted is not None)

    async def _serve(self) -> None:
        """One thing that is due, or sleep until something is."""
        if self._reader_error is not None:
            raise self._reader_error
        if self._unsent:
            await self._flush()
        elif self._unconverted is not None:
            frame, self._unconverted = self._unconverted, None
            self._write_text(frame)
        elif self._pong is not None:
            pong, self._pong = self._pong, None
            self._write(frame_head(PONG, len(pong)) + pong)
        elif self._answer is not None:
            answer, self._answer = self._answer, None
            self._write_text(answer)
            self.read_on()
            self._notify_changed()
        elif trio.current_time() >= self._late_at():
            self._end(Close.TOO_SLOW, "a message did not arrive in time")
        elif self._texts is not None and trio.current_time() >= self._texts.resume_at:
            self._texts.resume_at = math.inf
            self.read_on()
        elif trio.current_time() >= self._silent_at():
            self.close(Close.SILENT, "nothing was heard for two heartbeats")
        elif trio.current_time() >= self._ping_at:
            self._pinged_at = trio.current_time()
            self._ping_at = self._pinged_at + self._limits.heartbeat_seconds
            self._write(frame_head(PING, 0))
        else:
            resume_at = math.inf if self._texts is None else self._texts.resume_at
            await self._wake.until(min(self._ping_at, self._silent_at(), self._late_at(), resume_at))

    def _silent_at(self) -> float:
        """A server that does not read because its reader has enough to do must not take its peer for silent."""
        if not self._reading:
            return math.inf
        return max(self._heard_at, self._reading_since) + 2 * self._limits.heartbeat_seconds

    def _late_at(self) -> float:
        """When a message has been arriving for too long, if only in silence."""
        if not self._reading:
            return math.inf
        return max(self._message_since, self._reading_since) + self._settings.message_seconds

    def _write_text(self, frame: bytes) -> None:
        payload = frame if self._texts is None else text_of(frame).encode()
        self._write(frame_head(BINARY if self._texts is None else TEXT, len(payload)) + payload)

    def _write(self, data: bytes) -> None:
        """Send one frame: at once what the socket takes, the rest in `run`."""
        if self._happened & BROKEN:
            return
        if self._tls is not None:
            try:
                data = self._tls.encrypt(data)
            except ssl.SSLError:
                self._break(*GONE)
                return
        taken = 0
        if self._fd >= 0:
            try:
                taken = os.write(self._fd, data)
            except BlockingIOError:
                pass
            except OSError:
                self._break(*GONE)
                return
        if taken < len(data):
            self._unsent = memoryview(data)[taken:] if taken else data
            self._send_deadline = trio.current_time() + self._settings.send_seconds
            if self._pumps is not None:
                self._pumps.send_soon()
            self._wake.notify()

    async def _flush(self) -> None:
        """Finish the unfinished frame, or give the connection up at its deadline."""
        deadline = min(self._send_deadline, self._close_deadline)
        try:
            with trio.move_on_at(deadline):
                while self._unsent:
                    await self._flush_some()
        except DEAD:
            self._break(*GONE)
        if self._unsent and trio.current_time() >= deadline:
            self._break(Close.TOO_SLOW, "a frame could not be sent in time")

    async def _flush_some(self) -> None:
        if self._pumps is not None:
            await self._pumps.wait_sent()
            return
        await trio.lowlevel.wait_writable(self._fd)
        with suppress(BlockingIOError):
            taken = os.write(self._fd, self._unsent)
            self._unsent = memoryview(self._unsent)[taken:]
        if not self._unsent and self._tls is not None:
            self._unsent = self._tls.encrypt(b"")

    def read_on(self) -> None:
        """Have the socket read from now on, if more is wanted of it."""
        if self._reading or not self._wants_more():
            return
        self._reading = True
        self._reading_since = trio.current_time()
        if self._fd >= 0:
            self._poller.add(self._fd, self)
            if self._has_pending_events:
                self._poller.again(self._fd)
        else:
            self._notify_changed()

    @property
    def _has_pending_events(self) -> bool:
        """Something was read that was too much for one turn."""
        if self._tls is not None and self._tls.pending:
            return True
        return self._reader.pending or (self._texts is not None and self._texts.pending)

    @property
    def whose(self) -> str:
        """The peer's address: for the operator, of a turn that took long."""
        try:
            return str(self._stream.socket.getpeername()) if isinstance(self._stream, trio.SocketStream) else "a stream"
        except OSError:
            return "a peer that left"

    def read_now(self, now: float) -> bool:
        """The socket has something, or this asked for another turn. False: no more is wanted for now."""
        if self._reader.pending or (self._texts is not None and self._texts.pending):
            self._read(None)
            self._read_on_decrypting()
            return self._reading
        if self._tls is not None:
            return self._read_encrypted(self._tls, now)
        try:
            data = os.read(self._fd, RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self._heard_at = now
        self._read(data)
        return self._reading

    def _read_encrypted(self, tls: tls_stream.TlsRecords, now: float) -> bool:
        """Reads and decrypts what the socket has, or goes on with what was too much for the last turn."""
        try:
            came = b"" if tls.pending else os.read(self._fd, tls_stream.RECEIVE_BYTES)
            if not (came or tls.pending) or tls.ended:
                self._read(b"")
                return self._reading
            data = tls.decrypt(came)
        except BlockingIOError:
            return True
        except ssl.SSLError as error:
            self._on_broken_tls(error)
            return False
        except OSError:
            self._read(b"")
            return self._reading
        if tls.unsent_bytes:
            self._answer_tls(tls)
        if data:  # else no record is whole yet: such a peer has not been heard
            self._heard_at = now
            self._read(data)
        self._read_on_decrypting()
        return self._reading

    def _read_on_decrypting(self) -> None:
        """More came than was decrypted in this turn: have another one."""
        if self._reading and self._tls is not None and self._tls.pending:
            self._poller.again(self._fd)

    def _answer_tls(self, tls: tls_stream.TlsRecords) -> None:
        """Sends what TLS itself has to say to what was read, such as that the key changes. A frame goes first."""
        if not self._unsent:
            self._write(b"")
        elif tls.unsent_bytes > MAX_UNSENT_ANSWERS:
            self._break(Close.TOO_SLOW, "it asked for new keys, and read no answer")

    def _on_broken_tls(self, error: ssl.SSLError) -> None:
        """Ends it, as what came was forged or damaged. The peer hears that by TLS's own alert, if it reads."""
        self._happened |= EOF
        self._reading = False
        if not self._unsent:
            self._write(b"")
        self._break(ABNORMAL, f"what came over TLS was broken: {error.reason or error}")

    def _read(self, data: bytes | None) -> None:
        """Reads bytes from the socket; None goes on with what was read before."""
        try:
            if self._reader_error is None or not data:
                self._on_bytes(data)
            self._hand_over()
        except Exception as error:  # noqa: BLE001 - a defect of this one connection: `run` raises it
            self._reader_error = error
            self._wake.notify()
        self._reading = self._wants_more()
        # As `_has_pending_events` says; in line, because it is asked for each frame.
        if self._reading and self._fd >= 0 and (self._reader.pending or (self._texts and self._texts.pending)):
            self._poller.again(self._fd)
        if self._ending is not None:
            self._notify_changed()

    def _wants_more(self) -> bool:
        """Whether to go on reading. What is said after the end is read too, and thrown away."""
        if self._ending is not None:
            return not self._happened & EOF
        if self._texts is not None and self._texts.resume_at < math.inf:
            return False
        return not self._received and self._answer is None and not self._reader.held

    def _on_bytes(self, data: bytes | None) -> None:
        if data == b"":
            self._happened |= EOF
            self._end(*GONE)
            return
        texts = self._texts
        if texts is not None and texts.pending:
            texts.go_on(self)
            return
        if self._reader.over:
            self._throw_away(len(data or b""))
            return
        events = self._reader.feed(data or b"")
        if texts is not None:
            texts.take(events)
            texts.go_on(self)
        else:
            for event in events:
                if isinstance(event, bytes) and self._ending is None:
                    self._received.append(event)
                else:
                    self.on_event(event)
        if self._reader.extra:
            self._charge_extra()
        if self._reader.unfinished:
            self._check_message_time()
        else:
            self._message_since = math.inf

    def on_event(self, event: Event) -> None:
        if isinstance(event, bytes | str):
            self._on_message(event)
        elif isinstance(event, Ping):
            self._pong = event.payload  # of several only the last is answered (RFC 6455, 5.5.3)
            self._wake.notify()
        elif isinstance(event, Pong):
            if self._pinged_at < math.inf:  # else nobody asked for it
                self.round_trip_seconds = trio.current_time() - self._pinged_at
                self._pinged_at = math.inf
        elif isinstance(event, CloseFrame):
            self._happened |= PEER_CLOSED
            self._end(event.code, event.reason)
        elif isinstance(event, Fault):
            self._end(event.code, event.reason)

    def _charge_extra(self) -> None:
        """Pings, pongs and fragments cost as much as messages and ask for nothing: a flood of them ends it."""
        count, self._reader.extra = self._reader.extra, 0
        if self._extra is None:
            rate = self._settings.extra_frames_per_second
            burst = EXTRA_BURST_SECONDS if self._admitted else MAX_FIRST_EXTRA / (rate or 1)
            self._extra = Bucket(Rate(requests_per_second=rate, burst_seconds=burst))
        self._extra.take(count, 0, self._heard_at)
        if self._extra.wait(self._heard_at) > 0:
            self.close(Close.TOO_MANY_ERRORS, "too many pings, pongs and fragments")
            self._reader.stop()

    def _throw_away(self, size: int) -> None:
        self._unread -= size
        if self._unread < 0:
            self._break(*GONE)

    def _check_message_time(self) -> None:
        if self._message_since == math.inf:
            self._message_since = self._heard_at
            if self._message_since + self._settings.message_seconds < self._ping_at:
                self._wake.notify()  # `run` looks at the next ping anyway
        elif self._heard_at - self._message_since > self._settings.message_seconds:
            self._end(Close.TOO_SLOW, "a message did not arrive in time")

    def _on_message(self, message: bytes | str) -> None:
        """Takes an event that is not a binary message of a connection that speaks Protocol Buffers."""
        if self._ending is not None:
            return
        if isinstance(message, bytes) or self._texts is None:
            kind = "binary frames" if self._texts is None else "text frames"
            self.close(Close.UNSUPPORTED_DATA, f"this subprotocol has {kind} only")
            return
        self._texts.begin(message, self._heard_at)
        if self._texts.resume_at < math.inf:
            self._wake.notify()

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    @property
    def owes_answer(self) -> bool:
        """See `Converted`."""
        return self._answer is not None

    def on_converted(self, frame: bytes) -> None:
        self._received.append(frame)
        self._malformed_in_a_row = 0

    def on_malformed(self, error: WireError) -> None:
        if not self._admitted:
            self._reader.release()
        self._malformed_in_a_row += 1
        if self._malformed_in_a_row > self._limits.max_malformed:
            self.close(Close.TOO_MANY_ERRORS, "too many frames in a row that cannot be understood")
        else:
            self._answer = error_frame(error)
            self._wake.notify()

    async def _finish(self) -> None:
        """Say what is still to be said, and give the peer some time to answer."""
        self.shorten_send_deadline()
        with trio.move_on_after(self._settings.close_seconds):
            while (step := self._next_step()) is not Step.DONE:
                await self._close_by(step)

    def _next_step(self) -> Step:
        assert self._ending is not None
        return next_step(
            self._happened, self._ending[0], unsent=bool(self._unsent), broke_the_protocol=self._reader.over
        )

    async def _close_by(self, step: Step) -> None:
        """Takes one step of closing."""
        if step is Step.SEND_CLOSE:
            assert self._ending is not None
            self._send_close(*self._ending)
        elif step is Step.FLUSH:
            await self._flush()
        elif step is Step.HALF_CLOSE and self._tls is not None and not self._tls.closed:
            self._tls.close()
            self._write(b"")
        elif step is Step.HALF_CLOSE:
            self._happened |= HALF_CLOSED
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                with suppress(*DEAD):
                    await self._stream.send_eof()
        else:
            self.read_on()
            await self._wait_changed()

    def _send_close(self, code: int, reason: str) -> None:
        payload = close_payload(code, "" if self._happened & PEER_CLOSED else reason)
        self._write(frame_head(CLOSE, len(payload)) + payload)
        self._happened |= CLOSE_SENT

    def _end(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._ending = (int(code), reason)
            if self._while_open is not None:
                self._while_open.cancel()
            self.notify_sendable()
            self._notify_changed()
            self._wake.notify()

    def _break(self, code: int, reason: str) -> None:
        """Nothing can be sent any more."""
        self._happened |= BROKEN
        self._unsent = b""
        if self._pumps is not None:
            self._pumps.stop_sending()
        self._end(code, reason)
        self._notify_changed()

    def notify_sendable(self) -> None:
        if self._sendable is not None:
            self._sendable.set()
            self._sendable = None

    async def _wait_sendable(self) -> None:
        if self._sendable is None:
            self._sendable = trio.Event()
        await self._sendable.wait()

    def _notify_changed(self) -> None:
        self._consumer_waiting.notify()
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _wait_changed(self) -> None:
        """Until something arrived, or something ended."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    async def aclose(self) -> None:
        """Close the socket, whatever state the connection is in. Also when cancelled."""
        if self._tls is not None and not (self._unsent or self._happened & (BROKEN | ABORTED)):
            self._say_end_of_tls(self._tls)
        self.abort()
        self._wake.cancel()
        self._poller.remove(self._fd)
        self._fd = -1  # the system may give the number to somebody else
        if may_reset(self._happened) and isinstance(self._stream, trio.SocketStream):
            with suppress(OSError):
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self._stream)

    def _say_end_of_tls(self, tls: tls_stream.TlsRecords) -> None:
        """Tells the peer that nobody cut off what it got, where the socket takes that at once."""
        tls.close()
        with suppress(OSError):
            os.write(self._fd, tls.encrypt(b""))
