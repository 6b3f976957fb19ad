"""The routes.

GET  /healthz, /livez       200 while the process answers at all
GET  /readyz                200, or 503 with the reasons: the journal cannot write, the machine's clock is not followed,
                            a restart budget is nearly spent, disk or store are nearly full, the event loop is behind
GET  /metrics               what the server counts, for Prometheus; the metrics' own token opens it as well
GET  /, /page/…             the live page of the tree, and its files; it asks what follows
POST /login                 the operator's token as JSON begins a session, which a cookie stands for
GET  /session               the secret that goes with that cookie where something is changed
POST /logout                ends the session
GET  /debug/tree            the supervision tree
GET  /debug/tree/stream?at=&open=&find=  the tree as it changes, folded but for what is opened: JSON lines
POST /debug/kill?path=      ends a process as if it had crashed
POST /debug/restart?path=   stops a process in order and starts it again
GET  /debug/busiest         the connected devices that are behind the furthest, or have most under way
GET  /debug/user?eid=&device=  a user's devices, or one of them: offsets, what waits for it, and its connection
GET  /debug/user/why?viewer=&owner=  what a user sees of another, and by which rules
GET  /debug/doctor?eid=&device=  why devices do not receive: all of a user, one of them, or what concerns everybody
GET  /debug/message?id=&eid=&device=  the life of a message, by its signal id, or by the id under which an eid sent it:
                            JSON lines, one for what all have alike, one for each whom it might have reached
GET  /debug/user/export?eid=  everything that is held about a user: JSON lines, the last of them {"kind": "end"}
POST /debug/user/create?eid=  has a user exist before a device of theirs connects
POST /debug/user/erase?eid=   erases a user: they are gone, and what they leave goes from now on
GET  /debug/users?after=&limit=  users by name, some at a time: since when, whether disabled, how many devices are there
POST /debug/user/disable?eid=  keeps a user out: their devices are closed, and none of their tokens counts
POST /debug/user/enable?eid=  lets them in again
POST /debug/user/revoke?eid=&device=  revokes all tokens that were issued so far, to a user or to one device of theirs
POST /debug/user/kick?eid=&device=  closes the connections of a user's devices, or of one: they come again
GET  /debug/user/pins?eid=&after=  which devices hold logs back, and what would go without them: of a user, or those of
                            all users that hold back the most, a page of users at a time
GET  /debug/user/evict?eid=&device=   what would go if a device were evicted, and does nothing
POST /debug/user/evict?eid=&device=   evicts a device: its connection closes, its places go, it holds back nothing
GET  /debug/user/erasing      who is being erased still, by number
POST /debug/push/test?eid=&device=&id=  sends a notification to a user's subscriptions: what each gateway answered
GET  /debug/conflicts       the newest edits, reactions and settings that lost against others
GET  /debug/clock           the server's time and the machine's, and why that is not followed
POST /debug/clock/accept    follows the machine's clock as it is now
GET  /debug/drain           whether the server drains, how many connections it has, and for how long still
POST /debug/drain?seconds=  closes all connections, spread over so many seconds, and accepts none
POST /debug/drain/cancel    accepts them again
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bimip.console import page
from bimip.console.answers import (
    AnswerError,
    Contained,
    answer,
    answer_error,
    answer_lines,
    answer_text,
    crash,
    http_error,
)
from bimip.console.guards import LOOPBACK_NAMES, Handler, LocalNames, for_operators, session_id_of
from bimip.console.login import Login
from bimip.console.parts import Eviction, Operable, Parts
from bimip.console.tree import tree_json
from bimip.console.watching import Watching, view_of
from bimip.supervision import NoSuchProcess, Refused, SupervisionError, WouldDeadlock

_TREE = "GET /debug/tree (`bimip tree`)"

USERS_AT_ONCE, MOST_USERS = 100, 1000
MOST_DRAIN_SECONDS = 3600

_log = structlog.get_logger("bimip.console")


def make_application(parts: Parts) -> Contained:
    handlers = Handlers(parts)
    guarded = partial(for_operators, parts.operator_token, sessions=parts.sessions, refused=handlers.token_refused)
    acts = handlers.acts
    routes = [
        Route("/healthz", handlers.healthz),
        Route("/livez", handlers.healthz),
        Route("/readyz", handlers.readyz),
        Route("/debug/tree", guarded(handlers.tree)),
        Route("/debug/tree/stream", guarded(handlers.watch)),
        Route("/debug/kill", guarded(acts("kill", handlers.kill)), methods=["POST"]),
        Route("/debug/restart", guarded(acts("restart", handlers.restart)), methods=["POST"]),
    ]
    with_a_part = [
        (parts.metrics, "GET", "/metrics", guarded(handlers.metrics, or_token=parts.metrics_token)),
        (parts.busiest, "GET", "/debug/busiest", guarded(handlers.busiest)),
        (parts.user, "GET", "/debug/user", guarded(handlers.user)),
        (parts.sight, "GET", "/debug/user/why", guarded(handlers.why)),
        (parts.diagnose, "GET", "/debug/doctor", guarded(handlers.diagnose)),
        (parts.explain_message, "GET", "/debug/message", guarded(handlers.explain_message)),
        (parts.export_user, "GET", "/debug/user/export", guarded(acts("export", handlers.export_user))),
        (parts.create_user, "POST", "/debug/user/create", guarded(acts("create", handlers.create_user))),
        (parts.erase_user, "POST", "/debug/user/erase", guarded(acts("erase", handlers.erase_user))),
        (parts.erasures, "GET", "/debug/user/erasing", guarded(handlers.erasures)),
        (parts.users, "GET", "/debug/users", guarded(handlers.users)),
        (parts.disable_user, "POST", "/debug/user/disable", guarded(acts("disable", handlers.disable_user))),
        (parts.enable_user, "POST", "/debug/user/enable", guarded(acts("enable", handlers.enable_user))),
        (parts.revoke_tokens, "POST", "/debug/user/revoke", guarded(acts("revoke tokens", handlers.revoke_tokens))),
        (parts.kick, "POST", "/debug/user/kick", guarded(acts("kick", handlers.kick))),
        (parts.pins, "GET", "/debug/user/pins", guarded(handlers.pins)),
        (parts.foresee_eviction, "GET", "/debug/user/evict", guarded(partial(_evict, parts.foresee_eviction))),
        (parts.evict_device, "POST", "/debug/user/evict", guarded(acts("evict", partial(_evict, parts.evict_device)))),
        (parts.try_push, "POST", "/debug/push/test", guarded(acts("push test", handlers.try_push))),
        (parts.conflicts, "GET", "/debug/conflicts", guarded(handlers.conflicts)),
        (parts.clock, "GET", "/debug/clock", guarded(handlers.clock)),
        (parts.accept_clock, "POST", "/debug/clock/accept", guarded(acts("accept clock", handlers.accept_clock))),
        (parts.draining, "GET", "/debug/drain", guarded(handlers.draining)),
        (parts.drain, "POST", "/debug/drain", guarded(acts("drain", handlers.drain))),
        (parts.cancel_drain, "POST", "/debug/drain/cancel", guarded(acts("cancel drain", handlers.cancel_drain))),
    ]
    routes += [Route(path, handler, methods=[method]) for part, method, path, handler in with_a_part if part]
    if parts.sessions is not None:
        login = Login(parts.operator_token, parts.sessions, acts=acts, refused=handlers.token_refused)
        routes += page.routes()
        routes += [
            Route("/login", login.log_in, methods=["POST"]),
            Route("/session", guarded(login.session)),
            Route("/logout", guarded(acts("log out", login.log_out)), methods=["POST"]),
        ]
    return Contained(
        Starlette(
            routes=routes,
            middleware=[Middleware(LocalNames, names=LOOPBACK_NAMES)],
            exception_handlers={AnswerError: answer_error, HTTPException: http_error, Exception: crash},
        )
    )


class Handlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watching = Watching(parts.history, parts.now)

    def acts(self, action: str, handler: Handler) -> Handler:
        """`handler` with a record of what was asked for and how it was answered."""

        async def recorded(request: Request) -> Response:
            outcome = "failed"
            try:
                response = await handler(request)
                outcome = f"{response.status_code}"
            except AnswerError as error:
                outcome = f"{error.status} {error.error}"
                raise
            finally:
                asked = request.query_params
                name = request.headers.get("x-operator", "") or request.scope.get("bimip.operator", "")
                who = f"operator {name}".strip()
                target = asked.get("path", asked.get("eid", ""))
                if seconds := asked.get("seconds", ""):
                    target = f"{seconds} s"
                if device := asked.get("device", ""):
                    target = f"{target}/{device}"
                self._parts.audit(action, who=who, source=_source(request), target=target, outcome=outcome)
            return response

        return recorded

    def token_refused(self, request: Request) -> None:
        self._parts.token_refused(_source(request), request.url.path)

    async def healthz(self, _request: Request) -> Response:
        return answer({"healthy": True})

    async def readyz(self, _request: Request) -> Response:
        starting = self._parts.tree() is None
        reasons = ["the server is starting"] if starting else list(self._parts.readiness())
        told = {"ready": not reasons, "reasons": reasons, "warnings": list(self._parts.warnings())}
        return answer(told, 503 if reasons else 200)

    async def tree(self, _request: Request) -> Response:
        return answer(tree_json(self._tree().snapshot(), self._parts.now()))

    async def watch(self, request: Request) -> Response:
        view, tree = view_of(request.query_params), self._tree()
        sessions, session_id = self._parts.sessions, session_id_of(request)
        has_token = "authorization" in request.headers

        def is_allowed() -> bool:
            return has_token or (sessions is not None and sessions.find(session_id) is not None)

        return self._watching.answer(tree.snapshot, view, is_allowed)

    async def kill(self, request: Request) -> Response:
        path = _parameter(request, "path", "such as bimip/journal")
        tree = self._tree()
        _find(tree, path)
        if path == self._parts.own_path.partition("/")[0]:
            raise AnswerError(409, f"{path} is the whole server", "stop it with SIGTERM, or kill what is below")
        _log.warning("an operator kills a process", path=path)
        if self._is_around(path):
            # Nobody could answer afterwards.
            later = answer({"killed": path}, 202)
            later.background = BackgroundTask(tree.kill, path)
            return later
        await _ask(tree.kill, path)
        return answer({"killed": path})

    async def restart(self, request: Request) -> Response:
        path = _parameter(request, "path", "such as bimip/journal")
        tree = self._tree()
        _find(tree, path)
        _log.warning("an operator restarts a process", path=path)
        await _ask(tree.restart, path)
        return answer({"restarted": path})

    async def metrics(self, request: Request) -> Response:
        assert self._parts.metrics is not None
        content, content_type = await self._parts.metrics(request.headers.get("accept", ""))
        return answer_text(content, content_type)

    async def busiest(self, _request: Request) -> Response:
        assert self._parts.busiest is not None
        return answer(await self._parts.busiest())

    async def user(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        device = request.query_params.get("device", "")
        assert self._parts.user is not None
        found = await self._parts.user(eid, device)
        if found is None:
            raise _no_user(eid, device)
        return answer(found)

    async def why(self, request: Request) -> Response:
        viewer = _parameter(request, "viewer", "such as bob@example.org")
        owner = _parameter(request, "owner", "such as alice@example.org")
        assert self._parts.sight is not None
        found = self._parts.sight(viewer, owner)
        if found is None:
            raise _no_user(f"{viewer} or {owner}")
        return answer(found)

    async def diagnose(self, request: Request) -> Response:
        eid, device = (request.query_params.get(one, "") for one in ("eid", "device"))
        if device and not eid:
            raise AnswerError(400, "eid is missing", "a device is a user's: add ?eid= and their name")
        assert self._parts.diagnose is not None
        found = self._parts.diagnose(eid, device)
        if found is None:
            raise _no_user(eid, device)
        return answer(found)

    async def explain_message(self, request: Request) -> Response:
        name = _parameter(request, "id", "such as 06AFVTVTG0000")
        eid, device = (request.query_params.get(one, "") for one in ("eid", "device"))
        assert self._parts.explain_message is not None
        try:
            slices = self._parts.explain_message(name, eid, device)
        except ValueError as error:
            hint = "give its signal_id or its signal_offset, or with eid= the id under which they sent it"
            raise AnswerError(400, f"{name} names no message", hint) from error
        if slices is None:
            raise AnswerError(
                404,
                f"there is no message {name}" + (f" of {eid}" if eid else ""),
                "it was never accepted, or is gone for good: its time is over, or its log was cut",
            )
        return answer_lines(slices)

    async def export_user(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        assert self._parts.export_user is not None
        slices = self._parts.export_user(eid)
        if slices is None:
            raise _no_user(eid)
        _log.warning("an operator exports what is held about a user")
        return answer_lines(slices)

    async def create_user(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        assert self._parts.create_user is not None
        try:
            found = await self._parts.create_user(eid)
        except ValueError as error:
            raise AnswerError(503, str(error), "nothing has happened: ask again when it can be written") from error
        if found is None:
            raise AnswerError(400, f"{eid} is no eid", "PROTOCOL.md says which characters one has, and how many")
        return answer(found, 201 if found["created"] else 200)

    async def erase_user(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        assert self._parts.erase_user is not None
        try:
            found = await self._parts.erase_user(eid)
        except ValueError as error:
            raise AnswerError(503, str(error), "nothing has happened: ask again when it can be written") from error
        if found is None:
            raise _no_user(eid)
        return answer(found, 202)

    async def users(self, request: Request) -> Response:
        assert self._parts.users is not None
        limit = request.query_params.get("limit", "")
        if limit and not (limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= MOST_USERS):
            raise AnswerError(400, f"limit is a number from 1 to {MOST_USERS}", "leave it away for 100")
        return answer(self._parts.users(request.query_params.get("after", ""), int(limit or USERS_AT_ONCE)))

    async def disable_user(self, request: Request) -> Response:
        assert self._parts.disable_user is not None
        return await _bar(request, self._parts.disable_user, "disabled")

    async def enable_user(self, request: Request) -> Response:
        assert self._parts.enable_user is not None
        return await _bar(request, self._parts.enable_user, "enabled")

    async def revoke_tokens(self, request: Request) -> Response:
        revoke = self._parts.revoke_tokens
        assert revoke is not None
        device = request.query_params.get("device", "")
        return await _bar(request, lambda eid: revoke(eid, device), "revoked")

    async def kick(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        assert self._parts.kick is not None
        kicked = self._parts.kick(eid, request.query_params.get("device", ""))
        if kicked is None:
            raise _no_user(eid)
        return answer({"kicked": kicked})

    async def pins(self, request: Request) -> Response:
        eid, after = (request.query_params.get(one, "") for one in ("eid", "after"))
        assert self._parts.pins is not None
        try:
            found = await self._parts.pins(eid, after)
        except ValueError as error:
            raise AnswerError(400, str(error), "give back `next` of the page before, or nothing") from error
        if found is None:
            raise _no_user(eid)
        return answer(found)

    async def erasures(self, _request: Request) -> Response:
        assert self._parts.erasures is not None
        return answer(self._parts.erasures())

    async def try_push(self, request: Request) -> Response:
        eid = _parameter(request, "eid", "such as alice@example.org")
        device, name = (request.query_params.get(one, "") for one in ("device", "id"))
        assert self._parts.try_push is not None
        try:
            found = await self._parts.try_push(eid, device, name)
        except ValueError as error:
            raise AnswerError(503, str(error), "ask again in a second") from error
        if found is None:
            raise _no_user(eid)
        return answer(found)

    async def conflicts(self, _request: Request) -> Response:
        assert self._parts.conflicts is not None
        return answer(self._parts.conflicts())

    async def clock(self, _request: Request) -> Response:
        assert self._parts.clock is not None
        return answer(self._parts.clock())

    async def accept_clock(self, _request: Request) -> Response:
        assert self._parts.accept_clock is not None
        try:
            is_noted = await self._parts.accept_clock()
        except ValueError as error:
            raise AnswerError(409, str(error), "accept it once it is right") from error
        found = {} if self._parts.clock is None else self._parts.clock()
        return answer({**found, "noted": is_noted})

    async def draining(self, _request: Request) -> Response:
        assert self._parts.draining is not None
        return answer(self._parts.draining())

    async def drain(self, request: Request) -> Response:
        seconds = request.query_params.get("seconds", "")
        assert self._parts.drain is not None
        if not seconds:
            return answer(self._parts.drain(None), 202)
        try:
            spread = float(seconds)
        except ValueError:
            spread = -1.0
        if not 0 <= spread <= MOST_DRAIN_SECONDS:
            hint = "leave it away for what gateway.drain_spread_seconds says"
            raise AnswerError(400, f"seconds is a number from 0 to {MOST_DRAIN_SECONDS}", hint)
        return answer(self._parts.drain(spread), 202)

    async def cancel_drain(self, _request: Request) -> Response:
        assert self._parts.cancel_drain is not None
        return answer(self._parts.cancel_drain())

    def _tree(self) -> Operable:
        tree = self._parts.tree()
        if tree is None:
            raise AnswerError(503, "the server is starting", "ask again in a second")
        return tree

    def _is_around(self, path: str) -> bool:
        own = self._parts.own_path
        return own == path or own.startswith(f"{path}/")


def _source(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def _bar(request: Request, act: Callable[[str], Awaitable[bool]], done: str) -> Response:
    """Does something about the tokens of a user, and tells that it is done."""
    eid = _parameter(request, "eid", "such as alice@example.org")
    try:
        is_there = await act(eid)
    except ValueError as error:
        raise AnswerError(503, str(error), "nothing has happened: ask again when it can be written") from error
    if not is_there:
        raise _no_user(eid)
    return answer({done: eid})


async def _evict(act: Eviction | None, request: Request) -> Response:
    """Evicts a device, or foresees it, and tells what that frees."""
    assert act is not None
    eid = _parameter(request, "eid", "such as alice@example.org")
    device = _parameter(request, "device", "such as phone")
    try:
        found = await act(eid, device)
    except ValueError as error:
        raise AnswerError(503, str(error), "nothing has happened: ask again when it can be written") from error
    if found is None:
        raise _no_user(eid, device)
    return answer(found)


def _no_user(eid: str, device: str = "") -> AnswerError:
    who = f"{eid} with a device {device}" if device else eid
    return AnswerError(
        404,
        f"there is no user {who}",
        "a user exists once a token of theirs connected, or `bimip user create` made them",
    )


def _parameter(request: Request, name: str, example: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise AnswerError(400, f"{name} is missing", f"add ?{name}= and a value {example}")
    return value


def _find(tree: Operable, path: str) -> None:
    """Before anything is done or logged; the tree's own sentence names the nearest process that exists."""
    try:
        tree.snapshot(path)
    except NoSuchProcess as error:
        raise AnswerError(404, str(error), f"{_TREE} shows every path") from error


async def _ask(act: Callable[[str], Awaitable[None]], path: str) -> None:
    try:
        await act(path)
    except NoSuchProcess as error:
        raise AnswerError(404, str(error), f"it ended meanwhile; {_TREE} shows every path") from error
    except WouldDeadlock as error:
        raise AnswerError(409, str(error), "kill it instead: its supervisor starts it again") from error
    except Refused as error:
        raise AnswerError(409, str(error), f"{_TREE} shows what it does now") from error
    except SupervisionError as error:
        raise AnswerError(500, str(error), f"{_TREE} shows its last crash") from error
