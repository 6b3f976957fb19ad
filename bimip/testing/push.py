"""What a server for tests pushes to, and tells back ends by: nothing leaves the process."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import trio

from bimip.push.posting import Request, Response


class MemoryGateway:
    """A gateway of push in memory, which takes what it is sent, or answers as a test says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda _request: Response(201)
        """May raise PostError."""
        self.seconds = 0.0
        """Until it answers."""
        self._taken: set[str] = set()

    async def post(self, request: Request) -> Response:
        self.requests.append(request)
        await trio.sleep(self.seconds)
        return self.answer(request)  # nobody may be there any more who would hear it

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    @property
    def said(self) -> list[Mapping[str, Any]]:
        """Lists what operators' gateways were told."""
        return [json.loads(request.body) for request in self.requests if request.is_trusted]

    def take(self) -> list[Mapping[str, Any]]:
        """Returns what was told since it was last asked, without what is known already by its id."""
        said = {one["id"]: one for one in self.said}
        self.requests.clear()
        new = [one for name, one in said.items() if name not in self._taken]
        self._taken |= said.keys()
        return new
