"""The whole server over LMDB, with real sockets, and a plain HTTP client: by h11, as any back end."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import trio

from bimip.api.endpoint import Endpoint
from bimip.gateway.listener import open_tcp
from bimip.journal.worker import ThreadWorker
from bimip.parts import Parts
from bimip.storage.lmdb.store import LmdbStore
from bimip.testing.virtual import open_virtual_server, settings_for_tests, token
from tests.http.kit import exchange

PREFIX = "/api/v1"
ALICE, BOB, CAROL = (f"{name}@example.org" for name in ("alice", "bob", "carol"))
PUSH = '{"fcm": {"url": "https://push.example.org", "secret": "a secret of the gateway"}}'


class Api:
    """A server, as its REST API sees the world."""

    def __init__(self, server: Parts, store: LmdbStore) -> None:
        self.server = server
        self.store = store
        self._client = httpx.AsyncClient(base_url=f"http://localhost{PREFIX}", transport=_Sockets(self))

    @property
    def port(self) -> int:
        return self.server.listener.port

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        shown: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        more: Sequence[tuple[str, str]] = (),
        user: str = "alice",
        device: str = "backend",
    ) -> httpx.Response:
        """Asks as a device of a user, or with the token that is `shown`; "": without. `more`: headers behind those."""
        shown = token(user, device) if shown is None else shown
        said = {"authorization": f"Bearer {shown}"} if shown else {}
        given: dict[str, Any] = {} if body is None else {"json": body}
        if content is not None:
            given = {"content": content}
        with trio.fail_after(60):
            lines = [*{**said, **(headers or {})}.items(), *more]
            return await self._client.request(method, path, headers=lines, **given)

    async def get(self, path: str, user: str = "alice", **more: Any) -> Any:
        """What there is at a path."""
        answer = await self.ask("GET", path, user=user, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def write(self, text: str, to: str = "bob", user: str = "alice", **fields: Any) -> Any:
        """Writes a message, and returns its answer."""
        body = {"to": {"eid": to}, "type": 1, "text": text, **fields}
        answer = await self.ask("POST", "/messages", body, user=user)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def know(self, *users: str) -> None:
        """These users exist: each has asked for something."""
        for user in users:
            await self.get("/devices", user)


def example_of(endpoint: Endpoint, message: str, group: str) -> tuple[str, Any]:
    """The endpoint's path, about something of Alice's, and its body as its example has it."""
    is_of_message = endpoint.path.startswith("/messages/{id}")
    is_of_group = endpoint.path.startswith("/conversations/{id}")
    values = {
        "action": "request",
        "id": message if is_of_message else group if is_of_group else "c1",
        "eid": ALICE if endpoint.path.startswith("/feeds/") else BOB,
        "name": "desk",
        "emoji": "👍",
    }
    path = endpoint.path.format(**{name: quote(value) for name, value in values.items()})
    body: Any = dict(endpoint.body.example) if endpoint.body is not None else None
    if endpoint.body is not None and "token" in endpoint.body.required:
        body["token"] = token(ALICE, "backend", jti="newer")
    return path, body


def texts(page: Any) -> list[str]:
    """The texts of a page of messages."""
    return [base64.b64decode(one.get("payload", "")).decode() for one in page["messages"]]


class _Sockets(httpx.AsyncBaseTransport):
    """A real socket for each request."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with await trio.open_tcp_stream("127.0.0.1", self._api.port) as stream:
            return await exchange(stream, request)


@asynccontextmanager
async def open_api(folder: Path, **environment: str) -> AsyncIterator[Api]:
    """Runs the server."""
    settings = settings_for_tests(BIMIP_GATEWAY_PORT="0", BIMIP_PUSH_GATEWAYS=PUSH, **environment)
    store = LmdbStore(folder / "store", map_bytes=1 << 28)
    async with open_virtual_server(
        lambda: store, settings=settings, open_worker=ThreadWorker, listen=open_tcp
    ) as server:
        yield Api(server, store)
