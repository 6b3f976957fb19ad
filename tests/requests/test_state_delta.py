"""A state that is asked for is read in slices, charged by its items, and bounded in bytes."""

from typing import Any

from bimip.concurrency.buckets import Rate
from bimip.domain.core.ids import ConversationId, DeviceId, Millis, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import ConversationSettings, Device, State, Table
from bimip.domain.state.conversation_settings import pack_key
from bimip.requests import ROUTES
from bimip.requests.state_delta import MOST_ITEMS, SLICE
from bimip.requests.state_items import PAGE_BYTES
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.reading.support import store_with
from tests.requests.support import Peer

ANN = UserId(1)


def with_drafts(count: int, size: int, floor: int = 0) -> MemoryStore:
    """Ann has so many conversations, and a draft of so many bytes in each."""
    conversations = [ConversationId(number) for number in range(1, count + 1)]
    draft = ConversationSettings(draft=LastWrite(bytes(size), Stamp(1), DeviceId(11)))
    tables: dict[Table, dict[Any, Any]] = {
        Table.CONVERSATION_SETTINGS: {(ANN, one): draft for one in conversations},
        Table.CHANGES: {(ANN, int(one)): pack_key(one) for one in conversations},
        Table.VERSIONS: {(ANN, pack_key(one)): Version(one) for one in conversations},
        Table.STATES: {(ANN,): State(Version(count), Version(floor))},
        Table.DEVICES: {(ANN, "phone"): Device(DeviceId(11), Millis(0), Millis(900))},
    }
    return store_with(tables)


def ask(peer: Peer, after: int = 0, *, goes_on: bool = False) -> pb.StateDelta:
    peer.take("state_delta", pb.StateDelta(after=after, reset=goes_on))
    answer: pb.StateDelta = peer.alone()[-1][1]
    return answer


def test_it_is_read_a_slice_in_each_turn() -> None:
    peer = Peer(with_drafts(3 * SLICE - 1, 1))
    turns = sum(1 for _ in ROUTES["state_delta"].ask(peer, pb.StateDelta(), 5) or ())

    assert turns == 2
    assert len(peer.alone()[0][1].items) == 3 * SLICE - 1


def test_an_answer_has_no_more_items_than_it_may() -> None:
    page = ask(Peer(with_drafts(MOST_ITEMS + 1, 1)))

    assert (len(page.items), page.upto, page.complete) == (MOST_ITEMS, MOST_ITEMS, False)


def test_an_answer_has_no_more_bytes_than_fit_a_frame_and_one_item_always() -> None:
    large = PAGE_BYTES // 3
    peer = Peer(with_drafts(4, large))
    pages = [ask(peer)]
    while not pages[-1].complete:
        pages.append(ask(peer, pages[-1].upto, goes_on=True))

    assert [len(page.items) for page in pages] == [2, 2]
    assert [page.reset for page in pages] == [True, False]
    assert len(ask(Peer(with_drafts(2, PAGE_BYTES + 1))).items) == 1


def test_it_is_charged_by_its_items() -> None:
    peer = Peer(with_drafts(100, 1), rate=Rate(10, burst_seconds=1))
    ask(peer)

    assert peer.rates.wait(0) >= 3


def test_below_the_floor_all_of_it_comes_and_from_it_on_what_changed() -> None:
    peer = Peer(with_drafts(9, 1, floor=5))
    below, at_floor = ask(peer, 4), ask(peer, 5)

    assert (below.after, below.reset, len(below.items)) == (0, True, 9)
    assert (at_floor.after, at_floor.reset, len(at_floor.items)) == (5, False, 4)
