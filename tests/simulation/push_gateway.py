"""The gateway of the simulation: takes its time, fails, and loses answers to what it took."""

import json
from collections import Counter
from collections.abc import Callable
from random import Random

import trio

from bimip.push.posting import PostError, Request, Response
from tests.kit.history import Name, Pushed


class PushGateway:
    def __init__(self, random: Random, record: Callable[[Pushed], None], counts: Counter[str]) -> None:
        self._random = random
        self._record = record
        self._counts = counts
        self.newest: dict[tuple[str, str], int] = {}
        """By token and conversation the stamp of the newest message of which it was told and had done with."""

    async def post(self, request: Request) -> Response:
        said = json.loads(request.body)
        chance = self._random.random()
        place, stamp = said.get("conversation_offset", 0), int(said.get("signal_offset", 0))
        eid, device = said["token"].split("/")
        conversation, sender, call = (said.get(name, "") for name in ("conversation", "sender", "call"))
        self._record(Pushed(Name(eid, device), said["id"], said["kind"], conversation, place, stamp, 0, sender, call))
        self._counts[f"pushed: {'call, over' if call and said['kind'] == 'clear' else said['kind']}"] += 1
        await trio.sleep(self._random.uniform(0.0, 0.3))
        if chance < 0.1:
            self._counts["pushes that failed"] += 1
            return Response(self._random.choice([500, 503, 429]), self._random.choice(["", "1"]))
        about = said["token"], conversation
        if chance < 0.15:
            self._counts["answers of gateways that were lost"] += 1
            raise PostError("the connection was cut")
        self.newest[about] = max(stamp, self.newest.get(about, 0))
        return Response(400 if chance < 0.17 else 201)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
