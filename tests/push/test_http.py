"""Requests over real sockets, to an endpoint that fails in every way: none is waited for, followed or read for ever."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from bimip.push.http import HttpPoster
from bimip.push.posting import PostError, Request, Response
from tests.gateway.certificates import Pair, make
from tests.push.endpoint import (
    Serve,
    answering,
    cut_at_once,
    cut_in_the_body,
    endless_body,
    endless_head,
    hanging,
    no_http,
    open_endpoint,
    slow_head,
)

PATIENT, IMPATIENT = 30.0, 0.3
"""Seconds: for what answers, and for what does not."""
PUBLIC = "93.184.216.34"


def request(url: str, *, is_trusted: bool = True) -> Request:
    return Request(url, {"Content-Type": "application/json", "Idempotency-Key": "i"}, b"{}", is_trusted)


def leading_to(*addresses: str) -> Callable[..., Any]:
    """A resolver by which every name leads to these addresses."""

    async def getaddrinfo(_host: str, port: int, **_kind: Any) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


async def test_a_request_arrives_as_it_is_and_its_answer_returns() -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [answering(429, "Retry-After: 120", body=b"too many")]

        assert await poster.post(request(endpoint.url)) == Response(429, "120")
        assert await poster.post(request(endpoint.url)) == Response(201)
        [taken, _] = endpoint.taken
        assert (taken.method, taken.target, taken.body) == ("POST", "/send", b"{}")
        assert (taken.headers["content-type"], taken.headers["idempotency-key"]) == ("application/json", "i")
        assert endpoint.connections == 1
        await poster.aclose()


@pytest.mark.parametrize("url", ["https://push.example.org:99999/", "https://[::1/", "https://push.ex\u00e4mple.org/"])
async def test_what_is_no_url_has_not_answered(url: str) -> None:
    poster = HttpPoster(timeout_seconds=PATIENT)
    with pytest.raises(PostError, match=r"ValueError|InvalidURL|Unicode"):
        await poster.post(request(url))
    await poster.aclose()


async def test_where_nothing_is_sent_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpcore.default_ssl_context", lambda: pytest.fail("a context is made"))
    await HttpPoster(timeout_seconds=PATIENT).aclose()


@pytest.mark.parametrize("status", [204, 400, 404, 410, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [answering(status)]

        assert await poster.post(request(endpoint.url)) == Response(status)
        await poster.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_nowhere(status: int) -> None:
    async with open_endpoint() as endpoint, open_endpoint() as private:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [answering(status, f"Location: {private.url}")]

        assert await poster.post(request(endpoint.url)) == Response(status)
        assert private.connections == 0
        await poster.aclose()


@pytest.mark.parametrize("answer", [hanging, slow_head])
async def test_who_takes_too_long_has_not_answered(answer: Serve) -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=IMPATIENT)
        endpoint.answers = [answer]

        with pytest.raises(PostError, match="no answer within"):
            await poster.post(request(endpoint.url))
        await poster.aclose()


@pytest.mark.parametrize("answer", [endless_head, cut_at_once, no_http])
async def test_what_is_no_answer_is_an_error(answer: Serve) -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [answer]

        with pytest.raises(PostError):
            await poster.post(request(endpoint.url))
        await poster.aclose()


async def test_of_an_endless_body_nothing_is_read() -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [endless_body]

        assert await poster.post(request(endpoint.url)) == Response(201)
        assert await poster.post(request(endpoint.url)) == Response(201)
        assert endpoint.connections == 2
        await poster.aclose()


async def test_a_body_that_is_cut_is_an_error() -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        endpoint.answers = [cut_in_the_body]

        with pytest.raises(PostError):
            await poster.post(request(endpoint.url))
        await poster.aclose()


async def test_who_refuses_the_connection_or_is_nowhere_has_not_answered() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        poster = HttpPoster(timeout_seconds=PATIENT)

        with pytest.raises(PostError, match="ConnectError"):
            await poster.post(request(f"http://127.0.0.1:{bound.getsockname()[1]}/"))
        with pytest.raises(PostError, match="leads nowhere"):
            await poster.post(request("http://no-such-host.invalid/"))
        await poster.aclose()


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make()


def serving(pair: Pair, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.write(folder))
    return context


async def test_over_tls_the_name_and_the_authority_must_be_right(pair: Pair, tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cadata=pair.certificate.decode())
    async with open_endpoint(serving(pair, tmp_path)) as endpoint:
        good, strange = HttpPoster(timeout_seconds=PATIENT, ssl_context=trusting), HttpPoster(timeout_seconds=PATIENT)

        assert await good.post(request(endpoint.url)) == Response(201)
        with pytest.raises(PostError, match="certificate"):
            await strange.post(request(endpoint.url))
        with pytest.raises(PostError, match="certificate"):
            await good.post(request(endpoint.url.replace("localhost", "127.0.0.1")))
        for poster in (good, strange):
            await poster.aclose()


async def test_whom_users_name_is_connected_to_only_at_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT)
        monkeypatch.setattr(trio.socket, "getaddrinfo", leading_to("127.0.0.1"))

        with pytest.raises(PostError, match="no address that may be pushed to"):
            await poster.post(request(endpoint.url, is_trusted=False))
        assert endpoint.connections == 0
        assert await poster.post(request(endpoint.url)) == Response(201)
        await poster.aclose()


async def test_they_may_be_private_where_that_is_allowed() -> None:
    async with open_endpoint() as endpoint:
        poster = HttpPoster(timeout_seconds=PATIENT, allow_private=True)

        assert await poster.post(request(endpoint.url, is_trusted=False)) == Response(201)
        await poster.aclose()


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may lead elsewhere at the next look (DNS rebinding); private ones beside public ones are left out."""
    connected: list[str] = []
    looks = [leading_to("10.0.0.1", PUBLIC), leading_to("127.0.0.1")]

    async def connect(host: str, **_more: object) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        connected.append(host)
        raise OSError("nobody is reached in a test")

    async def look(*about: Any, **kind: Any) -> Any:
        return await looks.pop(0)(*about, **kind)

    monkeypatch.setattr(trio.socket, "getaddrinfo", look)
    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    poster = HttpPoster(timeout_seconds=PATIENT)
    with pytest.raises(PostError):
        await poster.post(request("https://push.example.org/", is_trusted=False))

    assert connected == [PUBLIC]
    assert len(looks) == 1
    await poster.aclose()
