"""A back end of a chaos run: it posts by HTTP, one message after the other, each again under its key until it is
answered. It is told nothing by itself.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import httpx
import trio

from tests.kit.history import Answered, Event, Name, Wrote
from tests.kit.posted import told_by

PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 30
LATER = {"RATE_LIMITED", "STORAGE_FULL", "UNAVAILABLE", "UNKNOWN_OUTCOME"}
"""Codes with which the same is sent again."""


class Poster:
    def __init__(
        self,
        name: Name,
        *,
        token: str,
        port: int,
        users: Sequence[str],
        random: Random,
        record: Callable[[Event], None],
    ) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.writes = False
        self.waiting = ""
        """The key of the message that is not answered yet."""
        self._users = users
        self._random = random
        self._record = record
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}/api/v1"
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)

    async def live(self, up: Callable[[], trio.Event]) -> None:
        """Posts whenever it may; `up` tells when there is a server."""
        number = 0
        async with self._client:
            while True:
                await trio.sleep(self._random.uniform(0, 2 * PAUSE_SECONDS))
                if self.writes:
                    number += 1
                    await self._post(number, up)

    async def _post(self, number: int, up: Callable[[], trio.Event]) -> None:
        key, to = f"{self.name.device}-{number}", self._random.choice(self._users)
        payload = f"{self.name}/{number}|".encode() + b"." * self._random.choice((0, 100, 4000))
        self.waiting = key
        self._record(Wrote(self.name, key, to, "chat", payload))
        body = {"to": {"eid": to}, "type": 1, "payload": b64encode(payload).decode()}
        while not await self._ask(key, body):
            self.counts["posted again"] += 1
            await trio.sleep(self._random.uniform(0.001, 0.03))
            await up().wait()
        self.waiting = ""

    async def _ask(self, key: str, body: dict[str, Any]) -> bool:
        """Whether that was the last answer."""
        try:
            answer = await self._client.post("/messages", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return False  # it was killed
        told = told_by(answer, self.name, key)
        self._record(told)
        if isinstance(told, Answered):
            self.counts["posted"] += 1
            self.counts["posted twice, stored once"] += told.duplicate
            return True
        return told.code not in LATER
