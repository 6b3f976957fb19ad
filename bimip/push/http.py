"""Sends requests over the network, by httpcore.

The name of a host is resolved here, each address judged, and exactly that address connected to: what a name leads to
may change between two looks. TLS goes on to check the name. Redirects are followed nowhere, proxies of the environment
are not used, and of an answer no more is read than its head, and its body where that is short.
"""

import ssl
from collections.abc import Iterable
from functools import cached_property

import httpcore
import trio

from bimip.domain.push.endpoints import address_of, is_public
from bimip.push.posting import PostError, Request, Response

MAX_READ_BYTES = 16 * 1024
"""Of a body that nobody reads. Where it is longer, or does not say, the connection is rather cut than used again."""
NO_CONTENT = 204
MAX_ADDRESSES = 4
"""Of a host, that are tried."""
KEPT_SECONDS = 30.0
MAX_CONNECTIONS = 256
MAX_KEPT = 32


FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,  # what is no URL, as httpcore reads it: a port or a host that cannot be
)


class HttpPoster:
    """Keeps connections. Closed by `aclose`."""

    def __init__(
        self, *, timeout_seconds: float, allow_private: bool = False, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """`ssl_context`: whom to trust, where that is not the authorities that are installed."""
        self._timeout_seconds = timeout_seconds
        self._allow_private = allow_private
        self._given_context = ssl_context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Whom to trust: made at the first request, since it takes some time and memory, and mostly nobody asks."""
        return self._given_context or httpcore.default_ssl_context()

    @cached_property
    def _trusted(self) -> httpcore.AsyncConnectionPool:
        return _pool(self._context, allow_private=True)

    @cached_property
    def _others(self) -> httpcore.AsyncConnectionPool:
        return _pool(self._context, allow_private=self._allow_private)

    async def post(self, request: Request) -> Response:
        """Sends a request and returns its answer. Raises PostError."""
        headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
        try:
            with trio.fail_after(self._timeout_seconds):
                pool = self._trusted if request.is_trusted else self._others
                answering = pool.stream("POST", request.url.encode(), headers=headers, content=request.body)
                async with answering as response:
                    if _is_short(response):
                        await response.aread()  # so that the connection can be used again
                    return Response(response.status, _header(response, b"retry-after"))
        except trio.TooSlowError:
            raise PostError(f"no answer within {self._timeout_seconds:g} s") from None
        except FAILURES as error:
            raise PostError(_why(error)) from error

    async def aclose(self) -> None:
        for name in ("_trusted", "_others"):
            if name in vars(self):  # it was made
                await vars(self)[name].aclose()


def _is_short(response: httpcore.Response) -> bool:
    """Whether an answer says that its body is short. Reading a part of one leaves httpcore's generators open."""
    length = _header(response, b"content-length")
    return response.status == NO_CONTENT or (length.isdigit() and int(length[:9]) <= MAX_READ_BYTES)


def _why(error: BaseException) -> str:
    """Says what went wrong, which httpcore leaves to the cause of its error."""
    said = f"{type(error).__name__}: {error}"
    if not str(error) and error.__context__ is not None:
        cause = error.__context__
        said += str(cause.__cause__ or cause.__context__ or cause)
    return said


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _pool(context: ssl.SSLContext, *, allow_private: bool) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_KEPT,
        keepalive_expiry=KEPT_SECONDS,
        network_backend=_Network(allow_private=allow_private),
    )


class _Network(httpcore.AsyncNetworkBackend):
    """The network, as far as it is let in."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        if not addresses:
            raise httpcore.ConnectError(f"{host} leads to no address that may be pushed to")
        for last, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                if not last:
                    raise
        raise AssertionError

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} leads nowhere: {error}") from error
        texts = list(dict.fromkeys(str(place[4][0]) for place in found))
        return [text for text in texts if self._allow_private or _is_public(text)][:MAX_ADDRESSES]

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def _is_public(text: str) -> bool:
    address = address_of(text)
    return address is not None and is_public(address)
