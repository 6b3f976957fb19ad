"""The stored form's algebra: bytes that are put side by side parse to the message that was meant."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.client.wire import bimip as sdk
from bimip.requests.message import partition_of
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored

SERVER: dict[str, Any] = {
    "stamp": 2**64 - 1,
    "signal_id": "7zzzzzzzzzzzz",
    "conversation": "c42",
    "conversation_offset": 300,
    "server_time": 1_700_000_000_123,
}


def written(**fields: object) -> pb.Message:
    values: dict[str, Any] = {"id": "m1", "to": pb.Identity(eid="b@x"), "type": 1, "payload": b"hi", **fields}
    return pb.Message(**values)


def accepted(message: pb.Message, **server: object) -> bytes:
    return stored_as(stored.outgoing(message, stored.author_part("a@x", "phone")), **server)


def stored_as(sent: bytes, **server: object) -> bytes:
    values = {**SERVER, **server}
    (body,) = stored.store(
        [sent],
        stamps=[(values["stamp"], values["signal_id"], values["server_time"])],
        conversation=values["conversation"],
        conversation_offset=values["conversation_offset"],
    )
    return body


def digest(message: pb.Message) -> bytes:
    return stored.digest(message, message.to.eid, partition_of(message))


def delivered(message: pb.Message, offset: int = 5) -> pb.Message:
    return one_of(stored.deliver(accepted(message), offset))


def one_of(element: bytes) -> pb.Message:
    body = pb.Body.FromString(element)
    assert len(body.messages) == 1
    return body.messages[0]


def test_what_is_delivered_is_what_was_sent_with_the_servers_fields() -> None:
    expected = written(
        status=pb.SENT,
        signal_offset=2**64 - 1,
        signal_id="7zzzzzzzzzzzz",
        conversation="c42",
        conversation_offset=300,
        server_time=1_700_000_000_123,
        user_offset=5,
        **{"from": pb.Identity(eid="a@x", connection_resource_id="phone")},
    )

    assert expected == delivered(written())


def test_the_author_is_the_authenticated_device_whatever_was_written() -> None:
    claimed = pb.Identity(eid="a@x", connection_resource_id="other", node="n")

    assert delivered(written()) == delivered(written(**{"from": claimed}))


def test_what_is_the_servers_to_say_is_ignored_from_a_client() -> None:
    forged = written(
        signal_id="x",
        status=3,
        signal_offset=1,
        user_offset=9,
        conversation="other",
        conversation_offset=8,
        server_time=7,
        expires_at=6,
        erased=True,
    )

    assert delivered(written()) == delivered(forged)


@pytest.mark.parametrize(
    "forged",
    [
        {"signal_id": "x"},
        {"status": 3},
        {"signal_offset": 1},
        {"user_offset": 9},
        {"user_offset": 0},
        {"conversation": "other"},
        {"conversation_offset": 8},
        {"server_time": 7},
        {"expires_at": 6},
        {"erased": True},
    ],
)
def test_nothing_that_is_the_servers_to_say_is_stored_for_a_client(forged: dict[str, Any]) -> None:
    assert accepted(written()) == accepted(written(**forged))


def test_addressees_are_not_stored_with_the_body() -> None:
    address = pb.DeviceAddress(identity=pb.Identity(eid="b@x", connection_resource_id="d"), payload=b"secret")

    assert b"secret" not in accepted(written(devices=[address]))


@pytest.mark.parametrize("unknown", [b"\xfa\x7f\x06smuggl", b"\x22\x0b\x0a\x03b@x\xfa\x7f\x03smu"])
def test_fields_that_the_schema_does_not_know_are_not_stored(unknown: bytes) -> None:
    message = pb.Message.FromString(written().SerializeToString() + unknown)

    assert b"smu" not in accepted(message)
    assert delivered(written()) == delivered(message)


@pytest.mark.parametrize("offset", [0, 1, 127, 128, 2**32, 2**64 - 1])
def test_the_last_nine_bytes_are_the_readers_offset(offset: int) -> None:
    element = stored.deliver(accepted(written()), offset)

    assert stored.undelivered(element) == accepted(written())
    assert element[-9:] == b"\x69" + offset.to_bytes(8, "little")
    assert offset == one_of(element).user_offset
    assert one_of(element).HasField("user_offset")


@pytest.mark.parametrize("boundary", [127, 128, 16383, 16384])
@pytest.mark.parametrize("beside", [-10, -9, -2, -1, 0, 1, 2])
def test_lengths_around_the_steps_of_a_varint_hold(boundary: int, beside: int) -> None:
    """The element's length, offset included, is exactly boundary + beside."""
    empty = stored_as(b"", conversation="", conversation_offset=1)
    room = boundary + beside - (len(empty) - 2) - 9
    head = 2 if room < 130 else 3 if room < 16387 else 4
    sent = pb.Message(payload=b"x" * (room - head)).SerializeToString()
    element = stored.deliver(stored_as(sent, conversation="", conversation_offset=1), 7)
    length = element[1] & 127 | (element[2] & 127) << 7 | (element[3] << 14 if element[2] > 127 else 0)

    assert len(sent) == room
    assert one_of(element).user_offset == 7
    if element[1] > 127:
        assert length == boundary + beside
    else:
        assert element[1] == boundary + beside


