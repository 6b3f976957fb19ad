"""A real server that is killed while back ends post: what is posted again under its key is stored once, and what was
answered is there, and another back end is told of all of it by a webhook.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.chaos.process_driver import Served, served, token
from tests.kit.webhooks import verify, webhook

KILLS = int(os.environ.get("BIMIP_REST_KILLS", "3"))
SENDERS, BETWEEN_KILLS = 4, 60


class Sender(threading.Thread):
    """Posts message after message, each again under its key until it is answered."""

    def __init__(self, number: int, ports: "Ports") -> None:
        super().__init__(daemon=True)
        self.name = f"s{number}"
        self.answered: dict[str, str] = {}
        """Ids of messages by their keys."""
        self.refused: list[Any] = []
        self._ports = ports

    def run(self) -> None:
        while not self._ports.is_over:
            self._post(f"{self.name}-{len(self.answered)}")

    def _post(self, key: str) -> None:
        port = self._ports.wait()
        headers = {"Authorization": f"Bearer {token('alice', self.name)}", "Idempotency-Key": key}
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", "/api/v1/messages", json.dumps({"to": {"eid": "bob"}, "text": key}), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, HTTPException, ValueError):
            return  # it was killed: the same again
        finally:
            connection.close()
        if answer.status not in {200, 201}:
            self.refused.append(said)
            return
        self.answered[key] = said["messageId"]
        self._ports.answered()


class Ports:
    """Where the server is now, and how often it has answered there."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._port = self._answers = 0
        self.is_over = False

    def move(self, port: int) -> None:
        with self._changed:
            self._port, self._answers = port, 0
            self._changed.notify_all()

    def wait(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._port, 60)
            return self._port

    def answered(self) -> None:
        with self._changed:
            self._answers += 1
            self._changed.notify_all()

    def wait_answers(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._answers >= count, 60)


def stored(server: Served) -> list[tuple[str, str]]:
    """Keys and ids of all that is in Bob's log, in its order."""
    found: list[tuple[str, str]] = []
    cursor = ""
    while True:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        path = f"/api/v1/messages?limit=256{cursor}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {token('bob', 'reader')}"})
        page = json.loads(connection.getresponse().read())
        connection.close()
        found += [(one["id"], one["signal_id"]) for one in page["messages"]]
        if page["complete"]:
            return found
        cursor = f"&cursor={page['nextCursor'].replace('+', '%2B').replace('/', '%2F')}"


class BackEnd(ThreadingHTTPServer):
    """Takes events, but for each seventh request, and notes their ids with the messages that they tell of."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.requests = 0
        self.told: dict[str, str] = {}

    def wait_told(self, ids: set[str]) -> None:
        deadline = time.monotonic() + 60
        while not ids <= set(self.told.values()) and time.monotonic() < deadline:
            time.sleep(0.05)


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BackEnd

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        said = verify(dict(self.headers.items()), body)
        self.server.requests += 1
        is_taken = self.server.requests % 7 != 0
        if is_taken:
            self.server.told[self.headers["webhook-id"]] = said["data"]["signal_id"]
        self.send_response(204 if is_taken else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


@contextmanager
def open_back_end() -> Iterator[BackEnd]:
    with BackEnd() as back_end:
        threading.Thread(target=back_end.serve_forever, daemon=True).start()
        yield back_end
        back_end.shutdown()


def test_what_is_posted_again_after_a_kill_is_stored_once_and_what_was_answered_is_there(tmp_path: Path) -> None:
    with open_back_end() as back_end:
        url = f"http://127.0.0.1:{back_end.server_address[1]}/"
        post_and_kill(tmp_path, back_end, webhook(url=url, events=["message.accepted"]))


def post_and_kill(tmp_path: Path, back_end: BackEnd, endpoints: str) -> None:
    ports = Ports()
    senders = [Sender(number, ports) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        server = Served(tmp_path, BIMIP_WEBHOOKS_ENDPOINTS=endpoints)
        try:
            ports.move(server.port)
            ports.wait_answers(BETWEEN_KILLS)
        finally:
            ports.move(0)
            server.process.kill()
            server.process.wait()
    with served(tmp_path, BIMIP_WEBHOOKS_ENDPOINTS=endpoints) as server:
        ports.move(server.port)
        ports.wait_answers(BETWEEN_KILLS)
        ports.is_over = True
        for sender in senders:
            sender.join(60)
        there = stored(server)
        back_end.wait_told({name for _, name in there})
    answered = {key: name for sender in senders for key, name in sender.answered.items()}

    assert [sender.refused for sender in senders] == [[]] * SENDERS
    assert dict(there) == answered
    assert len(there) == len(answered) >= BETWEEN_KILLS * (KILLS + 1)
    assert sorted(back_end.told.values()) == sorted(answered.values()), "each once: a repeated one has its first id"
    for sender in senders:  # each in the order in which it was posted
        mine = [key for key, _ in there if key.startswith(f"{sender.name}-")]
        assert mine == [f"{sender.name}-{number}" for number in range(len(mine))]
