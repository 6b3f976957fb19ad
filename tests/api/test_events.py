"""A device's stream by HTTP: what a socket would be sent, resumable, acknowledged by request."""

import base64
import json
from contextlib import suppress
from typing import Any

import h11
import pytest
import trio
from trio.testing import MockClock

from bimip.api.events import place_of
from bimip.gateway import serving
from bimip.http.problems import ProblemError
from bimip.operations import Operations
from bimip.testing.virtual import token
from tests.api.test_caller import Memory, open_memory


class Stream:
    """One that is open."""

    def __init__(self, memory: Memory, user: str = "bob", device: str = "phone") -> None:
        self._stream = memory.server.connect_raw()
        self._http = h11.Connection(h11.CLIENT)
        self._shown = token(user, device)
        self._text = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_over = False

    async def open(self, query: str = "", last: str = "") -> "Stream":
        headers = [("Host", "h"), ("Authorization", f"Bearer {self._shown}")]
        if last:
            headers.append(("Last-Event-ID", last))
        data = self._http.send(h11.Request(method="GET", target=f"/api/v1/events{query}", headers=headers)) or b""
        await self._stream.send_all(data + (self._http.send(h11.EndOfMessage()) or b""))
        return self

    async def heard(self) -> list[tuple[str, str, Any]]:
        """The events that came until it is quiet: id, name, data."""
        return [
            (fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            for fields in await self.blocks()
            if "event" in fields
        ]

    async def blocks(self) -> list[dict[str, str]]:
        """The fields of each block that came until it is quiet."""
        with trio.move_on_after(0.5):
            while not self.is_over:
                event: Any = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(bytes(await self._stream.receive_some(1 << 16)))
                elif isinstance(event, h11.Response):
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    self._text += bytes(event.data).decode()
                else:
                    self.is_over = True
        whole, _, self._text = self._text.rpartition("\n\n")
        return [
            dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            for block in filter(None, whole.split("\n\n"))
        ]

    async def say(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def close(self) -> None:
        await trio.aclose_forcefully(self._stream)
        await trio.sleep(0.1)


def texts(events: list[tuple[str, str, Any]]) -> list[str]:
    messages = [one for _, name, data in events if name == "body" for one in data.get("messages", [])]
    return [base64.b64decode(one["payload"]).decode() for one in messages]


async def test_what_is_written_comes_as_events_behind_the_answer_to_hello(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        await memory.write("1")
        await memory.write("2")
        events = await stream.heard()

        assert stream.status == 200
        assert texts(events) == ["1", "2"]
        assert set(memory.server.server.users.connected("bob")) == {"phone"}


async def test_an_operator_sees_a_stream_as_a_device(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "address_of", lambda _stream: "192.0.2.9")
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        told: Any = await Operations(memory.server.server).describe_user("bob", "phone")
        connection = told["devices"]["phone"]["connection"]

        assert (connection["agent"], connection["address"]) == ("events", "192.0.2.9")
        assert connection["round_trip_ms"] is None


async def test_it_goes_on_behind_the_last_event_and_skips_and_repeats_nothing(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        first = await Stream(memory).open()
        await first.heard()
        await memory.write("1")
        last = (await first.heard())[-1][0]
        await first.close()
        await memory.write("2")
        second = await Stream(memory).open(last=last)
        resumed = await second.heard()
        third = await Stream(memory, device="new").open(last=last)
        others = await third.heard()

    assert resumed[0][1] == "hello"
    assert texts(resumed) == ["2"]
    assert texts(others) == ["2"]


async def test_what_is_acknowledged_by_request_is_not_sent_again_and_what_is_not_is(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        await memory.write("1")
        await memory.write("2")
        await stream.heard()
        acked = {"partition": "chat", "upto": 1}
        done = await memory.ask("POST", "/messages/acknowledgements", acked, user="bob", device="phone")
        await trio.sleep(35)
        again = await stream.heard()

    assert done.status_code == 204
    assert texts(again) == ["2"]


async def test_a_newer_stream_of_the_device_takes_its_place(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        first = await Stream(memory).open()
        await first.heard()
        second = await Stream(memory).open()
        await second.heard()
        events = await first.heard()

    assert events[-1][1:] == ("close", {"code": 4103, "reason": "this device connected again elsewhere"})
    assert first.is_over
    assert not second.is_over


async def test_it_ends_with_its_token_and_says_so(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        await memory.ask("POST", "/token/revoke", {}, user="bob", device="phone")
        events = await stream.heard()

    assert [data["code"] for _, name, data in events if name == "close"] == [4102]
    assert stream.is_over


async def test_a_quiet_stream_shows_that_it_is_there_and_one_that_left_is_noticed(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        await trio.sleep(100)
        await stream.heard()
        connected = set(memory.server.server.users.connected("bob"))
        await stream.close()  # a tab that is closed is nobody who is there, from then on

        assert connected == {"phone"}
        assert not memory.server.server.users.connected("bob")


@pytest.mark.parametrize(("much", "stays"), [(1 << 10, True), (1 << 17, False)])
async def test_what_is_said_behind_the_request_is_not_heard_and_not_for_ever(
    much: int,
    stays: bool,  # noqa: FBT001 - of the table above
    autojump_clock: MockClock,
) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.say(bytes(much))
        await trio.sleep(0.1)

        assert bool(memory.server.server.users.connected("bob")) == stays


async def test_a_server_that_stops_says_so_and_waits_for_none(autojump_clock: MockClock) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open()
        await stream.heard()
        began = trio.current_time()
    events = await stream.heard()

    assert [data["code"] for _, name, data in events if name == "close"] == [1001]
    assert trio.current_time() - began < 5


async def test_so_many_devices_of_a_user_have_streams(autojump_clock: MockClock) -> None:
    async with open_memory(BIMIP_LIMITS_MAX_DEVICES_PER_USER="1") as memory:
        first = await Stream(memory, device="one").open()
        await first.heard()
        second = await Stream(memory, device="two").open()
        await second.heard()

    assert (first.status, second.status) == (200, 429)


@pytest.mark.parametrize(("query", "last"), [("?partitions=nothing", ""), ("", "nonsense"), ("", "1.2;chat=99999")])
async def test_where_there_is_nothing_to_stream_it_is_said_by_its_status(
    query: str, last: str, autojump_clock: MockClock
) -> None:
    async with open_memory() as memory:
        stream = await Stream(memory).open(query, last)
        await stream.heard()

        assert stream.status in {404, 422} or last.startswith("1.2")
        assert set(memory.server.server.users.connected("bob")) == ({"phone"} if last.startswith("1.2") else set())


@pytest.mark.parametrize("text", ["1.2;chat=3;feed=4", "0.0", "18446744073709551615.1;a.b=0"])
def test_a_place_is_read_as_it_was_written(text: str) -> None:
    assert str(place_of(text, "chat")) == text


@pytest.mark.parametrize("text", ["", ".", "1", "1.2;", "1.2;chat", "1.2;chat=", "99999999999999999999.1", "1.2;=3"])
def test_what_is_no_place_is_refused(text: str) -> None:
    if not text:
        assert place_of(text, "chat").positions == {"chat": None}
        return
    with pytest.raises(ProblemError):
        place_of(text, "chat")
