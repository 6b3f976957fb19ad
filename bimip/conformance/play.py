"""A play: one client under test, one scripted server, and what a sequence does with the two."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from bimip.conformance.client import Launcher, Running, line_of
from bimip.conformance.frames import signal_id
from bimip.conformance.server import DEVICE, USER, Connection, ScriptedServer
from bimip.wire import bimip_pb2 as pb

PATIENCE: Final = 20.0
"""Seconds for which something is waited for: longer than any back-off."""
PARTITIONS: Final = ("chat", "notification")
ALICE: Final = "alice@example.org"
FIRST_SIGNAL: Final = 7130316802516582401
"""Beyond what a double can hold."""

T = TypeVar("T")


class Broken(Exception):  # noqa: N818 - what a sequence finds is no error of the kit
    """The client did what PROTOCOL.md does not let it; the sentence tells what."""


class Skipped(Exception):  # noqa: N818 - as Broken
    """The sequence does not concern this client; the sentence tells why."""


class Play:
    """A stage for one sequence. All waiting ends after `patience` seconds, with a sentence."""

    def __init__(
        self, nursery: trio.Nursery, launcher: Launcher, folder: Path, subprotocol: str, patience: float = PATIENCE
    ) -> None:
        self.patience = patience
        self.subprotocol = subprotocol
        self.token = _token()
        self.lines: list[dict[str, Any]] = []
        """What the client said, in its order; of all its lives."""
        self.server = ScriptedServer(subprotocol, self.token, self._notify, self._fail)
        self._nursery = nursery
        self._launcher = launcher
        self._store = folder / "store"
        self._client: Running | None = None
        self._life = 0
        self._is_killing = False
        self._fault = ""
        self._changed = trio.Event()
        self._taken = 0  # connections that the sequence was given

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _fail(self, sentence: str) -> None:
        self._fault = self._fault or sentence
        self._notify()

    # The client.

    async def start(self) -> None:
        """Starts the client, with whatever its folder holds."""
        await trio.Path(self._store).mkdir(exist_ok=True)
        self._life += 1
        life = self._life
        environment = {
            "BIMIP_URL": "",
            "BIMIP_TOKEN": self.token,
            "BIMIP_STORE": str(self._store),
            "BIMIP_SUBPROTOCOL": self.subprotocol,
            "BIMIP_PARTITIONS": ",".join(PARTITIONS),
            "BIMIP_BACKOFF_MS": "300",
            "BIMIP_TIMEOUT_MS": "6000",
        }

        def on_end(code: int) -> None:
            if life == self._life and not self._is_killing:
                self._fail(f"the client ended by itself, with exit code {code}")

        def on_line(text: str) -> None:
            if life == self._life:
                self._on_line(text)

        self._client = await self._launcher.launch(self._nursery, self.server, environment, on_line, on_end)

    def _on_line(self, text: str) -> None:
        try:
            self.lines.append(line_of(text))
        except ValueError as error:
            self._fail(f"the client said a line that is none, {text[:100]!r}: {error}")
        self._notify()

    async def do(self, what: str, **more: Any) -> None:  # noqa: ANN401 - each field has its own type
        """Has the client do something."""
        assert self._client is not None
        await self._client.say(json.dumps({"do": what, **more}))

    async def kill(self) -> None:
        """Kills the client in the middle of whatever it does. What it said until then counts."""
        assert self._client is not None
        self._is_killing = True
        await self._client.kill()
        self._is_killing = False
        self._life += 1

    async def send(self, message_id: str, text: str = "Hello", to: str = ALICE) -> None:
        """Has the client write a message."""
        await self.do("send", id=message_id, to=to, text=text)

    def said(self, name: str) -> list[Any]:
        """Lists what the client said under a name."""
        return [line[name] for line in self.lines if name in line]

    def shown(self) -> list[str]:
        """Lists the texts that the client showed."""
        return [str(one.get("text")) for one in self.said("shown")]

    # Waiting.

    async def until(
        self, what: str | Callable[[], str], find: Callable[[], T | None], within: float | None = None
    ) -> T:
        """Waits until something is found that is true, and returns it. Raises Broken with what was waited for."""
        seconds = self.patience if within is None else within
        with trio.move_on_after(seconds):
            while True:
                if self._fault:
                    raise Broken(self._fault)
                if found := find():
                    return found
                await self._changed.wait()
        raise Broken(f"within {seconds:g} seconds it did not come that {what if isinstance(what, str) else what()}")

    async def connection(self, within: float | None = None) -> Connection:
        """Waits for the client's next connection, with its Hello."""
        number = self._taken
        connections = self.server.connections
        await self.until("the client connected and said Hello", lambda: len(connections) > number or None, within)
        self._taken = len(connections)
        return connections[-1]

    async def welcomed(self, **how: Any) -> Connection:  # noqa: ANN401 - as Connection.welcome
        """Waits for the client's next connection, and answers its Hello."""
        connection = await self.connection()
        await connection.welcome(**how)
        return connection

    async def begin(self, **how: Any) -> Connection:  # noqa: ANN401 - as Connection.welcome
        """Starts the client and answers its first Hello."""
        await self.start()
        return await self.welcomed(**how)

    async def again(self, connection: Connection, **how: Any) -> Connection:  # noqa: ANN401 - as Connection.welcome
        """Cuts a connection, and answers the next one's Hello."""
        await connection.cut()
        return await self.welcomed(**how)

    async def shows(self, *texts: str) -> None:
        """Waits until the client has shown as many texts, and looks that they are these, in this order."""
        await self.until(
            lambda: f"{len(texts)} messages are shown, of which the last is {texts[-1]!r}; shown are {self.shown()}",
            lambda: len(self.shown()) >= len(texts) or None,
        )
        self.expect(self.shown() == list(texts), f"shown is {self.shown()}, and not {list(texts)}")

    async def acked(self, connection: Connection, offset: int, partition: str = "chat") -> None:
        await self.until(
            f"an ack (Signal DELIVERED) covers offset {offset} of {partition}",
            lambda: connection.acknowledges(offset, partition) or None,
        )

    async def settled(self, connection: Connection, partition: str = "chat") -> None:
        """Waits until all that was sent so far is dealt with: sends one entry more, which is shown and acknowledged."""
        offset = connection.upto.get(partition, 0) + 1
        text = f"so far {partition} {offset} {connection.number}"
        await connection.deliver(entry(offset, text, partition=partition), partition=partition)
        await self.until(
            lambda: f"the message {text!r} behind it is shown; shown are {self.shown()}",
            lambda: text in self.shown() or None,
        )
        await self.acked(connection, offset, partition)

    def seen(self) -> list[str]:
        """Lists the texts that the client showed, without those of `settled`."""
        return [text for text in self.shown() if not text.startswith("so far ")]

    def expect(self, is_so: bool, sentence: str) -> None:  # noqa: FBT001 - as an assertion
        """Raises Broken with a sentence, where something is not so."""
        if not is_so:
            raise Broken(sentence)

    async def message(self, connection: Connection, message_id: str, count: int = 1) -> pb.Message:
        """Waits until a message came on a connection, so many times."""

        def found() -> pb.Message | None:
            ours = [one for one in connection.messages if one.id == message_id]
            return ours[count - 1] if len(ours) >= count else None

        times = "" if count == 1 else f" {count} times"
        return await self.until(f"the message {message_id!r} is sent{times}", found)

    async def is_sent(self, message_id: str) -> None:
        await self.until(f"the client says that {message_id!r} is sent", lambda: message_id in self.sent_ids() or None)

    def sent_ids(self) -> list[str]:
        return [str(one.get("id")) for one in self.said("sent")]


