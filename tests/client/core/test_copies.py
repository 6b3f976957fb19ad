"""What a device says of its copies, and what it does with the answer; with a server in tests/scenarios."""

import pytest

from bimip.client.core.chain import START, extended
from bimip.client.core.copies import KEPT, NO_CHAIN, STEP, Copies, Stretch
from bimip.client.events import LogDiverged
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, Hello, LogState, Message, PassedEntry, Snapshot

DIGEST = b"8 bytes."
CHAT = "chat"


def entry(offset: int) -> Message:
    return Message(user_offset=offset, signal_offset=1000 + offset, digest=DIGEST)


def chain(upto: int, after: int = 0, begin: bytes = START) -> bytes:
    for offset in range(after + 1, upto + 1):
        begin = extended(begin, 1000 + offset, DIGEST)
    return begin


def anchored(position: int = 0, upto: int = 0) -> Copies:
    copies = Copies(Store(), [CHAT, "feed"])
    copies.welcome(Hello(logs=[LogState(partition=CHAT, position=position, chain=chain(position))]))
    for offset in range(position + 1, upto + 1):
        copies.note_batch(Body(partition=CHAT, messages=[entry(offset)]))
        copies.took(CHAT, offset - 1, offset)
    return copies


def said(copies: Copies, upto: int) -> dict[int, bytes]:
    return {one.offset: one.checksum for one in copies.claims({CHAT: upto}) if one.partition == CHAT}


def test_without_a_chain_it_asks_for_one() -> None:
    copies = Copies(Store(), [CHAT])

    assert copies.claims({CHAT: 5}) == [Snapshot(partition=CHAT)]
    assert copies.claims({}) == [Snapshot(partition=CHAT)]


def test_each_place_is_said_with_the_chain_of_what_is_in_the_file() -> None:
    copies = anchored(10, 300)

    assert said(copies, 300) == {place: chain(place) for place in (10, 128, 256, 300)}


def test_an_entry_that_others_have_counts() -> None:
    copies = anchored(0, 3)
    copies.note_batch(Body(partition=CHAT, passed=[PassedEntry(offset=4, signal_offset=1004, digest=DIGEST)]))

    assert said(copies, 4) == {4: chain(4)}


def test_what_is_not_there_is_said_with_a_chain_that_no_log_has() -> None:
    copies = anchored(0, 3)

    assert said(copies, 5) == {5: NO_CHAIN}


def test_the_oldest_go() -> None:
    copies = anchored(0, STEP * (KEPT + 4))

    assert len(said(copies, STEP * (KEPT + 4))) == KEPT


def test_behind_a_gap_it_begins_anew() -> None:
    copies = anchored(0, 10)
    copies.pass_gap(CHAT, 20)

    assert said(copies, 20) == {0: b""}


def test_what_the_program_has_by_other_means_is_no_damage() -> None:
    copies = anchored(0, 10)
    copies.pass_unseen(CHAT, [5])

    assert set(said(copies, 10)) == {10}

    copies.pass_unseen(CHAT, [11])

    assert said(copies, 11) == {0: b""}


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Snapshot(partition=CHAT, offset=300, matches=True), []),
        (Snapshot(partition=CHAT, offset=128), [LogDiverged(CHAT, 129, 300)]),
        (Snapshot(partition=CHAT), [LogDiverged(CHAT, 11, 300)]),
        (Snapshot(partition=CHAT, unknown=True), []),
        (Snapshot(partition="feed"), []),
    ],
)
def test_what_the_server_says(verdict: Snapshot, expected: list[LogDiverged]) -> None:
    copies = anchored(10, 300)
    copies.claims({CHAT: 300})
    told = Hello(logs=[LogState(partition=CHAT, position=300, chain=b"the server's own")], snapshots=[verdict])

    assert copies.welcome(told) == expected
    assert copies.stretches() == [Stretch(one.partition, one.first, one.last) for one in expected]
    if not (verdict.matches or verdict.partition == "feed"):
        assert said(copies, 300) == {300: b"the server's own"}


def test_another_epoch_forgets_all() -> None:
    copies = anchored(0, 300)
    copies.read_again(Stretch(CHAT, 1, 9), Body(next_offset=5))
    copies.forget()

    assert (said(copies, 300), copies.stretches()) == ({0: b""}, [])


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (Body(next_offset=5), Stretch(CHAT, 5, 9)),
        (Body(next_offset=9), Stretch(CHAT, 9, 9)),
        (Body(next_offset=10), None),
        (Body(next_offset=5, complete=True), None),
        (Body(next_offset=1), None),  # a server that goes on nowhere
    ],
)
def test_a_stretch_is_read_page_by_page(body: Body, left: Stretch | None) -> None:
    copies = anchored()
    copies.read_again(Stretch(CHAT, 1, 9), Body(next_offset=1))

    assert copies.read_again(Stretch(CHAT, 1, 9), body) == left
    assert copies.stretches() == [one for one in (left,) if one]
