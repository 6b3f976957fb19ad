"""Being a device: `send`, `listen`, `devices` and `settings`.

All give up at once if no server answers at first; once connected they connect again, as any device does.
"""

import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import trio
from rich.console import Console
from rich.text import Text

from bimip.cli.failures import Exit, Failure
from bimip.cli.output import is_lost
from bimip.cli.settings import gateway_url
from bimip.cli.show_events import (
    exception_fields,
    exception_text,
    json_of,
    line_of,
    message_text,
    person_text,
    settings_fields,
    settings_text,
)
from bimip.cli.words import date_text, printable, show_json
from bimip.client import Audience, Client, ClientError, InboxRow, Refused, Start, Stopped, StoreError, open_client
from bimip.client.encryption_tables import EncryptionTables
from bimip.client.events import Connected, Disconnected, Event
from bimip.client.facets.devices import DeviceInfo
from bimip.client.public_keys import fingerprint
from bimip.client.store import Store
from bimip.client.wire.bimip import Message
from bimip.config import ConfigError, Settings
from bimip.domain.state.privacy_exceptions import EXCEPTED, ExceptionValue
from bimip.session.close import Close

_TOKEN_CODES = {Close.UNAUTHENTICATED, Close.TOKEN_EXPIRED, Close.TOKEN_REVOKED}

WORDLESS_SECONDS = 1.0

Show = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as a command is one: who it is, where it connects, and where it keeps its place."""

    url: str
    token: str = field(repr=False)
    store: Path | None = None
    ssl_context: ssl.SSLContext | None = None
    encrypts: bool = False


def device_of(url: str, settings: Settings, token: str, store: Path | None = None) -> Device:
    """At the URL, or at the server that the settings put on this machine: with TLS, its very certificate is trusted."""
    if url:
        return Device(url, token, store)
    certificate = settings.gateway.tls_certificate
    if not certificate:
        return Device(gateway_url(settings), token, store)
    try:
        context = ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise ConfigError(f"gateway.tls_certificate {certificate} cannot be used: {error}") from error
    context.check_hostname = False  # it is for the server's public name, and this is the machine's own address
    return Device(gateway_url(settings), token, store, context)


def has_keys(store: Path | None) -> bool:
    """Whether a client's file has keys, so that what comes is decrypted."""
    if store is None or not store.exists():
        return False
    try:
        with closing(Store(store)) as file:
            return EncryptionTables(file).has_account()
    except StoreError:
        return False  # whoever opens it says why


def show_fingerprints(path: Path, eid: str) -> None:
    """Prints the key of this device, or those of a user's that it knows, as people compare them."""
    from bimip.client.encryption.encryption import Encryption  # noqa: PLC0415 - of an extra

    without_keys = Failure(Exit.FAILED, f"{path} has no keys: bimip listen --encrypt --store makes some")
    if not path.exists():
        raise without_keys
    try:
        store = Store(path)
    except StoreError as error:  # a command that runs has it open, for example
        raise failure_of(error) from error
    with closing(store):
        if not EncryptionTables(store).has_account():
            raise without_keys
        encryption = Encryption(store, lambda *_events, settle=None: None, lambda: 0)  # noqa: ARG005 - nobody is told
        if not eid:
            print(fingerprint(encryption.identity))
        for name, peer in encryption.known(eid).items():
            state = "changed, not accepted" if peer.changed else "verified" if peer.verified else "not verified"
            print(f"{printable(name)}: {fingerprint(peer.identity)} ({state})")