@settings(max_examples=200)
@given(
    st.text(max_size=30),
    st.binary(max_size=400),
    st.integers(0, 2**64 - 1),
    st.text(max_size=70),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
def test_any_message_survives_in_both_codecs(
    text: str, payload: bytes, stamp: int, conversation: str, number: int, offset: int
) -> None:
    server = {"stamp": stamp, "conversation": conversation, "conversation_offset": number}
    element = stored.deliver(accepted(written(id=text, payload=payload), **server), offset)
    message = one_of(element)
    theirs = sdk.Body.parse(element).messages[0]

    assert (message.id, message.payload, message.signal_id) == (text, payload, SERVER["signal_id"])
    assert (message.signal_offset, message.conversation_offset, message.user_offset) == (stamp, number, offset)
    assert (message.conversation, message.status) == (conversation, pb.SENT)
    assert message == pb.Message.FromString(bytes(theirs))


def test_messages_of_one_conversation_are_stored_one_behind_the_other() -> None:
    sent = [stored.outgoing(written(id=name), stored.author_part("a@x", "phone")) for name in "abc"]
    stamps = [(100 + number, f"{number:013d}", 7) for number in range(3)]
    together = stored.store(sent, stamps=stamps, conversation="c1", conversation_offset=126)
    alone = [
        stored.store([one], stamps=[stamp], conversation="c1", conversation_offset=126 + number)[0]
        for number, (one, stamp) in enumerate(zip(sent, stamps, strict=True))
    ]

    assert together == alone
    assert [stored.parse(one).conversation_offset for one in together] == [126, 127, 128]
    assert stored.deliver_all(together, 9) == [stored.deliver(one, offset) for offset, one in enumerate(together, 9)]
    assert stored.deliver_all([None, together[1]], 9) == [None, stored.deliver(together[1], 10)]


def test_a_batch_is_a_concatenation() -> None:
    parts = [stored.deliver(accepted(written(id=str(number))), number) for number in range(1, 4)]
    body = pb.Body.FromString(b"".join(parts))

    assert [(message.id, message.user_offset) for message in body.messages] == [("1", 1), ("2", 2), ("3", 3)]


def test_parsing_gives_the_message_without_a_reader() -> None:
    message = stored.parse(accepted(written()))
    expected = delivered(written())
    expected.ClearField("user_offset")

    assert expected == message


def test_a_readdressed_message_differs_in_its_payload_alone_and_does_not_carry_the_common_one() -> None:
    element = stored.deliver(stored.readdressed(accepted(written(payload=b"common")), b"for you" * 40), 5)

    assert b"common" not in element
    assert element.endswith(b"\x69\x05" + bytes(7))
    assert delivered(written(payload=b"for you" * 40)) == one_of(element)


def test_an_erased_message_has_no_content_and_says_so() -> None:
    original = written(payload=b"secret1", encrypted="secret2", signature="secret3")
    element = stored.deliver(stored.erased(accepted(original)), 5)
    expected = delivered(written(erased=True))
    expected.ClearField("payload")
    expected.erased = True
    expected.digest = stored.digest(original, original.to.eid, original.partition)

    assert b"secret" not in element
    assert expected == one_of(element)


def addressed(payload: bytes | None, device: str = "d") -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid="b@x", connection_resource_id=device), payload=payload)