def entry(
    offset: int,
    text: str,
    *,
    partition: str = "chat",
    number: int = 0,
    author: str = ALICE,
    device: str = "laptop",
    message_id: str = "",
) -> pb.Message:
    """Makes an entry of the log. `number` makes its `signal_offset`; without one its place does."""
    signal_offset = FIRST_SIGNAL + (number or offset * 2 + PARTITIONS.index(partition)) * 4096
    message = pb.Message(
        id=message_id or f"{partition}-{signal_offset}",
        to=pb.Identity(eid=USER if author != USER else ALICE),
        type=1,
        payload=text.encode(),
        status=pb.SENT,
        signal_offset=signal_offset,
        signal_id=signal_id(signal_offset),
        user_offset=offset,
        partition=partition,
        conversation="c1",
        conversation_offset=offset,
        server_time=1_700_000_000_000 + offset,
    )
    getattr(message, "from").MergeFrom(pb.Identity(eid=author, connection_resource_id=device))
    return message


def own(offset: int, message_id: str, text: str = "Hello") -> pb.Message:
    """Makes the entry of a message that the client under test wrote."""
    return entry(offset, text, author=USER, device=DEVICE, message_id=message_id)


def sent(entry_of_log: pb.Message, ref: int = 0, *, duplicate: bool = False) -> pb.Signal:
    """Makes the Signal SENT of an own message."""
    return pb.Signal(
        id=entry_of_log.id,
        signal_id=entry_of_log.signal_id,
        status=pb.SENT,
        timestamp=entry_of_log.server_time,
        partition=entry_of_log.partition,
        signal_offset=entry_of_log.signal_offset,
        user_offset=entry_of_log.user_offset,
        conversation=entry_of_log.conversation,
        conversation_offset=entry_of_log.conversation_offset,
        duplicate=duplicate,
        ref=ref,
    )


def _token() -> str:
    """Makes a token with the claims of one; nobody verifies it here."""
    parts = [{"alg": "EdDSA", "typ": "JWT"}, {"sub": USER, "did": DEVICE, "iat": 1_700_000_000, "exp": 4_000_000_000}]
    texts = [json.dumps(part).encode() for part in parts] + [b"conformance"]
    return ".".join(base64.urlsafe_b64encode(text).rstrip(b"=").decode() for text in texts)
