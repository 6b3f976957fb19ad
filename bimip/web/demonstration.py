"""What the page of the demonstration is given beside the protocol: tokens for its devices, the supervision tree as it
changes, and a hand to kill a process.

A server has these routes in demonstration mode alone (`bimip serve --demo`): without it nothing of the operator is on
the public port. They answer to this machine only, to pages of this server's own, and only to who says so in a header
that no page of another origin can send.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bimip.console import (
    LOOPBACK_NAMES,
    AnswerError,
    Operable,
    Watching,
    check_own_page,
    name_of,
    refusal,
    view_of,
)
from bimip.http.server import VISITOR, Visitor
from bimip.supervision import Happening, NoSuchProcess

PREFIX: Final = "/demonstration"
HEADER: Final = "x-demonstration"
"""Whatever it says: to send it across origins a page would have to be allowed to."""
OWN_ADDRESSES: Final = frozenset({None, "127.0.0.1", "::1", "::ffff:127.0.0.1"})
"""None: a stream that is no socket, as in a simulation."""
SPARED: Final = 2
"""Restarts of a supervisor's budget that no kill takes: what is spent ends it, and the root's the whole server."""

_log = structlog.get_logger("bimip.web")


@dataclass(frozen=True, slots=True)
class PageDevice:
    """One device of the page."""

    eid: str
    device: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The devices that the page shows, and the commands that it names."""

    devices: Sequence[PageDevice]
    pid: int
    kill: str
    """The command that ends the server at once."""
    again: str
    """The one that starts it."""


def demonstration_routes(
    shown: Demonstration,
    *,
    tree: Callable[[], Operable | None],
    now: Callable[[], float],
    history: Callable[[int], Sequence[Happening]],
) -> Iterator[Route]:
    """Makes the routes. `tree`: None while it is starting; `now` is its clock, `history` what happened in it behind a
    number.
    """
    page = _Page(shown, tree, Watching(history, now))
    for path, handler, method in (
        ("/devices", page.tell_devices, "POST"),
        ("/tree/stream", page.watch, "GET"),
        ("/kill", page.kill, "POST"),
    ):
        yield Route(f"{PREFIX}{path}", partial(_guarded, handler), methods=[method])


async def _guarded(handler: Callable[[Request], Response], request: Request) -> Response:
    visitor: Visitor = request.scope[VISITOR]
    try:
        _check_local(request, visitor)
        response = handler(request)
    except AnswerError as error:
        return refusal(error.status, error.error, error.hint)
    visitor.admit_visitor()  # it may keep its connection
    return response


def _check_local(request: Request, visitor: Visitor) -> None:
    """Raises AnswerError where it is not this machine's own page that asks."""
    if visitor.address not in OWN_ADDRESSES or name_of(request.headers.get("host", "")) not in LOOPBACK_NAMES:
        raise AnswerError(403, "the demonstration is for this machine alone", "open http://127.0.0.1 with its port")
    check_own_page(request)
    if HEADER not in request.headers:
        raise AnswerError(403, f"the header {HEADER} is missing", "the demonstration's own page sends it")


@dataclass(frozen=True, slots=True)
class _Page:
    shown: Demonstration
    running: Callable[[], Operable | None]
    watching: Watching

    def tell_devices(self, _request: Request) -> Response:
        """Answers with a token for each of the page's devices. They are in no address, no log and no cache."""
        shown = self.shown
        devices = [{"eid": one.eid, "device": one.device, "token": one.token} for one in shown.devices]
        told = {"devices": devices, "pid": shown.pid, "kill": shown.kill, "again": shown.again}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    def watch(self, request: Request) -> Response:
        return self.watching.answer(self._tree().snapshot, view_of(request.query_params), lambda: True)

    def kill(self, request: Request) -> Response:
        """Answers first, and kills then: this connection may be below what ends."""
        path, tree = request.query_params.get("path", ""), self._tree()
        above = path.rpartition("/")[0]
        try:
            supervisor = tree.snapshot(above, folded=True) if above else None
            tree.snapshot(path, folded=True)
        except NoSuchProcess as error:
            raise AnswerError(404, str(error), "the tree beside it shows what there is") from error
        if supervisor is None:
            raise AnswerError(409, f"{path} is the whole server", "kill -9 does that: the page says how")
        budget = supervisor.budget
        if budget is not None and budget.restarts + SPARED > budget.intensity:
            sentence = f"{above} has restarted {budget.restarts} children within {budget.period:g} s"
            raise AnswerError(409, sentence, "wait a little: with one more than it may it would give up, as it should")
        _log.warning("a visitor of the demonstration kills a process", path=path)
        return JSONResponse({"killed": path}, 202, background=BackgroundTask(tree.kill, path))

    def _tree(self) -> Operable:
        tree = self.running()
        if tree is None:
            raise AnswerError(503, "the server is starting", "ask again in a moment")
        return tree
