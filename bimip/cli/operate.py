"""Asking the console of a running server: `tree`, `kill` and `clock`."""

import getpass
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from heapq import nlargest
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, Group
from rich.live import Live

from bimip.cli.failures import Exit, Failure
from bimip.cli.output import is_lost
from bimip.cli.settings import console_url
from bimip.cli.show_message import HEALTHY, finding_lines, message_lines
from bimip.cli.show_pins import eviction_lines, user_pins_lines, worst_pins_lines
from bimip.cli.show_tree import tree_lines
from bimip.cli.show_user import device_lines, event_lines, user_lines
from bimip.cli.top import measured, samples_of, top_lines
from bimip.cli.words import counted, date_text, printable, show_json
from bimip.config import Secret, Settings

WIDE = 10_000  # columns where there is no screen: a pipe or a file

Json = dict[str, Any]


async def show_tree(settings: Settings, *, as_json: bool) -> None:
    async with _operator(settings) as console:
        tree = await _ask(console, "GET", "/debug/tree")
    if as_json:
        print(json.dumps(tree, indent=2))
    else:
        screen = _screen()
        screen.print(tree_lines(tree, screen.width))


async def watch_tree(settings: Settings, every: float) -> None:
    """Until Ctrl-C. A server that was there and goes away is waited for. What is higher than the screen scrolls."""
    screen = _screen()
    was_there = False
    async with _operator(settings) as console:
        with Live(console=screen, auto_refresh=False, screen=False, vertical_overflow="visible") as live:
            while not is_lost():
                try:
                    shown = tree_lines(await _ask(console, "GET", "/debug/tree"), screen.width)
                except Failure as failure:
                    if not was_there or failure.code is not Exit.UNREACHABLE:
                        raise
                    shown = Group(f"{failure}; looking again every {every:g} s")
                was_there = True
                live.update(shown, refresh=True)
                await trio.sleep(every)


async def show_top(settings: Settings, *, every: float, as_json: bool = False) -> None:
    """Show what a server does between two looks: to people until Ctrl-C, and while it is away; as JSON once."""
    screen = _screen()
    async with _operator(settings) as console:
        before, since = await _look(console)
        if as_json:
            await trio.sleep(every)
            show_json(await _measured(console, before, since))
            return
        with Live(console=screen, auto_refresh=False, screen=False, vertical_overflow="visible") as live:
            while not is_lost():
                await trio.sleep(every)
                try:
                    shown = top_lines(await _measured(console, before, since))
                    before, since = await _look(console)
                except Failure as failure:
                    if failure.code is not Exit.UNREACHABLE:
                        raise
                    shown = Group(f"{failure}; looking again every {every:g} s")
                live.update(shown, refresh=True)


async def _look(console: httpx.AsyncClient) -> tuple[dict[str, float], float]:
    return samples_of(await _ask_text(console, "/metrics")), trio.current_time()


async def _measured(console: httpx.AsyncClient, before: dict[str, float], since: float) -> dict[str, Any]:
    after, now = await _look(console)
    busiest = await _ask(console, "GET", "/debug/busiest")
    return measured(before, after, max(now - since, 1e-3), busiest["busiest"])


async def show_metrics(settings: Settings, *, as_json: bool = False) -> None:
    """Print what the server counts, as Prometheus has it, or a JSON object for each sample."""
    async with _scraper(settings) as console:
        text = await _ask_text(console, "/metrics")
    if as_json:
        for name, labels, value in samples(text):
            print(json.dumps({"name": name, "labels": labels, "value": value}))
    else:
        print(text, end="")


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each sample of a text that Prometheus could read: its name, its labels, its value."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


