from contextlib import nullcontext, suppress

import pytest
import trio
from trio.testing import MockClock

from bimip.gateway.authentication import Verifier
from bimip.gateway.settings import TokenSettings
from bimip.gateway.upgrade_policy import Upgrade, UpgradeRefusedError, judge_upgrade
from bimip.session.close import Close
from bimip.settings import Secret
from tests.gateway.harness import NOW_MS, SECRET, bearer, open_world, opening, read_all, token

VERIFIER = Verifier(TokenSettings("HS256", Secret(SECRET)))


def judged(
    *headers: tuple[bytes, bytes],
    host: str = "chat.example.org",
    offered: tuple[str, ...] = ("bimip.v1",),
    origins: tuple[str, ...] = (),
    names: tuple[str, ...] = ("chat.example.org",),
    revoked: tuple[str, ...] = (),
) -> Upgrade:
    return judge_upgrade(
        headers,
        host=host,
        offered=offered,
        origins=origins,
        names=names,
        verifier=VERIFIER,
        find_refusal=lambda claims: (Close.TOKEN_REVOKED, "log in") if claims.jti in revoked else None,
        now_ms=NOW_MS,
    )


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("bimip.v1",), "bimip.v1"),
        (("bimip.v1.json",), "bimip.v1.json"),
        (("bimip.v9", "bimip.v1.json", "bimip.v1"), "bimip.v1.json"),
    ],
)
def test_the_first_known_subprotocol_is_chosen(offered: tuple[str, ...], chosen: str) -> None:
    assert judged(offered=offered).subprotocol == chosen


@pytest.mark.parametrize("offered", [(), ("chat",), ("BIMIP.V1",)])
def test_without_a_known_subprotocol_there_is_no_connection(offered: tuple[str, ...]) -> None:
    with pytest.raises(UpgradeRefusedError, match=r"400 .*bimip\.v1") as caught:
        judged(offered=offered)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("origin", "host", "origins", "allowed"),
    [
        (None, "chat.example.org", (), True),
        (b"https://chat.example.org", "chat.example.org", (), True),
        (b"https://chat.example.org", "Chat.Example.org:443", (), True),
        (b"http://localhost:8443", "localhost:8443", (), True),
        (b"http://localhost:8080", "localhost:8443", (), False),
        (b"https://evil.example.org", "chat.example.org", (), False),
        (b"https://chat.example.org.evil.net", "chat.example.org", (), False),
        (b"https://evil.net/chat.example.org", "chat.example.org", (), False),
        (b"null", "chat.example.org", (), False),
        (b"", "", (), False),
        (b"https://", "", (), False),
        (b"https://[", "chat.example.org", (), False),
        (b"file://chat.example.org", "chat.example.org", (), False),
        (b"https://web.example.org", "chat.example.org", ("https://web.example.org",), True),
        (b"http://web.example.org", "chat.example.org", ("https://web.example.org",), False),
        (b"https://anything.net", "chat.example.org", ("*",), True),
    ],
)
def test_which_pages_may_connect(origin: bytes | None, host: str, origins: tuple[str, ...], *, allowed: bool) -> None:
    headers = [] if origin is None else [(b"origin", origin)]
    if allowed:
        judged(*headers, host=host, origins=origins)
    else:
        with pytest.raises(UpgradeRefusedError, match="403"):
            judged(*headers, host=host, origins=origins)


def test_two_origins_must_both_be_allowed() -> None:
    with pytest.raises(UpgradeRefusedError):
        judged((b"origin", b"https://chat.example.org"), (b"origin", b"https://evil.net"))


def test_a_token_in_the_header_names_the_device() -> None:
    claims = judged((b"authorization", bearer()[0][1])).claims

    assert claims is not None
    assert (claims.eid, claims.device) == ("alice@example.org", "phone")


def test_without_a_token_hello_has_to_show_one() -> None:
    assert judged().claims is None


@pytest.mark.parametrize(
    "values",
    [[b"Basic abc"], [b"Bearer"], [b""], [b"Bearer x.y.z"], [bearer()[0][1], bearer()[0][1]], [b"Bearer \xff"]],
)
def test_a_bad_authorization_is_refused_before_there_is_a_connection(values: list[bytes]) -> None:
    with pytest.raises(UpgradeRefusedError) as caught:
        judged(*((b"authorization", value) for value in values))

    assert caught.value.status == 401
    assert caught.value.headers[0][0] == b"WWW-Authenticate"


