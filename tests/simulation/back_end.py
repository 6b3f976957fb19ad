"""The back end of the simulation: is told of events by a webhook, takes its time, fails, and loses answers to what it
took. What is for another URL the gateway of push takes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import trio

from bimip.domain.core.records import LogTable, Reader, ReceiptKind, Table
from bimip.names import conversation_id
from bimip.push.posting import Poster, PostError, Request, Response
from tests.kit.webhooks import URL, verify

MANY = 100_000
KINDS = {"message.delivered": ReceiptKind.DELIVERED, "message.read": ReceiptKind.READ}


class BackEnd:
    def __init__(
        self, gateway: Poster, random: Random, report: Callable[[str, str, str], None], counts: Counter[str]
    ) -> None:
        self._gateway = gateway
        self._random = random
        self._report = report
        self._counts = counts
        self._known: dict[str, tuple[str, ...]] = {}
        """By id what was told under it."""
        self._accepted: set[int] = set()
        self._received: dict[tuple[str, str, ReceiptKind], set[int]] = {}
        self._seen: set[str] = set()

    async def post(self, request: Request) -> Response:
        if request.url != URL:
            return await self._gateway.post(request)
        said = verify(request.headers, request.body)
        self._know(request.headers["webhook-id"], said)
        chance = self._random.random()
        await trio.sleep(self._random.uniform(0.0, 0.3))
        if chance < 0.1:
            self._counts["events that failed"] += 1
            return Response(self._random.choice([400, 410, 500, 503, 429]), self._random.choice(["", "1"]))
        if chance < 0.15:
            self._counts["answers of back ends that were lost"] += 1
            raise PostError("the connection was cut")
        self._counts[f"events: {said['type']}"] += 1
        self._take(said["type"], said["data"])
        return Response(204)

    async def aclose(self) -> None:
        await self._gateway.aclose()

    def _know(self, name: str, said: Mapping[str, Any]) -> None:
        data = said["data"]
        about = tuple(str(data.get(key)) for key in ("user", "conversation", "signal_offset", "from"))
        told = (said["type"], said["timestamp"], *about)
        if self._known.setdefault(name, told) != told:
            self._report("I5", "another event", f"{name} was {self._known[name]}, and is {told}")
        if "message" in data or "payload" in data:
            self._report("I10", "content told", f"{name} holds what a message says")

    def _take(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "message.accepted":
            self._accepted.add(int(data["signal_offset"]))
        elif kind == "user.first_seen":
            self._seen.add(data["user"])
        elif kind in KINDS:
            place = data["conversation"], data["user"], KINDS[kind]
            self._received.setdefault(place, set()).update(range(int(data["from"]), int(data["to"]) + 1))

    def not_told(self, view: Reader) -> Iterator[str]:
        """Finds what is in the store and was not told: of messages that users wrote, of receipts, of users. Of who is
        erased nothing is.
        """
        eids: dict[int, str] = {key[0]: eid for key, eid in view.scan(Table.EIDS, (), (1 << 32,), limit=MANY)}
        conversations = [key[0] for key, _ in view.scan(Table.CONVERSATIONS, (), (1 << 32,), limit=MANY)]
        for number in conversations:
            yield from self._messages_not_told(view, number, eids)
        for (conversation, member, kind, _), runs in view.scan(Table.RECEIPTS, (), (1 << 32,), limit=MANY):
            if eids.get(member) and kind != ReceiptKind.PLAYED:
                told = self._received.get((conversation_id(conversation), eids[member], ReceiptKind(kind)), set())
                there = {place for first, last, _ in runs for place in range(first, last + 1)}
                if there - told:
                    what = ReceiptKind(kind).name
                    yield f"{what} of {eids[member]} in {conversation_id(conversation)}: {sorted(there - told)[:5]}"
        for eid, user in ((eid, view.get(Table.USERS, (eid,))) for eid in eids.values() if eid):
            if user is not None and user.first_device and eid not in self._seen:
                yield f"{eid} was first seen"

    def _messages_not_told(self, view: Reader, number: int, eids: Mapping[int, str]) -> Iterator[str]:
        for place, listed in view.read(LogTable.HISTORY, (number,), 0, limit=MANY):
            if listed.origin and eids.get(listed.author) and listed.stamp not in self._accepted:
                yield f"{place} of {number}, {listed.stamp} by {eids[listed.author]}"
