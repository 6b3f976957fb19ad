"""A real HTTP endpoint on this machine, which takes what is pushed, or fails in every way."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import h11
import trio

Serve = Callable[[trio.abc.Stream, "Taken"], Awaitable[None]]


class Taken(NamedTuple):
    """A request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Endpoint:
    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.connections = 0
        self.url = ""
        self.answers: list[Serve] = []
        """One for each request; when they are used up, all is taken."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        try:
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(bytes(await stream.receive_some(65536)))
                elif isinstance(event, h11.Request):
                    head, body = event, b""
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert head is not None
                    headers = {key.decode(): value.decode() for key, value in head.headers}
                    taken = Taken(head.method.decode(), head.target.decode(), headers, body)
                    self.taken.append(taken)
                    answer = self.answers.pop(0) if self.answers else answering(201)
                    await answer(stream, taken)
                    connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                    connection.send(h11.EndOfMessage())
                    connection.start_next_cycle()
                else:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError, ssl.SSLError):
            return
        finally:
            await trio.aclose_forcefully(stream)


def answering(status: int, *headers: str, body: bytes = b"") -> Serve:
    async def answer(stream: trio.abc.Stream, _taken: Taken) -> None:
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]
        await stream.send_all("\r\n".join(lines).encode() + body)

    return answer


async def hanging(_stream: trio.abc.Stream, _taken: Taken) -> None:
    await trio.sleep_forever()


async def slow_head(stream: trio.abc.Stream, _taken: Taken) -> None:
    """A byte of the head now and then."""
    for byte in b"HTTP/1.1 201 x\r\nX-Slow: " + b"x" * 10_000:
        await stream.send_all(bytes((byte,)))
        await trio.sleep(0.05)


async def endless_head(stream: trio.abc.Stream, _taken: Taken) -> None:
    await stream.send_all(b"HTTP/1.1 201 x\r\n")
    while True:
        await stream.send_all(b"X-Long: " + b"x" * 4000 + b"\r\n")


async def endless_body(stream: trio.abc.Stream, _taken: Taken) -> None:
    await stream.send_all(b"HTTP/1.1 201 x\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send_all(b"1000\r\n" + b"x" * 4096 + b"\r\n")


async def cut_at_once(stream: trio.abc.Stream, _taken: Taken) -> None:
    await trio.aclose_forcefully(stream)


async def cut_in_the_body(stream: trio.abc.Stream, _taken: Taken) -> None:
    await stream.send_all(b"HTTP/1.1 201 x\r\nContent-Length: 100\r\n\r\nxx")
    await trio.aclose_forcefully(stream)


async def no_http(stream: trio.abc.Stream, _taken: Taken) -> None:
    await stream.send_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


@asynccontextmanager
async def open_endpoint(context: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    endpoint.url = f"{'https' if context else 'http'}://localhost:{port}/send"

    async def serve(stream: trio.SocketStream) -> None:
        if context is None:
            await endpoint.serve(stream)
            return
        await endpoint.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield endpoint
        nursery.cancel_scope.cancel()