async def answer_to(request: bytes) -> bytes:
    async with open_world() as world:
        stream = world.dial()
        await stream.send_all(request)
        answer = await read_all(stream)
        await stream.aclose()
        await trio.sleep(10)
        assert world.ended == 1
    return answer


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (opening(Sec_WebSocket_Protocol=None), b"400", b"Offer one of the subprotocols"),
        (opening(Origin="https://evil.net"), b"403", b"origin"),
        (opening(shown=token(now_ms=0)), b"401", b"4101 The token has expired"),
        (opening(shown="x.y.z"), b"401", b"4100 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200", b"Hello at /healthz"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200", b"Hello at /"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"200", b"Hello at /"),
        (opening(Sec_WebSocket_Version="8"), b"426", b"Sec-WebSocket-Version: 13"),
        (opening(Sec_WebSocket_Key=None), b"426", b"WebSocket endpoint"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400", b"WebSocket endpoint"),
        (b"garbage\r\n\r\n", b"400", b"WebSocket endpoint"),
        (opening(Host="a\x00b"), b"400", b"WebSocket endpoint"),
        (opening(X="y" * 40_000), b"431", b"WebSocket endpoint"),
    ],
)
async def test_what_is_refused_gets_an_http_answer(
    request_: bytes, status: bytes, words: bytes, autojump_clock: MockClock
) -> None:
    answer = await answer_to(request_)

    assert answer == b"" if not status else answer.startswith(b"HTTP/1.1 " + status)
    assert words.lower() in answer.lower()


async def test_a_peer_that_floods_before_it_is_a_websocket_is_cut(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial(lockstep=True)
        await stream.send_all(opening(Origin="https://evil.net"))
        taken = 0
        with suppress(trio.BrokenResourceError):
            while taken < 1 << 20:
                await stream.send_all(bytes(1024))
                taken += 1024
        await world.first_end.wait()

        assert taken <= 64 << 10


@pytest.mark.parametrize("pace", [0.1, 1.0, 60.0])
async def test_a_handshake_has_five_seconds(pace: float, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()

        async def trickle() -> None:
            for byte in opening():
                await stream.send_all(bytes([byte]))
                await trio.sleep(pace)

        world.nursery.start_soon(trickle)
        began = trio.current_time()
        answer = await read_all(stream)

        assert answer == b""
        assert trio.current_time() - began == 5


async def test_a_peer_that_leaves_in_the_middle_of_the_handshake_is_forgotten_at_once(
    autojump_clock: MockClock,
) -> None:
    for length in range(0, len(opening()), 7):
        async with open_world() as world:
            stream = world.dial()
            await stream.send_all(opening()[:length])
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked()

            assert world.ended == 1


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (b"http://evil.net", "evil.net", False),  # whose name leads here for a moment
        (b"http://evil.net:8470", "evil.net:8470", False),
        (b"http://127.0.0.1.evil.net:8470", "127.0.0.1.evil.net:8470", False),
        (b"http://localhost@evil.net", "localhost@evil.net", False),
        (b"http://evil.net@localhost", "evil.net", False),
        (b"http://localhost:8470", "localhost:8470", True),
        (b"http://127.0.0.1:8470", "127.0.0.1:8470", True),
        (b"http://[::1]:8470", "[::1]:8470", True),
    ],
)
def test_a_page_is_not_the_servers_own_because_it_says_so_twice(origin: bytes, host: str, *, allowed: bool) -> None:
    with suppress(UpgradeRefusedError) if not allowed else nullcontext():
        judged((b"origin", origin), host=host, names=())

        assert allowed


def test_a_revoked_token_is_refused_before_there_is_a_connection() -> None:
    header = (b"authorization", b"Bearer " + token().encode())

    assert judged(header, revoked=("another",)).claims
    with pytest.raises(UpgradeRefusedError, match="401 4102 ") as caught:
        judged(header, revoked=("t1",))

    assert b'error="invalid_token"' in caught.value.headers[0][1]
