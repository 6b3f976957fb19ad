"""What a whole run logs, with every kind of error that can be provoked from outside: no token, key or payload in it."""

import base64
import json
import socket
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.chaos.process_driver import KEY, OPERATOR, Phone, Served, opening, served, token
from tests.gateway.harness import frame

TEXT, BINARY = 1, 2
PAYLOAD = b"pAyLoAd-which-only-its-reader-may-see"
SECRET = "another key, and nobody's business either"


def console(server: Served, path: str, shown: str, method: str = "POST") -> int:
    request = Request(
        f"http://127.0.0.1:{server.console}{path}", method=method, headers={"Authorization": f"Bearer {shown}"}
    )
    try:
        with urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def say_raw(server: Served, *said: bytes) -> bytes:
    """Whatever comes back until it is quiet."""
    heard = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        for each in said:
            try:
                peer.sendall(each)
                peer.settimeout(0.3)
                while more := peer.recv(65536):
                    heard += more
            except OSError:
                pass
    return heard


def provoke(server: Served) -> list[str]:
    """Returns the tokens that were shown, good and bad."""
    bob, alice = Phone.connect(server.port, "bob"), Phone.connect(server.port, "alice")
    good = token("mallory")
    bad = [
        token("mallory", signing_key=SECRET),
        token("mallory", lifetime_seconds=-1000),
        good[:-4] + "AAAA",
        "x.y." + "secret" * 20,
    ]
    for one in bad:
        say_raw(server, opening(one))
        say_raw(
            server,
            opening("").replace(b"Authorization: Bearer \r\n", b""),
            frame(BINARY, codec.encode(pb.Hello(token=one, messages=[pb.Message(payload=PAYLOAD)]))),
        )
    hello = frame(BINARY, codec.encode(pb.Hello()))
    message = pb.Message(id="m", to=pb.Identity(eid="bob"), payload=PAYLOAD)
    hostile = [
        frame(BINARY, codec.encode(pb.TokenAuthority(action=pb.TokenAuthority.REFRESH, token=bad[0]))),
        frame(BINARY, codec.encode(message)[:-3]),
        frame(BINARY, codec.encode(pb.Message(payload=PAYLOAD * 2000, to=message.to))),
        frame(BINARY, codec.encode(pb.Message(payload=PAYLOAD))),
        frame(BINARY, codec.encode(pb.Body(messages=[message, pb.Message(payload=PAYLOAD)], commands=[pb.Command()]))),
        frame(BINARY, PAYLOAD, first=0xC0),
        frame(BINARY, PAYLOAD) * 9,
        frame(TEXT, PAYLOAD),
        frame(8, b"\x03\xe8" + PAYLOAD),
        frame(8, b"\x0b\xb8" + PAYLOAD + b"\xff"),
    ]
    for each in hostile:
        say_raw(server, opening(good), hello + each)
    in_json = json.dumps({"route": "6", "message": {"payload": PAYLOAD.decode(), "to": good}})
    say_raw(
        server,
        opening(good, "bimip.v1.json"),
        frame(TEXT, b'{"route":"13","hello":{}}') + frame(TEXT, in_json.encode()),
    )
    say_raw(server, b"GET /" + PAYLOAD + b" HTTP/1.1\r\nAuthorization: Bearer " + good.encode() + b"\r\n\r\n")
    # Processes end, while messages are on their way.
    paths = ["users/bob/phone/fetcher", "users/bob/phone/reader", "journal", "users/alice", "gateway/listener", "users"]
    for number, path in enumerate(paths):
        try:
            for n in range(5):
                alice.write("bob", PAYLOAD, f"k{number}.{n}")
        except OSError:
            pass
        assert console(server, f"/debug/kill?path=bimip/{path}", OPERATOR) in {200, 202, 404}
        time.sleep(0.2)
        bob.close()
        alice.close()
        bob, alice = Phone.connect(server.port, "bob"), Phone.connect(server.port, "alice")
    console(server, "/debug/kill?path=" + good, OPERATOR)
    console(server, "/debug/tree?token=" + OPERATOR, "not-" + OPERATOR, "GET")
    console(server, "/" + PAYLOAD.decode(), OPERATOR, "GET")
    bob.close()
    alice.close()
    return [good, *bad]


def test_no_log_shows_a_token_a_key_or_a_payload(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        tokens = provoke(server)
    log = server.log.read_text(errors="replace")
    events = {one["event"] for one in server.events()}
    hidden = [KEY, OPERATOR, SECRET, *tokens, *(part for one in tokens for part in one.split(".") if len(part) > 20)]
    hidden += [PAYLOAD.decode(), PAYLOAD.hex(), base64.b64encode(PAYLOAD).decode()[:-4]]

    assert "process ended" in events, log
    assert len(log.splitlines()) >= 8
    assert [text for text in hidden if text in log] == []
    assert PAYLOAD.decode() in (tmp_path / "store" / "data.mdb").read_bytes().decode(
        "latin-1"
    )  # it was there to be seen
