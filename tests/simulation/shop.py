"""A back end of the simulation that has nothing but an HTTP client: one device of its user writes by POST, each message
under a key and again until it is answered; another one takes what its stream of events brings, from where it left off,
and acknowledges it by POST.

It talks to the gateway as it is, over streams in memory, and goes through whatever the server goes through.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import h11
import httpx
import trio

from bimip.testing.virtual import token
from tests.http.kit import exchange
from tests.kit.history import Answered, Event, Name, Wrote
from tests.kit.posted import told_by

EID = "shop@example.org"
WRITER, READER = Name(EID, "rest"), Name(EID, "desk")
ANSWER_SECONDS = 30.0
AGES = 10**11
"""Seconds for which its tokens are good: in some worlds the clock jumps by a century."""
AGAIN = {401, 408, 429, 503, 507}
"""Statuses after which the same is asked again: of a clock that jumped, of what is not there just now."""
ENDED = (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, AssertionError)


class Shop:
    def __init__(
        self,
        connect: Callable[[], trio.abc.HalfCloseableStream],
        *,
        random: Random,
        record: Callable[[Event], None],
        report: Callable[[str, str, str], None],
        counts: Counter[str],
        customers: Sequence[str],
        orders: int,
    ) -> None:
        self._connect = connect
        self._random = random
        self._record = record
        self._report = report
        self._counts = counts
        self._customers = customers
        self._orders = orders
        self._scope = trio.CancelScope()
        self._answered: dict[int, str] = {}
        """By stamp the key of each message that was stored."""
        self._taken: dict[int, str] = {}
        """By stamp the text of each message that the reader took."""
        self._stamps: dict[str, int] = {}
        """By text the stamp under which the reader took it."""
        self._last_id = ""
        self._epoch = ""
        self._upto = 0
        self.is_done = False
        """All is written and answered."""
        self.forgets = False
        """Something was lost that may be: an older copy was put back, or it expired."""

    async def run(self) -> None:
        """Writes and reads until it is closed."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_all)
                nursery.start_soon(self._read_on)

    def close(self) -> None:
        self._scope.cancel()

    def lacks(self) -> Iterator[str]:
        """Finds what was stored and did not come to its reader. Where something may be gone, nothing is known."""
        if not self.forgets:
            yield from (f"{key}, {stamp}" for stamp, key in self._answered.items() if stamp not in self._taken)

    # Writing.

    async def _write_all(self) -> None:
        for number in range(self._orders):
            await trio.sleep(self._random.uniform(0.0, 1.0))
            await self._write(f"order-{number}", self._random.choice(self._customers))
        self.is_done = True

    async def _write(self, key: str, to: str) -> None:
        text = f"{WRITER} {key}"
        self._record(Wrote(WRITER, key, to, "chat", text.encode()))
        while True:
            answer = await self._post(key, to, text)
            if answer is None or answer.status_code in AGAIN:
                await trio.sleep(self._random.uniform(0.05, 1.0))
                continue
            told = told_by(answer, WRITER, key)
            if isinstance(told, Answered):
                self._answered[told.ids.stamp] = key
                self._counts["orders"] += 1
                self._counts["orders that came again"] += told.duplicate
                self._record(told)
                return
            if told.unknown:
                continue
            if answer.status_code >= 500:
                self._report("I7", "escaped", f"a request by HTTP was answered {answer.status_code}: {answer.text}")
            self._counts["orders refused"] += 1
            self._record(told)
            return

    async def _post(self, key: str, to: str, text: str) -> httpx.Response | None:
        """Posts a message. None: it was not answered, or nobody waited for that."""
        patience = 0.0 if self._random.random() < 0.2 else ANSWER_SECONDS
        body = {"to": {"eid": to}, "type": 1, "text": text}
        return await self._ask(WRITER, "/messages", body, {"Idempotency-Key": key}, patience)

    async def _ask(
        self, device: Name, path: str, body: Any, headers: Mapping[str, str], patience: float
    ) -> httpx.Response | None:
        request = _request("POST", path, device, headers, json.dumps(body).encode())
        stream = self._connect()
        answer: httpx.Response | None = None
        try:
            with trio.move_on_after(patience or 0.02):
                answer = await exchange(stream, request)
        except* ENDED:
            pass
        finally:
            await trio.aclose_forcefully(stream)
        return answer

    # Reading.

    async def _read_on(self) -> None:
        while True:
            try:
                await self._stream()
            except* ENDED:
                pass
            await trio.sleep(self._random.uniform(0.05, 0.5))

    async def _stream(self) -> None:
        """Takes one stream to its end."""
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        stream = self._connect()
        self._counts["streams"] += 1
        try:
            async with trio.open_nursery() as nursery:
                http = h11.Connection(h11.CLIENT)
                request = _request("GET", "/events", READER, headers)
                head = h11.Request(method="GET", target=request.url.raw_path, headers=request.headers.raw)
                await stream.send_all((http.send(head) or b"") + (http.send(h11.EndOfMessage()) or b""))
                text = ""
                while True:
                    event = http.next_event()
                    if event is h11.NEED_DATA:
                        http.receive_data(bytes(await stream.receive_some(1 << 16)))
                    elif isinstance(event, h11.Response):
                        if event.status_code != 200:
                            break
                    elif isinstance(event, h11.Data):
                        text += bytes(event.data).decode()
                        *events, text = text.split("\n\n")
                        for one in events:
                            self._take(one, nursery)
                        if self._random.random() < 0.02:
                            self._counts["streams cut"] += 1
                            break
                    else:
                        break
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)

    def _take(self, event: str, nursery: trio.Nursery) -> None:
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        said = json.loads(fields.get("data", "{}"))
        self._last_id = fields.get("id", self._last_id)
        if fields.get("event") == "hello":
            self._greet(said)
        if fields.get("event") == "body" and said.get("partition"):
            self._take_body(said)
            nursery.start_soon(self._acknowledge, self._upto)

    def _greet(self, hello: Mapping[str, Any]) -> None:
        if self._epoch not in {"", hello["epoch"]}:
            self.forgets = True
        if self._epoch != hello["epoch"]:
            self._epoch = hello["epoch"]
            self._upto = 0
        for log in hello.get("logs", ()):
            if log["partition"] == "chat":
                self._upto = int(log.get("position", "0"))

    def _take_body(self, body: Mapping[str, Any]) -> None:
        is_in_turn = "turn" not in body
        if body.get("gaps"):
            self.forgets = True
        if is_in_turn and int(body.get("upto", "0")):
            if int(body.get("after", "0")) != self._upto:
                self._report(
                    "I3", "hole", f"{READER} has {self._upto} and is streamed {body.get('after')} to {body['upto']}"
                )
            self._upto = int(body["upto"])
        for message in body.get("messages", ()):
            self._take_message(message, is_new=is_in_turn)

    def _take_message(self, message: Mapping[str, Any], *, is_new: bool) -> None:
        stamp, payload = int(message["signal_offset"]), message.get("payload", "")
        if is_new and stamp in self._taken and not self.forgets:
            self._report("I5", "streamed twice", f"{message['id']}, {stamp}")
        if self._stamps.setdefault(payload, stamp) != stamp and payload and not self.forgets:
            self._report("I5", "stored twice", f"{message['id']} at {self._stamps[payload]} and {stamp}")
        self._taken[stamp] = payload
        self._counts["orders streamed"] += 1

    async def _acknowledge(self, upto: int) -> None:
        with suppress(*ENDED):
            await self._ask(READER, "/messages/acknowledgements", {"partition": "chat", "upto": str(upto)}, {}, 5.0)


def _request(
    method: str, path: str, device: Name, headers: Mapping[str, str], content: bytes | None = None
) -> httpx.Request:
    shown = token(device.eid, device.device, seconds=AGES)
    said = {"authorization": f"Bearer {shown}", "user-agent": "shop", **headers}
    return httpx.Request(method, f"http://localhost/api/v1{path}", headers=said, content=content)
