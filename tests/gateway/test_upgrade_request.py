"""The opening's bytes: what is read of a request, and what is answered."""

import base64

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.gateway.upgrade_policy import UpgradeRefusedError
from bimip.gateway.upgrade_request import Request, UpgradeReader, accepted, read_usual, refused
from bimip.http.server import HttpRequest
from tests.gateway.harness import opening

MAX_BYTES = 4096
HTTP = 200
"""The outcome of what is answered by HTTP."""


def read(data: bytes, step: int = 0) -> Request | None:
    """The opening that bytes are; None: it is not whole yet."""
    request = read_any(data, step)
    assert not isinstance(request, HttpRequest)
    return request


def read_any(data: bytes, step: int = 0) -> Request | HttpRequest | None:
    reader = UpgradeReader(MAX_BYTES)
    for at in range(0, len(data), step or len(data)):
        request = reader.feed(data[at : at + (step or len(data))])
        if request is not None:
            return request
    return None


def outcome(data: bytes) -> int:
    """The status of the answer; 0: none yet."""
    try:
        request = read_any(data)
    except UpgradeRefusedError as refusal:
        return refusal.status
    return 0 if request is None else 101 if isinstance(request, Request) else HTTP


@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_request_is_read_however_it_is_cut(step: int) -> None:
    request = read(opening(Sec_WebSocket_Protocol="bimip.v9, bimip.v1"), step)

    assert request is not None
    assert request.offered == ["bimip.v9", "bimip.v1"]
    assert request.host == "localhost"
    assert request.key == b"dGhlIHNhbXBsZSBub25jZQ=="
    assert request.rest == b""


def test_frames_that_came_with_it_are_kept() -> None:
    request = read(opening() + b"\x89\x80\0\0\0\0")

    assert request is not None
    assert request.rest == b"\x89\x80\0\0\0\0"


@pytest.mark.parametrize("head", [opening(), opening().replace(b": localhost", b":localhost")])
@pytest.mark.parametrize("step", [0, 100])
def test_what_came_behind_a_head_is_none_of_it(head: bytes, step: int) -> None:
    """A client that does not wait for the answer may have said more than a head may have."""
    frames = b"\x82" * (2 * MAX_BYTES)
    reader = UpgradeReader(MAX_BYTES)
    assert not step or reader.feed(head[:step]) is None
    request = reader.feed(head[step:] + frames)

    assert isinstance(request, Request)
    assert request.rest == frames


@pytest.mark.parametrize("behind", [b"", b"x" * MAX_BYTES])
@pytest.mark.parametrize("spelling", [b": localhost", b":localhost"])
def test_a_head_that_is_too_large_is_so_whatever_is_behind_it(spelling: bytes, behind: bytes) -> None:
    padding = MAX_BYTES - len(opening(X="").replace(b": localhost", spelling))

    def sized(size: int) -> bytes:
        return opening(X="x" * size).replace(b": localhost", spelling) + behind

    assert outcome(sized(padding)) == 101
    assert outcome(sized(padding + 1)) == 431


def test_an_opening_behind_another_request_is_not_taken_for_that() -> None:
    assert isinstance(read_any(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + opening()), HttpRequest)


def test_an_opening_may_be_spelt_in_small_letters() -> None:
    head, _, rest = opening().partition(b"\r\n")

    assert read(head + b"\r\n" + rest.replace(b"Sec-WebSocket", b"sec-websocket")) is not None


