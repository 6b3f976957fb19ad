"""A plain HTTP client for the public port, over streams in memory or real sockets."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import h11
import httpx
import trio
import trio.abc

from bimip.testing.virtual import settings_for_tests
from tests.kit.gateway_server import open_gateway_server

ORIGIN = "https://chat.example.org"


class Wire(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, made by `connect`."""

    def __init__(self, connect: Callable[[], trio.abc.Stream]) -> None:
        self._connect = connect

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = self._connect()
        try:
            return await exchange(stream, request)
        finally:
            await trio.aclose_forcefully(stream)


async def exchange(stream: trio.abc.Stream, request: httpx.Request) -> httpx.Response:
    """Sends one request and reads its answer, by h11."""
    http = h11.Connection(h11.CLIENT)
    body = await request.aread()
    head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    data = http.send(head) or b""
    if body:
        data += http.send(h11.Data(data=body)) or b""
    data += http.send(h11.EndOfMessage()) or b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stream, data)
        response = await read_response(stream, http)
        nursery.cancel_scope.cancel()
    return response


async def send(stream: trio.abc.Stream, data: bytes) -> None:
    """Sends, as far as the peer takes it: it may answer and close before it has all."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_all(data)


async def read_response(stream: trio.abc.ReceiveStream, http: h11.Connection) -> httpx.Response:
    """Reads one answer to what `http` has sent."""
    head: h11.Response | None = None
    body = b""
    while True:
        event: Any = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(1 << 16)))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if head is not None and (b"content-type", b"text/event-stream; charset=utf-8") in head.headers:
                return httpx.Response(head.status_code, headers=list(head.headers), content=body)  # it has no end
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return httpx.Response(head.status_code, headers=list(head.headers), content=body)
        else:
            assert isinstance(event, h11.InformationalResponse), event


async def asked_by(headers: Mapping[str, str], *, method: str = "GET", path: str = "/nowhere") -> httpx.Response:
    """The answer of a whole server that lists one origin."""
    settings = settings_for_tests(BIMIP_GATEWAY_ORIGINS=ORIGIN)
    async with (
        open_gateway_server(settings) as server,
        httpx.AsyncClient(transport=Wire(server.connect_raw), base_url="http://localhost") as client,
    ):
        return await client.request(method, path, headers=dict(headers))
