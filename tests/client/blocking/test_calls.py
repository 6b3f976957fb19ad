"""The SDK for programs without an event loop, against a real server."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bimip.client.blocking import Client, open_client
from bimip.client.errors import InvalidArgument, Refused, Stopped, TimedOut
from bimip.client.events import Connected, Event, Received
from bimip.testing import ServerProcess

ALICE, BOB = "alice@example.org", "bob@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


def opened(server: ServerProcess, eid: str, device: str = "script", **options: Any) -> Any:
    return open_client(server.url, token=server.token(eid, device), **options)


def next_of(client: Client, kind: type[Event]) -> Event:
    return next(event for event in client if isinstance(event, kind))


def test_a_script_writes_waits_and_reads(server: ServerProcess) -> None:
    with opened(server, BOB) as bob, opened(server, ALICE, keep_messages=True) as alice:
        bob.wait_connected()
        sent = alice.messages.send(BOB, b"Hello Bob", ttl=60)
        received = next_of(bob, Received)
        assert isinstance(received, Received)
        assert received.message.payload == b"Hello Bob"
        assert bob.next_event(wait=0.05) is None  # which says that it is done with that one
        assert alice.messages.wait_delivered(sent).delivered_to == (BOB,)
        assert alice.messages.edit(sent.signal_offset, b"Hello").conversation_offset == sent.conversation_offset
        assert [one.message.id for one in alice.history.kept(sent.conversation)] == [sent.id]
        assert alice.identity == next_of(alice, Connected).identity  # type: ignore[union-attr]
        assert alice.messages.unsent == 0


def test_what_goes_wrong_is_raised_where_it_was_asked_for(server: ServerProcess) -> None:
    with opened(server, ALICE) as alice:
        with pytest.raises(Refused, match="NOT_FOUND"):
            alice.messages.send("nobody@example.org", b"hi")
        with pytest.raises(InvalidArgument):
            alice.messages.send_nowait(BOB, "text")
    with pytest.raises(InvalidArgument), opened(server, ALICE, timeout=0):
        pass
    with open_client(server.url, token="none") as stranger, pytest.raises(Stopped):
        stranger.wait_connected()


def test_patience_ends_and_what_was_asked_for_stays(server: ServerProcess) -> None:
    with open_client("ws://127.0.0.1:9", token=server.token(ALICE, "offline")) as client:
        client.patience = 0.1
        with pytest.raises(TimedOut, match=r"0\.1 s"):
            client.messages.send(BOB, b"hi")
        assert client.messages.unsent == 1
        assert client.patience == 0.1


def test_threads_may_call_side_by_side(server: ServerProcess) -> None:
    with opened(server, BOB), opened(server, ALICE) as alice:
        offsets: list[int] = []

        def write(number: int) -> None:
            offsets.append(alice.messages.send(ALICE, b"%d" % number).conversation_offset)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(offsets)) == 8
