"""ejabberd's REST interface for a harness that measures several message servers alike: name this folder in
PEERBENCH_PATH. How ejabberd is installed and started, and those who receive, are the harness's own module's.

A sender posts to `send_message` of mod_http_api (docs.ejabberd.im, "API Reference"): one message in a request, answered
with 0 once it was routed; there is no request with many. `from` and `to` are JIDs, and whoever asks may write in
anybody's name: there is no token to check. The message goes the way of one that a client sent, so it is archived
(mod_mam) and copied to the author's other devices (carbons).
"""

import json
import sys
from pathlib import Path
from typing import Any

import common  # type: ignore[import-not-found]
import ejabberd  # type: ignore[import-not-found]

sys.path.append(str(Path(__file__).resolve().parents[3]))

from scripts.benchmarks import posting

SUFFIX = "-rest"
HOST = "localhost"
VARIANTS: dict[str, dict[str, Any]] = {f"{name}{SUFFIX}": {} for name in ("ejabberd-mnesia", "ejabberd-sqlite")}
SENDS = "  mod_admin_extra: {{}}\n"
"""The module that has `send_message`, in a template of `str.format`."""
prepare = ejabberd.prepare


def start(variant: str, datadir: str) -> Any:  # noqa: ANN401 - the harness's own
    if SENDS not in ejabberd.CONF:  # the harness's ends with the modules
        ejabberd.CONF += SENDS
    return ejabberd.start(variant.removesuffix(SUFFIX), datadir)


def Device(  # noqa: N802 - the harness calls it so
    loop: Any,  # noqa: ANN401 - the harness's own
    running: Any,  # noqa: ANN401 - the harness's own
    user: str,
    dev: int,
    sender: bool = False,  # noqa: FBT001, FBT002 - as the harness calls it
    pull: str | None = None,
) -> Any:  # noqa: ANN401 - the harness's own
    """Who sends does it by HTTP; all others are clients as they are without it."""
    return Poster(loop, user) if sender else ejabberd.Device(loop, running, user, dev, pull=pull)


class Poster(posting.HarnessSender, common.Conn):  # type: ignore[misc]  # the harness has no types
    """Posts messages over one connection, as a back end."""

    def __init__(self, loop: Any, user: str) -> None:  # noqa: ANN401 - the harness's own
        self._from = f"{user}@{HOST}"
        self._head = posting.head(ejabberd.HTTP)
        super().__init__(loop, ejabberd.HTTP)

    def target(self, sid: int, user: str) -> None:
        self.sid, self._to = sid, f"{user}@{HOST}"

    def asked(self, number: int) -> bytes:
        text = common.body(self.sid, number).decode()
        said = {"type": "chat", "from": self._from, "to": self._to, "subject": "", "body": text}
        return posting.request("/api/send_message", self._head, json.dumps(said).encode())

    def is_accepted(self, status: int, content: bytes) -> bool:
        """0 stands for what was routed."""
        return (status, content.strip()) == (200, b"0")
