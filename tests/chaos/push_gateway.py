"""A push gateway as a process of its own, `python -m tests.chaos.push_gateway PORT FILE SEED`: it takes what is pushed,
fails, hangs, and loses its answers, until there is a file beside FILE whose name ends in `.well`.

Each request is a line of FILE, on disk before it is answered: {"id", "token", "place", "answer"}.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

TAKEN = 201
FAILURES = (500, 503, 429, 404)
HANG_SECONDS = 5.0
"""Longer than the server waits."""
HANGS, LOSES_ITS_ANSWER = 0, 1
"""Answers that are none. The second one took what it was told."""


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, file: Path, seed: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._well = file.with_suffix(".well")
        self._random = Random(seed)

    def answer(self) -> int:
        chance = self._random.random()
        if self._well.exists() or chance < 0.7:
            return TAKEN
        if chance < 0.85:
            return self._random.choice(FAILURES)
        return HANGS if chance < 0.9 else LOSES_ITS_ANSWER

    def note(self, body: bytes, answer: int) -> None:
        said = json.loads(body)
        line = {"id": said["id"], "token": said["token"], "place": said["conversation_offset"], "answer": answer}
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answer()
        self.server.note(body, answer)
        if answer in {HANGS, LOSES_ITS_ANSWER}:
            self.close_connection = True
            time.sleep(HANG_SECONDS if answer == HANGS else 0)
            return
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    port, file, seed = sys.argv[1:]
    Gateway(int(port), Path(file), int(seed)).serve_forever()