DIFFERENT: list[dict[str, Any]] = [
    {"to": pb.Identity(eid="c@x")},
    {"type": 2},
    {"partition": "sync"},
    {"scope": "friend"},
    {"payload": b"ho"},
    {"payload": b""},
    {"encryption_type": "none"},
    {"encrypted": "AA=="},
    {"devices": [addressed(None)]},
    {"devices": [addressed(b"")]},
    {"devices": [addressed(b"x")]},
    {"devices": [addressed(b"x", "e")]},
    {"devices": [addressed(b"x"), addressed(b"x", "e")]},
    {"payload": b"h", "encrypted": "i"},
    {"payload": b"", "encrypted": "hi"},
    {"payload": b"", "encryption_type": "hi"},
]
SAME: list[dict[str, Any]] = [
    {"id": "m2"},
    {"timestamp": 5},
    {"from": pb.Identity(eid="a@x")},
    {"signature": "again"},
    {"partition": "chat"},
    {"to": pb.Identity(eid="b@x", connection_resource_id="hint")},
    {"stamp": 5},
    {"status": 2},
]


def test_every_difference_that_makes_another_message_changes_the_digest() -> None:
    digests = {digest(written(**fields)) for fields in [{}, *DIFFERENT]}

    assert len(digests) == len(DIFFERENT) + 1
    assert {len(value) for value in digests} == {8}


@pytest.mark.parametrize("fields", SAME, ids=str)
def test_what_may_differ_when_a_message_is_sent_again_does_not(fields: dict[str, Any]) -> None:
    assert digest(written()) == digest(written(**fields))


def test_the_order_of_addressees_makes_no_other_message() -> None:
    one = written(devices=[addressed(b"1", "d"), addressed(b"2", "e")])
    other = written(devices=[addressed(b"2", "e"), addressed(b"1", "d")])

    assert digest(one) == digest(other)


def test_the_digest_is_frozen_because_it_is_stored() -> None:
    assert digest(written(devices=[addressed(b"1")])).hex() == "c45ddf5ac9a0eab6"


def test_an_orphaned_message_has_its_place_and_digest_and_nothing_of_its_author() -> None:
    original = written(seq="1:2:phone", timestamp=5, reply_to="0000000000001", scope="private", audiences={"a": "key"})
    body = accepted(original)
    orphan = stored.parse(stored.orphaned(body))

    assert b"a@x" not in stored.orphaned(body)
    assert b"phone" not in stored.orphaned(body)
    assert orphan.erased
    assert (orphan.id, getattr(orphan, "from").eid, orphan.to.eid) == (SERVER["signal_id"], "", "b@x")
    assert (orphan.conversation, orphan.conversation_offset, orphan.reply_to) == ("c42", 300, "0000000000001")
    assert orphan.digest == stored.digest(original, "b@x", "")
    assert stored.orphaned(stored.orphaned(body)) == stored.orphaned(body)


def test_a_message_in_which_somebody_is_not_named_any_more_keeps_what_was_written() -> None:
    original = written(payload=b"dear b@x", mentions=["c@x", "b@x"])
    body = stored.unnamed(accepted(original), "b@x", without_title=False)
    message = stored.parse(body)

    assert (message.to.eid, [*message.mentions], message.payload) == ("", ["c@x"], b"dear b@x")
    assert getattr(message, "from").eid == "a@x"
    assert message.digest == stored.digest(original, "b@x", "")
    assert stored.unnamed(body, "b@x", without_title=False) == body


def test_an_event_names_nobody_who_was_erased() -> None:
    what = pb.GroupEvent(kind=pb.GroupEvent.ADDED, members=["b@x", "a@x"], title="ours", owner="a@x")
    sent = stored.event("r1", "a@x", "c42", "chat", what, b"digested")
    message = stored.parse(stored.unnamed(stored_as(sent), "a@x", without_title=True))

    assert [*message.group_event.members] == ["b@x", ""]
    assert (message.group_event.owner, message.group_event.title) == ("", "")
    assert (message.id, getattr(message, "from").eid, message.digest) == (SERVER["signal_id"], "", b"digested")


def test_a_missed_call_of_who_was_erased_says_nothing_that_they_chose() -> None:
    what = pb.CallEvent(call="call of a@x", end=pb.CALL_TIMED_OUT, started=5)
    sent = stored.call_event("a@x/1", "a@x", "b@x", "chat", what, b"digested")
    body = stored.unnamed(stored_as(sent), "a@x", without_title=False)
    event = stored.parse(body).call_event

    assert b"a@x" not in body
    assert (event.call, event.end, event.started) == ("", pb.CALL_TIMED_OUT, 5)
