"""Slices of a log, as a device gives them to a sibling, and what is no part of the log."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from bimip.client.core.chain import START, digest_of, extended, link
from bimip.client.core.giving import LARGEST_BYTES, SLICE_ENTRIES, UncheckedError, chain_behind, slices
from bimip.client.core.sealing import SEALED
from bimip.client.message_table import NEVER, MessageRow
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, DeviceAddress, Message, PassedEntry
from tests.client.support import a_message


def keep(store: Store, *messages: Message) -> None:
    for message in messages:
        offset = message.user_offset or 0
        row = MessageRow(message.signal_id, "chat", offset, "c1", offset, None, NEVER, bytes(message))
        store.messages.put(row)
        store.set_links("chat", [(offset, link(message.signal_offset, digest_of(message, "chat")))])


def given(store: Store, after: int, upto: int) -> list[Body]:
    """As they arrive."""
    return [Body.parse(bytes(body)) for body in slices(store, "chat", after, upto)]


def ranges(bodies: list[Body]) -> list[tuple[int, int]]:
    return [(body.after, body.upto) for body in bodies]


def chain_of(*messages: Message) -> bytes:
    chain = START
    for message in messages:
        chain = extended(chain, message.signal_offset, digest_of(message, "chat"))
    return chain


def test_what_is_kept_is_given_as_it_was_delivered_and_makes_the_chain_of_the_log(store: Store) -> None:
    messages = [a_message(offset) for offset in range(1, 2 * SLICE_ENTRIES + 8)]
    keep(store, *messages)
    bodies = given(store, 0, len(messages))

    assert [message for body in bodies for message in body.messages] == messages
    assert ranges(bodies)[0][0] == 0
    assert all(one.upto == other.after for one, other in pairwise(bodies))
    chain = START
    for body in bodies:
        chain = chain_behind(body, chain)
    assert chain == chain_of(*messages)


def test_what_is_no_message_here_goes_by_its_digest_and_where_that_is_missing_it_ends(store: Store) -> None:
    messages = [a_message(offset) for offset in range(1, 8)]
    keep(store, *messages)
    store.messages.drop(messages[1].signal_id)
    store.messages.drop(messages[5].signal_id)
    store.execute("DELETE FROM links WHERE offset = 6")
    [body] = given(store, 0, 7)

    assert (body.after, body.upto, [one.offset for one in body.passed]) == (0, 5, [2])
    assert chain_behind(body, START) == chain_of(*messages[:5])
    assert ranges(given(store, 6, 7)) == [(6, 7)]
    assert given(store, 5, 7) == []


@pytest.mark.parametrize(
    "odd",
    [
        replace(a_message(2), digest=b"12345678"),
        replace(a_message(2), devices=[DeviceAddress(payload=b"its own")]),
        replace(a_message(2), payload=bytes(LARGEST_BYTES + 1)),
        replace(a_message(2), encryption_type=SEALED),
    ],
    ids=["erased", "addressed", "large", "encrypted"],
)
def test_what_nobody_could_check_or_carry_is_not_given(odd: Message, store: Store) -> None:
    keep(store, a_message(1), odd, a_message(3))

    assert ranges(given(store, 0, 3)) == [(0, 1)]


def test_a_large_one_has_a_slice_of_its_own(store: Store) -> None:
    keep(store, a_message(1), replace(a_message(2), payload=bytes(LARGEST_BYTES - 1000)), a_message(3))

    assert ranges(given(store, 0, 3)) == [(0, 1), (1, 2), (2, 3)]


LIES: dict[str, Callable[[Body], object]] = {
    "another content": lambda body: setattr(body.messages[0], "payload", b"other"),
    "another time": lambda body: setattr(body.messages[0], "signal_offset", 7),
    "a digest that it says itself": lambda body: setattr(body.messages[0], "digest", b"12345678"),
    "another partition": lambda body: setattr(body.messages[0], "partition", "notification"),
    "one left out": lambda body: body.messages.pop(0),
    "one too many": lambda body: body.messages.append(a_message(9)),
    "one twice": lambda body: body.passed.append(PassedEntry(offset=1, signal_offset=1000, digest=b"12345678")),
    "a range that is longer": lambda body: setattr(body, "upto", 5),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_the_log_makes_another_chain_or_none(lie: str, store: Store) -> None:
    messages = [a_message(1), a_message(2)]
    keep(store, *messages)
    [body] = given(store, 0, 2)
    LIES[lie](body)
    try:
        chain = chain_behind(body, START)
    except UncheckedError:
        chain = b""

    assert chain != chain_of(*messages)
