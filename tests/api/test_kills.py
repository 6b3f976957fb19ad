"""A real server that is killed while back ends post: what is posted again under its key is stored once, and what was
answered is there.
"""

import json
import os
import threading
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.chaos.process_driver import Served, served, token

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


def test_what_is_posted_again_after_a_kill_is_stored_once_and_what_was_answered_is_there(tmp_path: Path) -> None:
    ports = Ports()
    senders = [Sender(number, ports) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        server = Served(tmp_path)
        try:
            ports.move(server.port)
            ports.wait_answers(BETWEEN_KILLS)
        finally:
            ports.move(0)
            server.process.kill()
            server.process.wait()
    with served(tmp_path) as server:
        ports.move(server.port)
        ports.wait_answers(BETWEEN_KILLS)
        ports.is_over = True
        for sender in senders:
            sender.join(60)
        there = stored(server)
    answered = {key: name for sender in senders for key, name in sender.answered.items()}

    assert [sender.refused for sender in senders] == [[]] * SENDERS
    assert dict(there) == answered
    assert len(there) == len(answered) >= BETWEEN_KILLS * (KILLS + 1)
    for sender in senders:  # each in the order in which it was posted
        mine = [key for key, _ in there if key.startswith(f"{sender.name}-")]
        assert mine == [f"{sender.name}-{number}" for number in range(len(mine))]