async def kill(settings: Settings, path: str, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/kill", path=path)
    show_json(found) if as_json else print(f"killed {path}")


async def kick(settings: Settings, eid: str, device: str, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/user/kick", eid=eid, **({"device": device} if device else {}))
    if as_json:
        show_json(found)
        return
    names = ", ".join(printable(name) for name in found["kicked"])
    print(f"closed: {names}" if names else "none of them is connected")


async def show_conflicts(settings: Settings, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "GET", "/debug/conflicts")
    if as_json:
        show_json(found)
        return
    lines = [_conflict_line(one) for one in found["conflicts"]]
    print("\n".join(lines) if lines else "no write lost against another")


async def show_why(settings: Settings, viewer: str, owner: str, *, as_json: bool = False) -> None:
    """Print what a user sees of another, and by which rules."""
    async with _operator(settings) as console:
        found = await _ask(console, "GET", "/debug/user/why", viewer=viewer, owner=owner)
    if as_json:
        show_json(found)
        return
    print(f"{printable(owner)} has {counted(found['connected_devices'], 'device')} connected; {printable(viewer)} sees")
    for name, one in found["seen"].items():
        since = f", since {date_text(one['since'], seconds=True)}" if one["since"] else ""
        print(f"{name.replace('_', ' '):14} {'yes' if one['allowed'] else 'no ':3}  {one['because']}{since}")


async def export_user(settings: Settings, eid: str) -> None:
    """Print everything that is held about a user, a JSON object a line, as it comes."""
    async with _operator(settings) as console:
        async for line in _lines(console, "/debug/user/export", eid=eid):
            print(line)


async def diagnose(settings: Settings, eid: str, device: str, *, as_json: bool = False) -> None:
    """Print why devices do not receive, each finding with what to do. Fails where something keeps messages back."""
    async with _operator(settings) as console:
        found = (await _ask(console, "GET", "/debug/doctor", eid=eid, device=device))["findings"]
    for one in found:
        show_json(one) if as_json else print("\n".join(finding_lines(one)))
    if not found and not as_json:
        print(
            "nothing is wrong with the server" + ("" if eid else "; give a user, and `doctor` looks at their devices")
        )
    wrong = sum(one["finding"] not in HEALTHY for one in found)
    if wrong:
        raise Failure(Exit.FAILED, f"{counted(wrong, 'finding')} to look at")


async def show_user(settings: Settings, eid: str, *, as_json: bool = False) -> None:
    """Print a user's devices: how far each is, and what waits for it."""
    async with _operator(settings) as console:
        found = await _ask(console, "GET", "/debug/user", eid=eid)
    show_json(found) if as_json else _screen().print(user_lines(found))


async def show_device(
    settings: Settings, eid: str, device: str, *, with_events: bool = False, as_json: bool = False
) -> None:
    """Print one device of a user, with its connection, and with what happened to it of late."""
    async with _operator(settings) as console:
        found = await _ask(console, "GET", "/debug/user", eid=eid, device=device)
    if as_json:
        show_json({"eid": found["eid"], "device": device, **found["devices"][device]})
    else:
        _screen().print(device_lines(found))
        if with_events:
            print("\n".join(event_lines(found["devices"][device]["events"])))


MOST_PINS = 20
"""Devices that are shown of all users."""


async def show_pins(settings: Settings, eid: str, *, as_json: bool = False) -> None:
    """Print which devices hold back the logs of a user; without one those of all users that hold back the most."""
    async with _operator(settings) as console:
        found = await (_ask(console, "GET", "/debug/user/pins", eid=eid) if eid else _worst_pins(console))
    if as_json:
        show_json(found)
    elif eid:
        _screen().print(user_pins_lines(found))
    else:
        _screen().print(worst_pins_lines(found["pins"], found["until_acked"]))


async def _worst_pins(console: httpx.AsyncClient) -> Json:
    worst: list[Json] = []
    page: Json = {"next": ""}
    while page.get("pins") is None or page["next"]:
        page = await _ask(console, "GET", "/debug/user/pins", after=page["next"])
        worst = nlargest(MOST_PINS, [*worst, *page["pins"]], key=itemgetter("holds"))
    return {"until_acked": page["until_acked"], "pins": worst}


async def evict_device(
    settings: Settings, eid: str, device: str, *, dry_run: bool = False, as_json: bool = False
) -> None:
    """Evict a device, or tell what that would free."""
    async with _operator(settings) as console:
        method = "GET" if dry_run else "POST"
        found = await _ask(console, method, "/debug/user/evict", eid=eid, device=device)
    if as_json:
        show_json({**found, "evicted": not dry_run})
    else:
        print("\n".join(eviction_lines(found, is_done=not dry_run)))


async def explain_message(settings: Settings, name: str, eid: str, device: str, *, as_json: bool = False) -> None:
    """Print what became of a message, and for each whom it might have reached where it is, and why."""
    async with _operator(settings) as console:
        async for line in _lines(console, "/debug/message", id=name, eid=eid, device=device):
            print(line if as_json else "\n".join(message_lines(json.loads(line))))


async def list_users(settings: Settings, *, as_json: bool = False) -> None:
    """Print all users of a running server, a page at a time: a JSON object each, or a line."""
    after: str | None = ""
    async with _operator(settings) as console:
        while after is not None:
            page = await _ask(console, "GET", "/debug/users", after=after)
            for one in page["users"]:
                show_json(one) if as_json else print(_user_line(one))
            after = page["next"] or None


def _user_line(one: Json) -> str:
    disabled = f"   disabled since {date_text(one['disabled'], seconds=True)}" if one["disabled"] else ""
    connected = f"   {counted(one['connected'], 'device')} connected" if one["connected"] else ""
    return f"{printable(one['eid'])}   since {date_text(one['created'], seconds=True)}{connected}{disabled}"


async def bar_tokens(
    settings: Settings, action: str, eid: str, done: str, *, device: str = "", as_json: bool = False
) -> None:
    """Disable or enable a user, or revoke what was issued to them, and print that it is `done`."""
    more = {"device": device} if device else {}
    async with _operator(settings) as console:
        found = await _ask(console, "POST", f"/debug/user/{action}", eid=eid, **more)
    show_json(found) if as_json else print(done)


async def create_user(settings: Settings, eid: str, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/user/create", eid=eid)
    if as_json:
        show_json(found)
    else:
        print(f"{printable(found['eid'])} {'exists now' if found['created'] else 'existed'}, as user {found['user']}")


async def erase_user(settings: Settings, eid: str, *, as_json: bool = False, every: float = 0.5) -> None:
    """Erase a user, and wait until nothing of them is left. Ctrl-C ends the waiting alone."""
    async with _operator(settings) as console:
        begun = await _ask(console, "POST", "/debug/user/erase", eid=eid)
        left = await _ask(console, "GET", "/debug/user/erasing")
        while any(one["user"] == begun["user"] for one in left["erasing"]):
            await trio.sleep(every)
            left = await _ask(console, "GET", "/debug/user/erasing")
    if as_json:
        show_json({"erased": eid, **begun})
    else:
        print(f"{printable(eid)} is erased; older backups hold them still")


async def try_push(settings: Settings, eid: str, device: str, name: str, *, as_json: bool = False) -> None:
    """Send a notification to a user's subscriptions, and show what each gateway answered. Fails if none took it."""
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/push/test", eid=eid, device=device, id=name)
    subscriptions = found["subscriptions"]
    for one in subscriptions:
        show_json(one) if as_json else print(_push_line(one))
    if not subscriptions:
        sentence = f"{printable(eid)} has no such subscription; `bimip push` lists those of a token's user"
        raise Failure(Exit.FAILED, sentence)
    if not any(one["outcome"] == "taken" for one in subscriptions):
        raise Failure(Exit.FAILED, 'no gateway took it; PROTOCOL.md, "Push", says what their answers mean')


def _push_line(one: Json) -> str:
    said = f"HTTP {one['status']}" if one["status"] else printable(one["why"])
    return f"{printable(one['device'])}   {printable(one['id'])}   {one['platform']}   {one['outcome']}: {said}"


async def show_clock(settings: Settings, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "GET", "/debug/clock")
    show_json(found) if as_json else print("\n".join(_clock_lines(found)))


async def accept_clock(settings: Settings, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/clock/accept")
    if as_json:
        show_json(found)
    else:
        print(f"the server goes by the machine's clock: {date_text(found['time'], seconds=True)}")
    if not found["noted"]:
        sentence = "the store cannot be written just now, so a restart would forget it: say it again when it can"
        raise Failure(Exit.FAILED, f"this is not on disk; {sentence}")


async def drain(settings: Settings, seconds: float | None, *, as_json: bool = False, every: float = 0.5) -> None:
    """Drain a server, and wait until nobody is connected any more. Ctrl-C ends the waiting alone."""
    within = {} if seconds is None else {"seconds": str(seconds)}
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/drain", **within)
        if not as_json:
            print(
                f"{counted(found['connections'], 'connection')} to close, the last device in {found['seconds_left']} s"
            )
        while found["state"] == "draining":
            await trio.sleep(every)
            found = await _ask(console, "GET", "/debug/drain")
    if found["state"] != "drained":
        raise Failure(Exit.FAILED, "somebody took the draining back")
    show_json(found) if as_json else print("nobody is connected; end the server, or `bimip drain --cancel`")


async def cancel_drain(settings: Settings, *, as_json: bool = False) -> None:
    async with _operator(settings) as console:
        found = await _ask(console, "POST", "/debug/drain/cancel")
    show_json(found) if as_json else print("the server accepts connections again")


def _conflict_line(one: Json) -> str:
    """Tells of a write who lost, where, and against what."""
    place = f" #{one['conversation_offset']}" if one["conversation_offset"] else ""
    lost = f"{printable(one['eid'])}/{printable(one['lost_by'])} at {date_text(one['lost_at'], seconds=True)}"
    won = f"{printable(one['won_by']) or 'the server'} at {date_text(one['won_at'], seconds=True)}"
    when = date_text(one["time"], seconds=True)
    return f"{when}  {one['conversation']}{place}  {one['rule']}: {lost} lost against {won}"


def _clock_lines(found: Json) -> Iterator[str]:
    yield f"server    {date_text(found['time'], seconds=True)}"
    yield f"machine   {date_text(found['machine'], seconds=True)}   {'not followed' if found['held'] else 'followed'}"
    if found["held"]:
        yield found["held"]
    if found["doubt_seconds"]:
        doubt = timedelta(seconds=found["doubt_seconds"])
        yield f"in doubt  {doubt} of it, which count for nothing that is deleted or forgotten"


def _operator(settings: Settings) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return _asking(settings, settings.console.read_operator_token())


def _account() -> str:
    """Names who runs this command, for the audit trail."""
    with suppress(OSError, KeyError):
        return quote(getpass.getuser())
    return ""


def _scraper(settings: Settings) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Asks for metrics alone: whoever has no more than the token for those can too."""
    return _asking(settings, settings.console.read_metrics_token() or settings.console.read_operator_token())


@asynccontextmanager
async def _asking(settings: Settings, token: Secret) -> AsyncIterator[httpx.AsyncClient]:
    if not token:
        sentence = "there is no operator's token: give --config with the server's own settings, or set "
        raise Failure(Exit.SETTINGS, f"{sentence}BIMIP_CONSOLE_OPERATOR_TOKEN_FILE")
    async with httpx.AsyncClient(
        base_url=console_url(settings),
        headers={"Authorization": f"Bearer {token.reveal()}", "X-Operator": _account()},
        timeout=30,
        trust_env=False,  # no proxy stands between this machine and itself
    ) as client:
        yield client


async def _ask(console: httpx.AsyncClient, method: str, what: str, **params: str) -> Json:
    return _taken(console, await _response(console, method, what, **params))


async def _ask_text(console: httpx.AsyncClient, what: str) -> str:
    response = await _response(console, "GET", what)
    if not response.is_success:
        _taken(console, response)
    return response.text


async def _response(console: httpx.AsyncClient, method: str, what: str, **params: str) -> httpx.Response:
    try:
        return await console.request(method, what, params=params)
    except httpx.ConnectError as error:
        raise _nobody(console) from error
    except httpx.HTTPError as error:
        raise _gone(error) from error


def _taken(console: httpx.AsyncClient, response: httpx.Response) -> Json:
    try:
        answer = response.json()
        if response.is_success:
            assert isinstance(answer, dict)
            return answer
        raise Failure(Exit.REFUSED, f"{answer['error']}; {answer['hint']}")
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        sentence = f"what answers at {console.base_url} is no BIMIP console; give the --config of the server"
        raise Failure(Exit.UNREACHABLE, sentence) from error


async def _lines(console: httpx.AsyncClient, what: str, **params: str) -> AsyncIterator[str]:
    """The JSON lines of an answer, as they come. Raises Failure, also where they are cut off."""
    lines, is_whole = 0, False
    async with _answered(console, what, **params) as response:
        async for text in response.aiter_lines():
            is_whole = json.loads(text) == {"kind": "end", "lines": lines}
            if not is_whole:
                yield text
                lines += 1
    if not is_whole:
        raise Failure(Exit.FAILED, f"the answer was cut off after {lines} lines: ask again, and write it to a file")


@asynccontextmanager
async def _answered(console: httpx.AsyncClient, what: str, **params: str) -> AsyncIterator[httpx.Response]:
    """An answer that is taken while it is made."""
    try:
        async with console.stream("GET", what, params=params) as response:
            if not response.is_success:
                await response.aread()
                _taken(console, response)
            yield response
    except httpx.ConnectError as error:
        raise _nobody(console) from error
    except httpx.HTTPError as error:
        raise _gone(error) from error


def _nobody(console: httpx.AsyncClient) -> Failure:
    sentence = f"no server answers at {console.base_url}: start one with `bimip serve`, or give its --config"
    return Failure(Exit.UNREACHABLE, sentence)


def _gone(error: httpx.HTTPError) -> Failure:
    return Failure(Exit.UNREACHABLE, f"the server went away before it answered ({type(error).__name__})")


def _screen() -> Console:
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=WIDE)
