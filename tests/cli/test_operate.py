"""`bimip tree` and `bimip kill` against a real console."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import trio
from rich.console import Group

from bimip.cli import operate
from bimip.cli.failures import Exit, Failure
from bimip.cli.top import top_lines
from bimip.config import ConsoleSettings, Secret, Settings
from bimip.console import Parts, make_application, make_console, open_loopback
from bimip.supervision import Child, ChildSpec, Supervisor, Tree, open_tree

TOKEN = "an operator's own token"
SCRAPER = "the scraper's own token"


CLOCK = {
    "time": 1_795_858_000_000,
    "machine": 1_799_314_000_000,
    "held": "the machine's clock is 40 days ahead",
    "doubt_seconds": 3600,
}


CONFLICTS = {
    "conflicts": [
        {
            "time": 1_795_858_000_000,
            "eid": "ann",
            "conversation": "c1",
            "conversation_offset": 4,
            "rule": "later edit",
            "lost_at": 1_795_857_000_000,
            "lost_by": "laptop",
            "won_at": 1_795_857_500_000,
            "won_by": "phone",
        }
    ]
}


def export_user(eid: str) -> Iterator[list[dict[str, object]]] | None:
    slices: list[list[dict[str, object]]] = [[{"kind": "user", "eid": eid}], [], [{"kind": "log"}, {"kind": "log"}]]
    return iter(slices) if eid == "ann" else None


def broken_export(_eid: str) -> Iterator[list[dict[str, object]]]:
    yield [{"kind": "user"}]
    raise OSError("the disk failed")


class Erased:
    """A user who is gone the third time somebody asks."""

    def __init__(self) -> None:
        self.asked = 0

    async def begin(self, eid: str) -> dict[str, object] | None:
        if eid == "full":
            raise ValueError("the store cannot be written just now")
        return {"user": 7} if eid == "ann" else None

    def left(self) -> dict[str, object]:
        self.asked += 1
        return {"erasing": [{"user": 7 if self.asked < 3 else 8, "since": 1}]}


METRICS = """# HELP bimip_gaps_total Gaps that were told.
# TYPE bimip_gaps_total counter
bimip_gaps_total{reason="EXPIRED"} 3.0
"""


async def metrics(_accept: str) -> tuple[bytes, str]:
    return METRICS.encode(), "text/plain"


BUSIEST = [{"eid": "ann", "device": "phone", "lag": 7, "in_flight": 5, "unanswered": 6}]


async def busiest() -> dict[str, object]:
    return {"busiest": BUSIEST}


async def accept_clock() -> bool:
    return CLOCK["held"] == "noted"


class Drained:
    """A server that is drained at the third look, unless somebody takes that back."""

    def __init__(self, end: str = "drained") -> None:
        self.looks = 0
        self.seconds: float | None = None
        self.end = end

    def begin(self, seconds: float | None) -> dict[str, object]:
        self.seconds = seconds
        return self.look()

    def look(self) -> dict[str, object]:
        self.looks += 1
        return {
            "state": self.end if self.looks > 2 else "draining",
            "connections": 2,
            "devices": 1,
            "seconds_left": 7.5,
        }


async def idle(child: Child) -> None:
    child.started()
    await trio.sleep_forever()


async def pushed(eid: str, device: str, name: str) -> dict[str, Any] | None:
    """Of ann a phone that is reached, and a laptop that is not."""
    if eid == "nobody":
        return None
    if eid == "early":
        raise ValueError("the process bimip/push starts")
    phone = {"device": "phone", "id": "push", "platform": "fcm", "outcome": "taken", "status": 201, "why": ""}
    why = "no answer within 10 s"
    laptop = {"device": "laptop", "id": "web", "platform": "webpush", "outcome": "unreachable", "status": 0, "why": why}
    found = [one for one in (phone, laptop) if device in {"", one["device"]} and name in {"", one["id"]}]
    return {"eid": eid, "subscriptions": found}


SIGHT: dict[str, Any] = {
    "viewer": "bob",
    "owner": "ann",
    "connected_devices": 1,
    "seen": {
        "online": {
            "allowed": False,
            "rule": "invisible",
            "because": "the owner is not visible",
            "since": 1795858000000,
        },
        "call": {"allowed": True, "rule": "not_blocked", "because": "neither has blocked the other", "since": None},
    },
}


MESSAGE: list[dict[str, Any]] = [
    {
        "kind": "message",
        "signal_id": "06AFVTVTG0000",
        "id": "m\x1b1",
        "from": "ann",
        "device": "phone",
        "accepted": 1795858000000,
        "conversation": "c7",
        "conversation_offset": 3,
        "bytes": 120,
        "content": "kept",
        "edited": 1795858001000,
        "deleted": None,
        "expires": None,
        "addressed": True,
    },
    {
        "kind": "recipient",
        "eid": "bob",
        "author": False,
        "because": "it is in their log",
        "offset": 9,
        "receipts": {"delivered": 1795858002000, "read": 1795858003000},
        "receipts_private": True,
        "hidden": True,
        "pushes_waiting": ["p"],
        "devices": [
            {"device": "phone", "standing": "acknowledged", "because": "it acknowledged the message"}
            | {"connected": False, "last_seen": 1795858000000},
            {"device": "laptop", "standing": "not_connected", "because": "the device is not connected"}
            | {"connected": False, "last_seen": 1795858004000},
        ],
        "more_devices": True,
    },
    {
        "kind": "recipient",
        "eid": "",
        "author": True,
        "because": "they were erased, or are being erased",
        "offset": None,
        "receipts": {},
        "receipts_private": False,
        "hidden": False,
        "pushes_waiting": [],
        "devices": [],
        "more_devices": False,
    },
]


def explain(name: str, eid: str, device: str) -> Iterator[list[dict[str, Any]]] | None:
    return iter([[one] for one in MESSAGE]) if (name, eid, device) == ("m1", "ann", "") else None


AWAY: dict[str, Any] = {
    "about": "device pho\x1bne",
    "finding": "not_connected",
    "because": "it is not connected",
    "advice": "it gets what is for it when it comes",
    "since": 1795858000000,
}
WELL = AWAY | {"about": "device laptop", "finding": "nothing", "because": "it has all that is for it", "since": 0}


def diagnose(eid: str, _device: str) -> dict[str, Any] | None:
    found: dict[str, list[dict[str, Any]]] = {"": [], "ann": [WELL], "bob": [AWAY, WELL]}
    return {"findings": found[eid]} if eid in found else None


USERS = [
    {"eid": "ann", "created": 1795858000000, "disabled": 0, "connected": 2},
    {"eid": "bob\x1b", "created": 1795858000000, "disabled": 1795858001000, "connected": 0},
]


def list_users(after: str, _limit: int) -> dict[str, object]:
    return {"users": USERS[1:], "next": ""} if after else {"users": USERS[:1], "next": "ann"}


async def bar(eid: str) -> bool:
    return eid == "ann"


async def create(eid: str) -> dict[str, object] | None:
    return {"eid": eid, "user": 7, "created": eid == "dora"} if eid else None


A_LOG = {"first": 1, "floor": 4, "head": 9, "lag": 5, "waiting": 3, "waiting_bytes": 4200}
DEVICES: dict[str, Any] = {
    "lap\x1btop": {
        "label": "",
        "created": 1795858000000,
        "last_seen": 1795858002000,
        "committed": {"chat": {**A_LOG, "waiting_seconds": 130, "waiting_at_least": True}},
        "connection": None,
    },
    "phone": {
        "label": "Ann's",
        "created": 1795858000000,
        "last_seen": 1795858001000,
        "committed": {"chat": {**A_LOG, "waiting": 0, "waiting_bytes": 0, "waiting_seconds": 0}}
        | {"feed": {**A_LOG, "waiting_seconds": 7, "waiting_at_least": False}},
        "connection": {
            "greeted": True,
            "takes_frames": False,
            "partitions": {
                "chat": {"position": 8, "head": 9, "lag": 1, "in_flight": 2, "in_flight_bytes": 1500},
                "new": {"position": 0, "head": 0, "lag": 0, "in_flight": 0, "in_flight_bytes": 0},
            },
            "unanswered": 1,
            "since": 1795858003000,
            "address": "192.0.2.7",
            "agent": "an app\x1b 1.2",
            "round_trip_ms": 12.5,
            "token_expires": 1795858009000,
        },
    },
    "watch": {"label": "", "created": 1795858000000, "last_seen": 1795858001000, "committed": {}, "connection": None},
}
EVENTS = [
    {"at": 1795858000000, "what": "connected", "said": "from 192.0.2.7", "times": 1, "until": 1795858000000},
    {"at": 1795858001000, "what": "refused", "said": "INV\x1bALID", "times": 3, "until": 1795858009000},
]
DEVICES["phone"]["committed"]["chat"]["waiting_at_least"] = False


async def user(eid: str, device: str) -> dict[str, Any] | None:
    found = {name: one for name, one in DEVICES.items() if device in {"", name}}
    if device in found:
        found[device] = {**found[device], "events": EVENTS if device == "phone" else []}
    return {"eid": eid, "devices": found} if eid == "ann" and found else None


FREED = {"frees": 3, "frees_bytes": 1200, "frees_store_bytes": 400, "at_least": True}
PIN: dict[str, Any] = {
    "device": "lost",
    "connected": False,
    "last_seen": 1795858000000,
    "live_until": 1795858000000,
    "acknowledged": 2,
    "holds": 7,
    "is_only": False,
    **FREED,
}
ONLY = PIN | {"device": "pho\x1bne", "connected": True, "live_until": None, "holds": 5, "is_only": True}
PINS: dict[str, Any] = {
    "eid": "ann",
    "logs": {
        "chat": {"policy": "until-acked", "days": 30, "first": 3, "head": 9, "pins": [PIN, ONLY], "more_pins": 1},
        "sync": {"policy": "until-acked", "days": 0, "first": 1, "head": 0, "pins": [], "more_pins": 0},
        "feed": {"policy": "history", "days": 1, "first": 9, "head": 9, "pins": [], "more_pins": 0},
    },
}
PAGES: dict[str, Any] = {
    "": {"until_acked": ["chat"], "pins": [{"eid": "bob", "partition": "chat", **ONLY}], "next": "7/chat"},
    "7/chat": {"until_acked": ["chat"], "pins": [{"eid": "ann", "partition": "chat", **PIN}], "next": ""},
}
EVICTION: dict[str, Any] = {
    "eid": "ann",
    "device": "lost",
    "connected": False,
    "last_seen": 1795858000000,
    "stale": True,
    "logs": {"chat": {"acknowledged": 2, "holds": 7, "is_only": False, **FREED}, "sync": {"is_only": True}},
}


async def pins(eid: str, after: str) -> dict[str, Any] | None:
    return PINS if eid == "ann" else PAGES[after] if not eid else None


async def evict(eid: str, device: str) -> dict[str, Any] | None:
    if device == "phone":
        return EVICTION | {"device": "phone", "stale": False, "logs": {}}
    return EVICTION if (eid, device) == ("ann", "lost") else None


@asynccontextmanager
async def server(export: Any = export_user, drained: Drained | None = None) -> AsyncIterator[tuple[Settings, Tree]]:
    erased, drained = Erased(), drained or Drained()
    async with (
        open_tree(Supervisor([ChildSpec("journal", idle)])) as tree,
        trio.open_nursery() as nursery,
    ):
        parts = Parts(
            tree=lambda: tree,
            readiness=list,
            operator_token=TOKEN,
            now=trio.current_time,
            clock=lambda: CLOCK,
            conflicts=lambda: CONFLICTS,
            sight=lambda _viewer, _owner: SIGHT,
            explain_message=explain,
            diagnose=diagnose,
            user=user,
            pins=pins,
            foresee_eviction=evict,
            evict_device=evict,
            accept_clock=accept_clock,
            export_user=export,
            create_user=create,
            erase_user=erased.begin,
            users=list_users,
            disable_user=bar,
            enable_user=bar,
            revoke_tokens=lambda eid, _device: bar(eid),
            kick=lambda _eid, device: [one for one in ("laptop", "phone") if device in {"", one}],
            erasures=erased.left,
            metrics=metrics,
            busiest=busiest,
            draining=drained.look,
            drain=drained.begin,
            cancel_drain=drained.look,
            try_push=pushed,
            metrics_token=SCRAPER,
        )
        console = make_console(make_application(parts), partial(open_loopback, "127.0.0.1", 0))

        async def run(task_status: trio.TaskStatus[object]) -> None:
            await console(task_status.started)

        port = await nursery.start(run)
        yield settings(port), tree
        nursery.cancel_scope.cancel()


def settings(port: int, token: str = TOKEN) -> Settings:
    return Settings(console=ConsoleSettings(port=port, operator_token=Secret(token)))


async def closed_port() -> int:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


async def test_the_tree_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_tree(its_settings, as_json=False)
    header, root, journal = capsys.readouterr().out.splitlines()

    assert header.split()[:3] == ["process", "kind", "state"]
    assert root.split()[:3] == ["bimip", "supervisor", "running"]
    assert journal.split()[:4] == ["└──", "journal", "worker", "running"]


async def test_the_tree_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_tree(its_settings, as_json=True)

    assert json.loads(capsys.readouterr().out)["children"][0]["path"] == "bimip/journal"


async def test_the_tree_is_watched_also_while_there_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    async with trio.open_nursery() as nursery:
        async with server() as (its_settings, _tree):
            nursery.start_soon(partial(operate.watch_tree, its_settings, every=0.05))
            await trio.sleep(0.3)
        await trio.sleep(0.3)
        nursery.cancel_scope.cancel()

    assert "looking again every 0.05 s" in capsys.readouterr().out  # where there is no screen, how it ended


async def test_the_whole_server_is_not_killed_by_its_path() -> None:
    async with server() as (its_settings, _tree):
        with pytest.raises(Failure, match="bimip is the whole server; stop it with SIGTERM") as raised:
            await operate.kill(its_settings, "bimip")

    assert raised.value.code is Exit.REFUSED


async def test_a_process_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, tree):
        await operate.kill(its_settings, "bimip/journal")
        restarts = tree.snapshot("bimip/journal").restarts

    assert restarts == 1
    assert capsys.readouterr().out.endswith("killed bimip/journal\n")


@pytest.mark.parametrize(
    ("device", "said"),
    [("", "closed: laptop, phone"), ("phone", "closed: phone"), ("tablet", "none of them is connected")],
)
async def test_devices_are_kicked(capsys: pytest.CaptureFixture[str], device: str, said: str) -> None:
    async with server() as (its_settings, _tree):
        await operate.kick(its_settings, "ann", device)

    assert capsys.readouterr().out == f"{said}\n"


async def test_a_path_that_is_not_there_is_told_with_the_nearest() -> None:
    async with server() as (its_settings, _tree):
        with pytest.raises(Failure, match="no bimip/journl: the nearest is bimip; GET /debug/tree") as raised:
            await operate.kill(its_settings, "bimip/journl")

    assert raised.value.code is Exit.REFUSED


async def test_another_operators_token_is_refused_with_what_to_do() -> None:
    async with server() as (its_settings, _tree):
        wrong = replace(its_settings, console=replace(its_settings.console, operator_token=Secret("x" * 16)))
        with pytest.raises(Failure, match=r"this is not the operator's token; use the one in console\.") as raised:
            await operate.show_tree(wrong, as_json=False)

    assert raised.value.code is Exit.REFUSED


async def test_without_an_operators_token_it_says_where_to_get_one() -> None:
    with pytest.raises(Failure, match="there is no operator's token: give --config") as raised:
        await operate.show_tree(settings(1, token=""), as_json=False)

    assert raised.value.code is Exit.SETTINGS


async def test_a_server_that_does_not_run_is_told_with_what_to_do() -> None:
    port = await closed_port()
    with pytest.raises(Failure, match=rf"no server answers at http://127\.0\.0\.1:{port}: start one") as raised:
        await operate.show_tree(settings(port), as_json=False)

    assert raised.value.code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the server went away before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "is no BIMIP console"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is no BIMIP console"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}", "is no BIMIP console"),
        (b"SSH-2.0-OpenSSH\r\n", "the server went away before it answered"),
    ],
)
async def test_what_answers_otherwise_is_told(answer: bytes, sentence: str) -> None:
    async def other(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        if answer:
            await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, other, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(Failure, match=sentence) as raised:
            await operate.show_tree(settings(port), as_json=False)
        nursery.cancel_scope.cancel()

    assert raised.value.code is Exit.UNREACHABLE


async def test_the_clock_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_clock(its_settings)

    assert capsys.readouterr().out.splitlines() == [
        "server    2026-11-28 09:26:40 UTC",
        "machine   2027-01-07 09:26:40 UTC   not followed",
        "the machine's clock is 40 days ahead",
        "in doubt  1:00:00 of it, which count for nothing that is deleted or forgotten",
    ]


async def test_a_clock_of_a_year_without_a_name_is_printed_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLOCK, "machine", 1 << 62)
    async with server() as (its_settings, _tree):
        await operate.show_clock(its_settings)

    assert "seconds since 1970" in capsys.readouterr().out


async def test_a_clock_is_taken_over(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLOCK, "held", "noted")
    async with server() as (its_settings, _tree):
        await operate.accept_clock(its_settings)

    assert capsys.readouterr().out == "the server goes by the machine's clock: 2026-11-28 09:26:40 UTC\n"


async def test_a_clock_that_was_taken_over_and_not_noted_is_said() -> None:
    async with server() as (its_settings, _tree):
        with pytest.raises(Failure, match="not on disk") as raised:
            await operate.accept_clock(its_settings)

    assert raised.value.code is Exit.FAILED


@pytest.mark.parametrize("seconds", [None, 30.0])
async def test_a_server_is_drained_and_that_is_waited_for(
    seconds: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    drained = Drained()
    async with server(drained=drained) as (its_settings, _tree):
        await operate.drain(its_settings, seconds, every=0)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "2 connections to close, the last device in 7.5 s",
        "nobody is connected; end the server, or `bimip drain --cancel`",
    ]
    assert (drained.looks, drained.seconds) == (3, seconds)


async def test_a_drain_that_is_taken_back_did_not_happen() -> None:
    async with server(drained=Drained("serving")) as (its_settings, _tree):
        with pytest.raises(Failure, match="took the draining back") as raised:
            await operate.drain(its_settings, None, every=0)

    assert raised.value.code is Exit.FAILED


async def test_a_drain_is_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.cancel_drain(its_settings)
        await operate.cancel_drain(its_settings, as_json=True)

    first, second = capsys.readouterr().out.splitlines()
    assert first == "the server accepts connections again"
    assert json.loads(second)["connections"] == 2


async def test_what_lost_against_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_conflicts(settings)
        line = capsys.readouterr().out
        await operate.show_conflicts(settings, as_json=True)

    assert line == (
        "2026-11-28 09:26:40 UTC  c1 #4  later edit: "
        "ann/laptop at 2026-11-28 09:10:00 UTC lost against phone at 2026-11-28 09:18:20 UTC\n"
    )
    assert json.loads(capsys.readouterr().out) == CONFLICTS


async def test_why_somebody_is_seen_is_shown_with_the_rule_and_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_why(settings, "bob", "ann")
        shown = capsys.readouterr().out
        await operate.show_why(settings, "bob", "ann", as_json=True)

    assert shown.splitlines() == [
        "ann has 1 device connected; bob sees",
        "online         no   the owner is not visible, since 2026-11-28 09:26:40 UTC",
        "call           yes  neither has blocked the other",
    ]
    assert json.loads(capsys.readouterr().out) == SIGHT


async def test_what_became_of_a_message_is_shown_for_each_device(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.explain_message(settings, "m1", "ann", "")
        shown = capsys.readouterr().out
        await operate.explain_message(settings, "m1", "ann", "", as_json=True)
        as_json = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no message m1 of bob; it was never accepted"):
            await operate.explain_message(settings, "m1", "bob", "")

    assert shown.splitlines() == [
        "message 06AFVTVTG0000 (m\\x1b1, from ann/phone)",
        "  accepted 2026-11-28 09:26:40 UTC, conversation c7 #3",
        "  content  120 bytes",
        "  edited   2026-11-28 09:26:41 UTC",
        "  addressed to single devices",
        "bob: it is in their log at offset 9",
        "  delivered 2026-11-28 09:26:42 UTC",
        "  read      2026-11-28 09:26:43 UTC, which the author is not told",
        "  they hid it for themselves",
        "  push      waits for the subscription p",
        "  phone         it acknowledged the message",
        "  laptop        the device is not connected (since 2026-11-28 09:26:44 UTC)",
        "  and more devices",
        "somebody who was erased (wrote it): they were erased, or are being erased",
    ]
    assert [json.loads(line) for line in as_json.splitlines()] == MESSAGE


async def test_what_keeps_messages_back_is_shown_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.diagnose(settings, "", "")
        await operate.diagnose(settings, "ann", "")
        well = capsys.readouterr().out
        with pytest.raises(Failure, match="1 finding to look at"):
            await operate.diagnose(settings, "bob", "phone")
        ill = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no user nobody"):
            await operate.diagnose(settings, "nobody", "")
        with pytest.raises(Failure):
            await operate.diagnose(settings, "bob", "phone", as_json=True)
        as_json = capsys.readouterr().out

    assert well.splitlines() == [
        "nothing is wrong with the server; give a user, and `doctor` looks at their devices",
        "device laptop: it has all that is for it",
        "  it gets what is for it when it comes",
    ]
    assert ill.splitlines()[:2] == [
        "device pho\\x1bne: it is not connected (since 2026-11-28 09:26:40 UTC)",
        "  it gets what is for it when it comes",
    ]
    assert [json.loads(line) for line in as_json.splitlines()] == [AWAY, WELL]


async def test_a_users_devices_are_shown_with_what_waits_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_user(settings, "ann")
        shown = capsys.readouterr().out
        await operate.show_user(settings, "ann", as_json=True)
        as_json = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no user bob"):
            await operate.show_user(settings, "bob")

    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "ann: 3 devices",
        "device connected partition head delivered committed lag waiting bytes oldest in flight",
        "lap\\x1btop no, seen 2026-11-28 09:26:42 UTC chat 9 - 4 5 3+ 4,200+ 2 min 10 s -",
        "phone since 2026-11-28 09:26:43 UTC chat 9 8 4 5 0 0 - 2 (1,500 bytes)",
        "feed 9 - 4 5 3 4,200 7.0 s -",
        "new 0 0 - 0 - - - 0 (0 bytes)",
        "watch no, seen 2026-11-28 09:26:41 UTC",
    ]
    assert json.loads(as_json) == {"eid": "ann", "devices": DEVICES}


async def test_one_device_is_shown_with_its_connection(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_device(settings, "ann", "phone")
        phone = capsys.readouterr().out
        await operate.show_device(settings, "ann", "watch")
        watch = capsys.readouterr().out
        await operate.show_device(settings, "ann", "phone", as_json=True)
        as_json = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no user ann with a device tablet"):
            await operate.show_device(settings, "ann", "tablet")

    assert phone.splitlines()[:6] == [
        'device      phone "Ann\'s", known since 2026-11-28 09:26:40 UTC',
        "connected   since 2026-11-28 09:26:43 UTC from 192.0.2.7",
        "client      an app\\x1b 1.2",
        "round trip  12.5 ms",
        "token       expires 2026-11-28 09:26:49 UTC",
        "standing    it takes no bytes just now, 1 request unanswered",
    ]
    assert [line.split()[0] for line in phone.splitlines()[6:]] == ["partition", "chat", "feed", "new"]
    assert watch.splitlines() == [
        "device      watch, known since 2026-11-28 09:26:40 UTC",
        "connected   no; last seen 2026-11-28 09:26:41 UTC",
    ]
    assert json.loads(as_json) == {"eid": "ann", "device": "phone", **DEVICES["phone"], "events": EVENTS}


async def test_what_happened_to_a_device_of_late_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_device(settings, "ann", "phone", with_events=True)
        phone = capsys.readouterr().out
        await operate.show_device(settings, "ann", "watch", with_events=True)
        watch = capsys.readouterr().out

    assert phone.splitlines()[-2:] == [
        "2026-11-28 09:26:40 UTC  connected     from 192.0.2.7",
        "2026-11-28 09:26:41 UTC  refused       INV\\x1bALID (3 times until 2026-11-28 09:26:49 UTC)",
    ]
    assert watch.splitlines()[-1].startswith("nothing was noted of it")


async def test_who_holds_back_the_logs_of_a_user_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.show_pins(settings, "ann")
        shown = capsys.readouterr().out
        await operate.show_pins(settings, "ann", as_json=True)
        as_json = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no user bob"):
            await operate.show_pins(settings, "bob")

    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "chat: 7 entries up to 9, until-acked, 30 days",
        "device holds back frees bytes of the store live until",
        "lost 7 3 1,200+ 400+ 2026-11-28 09:26 UTC",
        "pho\\x1bne 5 3 (not by eviction: it is the only one) 1,200+ 400+ connected",
        "and 1 more device",
        "sync: 0 entries up to 0, until-acked, no period of days",
        "no live device holds anything back",
        "feed: 1 entry up to 9, history, 1 day",
        "no device holds it back: the period of days alone decides",
    ]
    assert json.loads(as_json) == PINS


async def test_the_devices_that_hold_back_the_most_are_shown_of_all_pages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server() as (settings, _):
        await operate.show_pins(settings, "")
        shown = capsys.readouterr().out
        await operate.show_pins(settings, "", as_json=True)
        as_json = capsys.readouterr().out
        monkeypatch.setitem(PAGES, "7/chat", {"until_acked": ["chat"], "pins": [], "next": ""})
        monkeypatch.setitem(PAGES, "", {"until_acked": ["chat"], "pins": [], "next": "7/chat"})
        await operate.show_pins(settings, "")
        none = capsys.readouterr().out
        monkeypatch.setitem(PAGES, "", {"until_acked": [], "pins": [], "next": ""})
        await operate.show_pins(settings, "")
        never = capsys.readouterr().out

    assert [line.split()[0] for line in shown.splitlines()] == ["device", "ann/lost", "bob/pho\\x1bne"]
    assert [one["eid"] for one in json.loads(as_json)["pins"]] == ["ann", "bob"]
    assert none == "no live device holds anything back\n"
    assert "no partition is kept until-acked" in never


async def test_a_device_is_evicted_or_it_is_told_what_that_would_free(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.evict_device(settings, "ann", "lost", dry_run=True)
        dry = capsys.readouterr().out.splitlines()
        await operate.evict_device(settings, "ann", "lost")
        done = capsys.readouterr().out.splitlines()
        await operate.evict_device(settings, "ann", "phone")
        whole = capsys.readouterr().out.splitlines()
        await operate.evict_device(settings, "ann", "lost", as_json=True)
        as_json = capsys.readouterr().out
        with pytest.raises(Failure, match="there is no user ann with a device watch"):
            await operate.evict_device(settings, "ann", "watch")

    assert dry == [
        "ann/lost would be evicted; nothing has happened",
        "  it is stale: it held nothing back any more",
        "  chat: 3 of 7 entries that it holds back, 1,200 bytes at least, of which 400 leave the store",
        "  sync: it is the only live device that asked for it: the period of days alone decides without it",
    ]
    assert done[0] == "ann/lost is evicted"
    assert done[1:4] == dry[1:]
    assert "bimip user revoke" in done[-1]
    assert whole[:2] == ["ann/phone is evicted", "  it held nothing back"]
    assert json.loads(as_json) == {**EVICTION, "evicted": True}


async def test_an_export_is_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.export_user(settings, "ann")
    printed = capsys.readouterr().out.splitlines()
    lines = [json.loads(line) for line in printed if line.startswith("{")]  # the rest is the server's log

    assert lines == [{"kind": "user", "eid": "ann"}, {"kind": "log"}, {"kind": "log"}]


async def test_an_export_that_is_cut_off_is_told() -> None:
    async with server(broken_export) as (settings, _):
        with pytest.raises(Failure) as caught:
            await operate.export_user(settings, "ann")

    assert caught.value.code in {Exit.FAILED, Exit.UNREACHABLE}


@pytest.mark.parametrize(("eid", "said"), [("dora", "dora exists now, as user 7"), ("ann", "ann existed, as user 7")])
async def test_a_user_is_created(capsys: pytest.CaptureFixture[str], eid: str, said: str) -> None:
    async with server() as (its_settings, _tree):
        await operate.create_user(its_settings, eid)

    assert capsys.readouterr().out == f"{said}\n"


async def test_a_user_is_erased_when_nothing_of_them_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.erase_user(settings, "ann", every=0.01)
        printed = capsys.readouterr().out
        await operate.erase_user(settings, "ann", as_json=True, every=0.01)

    assert "ann is erased; older backups hold them still" in printed
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"erased": "ann", "user": 7}


@pytest.mark.parametrize("ask", [operate.export_user, operate.erase_user])
async def test_who_is_not_there_is_neither_exported_nor_erased(ask: Any) -> None:
    async with server() as (settings, _):
        with pytest.raises(Failure, match="there is no user bob") as caught:
            await ask(settings, "bob")

    assert caught.value.code is Exit.REFUSED


async def test_all_users_are_listed_a_page_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.list_users(settings)
        printed = capsys.readouterr().out.splitlines()
        await operate.list_users(settings, as_json=True)

    assert printed[0].startswith("ann   since 2026-11-28 ")
    assert printed[0].endswith("   2 devices connected")
    assert "\x1b" not in printed[1]
    assert "   disabled since 2026-11-28 " in printed[1]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == USERS


@pytest.mark.parametrize("action", ["disable", "enable", "revoke"])
async def test_tokens_are_barred_and_that_is_said(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.bar_tokens(settings, action, "ann", "it is done", device="phone")
        printed = capsys.readouterr().out
        await operate.bar_tokens(settings, action, "ann", "it is done", as_json=True)
        told = json.loads(capsys.readouterr().out)
        with pytest.raises(Failure, match="there is no user bob"):
            await operate.bar_tokens(settings, action, "bob", "it is done")

    assert printed == "it is done\n"
    assert list(told.values()) == ["ann"]


async def test_a_store_that_cannot_be_written_erases_nobody() -> None:
    async with server() as (settings, _):
        with pytest.raises(Failure, match="cannot be written just now"):
            await operate.erase_user(settings, "full")


async def test_an_operator_sees_what_gateways_answer_to_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (settings, _):
        await operate.try_push(settings, "ann", "", "")
        assert capsys.readouterr().out.splitlines() == [
            "phone   push   fcm   taken: HTTP 201",
            "laptop   web   webpush   unreachable: no answer within 10 s",
        ]
        await operate.try_push(settings, "ann", "phone", "push", as_json=True)
        assert json.loads(capsys.readouterr().out)["status"] == 201


@pytest.mark.parametrize(
    ("eid", "device", "sentence", "code"),
    [
        ("ann", "laptop", "no gateway took it", Exit.FAILED),
        ("ann", "tablet", "ann has no such subscription", Exit.FAILED),
        ("nobody", "", "there is no user nobody", Exit.REFUSED),
        ("early", "", "starts; ask again in a second", Exit.REFUSED),
    ],
)
async def test_a_test_that_reaches_nobody_fails_with_what_to_do(
    eid: str, device: str, sentence: str, code: Exit
) -> None:
    async with server() as (settings, _):
        with pytest.raises(Failure, match=sentence) as caught:
            await operate.try_push(settings, eid, device, "")

    assert caught.value.code is code


async def test_metrics_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_metrics(its_settings)

    assert capsys.readouterr().out == METRICS


async def test_metrics_are_printed_as_json_a_sample_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_metrics(its_settings, as_json=True)

    assert json.loads(capsys.readouterr().out) == {
        "name": "bimip_gaps_total",
        "labels": {"reason": "EXPIRED"},
        "value": 3.0,
    }


async def test_the_scrapers_token_is_enough_for_metrics_and_for_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with server() as (its_settings, _tree):
        scraper = Settings(console=ConsoleSettings(port=its_settings.console.port, metrics_token=Secret(SCRAPER)))
        await operate.show_metrics(scraper)
        with pytest.raises(Failure) as refused:
            await operate.show_tree(scraper, as_json=True)

    assert capsys.readouterr().out == METRICS
    assert refused.value.code is Exit.SETTINGS


async def test_metrics_are_refused_with_a_wrong_token() -> None:
    async with server() as (its_settings, _tree):
        with pytest.raises(Failure) as refused:
            await operate.show_metrics(settings(its_settings.console.port, "another one than the right one"))

    assert refused.value.code is Exit.REFUSED


async def test_top_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as (its_settings, _tree):
        await operate.show_top(its_settings, every=0.01, as_json=True)
    told = json.loads(capsys.readouterr().out)

    assert told["busiest"] == BUSIEST
    assert told["rates"]["accepted"] == 0


async def test_top_is_shown_until_it_is_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    twice = trio.Event()

    def note(told: dict[str, Any]) -> Group:
        looks.append(told)
        if len(looks) > 1:
            twice.set()
        return top_lines(told)

    monkeypatch.setattr(operate, "top_lines", note)
    async with server() as (its_settings, _tree), trio.open_nursery() as nursery:
        nursery.start_soon(partial(operate.show_top, its_settings, every=0.01))
        await twice.wait()
        nursery.cancel_scope.cancel()
    shown = capsys.readouterr().out  # where there is no screen, how it ended

    assert "ann/phone" in shown
    assert "accepted 0.0/s" in shown
