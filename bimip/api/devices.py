"""A user's own: devices, tokens, settings, the state, push subscriptions, and all that is held about them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bimip.api.caller import Caller
from bimip.api.endpoint import NUMBER, Body, Endpoint, Json, Parameter, Reply, Visit, shown
from bimip.http.problems import ProblemError
from bimip.reading.export import export_user
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

NAME = Parameter("name", "The device.", place="path", example="phone")
LINES_FOR_A_REQUEST: Final = 2
"""Lines of an export that cost what a request does."""


async def list_devices(visit: Visit) -> Reply:
    asked = pb.Devices(action=pb.Devices.LIST, name=visit.query("after"), eid=visit.query("eid"))
    return Reply(shown(await visit.caller.ask("devices", asked)))


async def rename_device(visit: Visit) -> Reply:
    asked = pb.Devices(action=pb.Devices.RENAME, name=visit.path("name"), label=visit.take("label", str, ""))
    return Reply(shown(await visit.caller.ask("devices", asked, visit.size)))


async def remove_device(visit: Visit) -> Reply:
    name = visit.path("name")
    if name == visit.caller.name:
        await visit.caller.ask("logout", pb.Logout(forget=True))
    else:
        await visit.caller.ask("devices", pb.Devices(action=pb.Devices.REMOVE, name=name))
    return Reply(None)


async def refresh_token(visit: Visit) -> Reply:
    asked = pb.TokenAuthority(action=pb.TokenAuthority.REFRESH, token=visit.take("token", str, ""))
    answer = await visit.caller.ask("token_authority", asked, visit.size)
    visit.caller.renew(visit.caller.claims)
    return Reply(shown(answer))


async def revoke_token(visit: Visit) -> Reply:
    asked = pb.TokenAuthority(
        action=pb.TokenAuthority.REVOKE, token=visit.take("token", str, ""), jti=visit.take("jti", str, "")
    )
    return Reply(shown(await visit.caller.ask("token_authority", asked, visit.size)))


async def show_settings(visit: Visit) -> Reply:
    return Reply(shown(await visit.caller.ask("settings", pb.Settings())))


async def change_settings(visit: Visit) -> Reply:
    settings = await visit.fill(pb.Settings())
    return Reply(shown(await visit.caller.ask("settings", settings, visit.size)))


async def read_state(visit: Visit) -> Reply:
    asked = pb.StateDelta(after=visit.number("after"), reset=visit.flag("reset"))
    return Reply(shown(await visit.caller.ask("state_delta", asked)))


async def judge_snapshot(visit: Visit) -> Reply:
    asked = pb.Snapshot(
        partition=visit.query("partition", "" if visit.query("id") else "chat"),
        id=visit.query("id"),
        offset=visit.number("offset"),
        checksum=(await visit.filled(pb.Snapshot(), {"checksum": visit.query("checksum")})).checksum,
        state_version=visit.number("state_version"),
    )
    return Reply(shown(await visit.caller.ask("snapshot", asked)))


async def export(visit: Visit) -> Response:
    caller = visit.caller
    slices = export_user(caller.services.store, caller.eid)
    if slices is None:
        raise ProblemError(WireError(pb.NOT_FOUND, "nothing is held about you"))
    return _Lines(slices, caller)


class _Lines(Response):
    """JSON lines, made while they are taken. The last one tells how many came before it, so that an answer that was cut
    off is noticed. Whoever reads them stands in line with all others' long work.
    """

    def __init__(self, slices: Iterator[Sequence[Mapping[str, object]]], caller: Caller) -> None:
        super().__init__(headers={"cache-control": "no-store"}, media_type="application/x-ndjson")
        del self.headers["content-length"]
        self._slices = slices
        self._caller = caller

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        count = 0
        while (some := await self._caller.work(lambda: next(self._slices, None))) is not None:
            self._caller.rates.charge(len(some) / LINES_FOR_A_REQUEST, self._caller.heard_at)
            if some:
                count += len(some)
                body = b"".join(json.dumps(line).encode() + b"\n" for line in some)
                await send({"type": "http.response.body", "body": body, "more_body": True})
        end = json.dumps({"kind": "end", "lines": count}).encode() + b"\n"
        await send({"type": "http.response.body", "body": end, "more_body": False})


_TOKEN: Final[Json] = {"type": "string", "description": "A JWT of yours."}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/devices",
        list_devices,
        "List devices",
        "Yours, with how far each has acknowledged; or the names of another user's, where you may know them.",
        parameters=(
            Parameter("after", "Those behind this name: an answer has 64."),
            Parameter("eid", "Of this user."),
        ),
        answer=pb.Devices,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "PATCH",
        "/devices/{name}",
        rename_device,
        "Give a device a label",
        body=Body(
            None,
            {"label": {"type": "string", "maxLength": 64, "description": "What people call it; empty: nothing."}},
            ("label",),
            {"label": "Alice's phone"},
        ),
        parameters=(NAME,),
        answer=pb.Devices,
        errors=(pb.NOT_FOUND, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "DELETE",
        "/devices/{name}",
        remove_device,
        "Remove a device",
        "Its connection is closed, and what it has acknowledged is forgotten. The one that asks leaves by it.",
        parameters=(NAME,),
        errors=(pb.NOT_FOUND, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
        status=204,
    ),
    Endpoint(
        "POST",
        "/token/refresh",
        refresh_token,
        "Show a newer token",
        "It must be this user's and device's, and is told back with its expiry; the device's socket goes on with it.",
        Body(None, {"token": _TOKEN}, ("token",)),
        answer=pb.TokenAuthority,
        errors=(pb.FORBIDDEN,),
    ),
    Endpoint(
        "POST",
        "/token/revoke",
        revoke_token,
        "Revoke a token",
        "The one in the header, or any of yours that is shown: it counts no more, and its connections are closed.",
        Body(
            None,
            {"token": _TOKEN, "jti": {"type": "string", "description": "That of the token in the header."}},
            is_optional=True,
        ),
        answer=pb.TokenAuthority,
        errors=(pb.FORBIDDEN, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "GET",
        "/settings",
        show_settings,
        "Show your settings",
        answer=pb.Settings,
        errors=(pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "PATCH",
        "/settings",
        change_settings,
        "Change your settings",
        "Those that are named; the answer has all.",
        Body(pb.Settings, example={"show_last_seen": False}),
        answer=pb.Settings,
        errors=(pb.NOT_FOUND, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "GET",
        "/state",
        read_state,
        "Read your state",
        "What changed behind a version, page by page; or all of it, with reset.",
        parameters=(
            Parameter("after", "Behind this version; 0: all.", schema=NUMBER),
            Parameter("reset", "It goes on with the whole state that ended there.", schema={"type": "boolean"}),
        ),
        answer=pb.StateDelta,
        errors=(pb.OFFSET_BEYOND_HEAD,),
    ),
    Endpoint(
        "GET",
        "/snapshot",
        judge_snapshot,
        "Ask whether your copy of a log is the server's",
        "PROTOCOL.md says under Snapshots how the chain of a copy is made, and what it costs to go on from where.",
        parameters=(
            Parameter("partition", "The log: chat, notification, feed or sync, by default chat."),
            Parameter("offset", "The copy's last user_offset; 0: the newest checkpoint is told.", schema=NUMBER),
            Parameter("checksum", "The copy's chain up to there, 16 bytes in base64."),
            Parameter("id", "A checkpoint's id, in place of an offset."),
            Parameter("state_version", "The version of the copy's state.", schema=NUMBER),
        ),
        answer=pb.Snapshot,
        errors=(pb.NOT_FOUND, pb.OFFSET_BEYOND_HEAD),
    ),
    Endpoint(
        "GET",
        "/export",
        export,
        "Export what is held about you",
        'JSON lines, each with its `kind`; the last is `{"kind": "end", "lines": N}`.',
        answer={"type": "string", "description": "A JSON object a line."},
        errors=(pb.NOT_FOUND,),
        media_type="application/x-ndjson",
    ),
)