def test_there_is_no_request_before_its_end() -> None:
    for size in range(len(opening())):
        assert UpgradeReader(MAX_BYTES).feed(opening()[:size] if size else b"G") is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (opening(Upgrade=None), 426),
        (opening(Upgrade="h2c"), 426),
        (opening(Connection="close"), 426),
        (opening(Connection="keep-alive, Upgrade"), 101),
        (opening(Upgrade="WebSocket"), 101),
        (opening(Sec_WebSocket_Version=None), 426),
        (opening(Sec_WebSocket_Version="12"), 426),
        (opening(Sec_WebSocket_Key="short"), 426),
        (opening(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"), 426),
        (opening(Sec_WebSocket_Key="!" * 24), 426),
        (opening(Sec_WebSocket_Key=base64.b64encode(bytes(17)).decode()), 426),
        (opening().replace(b"GET ", b"PUT "), 400),
        (opening().replace(b"GET ", b"HEAD "), 400),
        (opening().replace(b"HTTP/1.1", b"HTTP/1.0"), 426),
        (opening().replace(b"HTTP/1.1", b"HTTP/2.0"), 426),
        (opening(Content_Length="5"), 400),
        (opening(Transfer_Encoding="chunked"), 400),
        (opening(Host=None), 400),
        (opening().replace(b"\r\nHost", b"\r\n Host"), 400),
        (opening(X_Long="x" * MAX_BYTES), 431),
        (b"\x00" * 100, 400),
        (b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", HTTP),
        (b"GET / HTTP/1.0\r\n\r\n", HTTP),
        (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", HTTP),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n", HTTP),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: h3, WebSocket\r\n\r\n", 426),
        (b"GET /x HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_what_becomes_no_websocket(data: bytes, status: int) -> None:
    assert outcome(data) == status


def test_a_version_that_is_not_served_is_told_the_one_that_is() -> None:
    with pytest.raises(UpgradeRefusedError) as caught:
        read(opening(Sec_WebSocket_Version="8"))

    assert (b"Sec-WebSocket-Version", b"13") in caught.value.headers


def test_a_byte_more_than_the_limit_is_too_large() -> None:
    padding = MAX_BYTES - len(opening(X="")) + 1

    with pytest.raises(UpgradeRefusedError, match="431"):
        read(opening(X="x" * padding), 100)
    assert read(opening(X="x" * (padding - 1)), 100) is not None


def test_the_answer_is_the_standards() -> None:
    """RFC 6455, 1.3, has this key and this answer."""
    request = read(opening())
    assert request is not None

    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accepted(request, "bimip.v1")


@pytest.mark.parametrize("status", [400, 401, 403, 426, 429, 431, 503])
def test_a_refusal_is_http(status: int) -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(refused(UpgradeRefusedError(status, "No.", [(b"Retry-After", b"5")])))
    client.receive_data(b"")
    response, body = client.next_event(), client.next_event()

    assert isinstance(response, h11.Response)
    assert (response.status_code, dict(response.headers)[b"retry-after"]) == (status, b"5")
    assert response.reason
    assert isinstance(body, h11.Data)
    assert bytes(body.data) == b"No.\n"


ODD = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b",", b"\0", b"\x7f", b"\xff", b"Host: b", b"X:", b"a:b"]
)
LENGTHS = st.sampled_from([b"Content-Length: 3\r\n", b"TRANSFER-ENCODING: chunked\r\n", b"Host: again\r\n"])


@given(st.lists(st.tuples(st.integers(0, 400), ODD | LENGTHS | st.binary(max_size=3)), max_size=3), st.booleans())
@settings(max_examples=1000, deadline=None)
def test_what_is_read_as_usual_is_what_h11_reads(oddities: list[tuple[int, bytes]], in_place: bool) -> None:  # noqa: FBT001
    data = opening()
    for at, odd in oddities:
        data = data[:at] + odd + data[at + len(odd) * in_place :]
    usual = read_usual(data)
    if usual is None:
        return
    http = h11.Connection(h11.SERVER)
    http.receive_data(data)
    request, end = http.next_event(), http.next_event()

    assert isinstance(request, h11.Request)
    assert isinstance(end, h11.EndOfMessage)
    assert (request.method, request.http_version) == (b"GET", b"1.1")
    assert (list(request.headers), http.trailing_data[0]) == usual


def test_the_usual_is_read_as_such() -> None:
    assert read_usual(opening() + b"more") is not None


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_request_or_refused_or_not_at_their_end(noise: bytes, at: int) -> None:
    data = opening()[:at] + noise + opening()[at:]
    assert outcome(data) in {0, 101, HTTP, 400, 426, 431, 501, 505}
