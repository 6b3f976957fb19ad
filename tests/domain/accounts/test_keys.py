"""The key directory: a one-time key is given once, whoever says what again; and who is given which keys."""

from typing import Any

import pytest

from bimip.domain.accounts import keys
from bimip.domain.accounts.keys import (
    AT_ONCE,
    MAX_ONE_TIME,
    Claimed,
    ClaimKeys,
    KeyOwner,
    KeysPage,
    Published,
    PublishKeys,
    Signed,
    WithdrawKeys,
    find_keys,
)
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.core.operations import Done, Fault, Forget, Refused
from bimip.domain.core.records import Table
from bimip.domain.core.rules import DeviceNames
from tests.domain.support import Ledger, Peer

FALLBACK = Signed(1, b"f" * 32, bytes(64))
BOB = KeyOwner("bob")


def one_time(first: int, last: int) -> tuple[Signed, ...]:
    return tuple(Signed(number, b"%32d" % number, bytes(64)) for number in range(first, last + 1))


def publish(ledger: Ledger, peer: Peer, *keys: Signed, identity: bytes = b"i" * 32) -> Any:
    return ledger.do(PublishKeys(peer.user, peer.device, identity, b"s" * 32, bytes(64), FALLBACK, keys))


def claim(ledger: Ledger, peer: Peer, *owners: KeyOwner, after: str = "", sparing: KeyOwner | None = None) -> Claimed:
    claimed = ledger.do(ClaimKeys(peer.user, owners, after, frozenset([sparing] if sparing else ())))
    assert isinstance(claimed, Claimed)
    return claimed


def ids(claimed: Claimed) -> list[tuple[str, int]]:
    """Of each device the id of the key that was given; 0: its fallback key."""
    given = zip(claimed.page.found, claimed.one_time, strict=True)
    return [(one.owner.device, 0 if key is None else key.id) for one, key in given]


def query(ledger: Ledger, viewer: Peer, *owners: KeyOwner, policy: DeviceNames = "correspondents") -> KeysPage:
    with ledger.store.snapshot() as view:
        return find_keys(view, viewer.user, owners, "", policy)


def test_each_one_time_key_is_given_once_in_order_and_then_the_fallback() -> None:
    ledger = Ledger()
    ann, cleo, bob = ledger.device("ann"), ledger.device("cleo"), ledger.device("bob")

    assert publish(ledger, bob, *one_time(1, 3)) == Published(3, 3, is_new=True)
    assert [ids(claim(ledger, who, BOB)) for who in (ann, cleo, ann, cleo)] == [
        [(bob.name, 1)],
        [(bob.name, 2)],
        [(bob.name, 3)],
        [(bob.name, 0)],
    ]


def test_what_was_published_comes_not_back_when_it_is_said_again() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    publish(ledger, bob, *one_time(1, 3))
    claim(ledger, ann, BOB)

    assert publish(ledger, bob, *one_time(1, 3)) == Published(2, 3, is_new=False)
    assert publish(ledger, bob, *one_time(2, 5)) == Published(4, 5, is_new=False)
    assert [ids(claim(ledger, ann, BOB))[0][1] for _ in range(5)] == [2, 3, 4, 5, 0]


def test_another_identity_is_another_device_and_leaves_none_of_the_keys_before() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    publish(ledger, bob, *one_time(1, 9))

    assert publish(ledger, bob, *one_time(1, 1), identity=b"j" * 32) == Published(1, 1, is_new=True)
    (found,) = query(ledger, ann, BOB).found
    assert found.keys.identity == b"j" * 32
    assert [ids(claim(ledger, ann, BOB))[0][1] for _ in range(2)] == [1, 0]


def test_there_are_only_so_many_and_none_of_a_device_that_is_gone() -> None:
    ledger = Ledger()
    bob = ledger.device("bob")
    publish(ledger, bob, *one_time(1, MAX_ONE_TIME))
    refused = publish(ledger, bob, *one_time(MAX_ONE_TIME, MAX_ONE_TIME + 1))

    assert isinstance(refused, Refused)
    assert (refused.fault, refused.field) == (Fault.CONFLICT, "one_time")
    ledger.do(Forget(bob.device))
    assert not [key for key in ledger.everything() if key[0] in {Table.DEVICE_KEYS, Table.ONE_TIME_KEYS}]
    assert isinstance(publish(ledger, bob, *one_time(1, 1)), Refused)


def test_keys_that_are_withdrawn_are_given_nobody() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    publish(ledger, bob, *one_time(1, 2))

    assert ledger.do(WithdrawKeys(bob.user, bob.device)) == Done()
    assert claim(ledger, ann, BOB) == Claimed(KeysPage(()), ())
    assert not [key for key in ledger.everything() if key[0] in {Table.DEVICE_KEYS, Table.ONE_TIME_KEYS}]


def test_who_may_not_ask_is_told_what_is_told_of_nobody() -> None:
    ledger = Ledger()
    ann, laptop, bob = ledger.device("ann"), ledger.device("ann", "laptop"), ledger.device("bob")
    for device in (laptop, bob):
        publish(ledger, device, *one_time(1, 2))
    nobody = query(ledger, ann, KeyOwner("nobody"))

    assert len(query(ledger, ann, BOB).found) == 1
    assert query(ledger, ann, BOB, policy="nobody") == nobody
    assert [one.owner for one in query(ledger, ann, KeyOwner("ann"), policy="nobody").found] == [
        KeyOwner("ann", "laptop")
    ]
    assert query(ledger, ann, KeyOwner("bob", "elsewhere")) == nobody
    ledger.do(ChangeContact(ann.user, ann.device, "b", bytes(8), ContactAction.BLOCK, "bob"))
    assert query(ledger, ann, BOB) == nobody


def test_who_is_blocked_and_who_asks_for_very_many_is_given_the_fallback_key() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    publish(ledger, bob, *one_time(1, 2))
    for spared in (BOB, KeyOwner("bob", bob.name)):
        assert ids(claim(ledger, ann, BOB, sparing=spared)) == [(bob.name, 0)]
    ledger.do(ChangeContact(bob.user, bob.device, "b", bytes(8), ContactAction.BLOCK, "ann"))

    assert ids(claim(ledger, ann, BOB)) == [(bob.name, 0)]
    ledger.do(ChangeContact(bob.user, bob.device, "u", bytes(8), ContactAction.UNBLOCK, "ann"))
    assert ids(claim(ledger, ann, BOB)) == [(bob.name, 1)]


def test_many_devices_come_in_pages_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LOOKED_AT", AT_ONCE + 9)
    ledger = Ledger()
    ann = ledger.device("ann")
    names = [f"d{number:03}" for number in range(AT_ONCE + 70)]
    for number, name in enumerate(names):
        device = ledger.device("bob", name)
        if number % 3:
            publish(ledger, device, *one_time(1, 1))
    publish(ledger, ledger.device("cleo"), *one_time(1, 1))
    owners: tuple[KeyOwner, ...] = (BOB, KeyOwner("cleo"), KeyOwner("nobody"))
    after, found = "", list[KeyOwner]()
    pages = 0
    while owners:
        page = claim(ledger, ann, *owners, after=after).page
        found += [one.owner for one in page.found]
        owners, after = page.left, page.after
        pages += 1

    assert found[:-1] == [KeyOwner("bob", name) for number, name in enumerate(names) if number % 3]
    assert found[-1].eid == "cleo"
    assert pages == 2
