"""The tree as it changes, for the page: JSON lines, the first of them with all that is looked at, each further one with
what is different.

What it costs the server does not grow with its devices: the children of dynamic supervisors (users, connections) are
left out until the page opens one, and then the first hundred of those that it looks for. Beside that a look at the tree
rests fifty times as long as it took, times the pages that look, so that all of them together take two percent of a core
at most, whatever they open.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import trio
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bimip.console.answers import HEADERS, AnswerError
from bimip.console.tree import Json, tree_rows
from bimip.supervision import Happening, NoSuchProcess, Opened, Snapshot

LOOK_SECONDS: Final = 1.0
REST: Final = 50
"""How many times as long as a look took is rested until the next."""
HEARTBEAT_SECONDS: Final = 10.0
MOST_STREAMS: Final = 8
MOST_OPENED: Final = 10
MAX_SEARCH: Final = 100
"""Characters."""
SAME_SECONDS: Final = 0.5
"""Times that differ by less are one: the server's clock moves beside the loop's by some milliseconds."""


class Looks(Protocol):
    """Takes a snapshot of a tree: `supervision.Tree.snapshot`."""

    def __call__(self, path: str | None = None, *, folded: bool = False, opened: Opened | None = None) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class View:
    """A page's part of the tree: all below `at`, of dynamic supervisors what is opened."""

    at: str | None
    opened: Opened


def view_of(asked: QueryParams) -> View:
    """Reads what a page asks for: at=PATH, open=PATH as often as it opens one, find=TEXT. Raises AnswerError."""
    paths, text = frozenset(asked.getlist("open")), asked.get("find", "")
    if len(paths) > MOST_OPENED:
        raise AnswerError(400, f"more than {MOST_OPENED} processes are opened", "fold some")
    if len(text) > MAX_SEARCH:
        raise AnswerError(400, f"find is longer than {MAX_SEARCH} characters", "look for less")
    return View(asked.get("at") or None, Opened(paths, text.casefold()))


class Picture:
    """Remembers what a page was told of the tree."""

    def __init__(self) -> None:
        self._rows: dict[str, Json] = {}
        self._is_absent = False

    def changes(self, snapshot: Snapshot | None) -> Json:
        """Says what is different now: whole rows of processes that are new, of others what changed, and who is gone.
        Nothing else is said. None: there is no such process.
        """
        rows = {row["path"]: row for row in tree_rows(snapshot)} if snapshot is not None else {}
        gone = [path for path in self._rows if path not in rows]
        changed = [different for row in rows.values() if (different := self._different(row))]
        self._rows = rows
        line: Json = {name: found for name, found in (("rows", changed), ("gone", gone)) if found}
        if self._is_absent != (snapshot is None):
            self._is_absent = line["absent"] = snapshot is None
        return line

    def _different(self, row: Json) -> Json:
        told = self._rows.get(row["path"])
        if told is None:
            return row
        if abs(row["since"] - told["since"]) < SAME_SECONDS:
            row["since"] = told["since"]
        different = {name: value for name, value in row.items() if told[name] != value}
        return {"path": row["path"], **different} if different else {}


class Watching:
    """The pages that look at a tree now."""

    def __init__(self, history: Callable[[int], Sequence[Happening]], now: Callable[[], float]) -> None:
        """`history` tells what happened behind a number; `now` is the tree's clock."""
        self._history = history
        self._now = now
        self.pages = 0

    def answer(self, look: Looks, view: View, is_allowed: Callable[[], bool]) -> Response:
        """The stream, for as long as the page stays and is allowed to. Raises AnswerError where too many look."""
        if self.pages >= MOST_STREAMS:
            raise AnswerError(503, f"{MOST_STREAMS} pages look already", "close one, and come again")
        return _Stream(self, look, view, is_allowed)

    def line(self, look: Looks, view: View, picture: Picture, since: int) -> tuple[Json, int]:
        """Tells what is new to a page, and the number of the last thing that happened."""
        try:
            snapshot = look(view.at, folded=True, opened=view.opened)
        except NoSuchProcess:
            snapshot = None
        line: Json = picture.changes(snapshot)
        if happened := self._history(since):
            line["events"] = [asdict(one) for one in happened]
            since = happened[-1].number
        return line, since

    def now(self) -> float:
        return round(self._now(), 3)


class _Stream(Response):
    """One page's stream."""

    media_type = "application/x-ndjson"

    def __init__(self, watching: Watching, look: Looks, view: View, is_allowed: Callable[[], bool]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._watching = watching
        self._look = look
        self._view = view
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._watching.pages += 1
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_wait_left, receive, nursery.cancel_scope)
                    await self._send_lines(send)
                    nursery.cancel_scope.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._watching.pages -= 1

    async def _send_lines(self, send: Send) -> None:
        picture, since, said_at = Picture(), 0, -HEARTBEAT_SECONDS
        while self._is_allowed():
            began = trio.current_time()
            line, since = self._watching.line(self._look, self._view, picture, since)
            if line or began - said_at >= HEARTBEAT_SECONDS:
                content = _json({"now": self._watching.now(), **line})
                cost = trio.current_time() - began
                said_at = began
                await send({"type": "http.response.body", "body": content, "more_body": True})
            else:
                cost = trio.current_time() - began
            await trio.sleep(max(LOOK_SECONDS, REST * cost * self._watching.pages))


async def _wait_left(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _json(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
