"""Sealing and opening: each once and in any order, whatever a server does with it."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bimip.client.encryption import olm
from bimip.client.encryption.encryption import KEYS_KEPT, TAKEN_KEYS, Encryption, Opened, UnsealedError
from bimip.client.events import IdentityChanged, ReadAgain, Unreadable
from bimip.client.public_keys import fingerprint
from bimip.client.store import Store
from bimip.client.wire.bimip import Envelope, Keys, Message
from bimip.client.wire.bimip import Identity as WireIdentity
from tests.client.encryption.support import NOW, Directory, Party, delivered


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def ann(directory: Directory) -> Party:
    return Party(directory, "ann")


@pytest.fixture
def bob(directory: Directory) -> Party:
    return Party(directory, "bob")


def to_bob(ann: Party, bob: Party, number: int, text: bytes = b"hello") -> Message:
    return delivered(ann.write("bob", text, f"m{number}"), ann, bob, number)


def test_what_is_sent_holds_nothing_of_what_was_written(ann: Party, bob: Party) -> None:
    sent = ann.write("bob", b"a secret", "m1")

    assert b"secret" not in bytes(sent)
    assert (sent.payload, sent.devices_complete) == (b"", True)
    assert bob.text(delivered(sent, ann, bob, 1)) == b"a secret"


def test_what_comes_out_of_order_and_again_is_read_each_once_it_is_told_who_it_is_of(ann: Party, bob: Party) -> None:
    messages = [to_bob(ann, bob, number, b"%d" % number) for number in range(1, 6)]
    order = [messages[index] for index in (2, 0, 4, 1, 3)]

    assert [bob.text(message) for message in order] == [b"3", b"1", b"5", b"2", b"4"]
    assert [bob.text(message) for message in order] == [b"3", b"1", b"5", b"2", b"4"]  # until they are taken
    for message in order:
        bob.encryption.taken(message.signal_id)
    assert {bob.text(message) for message in order} == {Unreadable.TAKEN}
    answer = delivered(bob.write("ann", b"yes", "b1"), bob, ann, 9)
    opened = ann.open(answer)
    assert isinstance(opened, Opened)
    assert (opened.sealed_by.fingerprint, opened.sealed_by.verified) == (fingerprint(bob.encryption.identity), False)
    assert ann.encryption.verify("bob", "phone")
    again = ann.open(answer)
    assert isinstance(again, Opened)
    assert again.sealed_by.verified


def test_no_key_is_used_for_two_texts_and_none_is_given_twice(directory: Directory, ann: Party, bob: Party) -> None:
    tablet, cleo = Party(directory, "bob", "tablet"), Party(directory, "cleo")
    sent = [one.write("bob", b"the same", f"m{number}") for number, one in enumerate((ann, cleo, ann, cleo))]
    payloads = [one.payload for message in sent for one in message.devices]

    assert len(set(payloads)) == len(payloads) == 8
    for device in (bob, tablet):
        texts = [
            device.text(delivered(one, who, device, number + 1, f"c{number % 2}"))
            for number, (one, who) in enumerate(zip(sent, (ann, cleo) * 2, strict=True))
        ]
        assert texts == [b"the same"] * 4


def test_a_message_that_is_moved_or_changed_is_found(directory: Directory, ann: Party, bob: Party) -> None:
    cleo = Party(directory, "cleo")
    bob.text(to_bob(ann, bob, 1))
    bob.text(delivered(cleo.write("bob", b"hi", "c"), cleo, bob, 2, "c2"))
    for number, change in enumerate(
        (
            {"id": "another"},
            {"conversation": "c2"},
            {"conversation": "c77"},
            {"to": WireIdentity(eid="c5")},
            {"from_": WireIdentity(eid="cleo", connection_resource_id="phone")},
            {"from_": WireIdentity(eid="ann", connection_resource_id="tablet")},
            {"reply_to": "0000000000001"},
            {"ttl_ms": 5},
        ),
        10,
    ):
        message = to_bob(ann, bob, number)
        assert bob.text(replace(message, **change)) is Unreadable.FORGED, change  # type: ignore[arg-type]
    one, other = to_bob(ann, bob, 30), to_bob(ann, bob, 31)

    assert bob.text(replace(one, payload=other.payload)) is Unreadable.FORGED
    assert bob.text(to_bob(ann, bob, 32, b"still")) == b"still"


def test_what_is_brought_a_second_time_is_found_also_by_a_fallback_key(directory: Directory, ann: Party) -> None:
    bob = Party(directory, "bob")
    directory.published[bob.name].one_time.clear()
    message = to_bob(ann, bob, 1)

    assert bob.text(message) == b"hello"
    bob.encryption.taken(message.signal_id)
    again = replace(message, signal_id=f"{99:013}", user_offset=99)
    assert bob.text(again) is Unreadable.REPLAYED
    bob.encryption._tables.drop_sessions(ann.encryption.identity)
    assert bob.text(replace(again, signal_id=f"{98:013}")) is Unreadable.REPLAYED
    assert bob.text(replace(again, signal_id=f"{97:013}", id="m2")) is Unreadable.FORGED


def test_another_key_of_a_known_device_is_told_and_nothing_is_sent_to_it_until_it_is_accepted(
    directory: Directory, ann: Party, bob: Party
) -> None:
    ann.write("bob", b"before", "m1")
    mallory = Party(directory, "bob")  # what the server swaps in, or a device that lost its file

    with pytest.raises(UnsealedError, match="another key than before"):
        ann.write("bob", b"secret", "m2")
    changed = [one for one in ann.events if isinstance(one, IdentityChanged) and one.before]
    assert changed == [
        IdentityChanged("bob", "phone", fingerprint(mallory.encryption.identity), fingerprint(bob.encryption.identity))
    ]
    written = delivered(mallory.write("ann", b"it is me", "b1"), mallory, ann, 5)
    assert ann.text(written) is Unreadable.IDENTITY_CHANGED
    assert ann.text(written) is Unreadable.IDENTITY_CHANGED
    assert not ann.encryption.verify("bob", "phone")
    assert ann.encryption.accept("bob", "phone")
    assert not ann.encryption.accept("bob", "phone")
    assert ann.text(written) is Unreadable.IDENTITY_CHANGED  # delivered again: its text comes by the other event alone

    [again] = [one for one in ann.events if isinstance(one, ReadAgain)]
    assert again.message.payload == b"it is me"
    sent = ann.seal(Message(id="m2", to=WireIdentity(eid="bob"), payload=b"secret"), {"ann", "bob"})
    assert mallory.text(delivered(sent, ann, mallory, 6)) == b"secret"


def test_keys_that_their_device_did_not_sign_are_none(directory: Directory, ann: Party, bob: Party) -> None:
    keys = directory.published[bob.name].keys
    assert keys is not None
    true_key = keys.signing
    keys.signing = bytes(32)
    with pytest.raises(UnsealedError, match="none that they signed"):
        ann.write("bob", b"secret", "m1")
    keys.signing = true_key
    for key in directory.published[bob.name].one_time:
        key.signature = bytes(64)
    with pytest.raises(UnsealedError, match="none that they signed"):
        ann.seal(Message(id="m1", to=WireIdentity(eid="bob"), payload=b"secret"), {"ann", "bob"})


def test_a_broken_session_is_replaced_by_the_next_message(directory: Directory, ann: Party, bob: Party) -> None:
    bob.text(to_bob(ann, bob, 1))
    ann.text(delivered(bob.write("ann", b"x", "b1"), bob, ann, 2))
    bob.encryption._tables.drop_sessions(ann.encryption.identity)
    assert bob.text(to_bob(ann, bob, 3)) is Unreadable.BROKEN

    answer = delivered(bob.write("ann", b"again", "b2"), bob, ann, 4)
    assert Envelope.parse(answer.payload).kind == olm.PRE_KEY
    assert ann.text(answer) == b"again"
    assert bob.text(to_bob(ann, bob, 5, b"well")) == b"well"


@pytest.mark.parametrize("payload", [b"", b"\xff", bytes(Envelope(ciphertext=b"x")), bytes(Envelope(kind=7))])
def test_what_is_no_envelope_cannot_be_read_and_harms_nothing(ann: Party, bob: Party, payload: bytes) -> None:
    message = to_bob(ann, bob, 1)
    found = bob.text(replace(message, payload=payload, id="x", signal_id="0"))

    assert found is (Unreadable.BROKEN if payload else Unreadable.NO_KEYS)
    assert bob.text(message) == b"hello"


def open_in_vain(party: Party, message: Message) -> None:
    with party.store.transaction():
        party.encryption.open(message, party.identity)
        raise ZeroDivisionError


def test_a_step_that_is_rolled_back_leaves_what_was_there(tmp_path: Path, directory: Directory, ann: Party) -> None:
    bob = Party(directory, "bob", path=tmp_path / "bob.db")
    messages = [to_bob(ann, bob, number) for number in (1, 2)]
    for message in messages:
        with pytest.raises(ZeroDivisionError):
            open_in_vain(bob, message)
        assert bob.text(message) == b"hello"
    bob.store.close()
    again = Party(directory, "bob", path=tmp_path / "bob.db", left=KEYS_KEPT)

    assert [again.text(message) for message in messages] == [b"hello"] * 2


def test_keys_are_prepared_once_until_they_are_published_and_more_when_few_are_left(directory: Directory) -> None:
    bob = Party(directory, "bob")
    identity = bob.identity
    first = directory.published[bob.name]
    ids = [key.id for key in first.one_time]

    assert (len(ids), ids) == (KEYS_KEPT, sorted(set(ids)))
    assert bob.encryption.prepare(KEYS_KEPT, ids[-1], identity) is None
    assert not bob.encryption.owes_keys()
    more = bob.encryption.prepare(20, ids[-1], identity)
    assert isinstance(more, Keys)
    assert bob.encryption.owes_keys()
    assert bob.encryption.prepare(20, ids[-1], identity) == more
    assert [key.id for key in more.one_time] == list(range(ids[-1] + 1, ids[-1] + 31))
    assert more.keys is not None
    assert first.keys is not None
    assert more.keys.fallback == first.keys.fallback
    bob.encryption.published()
    bob.now += 8 * 86_400_000
    later = bob.encryption.prepare(KEYS_KEPT, more.one_time[-1].id, identity)
    assert later is not None
    assert later.keys is not None
    assert later.keys.fallback != first.keys.fallback


def test_who_is_not_trusted_does_not_say_which_conversation_is_the_one_of_two(directory: Directory, ann: Party) -> None:
    bob = Party(directory, "bob")
    ann.write("bob", b"before", "m1")
    mallory = Party(Directory(), "bob")
    mallory.directory.publish(ann.name, directory.published[ann.name])
    moved = delivered(mallory.write("ann", b"it is me", "x1"), mallory, ann, 5, "elsewhere")

    assert ann.text(moved) is Unreadable.IDENTITY_CHANGED
    assert ann.text(delivered(bob.write("ann", b"hello", "b1"), bob, ann, 6)) == b"hello"


def test_after_another_epoch_keys_are_withdrawn_and_made_anew_also_by_who_is_killed_in_between(tmp_path: Path) -> None:
    directory = Directory()
    path = tmp_path / "ann.db"
    ann = Party(directory, "ann", path=path)
    first = directory.published[ann.name]
    assert first.keys is not None
    asked = ann.encryption.prepare(20, KEYS_KEPT, ann.identity)
    assert asked is not None
    assert not ann.encryption.withdraws()
    with ann.store.transaction():
        ann.encryption.epoch_changed()
    ann.store.close()
    with closing(Store(path)) as store:
        again = Encryption(store, lambda *_events, settle=None: None, lambda: NOW)
        assert again.withdraws()
        again.withdrawn()
        assert not again.withdraws()
        made = again.prepare(0, 0, ann.identity)

    assert made is not None
    assert made.keys is not None
    assert len(made.one_time) == KEYS_KEPT
    assert made.one_time[0].id > asked.one_time[-1].id  # those may be known, and given out, by the store before
    assert made.keys.fallback != first.keys.fallback
    assert made.keys.identity == first.keys.identity


def test_a_device_that_lost_its_file_publishes_as_many_keys_as_another_one(directory: Directory) -> None:
    bob = Party(directory, "bob", left=KEYS_KEPT)  # of the account before

    assert len(directory.published[bob.name].one_time) == KEYS_KEPT


def test_who_is_begun_sessions_with_looks_how_many_keys_are_left(directory: Directory, bob: Party) -> None:
    looked: list[int] = []
    bob.encryption.owes_more = lambda: looked.append(1)
    for number in range(TAKEN_KEYS):
        assert not looked
        one = Party(directory, f"user{number}")
        assert bob.text(delivered(one.write("bob", b"hi", "m"), one, bob, number + 1, f"c{number}")) == b"hi"

    assert looked
    assert bob.encryption.owes_keys()
