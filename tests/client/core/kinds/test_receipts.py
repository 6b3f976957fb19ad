from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.receipts import times_of
from bimip.client.core.state import State
from bimip.client.errors import ProtocolViolation
from bimip.client.events import Connected, ReceiptsChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import (
    Body,
    MessageStatus,
    Receipts,
    Settings,
    StateItem,
)
from bimip.client.wire.bimip import (
    ReceiptRun as WireRun,
)
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptKind, ReceiptRun
from tests.client.support import FakeServer, a_client, both_backends, next_of, page

DELIVERED, READ, PLAYED = MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED


def item(
    *runs: tuple[int, int, int],
    kind: MessageStatus = DELIVERED,
    member: str = "bob",
    block: int = 0,
    removed: bool = False,
) -> StateItem:
    times = [WireRun(from_=first, to=last, time=time) for first, last, time in runs]
    receipts = Receipts(conversation="c1", member=member, kind=kind, block=block, runs=times)
    return StateItem(removed=removed, receipts=receipts)


def changed(*runs: tuple[int, int, int], kind: ReceiptKind = ReceiptKind.DELIVERED) -> ReceiptsChanged:
    told = tuple(
        ReceiptRun(ConversationOffset(first), ConversationOffset(last), Millis(time)) for first, last, time in runs
    )
    return ReceiptsChanged("c1", "bob", kind, told)


def test_pages_are_merged_and_only_what_is_new_is_told(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 3, item((1, 4, 50)))) == [changed((1, 4, 50))]
    assert state.page(page(3, 5, item((3, 6, 60)))) == [changed((5, 6, 60))]
    assert state.page(page(3, 5, item((3, 6, 60)))) == []
    assert state.page(page(5, 6, item((2, 2, 10)))) == [changed((2, 2, 10))]
    assert state.version == 6
    assert [times_of(store, "c1", offset) for offset in (1, 2, 6, 7)] == [
        {"bob": {"delivered": 50}},
        {"bob": {"delivered": 10}},
        {"bob": {"delivered": 60}},
        {},
    ]


def test_read_implies_delivered_and_played_implies_read(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 1, item((1, 1, 70), kind=DELIVERED), item((1, 1, 80), kind=READ), item((1, 1, 60), kind=PLAYED)))
    state.page(page(1, 2, item((1, 1, 90), kind=READ, member="carol")))

    assert times_of(store, "c1", 1) == {
        "bob": {"delivered": 60, "read": 60, "played": 60},
        "carol": {"delivered": 90, "read": 90},
    }


def test_a_page_that_does_not_join_breaks_the_protocol(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 3))

    with pytest.raises(ProtocolViolation, match="after 4, but 3"):
        state.page(page(4, 5))


def test_a_whole_state_replaces_what_was_not_in_it_and_counts_when_it_is_complete(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 9, item((1, 1, 50)), item((257, 257, 50), block=1)))
    state.page(page(0, 7, item((1, 2, 50)), reset=True))

    assert state.version == 9
    assert times_of(store, "c1", 257) != {}
    state.page(page(7, 8, complete=True))
    assert state.version == 8
    assert (times_of(store, "c1", 257), times_of(store, "c1", 2)) == ({}, {"bob": {"delivered": 50}})


def test_a_whole_state_that_was_cut_off_begins_anew(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 9, item((1, 1, 50))))
    state.page(page(0, 20, reset=True))
    state.connected()
    state.page(page(9, 10, item((2, 2, 50))))

    assert state.version == 10
    assert times_of(store, "c1", 1) != {}


def test_removed_unknown_and_later_versions_items(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 1, item((1, 1, 50))))

    assert state.page(page(1, 2, item(removed=True), item((1, 1, 5), kind=MessageStatus.FORWARDED))) == []
    assert state.page(page(2, 3, StateItem(settings=Settings(send_read_receipts=True)))) == []
    assert times_of(store, "c1", 1) == {}
    with pytest.raises(ProtocolViolation, match="reach beyond"):
        state.page(page(3, 4, item((1, 2**40, 5))))


runs = st.tuples(st.integers(1, 256), st.integers(0, 40), st.integers(1, 9)).map(
    lambda drawn: (drawn[0], min(256, drawn[0] + drawn[1]), drawn[2])
)


@given(st.lists(runs, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_receipts_does_not_matter(drawn: list[tuple[int, int, int]], random: object) -> None:
    shuffled = list(drawn)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    expected = [
        min((time for first, last, time in drawn if first <= offset <= last), default=None) for offset in range(1, 257)
    ]

    for order in (drawn, shuffled):
        with closing(Store()) as store:
            state = State(store, CLIENT_KINDS)
            for run in order:
                state.items([item(run)])
            held = [times_of(store, "c1", offset).get("bob", {}).get("delivered") for offset in range(1, 257)]
        assert expected == held


@both_backends
async def test_receipts_are_events_and_outlive_the_process_and_the_version_goes_with_hello(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        hello = await peer.greet()
        assert hello.state_version == 0
        peer.send(Body(states=[page(0, 6, item((1, 3, 50)), reset=True, complete=True)]))
        peer.send(page(6, 8, item((2, 2, 70), kind=READ)))

        assert await next_of(client, ReceiptsChanged) == changed((1, 3, 50))
        assert await next_of(client, ReceiptsChanged) == changed((2, 2, 70), kind=ReceiptKind.READ)
    async with a_client(server, path=path) as client:
        hello = await (await server.accept()).greet()
        await next_of(client, Connected)

        assert hello.state_version == 8
        assert client.messages.receipts("c1", 2) == {"bob": {"delivered": 50, "read": 70}}


def test_a_whole_state_takes_the_place_of_what_was_known(store: Store) -> None:
    """In another epoch what was known may be of messages that are lost, whose places others take."""
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 6, item((1, 9, 50)), reset=True, complete=True))
    state.forget_version()

    assert state.page(page(0, 2, item((1, 4, 50), (6, 6, 60)), reset=True)) == []
    assert state.page(page(2, 3, item((1, 4, 50), (6, 7, 60)), complete=True)) == [changed((7, 7, 60))]
    assert [offset for offset in range(1, 10) if times_of(store, "c1", offset)] == [1, 2, 3, 4, 6, 7]
    assert state.items([item((8, 8, 70))]) == [changed((8, 8, 70))]
    assert times_of(store, "c1", 6) == {"bob": {"delivered": 60}}


@both_backends
async def test_in_another_epoch_the_whole_state_is_asked_for() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(epoch=7)
        peer.send(page(0, 6, item((1, 3, 50)), reset=True, complete=True))
        await next_of(client, ReceiptsChanged)
        peer.cut()
        peer = await server.accept()
        assert (await peer.greet(epoch=8)).state_version == 6
        peer.cut()
        peer = await server.accept()

        assert (await peer.greet(epoch=8)).state_version == 0