def read_token(token: str, file: Path | None) -> str:
    """The token given, or the one in `file`, without space and line ends around it."""
    if token.strip():
        return token.strip()
    if file is None:
        raise Failure(Exit.USAGE, "as whom? give --as FILE with a token, or set BIMIP_TOKEN; `bimip token` makes one")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Failure(Exit.USAGE, f"--as {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(Exit.USAGE, f"--as {file} is no token") from error


async def send(
    device: Device,
    to: str | None,
    texts: Sequence[str],
    *,
    every: float,
    timeout: float,  # noqa: ASYNC109 - what the user gave, per message
    as_json: bool = False,
    ttl: float | None = None,
    keys: Path | None = None,
) -> None:
    """Sends each text in its turn, to somebody or (None) for friends, and waits until the server has it on disk."""
    screen = Console(highlight=False, soft_wrap=True)
    try:
        opening = open_client(
            device.url,
            token=device.token,
            ssl_context=device.ssl_context,
            path=keys or ":memory:",
            partitions=(),
            encryption=keys is not None,
        )
        async with opening as client:
            with _saying_that_it_waits(device.url):
                await _first_connection(client, device.url)
            for number, text in enumerate(texts):
                if number:
                    await trio.sleep(every)
                with trio.fail_after(timeout):
                    with _saying_that_it_waits(device.url):
                        written = text.encode()
                        said = (
                            client.feeds.publish(written, ttl=ttl)
                            if to is None
                            else client.messages.send(to, written, ttl=ttl)
                        )
                        sent = await said
                if as_json:
                    print(json_of(sent))
                else:
                    screen.print(line_of(sent).text(_clock(), printable(text)))
    except trio.TooSlowError as error:
        sentence = f"no answer within {timeout:g} s: the server may have it or not; --timeout waits longer"
        raise Failure(Exit.FAILED, sentence) from error
    except ClientError as error:
        raise failure_of(error) from error


async def list_devices(device: Device, *, as_json: bool = False) -> None:
    """The devices of the token's user, a line each."""
    async with asking(device) as client:
        found = await client.devices.list()
    if as_json:
        for one in found:
            show_json(asdict(one))
        return
    screen = Console(highlight=False, soft_wrap=True)
    for one in found:
        screen.print(_device_line(one))


async def show_synced(device: Device, name: str, partition: str, *, as_json: bool = False) -> None:
    """How far a device is with what each other device of its user wrote, a line each."""
    async with asking(device) as client:
        found = await client.devices.synced(name or None, partition, whole=True)
    for origin, one in sorted(found.items()):
        if as_json:
            show_json({"origin": origin, **asdict(one)})
        else:
            behind = f"{one.missing} missing" if one.missing else "all of it"
            print(f"{printable(origin)}   up to {one.upto} of {one.head}, {behind}")


async def show_heads(device: Device, sender: str, partition: str, *, limit: int, as_json: bool = False) -> None:
    """The newest message of each user in a log, or of each device of one, a line each."""
    async with asking(device) as client:
        found = await client.history.heads(partition, sender=sender, limit=limit)
    for one in found:
        author = one.from_.eid if one.from_ else ""
        origin = (one.from_.connection_resource_id if one.from_ else "") or ""
        if as_json:
            told = {"from": author, "device": origin, "user_offset": one.user_offset, "signal_id": one.signal_id}
            show_json(told | {"seq": one.seq, "text": message_text(one)})
        else:
            print(head_line(one))


def head_line(message: Message) -> str:
    return f"{person_text(message.from_)}   #{message.user_offset}   {message_text(message)}"


async def show_inbox(device: Device, *, limit: int, as_json: bool = False) -> None:
    """The conversations of the token's user, a line each, the newest first."""
    rows: list[InboxRow] = []
    async with asking(device) as client:
        page = await client.conversations.list(limit=limit)
        rows += page.rows
        while not page.complete and len(rows) < limit:
            page = await client.conversations.list(limit=limit - len(rows), cursor=page.cursor)
            rows += page.rows
    screen = Console(highlight=False, soft_wrap=True)
    for row in rows:
        if as_json:
            show_json(_inbox_object(row))
        else:
            screen.print(_inbox_line(row))


def _inbox_object(row: InboxRow) -> dict[str, object]:
    """A conversation for programs; of its last message what people are shown."""
    last = row.last_message
    told = {name: getattr(row, name) for name in InboxRow.__dataclass_fields__ if name != "last_message"}
    author = "" if last is None or last.from_ is None else last.from_.eid
    return told | {"last_from": author, "last_text": "" if last is None else message_text(last)}


def _inbox_line(row: InboxRow) -> Text:
    """A conversation: how much of it is unread, with whom it is, or which group, and its last message."""
    count = f"{row.unread}{'+' if row.has_more_unread else ''}"
    mentioned = f" @{row.mentions}" if row.mentions else ""
    last = row.last_message
    text = "" if last is None else message_text(last)
    return Text.assemble(
        (f"{count:>4}{mentioned} ", "bold green" if row.unread else "dim"),
        printable(row.title or row.peer or row.conversation),
        (" (feed)" if row.is_feed else "", "dim"),
        (f" {row.conversation}" if not row.peer and row.title else "", "dim"),
        (f"   {date_text(row.last_activity)}   ", "dim"),
        text,
    )


async def label_device(device: Device, name: str, label: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.devices.label(name, label)
    show_json({"name": name, "label": label}) if as_json else print(f"{printable(name)} is called {printable(label)!r}")


async def remove_device(device: Device, name: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.devices.remove(name)
    show_json({"removed": name}) if as_json else print(f"removed {printable(name)}")


def exceptions_of(given: Sequence[str]) -> dict[str, dict[str, ExceptionValue]]:
    """Reads what is to hold for single others, as in `bob:show-last-seen=denied`; Failure says what is wrong."""
    names = {setting.name.lower().replace("_", "-"): setting.name.lower() for setting in EXCEPTED}
    values = {value.name.lower(): value for value in ExceptionValue}
    found: dict[str, dict[str, ExceptionValue]] = {}
    for text in given:
        eid, _, said = text.rpartition(":")
        name, _, value = said.partition("=")
        if not eid or name not in names or value not in values:
            allowed = f"USER:SETTING=VALUE, of {', '.join(names)} and {', '.join(values)}"
            raise Failure(Exit.USAGE, f"--except {text!r} is not {allowed}")
        found.setdefault(eid, {})[names[name]] = values[value]
    return found


async def change_settings(
    device: Device,
    switches: Mapping[str, Any],
    audiences: Mapping[str, str | None],
    excepted: Mapping[str, Mapping[str, Any]],
    *,
    as_json: bool = False,
) -> None:
    """Sets what is not None, and what is to hold for single others, by eid; and prints how all of it stands."""
    given = {name: value and Audience[value.upper()] for name, value in audiences.items()}
    changed: dict[str, Any] = {**switches, **given}
    async with asking(device) as client:
        for eid, values in excepted.items():
            await client.settings.set_exception(eid, **values)
        await client.settings.change(**changed)
        settings = await client.settings.change()  # which tells all exceptions, too
        exceptions = client.settings.exceptions
    if as_json:
        said = {eid: exception_fields(one) for eid, one in exceptions.items()}
        show_json(settings_fields(settings) | {"exceptions": said})
        return
    for part in settings_text(settings).split(", "):
        print(part)
    for eid, one in sorted(exceptions.items()):
        print(f"for {printable(eid)}: {exception_text(one)}")


@asynccontextmanager
async def asking(device: Device) -> AsyncIterator[Client]:
    """A client of the device that is connected and receives nothing: for a command that asks once."""
    try:
        async with open_client(device.url, token=device.token, ssl_context=device.ssl_context, partitions=()) as client:
            with _saying_that_it_waits(device.url):
                await _first_connection(client, device.url)
                yield client
    except ClientError as error:
        raise failure_of(error) from error


def _device_line(device: DeviceInfo) -> Text:
    """A device: whether it is there, its name, and how far behind it is."""
    sign, colour = ("●", "green") if device.online else ("○", "yellow" if device.is_stale else "dim")
    label = f" ({printable(device.label)})" if device.label else ""
    marks = [word for word, holds in (("this one", device.is_this), ("stale", device.is_stale)) if holds]
    seen = "" if device.online else f"seen {date_text(device.last_seen)}"
    lags = ", ".join(f"{name} {log.lag} behind" for name, log in sorted(device.logs.items()) if log.lag)
    where = "   ".join(filter(None, (", ".join(marks), seen, printable(lags))))
    return Text.assemble((f"{sign} ", colour), printable(device.name), label, (f"   {where}" if where else "", "dim"))


@contextmanager
def _saying_that_it_waits(url: str) -> Iterator[None]:
    """After a second: a person wonders, and a program that reads standard output is not disturbed."""
    said = {"file": sys.stderr, "flush": True}
    timer = threading.Timer(WORDLESS_SECONDS, print, [f"bimip: waiting for {url} ..."], said)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


async def listen(device: Device, partitions: Sequence[str], *, last: int, as_json: bool) -> None:
    """Every event as a line, until Ctrl-C or SIGTERM; then what was shown is acknowledged, and the device leaves."""
    failure: Failure | None = None
    stop = trio.CancelScope()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_signal, signals, stop)
            try:
                await _listen(device, partitions, last, _json_show if as_json else _line_show(), stop)
            except ClientError as error:
                failure = failure_of(error)
            except Failure as error:
                failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _listen(device: Device, partitions: Sequence[str], last: int, show: Show, stop: trio.CancelScope) -> None:
    async with open_client(
        device.url,
        token=device.token,
        ssl_context=device.ssl_context,
        path=device.store or ":memory:",
        partitions=partitions,
        start=Start.LAST if last else Start.START_UNSPECIFIED,
        last=last,
        encryption=device.encrypts,
    ) as client:
        with stop:
            await _first_connection(client, device.url, show)
            async for event in client:
                show(event)
                if is_lost():
                    return  # nobody reads on


async def _cancel_at_signal(signals: AsyncIterator[int], stop: trio.CancelScope) -> None:
    async for _ in signals:
        stop.cancel()


async def _first_connection(client: Client, url: str, show: Show = lambda _event: None) -> None:
    """Wait for it, and show what comes until then, such as that it is to another epoch."""
    async for event in client:
        if isinstance(event, Disconnected) and event.will_retry:
            reason = printable(event.reason)
            sentence = f"no server answers at {url} ({reason}): start one with `bimip serve`, or give --url"
            raise Failure(Exit.UNREACHABLE, sentence)
        show(event)
        if isinstance(event, Connected):
            return
    raise Failure(Exit.FAILED, "the connection ended before it began")


def failure_of(error: ClientError) -> Failure:
    """Returns the sentence and the exit code for what a client stopped with."""
    match error:
        case Stopped(code=code, reason=reason) if code in _TOKEN_CODES:
            sentence = f"the server refuses this token: {printable(reason)} (`bimip token` makes a new one)"
            return Failure(Exit.REFUSED, sentence)
        case Stopped(code=Close.REPLACED):
            return Failure(
                Exit.REFUSED, "this device has connected again somewhere else, and the newer connection stays"
            )
        case Stopped():
            return Failure(Exit.REFUSED, f"the server ended it: {error.code} {printable(error.reason)}")
        case Refused():
            return Failure(Exit.REFUSED, f"the server refuses it: {printable(error.message)}")
        case StoreError():
            return Failure(Exit.FAILED, f"--store: {error}")
        case _:
            return Failure(Exit.FAILED, printable(str(error)))


def _line_show() -> Show:
    """A row of failed attempts is one line."""
    screen = Console(highlight=False, soft_wrap=True)
    away = False

    def show(event: Event) -> None:
        nonlocal away
        again = isinstance(event, Disconnected) and event.will_retry
        if not (again and away):
            screen.print(line_of(event).text(_clock()))
        away = again or (away and not isinstance(event, Connected))

    return show


def _json_show(event: Event) -> None:
    print(json_of(event), flush=True)


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
