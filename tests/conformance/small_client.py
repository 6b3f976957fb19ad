"""A client in the thread of the test, which obeys PROTOCOL.md but for the one point in which it is told to be wrong."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio
import trio.lowlevel
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from bimip.conformance.frames import scheme_of
from bimip.wire import bimip_pb2 as pb

Dial = Callable[[], Awaitable[trio.abc.Stream]]
Say = Callable[[str], None]
FINAL = {1000, 1002, 1003, 1007, 1009}
MOMENTARY = {pb.RATE_LIMITED, pb.STORAGE_FULL, pb.UNAVAILABLE, pb.UNKNOWN_OUTCOME}
AGAIN = re.compile(r"again in ([0-9]{1,9}) seconds?\b")
IN_WORDS = re.compile(r"again in ([0-9]+)")

WRONG = {
    "shows no token": "says-hello",
    "shows a batch backwards": "shows-a-batch-in-order",
    "takes jumps of offsets for losses": "shows-a-batch-in-order",
    "shows what is redelivered": "shows-what-is-redelivered-once",
    "acknowledges nothing twice": "shows-what-is-redelivered-once",
    "leaves its position to the server": "keeps-its-position-over-a-lost-ack",
    "keeps nothing": "goes-on-after-a-kill",
    "stores before it shows": "loses-nothing-in-a-kill",
    "holds nothing": "holds-what-comes-out-of-turn",
    "jumps over holes": "takes-no-batch-behind-a-hole",
    "takes no gap": "passes-gaps",
    "has one position": "keeps-partitions-apart",
    "acknowledges late": "acknowledges-within-the-window",
    "reads once": "says-again-what-was-read",
    "sends for ever": "sends-once-what-is-answered",
    "draws new ids": "sends-again-what-is-not-answered",
    "forgets the outbox": "keeps-what-is-not-answered-over-a-kill",
    "sends the newest first": "keeps-what-is-not-answered-over-a-kill",
    "tells each SENT": "tells-a-duplicate-sent-once",
    "shows its own": "knows-its-own-entry",
    "does not hold what it wrote": "holds-what-it-wrote",
    "gives up at once": "sends-again-what-was-refused-for-the-moment",
    "does not wait": "sends-again-what-was-refused-for-the-moment",
    "never gives up": "gives-up-what-was-refused-for-good",
    "ends with any code": "comes-again",
    "comes again after any code": "stays-away",
    "forgets its place at a cut": "drops-a-frame-that-is-cut",
    "is in a hurry": "waits-as-long-as-it-is-told",
    "obeys any reason": "reads-a-wait-where-it-stands-alone",
    "does not back off": "backs-off",
    "reads no Retry-After": "obeys-http",
    "waits for nobody": "waits-for-a-slow-hello",
    "waits for ever": "gives-up-a-server-without-hello",
    "never leaves": "leaves-a-silent-server",
    "pings nobody": "stays-with-a-quiet-server",
    "answers no ping": "answers-pings",
    "keeps its positions": "goes-on-in-another-epoch",
    "shows what is known": "goes-on-in-another-epoch",
    "keeps no signal ids": "knows-what-it-showed-after-a-kill",
    "keeps what it holds": "drops-held-ranges-of-another-epoch",
    "counts in doubles": "keeps-numbers-of-64-bits",
    "says no version": "keeps-the-version-of-the-state",
    "drops no state": "drops-what-a-whole-state-has-not",
    "counts half a state": "counts-a-whole-state-when-it-is-whole",
    "knows all fields": "passes-over-unknown-fields",
    "knows all routes": "passes-over-unknown-routes",
    "takes any status for SENT": "leaves-unknown-values-aside",
    "takes any turn": "leaves-unknown-values-aside",
    "takes a fragment for a frame": "joins-fragments",
    "takes a read for a frame": "takes-single-bytes",
    "looks at no offset": "takes-a-doubled-frame-once",
    "takes small frames": "takes-a-large-frame",
}
"""In which point a client may be wrong, and which sequence finds it."""


class Reading(trio.abc.Stream):
    """A stream that takes fragments, or what comes at once, for whole frames."""

    def __init__(self, stream: trio.abc.Stream, wrong: str) -> None:
        self._stream = stream
        self._wrong = wrong

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        if self._wrong == "takes a read for a frame" and len(data) == 1:
            raise trio.BrokenResourceError
        return data.replace(b"\x02\x03", b"\x82\x03") if self._wrong == "takes a fragment for a frame" else data

    async def aclose(self) -> None:
        await self._stream.aclose()


class SmallClient:
    def __init__(self, environment: Mapping[str, str], dial: Dial, say: Say, wrong: str) -> None:
        assert wrong in {"", *WRONG}
        self.wrong = wrong
        self._token = environment["BIMIP_TOKEN"]
        self._subprotocol = environment["BIMIP_SUBPROTOCOL"]
        self._partitions = environment["BIMIP_PARTITIONS"].split(",")
        self._file = Path(environment["BIMIP_STORE"]) / "state.json"
        self._dial = dial
        self._say = say
        self._state: dict[str, Any] = {
            "epoch": 0, "version": 0, "positions": {}, "outbox": [], "known": [], "reads": {}, "markers": {}
        }  # fmt: skip
        if self._file.exists() and wrong != "keeps nothing":
            self._state |= json.loads(self._file.read_text())
        self._socket: WebSocketConnection | None = None
        self._whole: dict[str, int] | None = None
        self._told: set[str] = set()
        self._acks = 0
        self._ref = 0
        self._heard = 0.0
        self._is_welcome = False
        self._attempt = 0
        self._may_connect = trio.Event()
        self._may_connect.set()
        self._nursery: trio.Nursery

    def save(self) -> None:
        kept = dict(self._state)
        if self.wrong == "forgets the outbox":
            kept["outbox"] = []
        if self.wrong == "keeps no signal ids":
            kept["known"] = []
        self._file.write_text(json.dumps(kept))

    def tell(self, **line: Any) -> None:
        self._say(json.dumps(line))

    async def run(self, lines: trio.MemoryReceiveChannel[str]) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._stay_connected)
            async for line in lines:
                await self._do(json.loads(line))

    async def _do(self, line: dict[str, Any]) -> None:
        match line["do"]:
            case "send":
                self._state["outbox"].append({name: line[name] for name in ("id", "to", "text")})
                self.save()
                if self._is_welcome:
                    await self._send_message(self._state["outbox"][-1])
            case "read":
                self._state["reads"][line["conversation"]] = line["upto"]
                await self._read(line["conversation"], line["upto"])
            case "connect":
                self._may_connect.set()

    # Connections.

    async def _stay_connected(self) -> None:
        while True:
            await self._may_connect.wait()
            code, wait = await self._connect_once()
            if self.wrong == "forgets its place at a cut":
                self._state["positions"] = {}
            is_final = code in FINAL or 4100 <= code <= 4199 or (self.wrong == "ends with any code" and code == 1011)
            if is_final and self.wrong != "comes again after any code":
                self._may_connect = trio.Event()
                self.tell(stopped={"code": code})
            elif self.wrong == "does not back off":
                await trio.sleep(0.02)
            else:
                self._attempt += 1
                await trio.sleep(wait + min(0.3, 0.05 * self._attempt))

    async def _connect_once(self) -> tuple[int, float]:
        ends: list[tuple[int, float]] = [(0, 0.0)]
        try:
            await self._connection(ends)
        except* ConnectionRejected as group:
            ends += [self._refusal(refused) for refused in group.exceptions if isinstance(refused, ConnectionRejected)]
        finally:
            self._socket, self._is_welcome = None, False
        return ends[-1]

    def _refusal(self, refused: ConnectionRejected) -> tuple[int, float]:
        word = (refused.body or b"").decode().split()[0]
        code = int(word) if refused.status_code == 401 and word.startswith("41") else 0
        wait = dict(refused.headers or []).get(b"retry-after", b"0")
        return code, 0.0 if self.wrong == "reads no Retry-After" else float(wait)

    async def _connection(self, ends: list[tuple[int, float]]) -> None:
        stream: trio.abc.Stream = Reading(await self._dial(), self.wrong)
        header = [] if self.wrong == "shows no token" else [(b"Authorization", f"Bearer {self._token}".encode())]
        size = 65_536 if self.wrong == "takes small frames" else 1_048_576
        async with stream, trio.open_nursery() as nursery:
            try:
                self._socket = await wrap_client_stream(
                    nursery,
                    stream,  # type: ignore[arg-type]  # any stream
                    "server",
                    "/",
                    subprotocols=[self._subprotocol],
                    extra_headers=header,
                    max_message_size=size,
                )
                await self._converse(nursery)
            except ConnectionClosed as closed:
                reason = closed.reason
                if reason is not None:
                    ends.append((reason.code, self._wait(reason.code, reason.reason or "")))
            nursery.cancel_scope.cancel()

    def _wait(self, code: int, reason: str) -> float:
        if self.wrong == "is in a hurry":
            return 0.0
        if self.wrong == "obeys any reason":
            named = IN_WORDS.search(reason)
        else:
            named = AGAIN.search(reason) if code in {1001, 1013} else None
        return float(named[1]) if named else 0.0

    async def _converse(self, nursery: trio.Nursery) -> None:
        self._whole = None
        await self._send(self._hello())
        seconds = {"waits for nobody": 0.1, "waits for ever": 1e9}.get(self.wrong, 5.0)
        assert self._socket is not None
        with trio.move_on_after(seconds) as scope:
            welcome = pb.MessageScheme.FromString(await self._socket.get_message())  # type: ignore[arg-type]  # bytes
        if scope.cancelled_caught:
            return
        self._welcome(welcome.hello)
        if self._is_strange(welcome):
            return
        self._heard = trio.current_time()
        self._is_welcome = True
        nursery.start_soon(self._heartbeat, welcome.hello.limits.heartbeat_ms / 1000, nursery)
        outbox = list(self._state["outbox"])
        for one in reversed(outbox) if self.wrong == "sends the newest first" else outbox:
            await self._send_message(one)
        if self.wrong != "reads once":
            for conversation, upto in self._state["reads"].items():
                await self._read(conversation, upto)
        while True:
            data = await self._socket.get_message()
            self._heard = trio.current_time()
            try:
                scheme = pb.MessageScheme.FromString(data)  # type: ignore[arg-type]  # bytes
            except Exception:  # noqa: BLE001 - whatever the codec raises
                return
            if self._is_strange(scheme):
                return
            if not await self._take(scheme):
                return

    def _is_strange(self, scheme: pb.MessageScheme) -> bool:
        known = pb.MessageScheme()
        known.CopyFrom(scheme)
        known.DiscardUnknownFields()
        if self.wrong == "knows all fields" and scheme.WhichOneof("payload"):
            return known.ByteSize() != scheme.ByteSize()
        return self.wrong == "knows all routes" and not scheme.WhichOneof("payload")

    async def _heartbeat(self, seconds: float, nursery: trio.Nursery) -> None:
        while True:
            await trio.sleep(seconds)
            if trio.current_time() - self._heard >= 2 * seconds and self.wrong != "never leaves":
                nursery.cancel_scope.cancel()
            elif self.wrong != "pings nobody":
                await self._send(pb.PingPong(kind=pb.PingPong.PING))

    async def _send(self, payload: Any, ref: int = 0) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send_message(scheme_of(payload, ref).SerializeToString())

    async def _send_message(self, one: dict[str, str]) -> None:
        self._ref += 1
        message_id = f"{one['id']}-{self._ref}" if self.wrong == "draws new ids" and self._attempt else one["id"]
        message = pb.Message(id=message_id, to=pb.Identity(eid=one["to"]), type=1, payload=one["text"].encode())
        await self._send(message, self._ref)

    async def _read(self, conversation: str, upto: int) -> None:
        await self._send(pb.Signal(status=pb.READ, conversation=conversation, upto=upto))

    # Hello.

    def _place(self, partition: str) -> dict[str, Any]:
        name = "all" if self.wrong == "has one position" else partition
        return self._state["positions"].setdefault(name, {"offset": 0, "held": []})  # type: ignore[no-any-return]

    def _hello(self) -> pb.Hello:
        hello = pb.Hello(epoch=self._state["epoch"], state_version=self._state["version"], agent="small/1")
        if self.wrong == "says no version":
            hello.state_version = 0
        for partition in self._partitions:
            place = self._place(partition)
            position = hello.partitions.add(partition=partition, offset=place["offset"])
            if self.wrong == "leaves its position to the server":
                position.ClearField("offset")
            for offset in place["held"]:
                run = position.held.add(to=offset)
                setattr(run, "from", offset)
        return hello

    def _welcome(self, hello: pb.Hello) -> None:
        before = self._state["epoch"]
        self._state["epoch"] = int(float(hello.epoch)) if self.wrong == "counts in doubles" else hello.epoch
        if before not in {0, self._state["epoch"]}:
            self.tell(reset={"epoch": str(hello.epoch)})
            self._state["version"] = 0
            if self.wrong != "keeps its positions":
                for log in hello.logs:
                    place = self._place(log.partition)
                    place["offset"] = log.position
                    if self.wrong != "keeps what it holds":
                        place["held"] = []
        elif before == 0:
            for log in hello.logs:
                self._place(log.partition)["offset"] = log.position
        for gap in hello.gaps:
            self._gap(gap)
        self.save()

    def _gap(self, gap: pb.Gap) -> None:
        place, first = self._place(gap.partition), getattr(gap, "from")
        if self.wrong == "takes no gap" or gap.to <= place["offset"]:
            return
        self.tell(
            gap={"partition": gap.partition, "from": first, "to": gap.to, "reason": pb.GapReason.Name(gap.reason)}
        )
        place["held"] += range(first, gap.to + 1)
        self._absorb(place)

    def _absorb(self, place: dict[str, Any]) -> None:
        held = sorted({offset for offset in place["held"] if offset > place["offset"]})
        while held and held[0] == place["offset"] + 1:
            place["offset"] = held.pop(0)
        place["held"] = held

    # What comes.

    async def _take(self, scheme: pb.MessageScheme) -> bool:
        if scheme.HasField("ping_pong") and scheme.ping_pong.kind == pb.PingPong.PING:
            if self.wrong != "answers no ping":
                await self._send(pb.PingPong(kind=pb.PingPong.PONG, id=scheme.ping_pong.id), scheme.ref)
            return True
        body = scheme.body
        for signal in body.signals:
            if signal.status == pb.SENT or (self.wrong == "takes any status for SENT" and not signal.call):
                self._sent(signal)
        for error in body.errors:
            await self._refused(error)
        if not await self._take_messages(body):
            return False
        for page in body.states:
            self._page(page)
        return True

    async def _take_messages(self, body: pb.Body) -> bool:
        in_turn = body.turn == pb.IN_TURN
        if not body.partition or (body.turn not in pb.Turn.values() and self.wrong != "takes any turn"):
            return True
        place = self._place(body.partition)
        if in_turn and body.after > place["offset"] and self.wrong != "jumps over holes":
            return False
        for gap in body.gaps:
            self._gap(gap)
        if self.wrong == "stores before it shows":
            place["offset"] = body.upto
            self.save()
        entries = list(body.messages)
        for one in reversed(entries) if self.wrong == "shows a batch backwards" else entries:
            await trio.lowlevel.checkpoint()
            self._show(one, place, body)
            if not in_turn and self.wrong != "holds nothing":
                place["held"].append(one.user_offset)
        if self.wrong == "takes jumps of offsets for losses":
            place["offset"] = max([place["offset"], *(one.user_offset for one in entries)])
        elif in_turn:
            place["offset"] = max(place["offset"], body.upto)
        self._absorb(place)
        self.save()
        await self._acknowledge(body)
        return True

    def _show(self, one: pb.Message, place: dict[str, Any], body: pb.Body) -> None:
        author = getattr(one, "from")
        is_known = one.signal_id in self._state["known"] and self.wrong not in {
            "shows what is known", "shows what is redelivered", "looks at no offset"
        }  # fmt: skip
        had = one.user_offset <= place["offset"] or one.user_offset in place["held"]
        if body.turn == pb.REDELIVERED and self.wrong == "shows what is redelivered":
            had = False
        if self.wrong in {"looks at no offset", "stores before it shows"}:
            had = False
        if author.connection_resource_id == "phone" and author.eid.startswith("bob") and self.wrong != "shows its own":
            self._sent(pb.Signal(id=one.id, signal_id=one.signal_id, partition=one.partition))
        elif not had and not is_known:
            self.tell(
                shown={
                    "partition": one.partition,
                    "offset": one.user_offset,
                    "signal_id": one.signal_id,
                    "id": one.id,
                    "from": author.eid,
                    "text": one.payload.decode(),
                }
            )
        self._state["known"].append(one.signal_id)

    async def _acknowledge(self, body: pb.Body) -> None:
        self._acks += len(body.messages)
        if self.wrong == "acknowledges late" and self._acks < 1000:
            return
        if body.turn == pb.IN_TURN:
            await self._send(pb.Signal(status=pb.DELIVERED, partition=body.partition, upto=body.upto))
        elif body.turn != pb.REDELIVERED or self.wrong != "acknowledges nothing twice":
            for one in body.messages:
                await self._send(pb.Signal(status=pb.DELIVERED, partition=body.partition, user_offset=one.user_offset))

    def _sent(self, signal: pb.Signal) -> None:
        waits = any(one["id"] == signal.id for one in self._state["outbox"])
        if signal.user_offset and self.wrong != "does not hold what it wrote":
            place = self._place(signal.partition)
            place["held"].append(signal.user_offset)
            self._absorb(place)
        self._state["known"].append(signal.signal_id)
        if waits or self.wrong == "tells each SENT":
            self.tell(sent={"id": signal.id, "signal_id": signal.signal_id})
        if self.wrong != "sends for ever":
            self._drop(signal.id)
        self.save()

    def _drop(self, message_id: str) -> None:
        self._state["outbox"] = [one for one in self._state["outbox"] if one["id"] != message_id]

    async def _refused(self, error: pb.ErrorMessage) -> None:
        one = next((one for one in self._state["outbox"] if one["id"] == error.id), None)
        if one is None:
            return
        if (error.code in MOMENTARY and self.wrong != "gives up at once") or self.wrong == "never gives up":
            wait = 0.0 if self.wrong == "does not wait" else error.retry_after_ms / 1000
            self._nursery.start_soon(self._send_later, one, wait)
            return
        code = pb.ErrorCode.Name(error.code) if error.code in pb.ErrorCode.values() else "INTERNAL"
        self.tell(refused={"id": error.id, "code": code})
        self._drop(error.id)
        self.save()

    async def _send_later(self, one: dict[str, str], seconds: float) -> None:
        await trio.sleep(seconds)
        await self._send_message(one)

    def _page(self, page: pb.StateDelta) -> None:
        if page.reset:
            self._whole = {}
        markers = {
            item.read_marker.conversation: item.read_marker.conversation_offset
            for item in page.items
            if item.HasField("read_marker")
        }
        for conversation, upto in markers.items():
            self._state["markers"][conversation] = upto
            self.tell(marker={"conversation": conversation, "upto": upto})
        if self._whole is not None:
            self._whole |= markers
            if page.complete and self.wrong != "drops no state":
                for conversation in self._state["markers"].keys() - self._whole.keys():
                    self.tell(marker={"conversation": conversation, "upto": 0})
                    del self._state["markers"][conversation]
        if self._whole is None or page.complete or self.wrong == "counts half a state":
            self._state["version"] = page.upto
        if page.complete:
            self._whole = None
        self.save()
