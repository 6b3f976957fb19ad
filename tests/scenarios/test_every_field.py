"""Every field that a client may say, on every route: its bounds, and the error that names it.

The fields are the schema's, and who says one is PROTOCOL.md's word (`S`: the server alone). So a field that is added
without rows here fails: it has an error of its own in BOUNDS, or stands in UNBOUNDED with values that are taken.
Whatever is refused is answered once, with the request's ref, and stores nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import trio
from google.protobuf.descriptor import FieldDescriptor
from trio.testing import MockClock

from bimip.domain.commands.command import RULES
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests
from bimip.users.intake import ROUTES
from bimip.wire import bimip_pb2 as pb
from tests.kit.codecs import SERVER
from tests.kit.memory_server import Client, World, open_world
from tests.kit.push import BROWSER, PRIVATE_URLS, VAPID_KEY
from tests.proto.test_protocol import rows

SETTINGS = settings_for_tests(
    BIMIP_LIMITS_MAX_GROUP_MEMBERS="4",
    BIMIP_PUSH_GATEWAYS='{"fcm": {"url": "https://push.example.org", "secret": "a secret of the gateway"}}',
    BIMIP_PUSH_VAPID_KEY=VAPID_KEY,
    BIMIP_PUSH_VAPID_SUBJECT="mailto:push@example.org",
    BIMIP_USERS_MAX_CONTACTS="2",
    BIMIP_USERS_MAX_CONTACT_REQUESTS="1",
)
MOST_BYTES = 65536
HUGE = 2**64 - 1

INVALID, TOO_LARGE, NOT_FOUND, FORBIDDEN, CONFLICT = (
    pb.INVALID,
    pb.TOO_LARGE,
    pb.NOT_FOUND,
    pb.FORBIDDEN,
    pb.CONFLICT,
)
UNSUPPORTED, BEYOND, UNAUTHENTICATED = pb.UNSUPPORTED, pb.OFFSET_BEYOND_HEAD, pb.UNAUTHENTICATED
LINES, LONG, STRANGE = "a\nb", "x" * 65, "\N{ZERO WIDTH SPACE}"
NO_CONVERSATION = ("c99", "c3", "c01", "bob")
"""One that does not exist, one of others, one that cannot be, and none."""


class There(NamedTuple):
    """What there is: c1, in which Ann and Bob wrote to each other; c2, Ann's group with Bob; c3, of Bob and Carol; c4
    and c5, Bob's groups with Ann, who is a member of the one and an admin of the other.
    """

    anns: int
    """The stamp of the message that Ann wrote, under the id m1."""
    bobs: int


class Row(NamedTuple):
    field: str
    code: int
    say: Callable[[There], list[Any]]
    """Payloads, of which the last one is at fault."""


def row(field: str, code: int, *payloads: Any) -> Row:
    return Row(field, code, lambda _: list(payloads))


def of(field: str, code: int, say: Callable[[There], Any]) -> Row:
    """A row whose payload names something that is there."""

    def payloads(there: There) -> list[Any]:
        said = say(there)
        return said if isinstance(said, list) else [said]

    return Row(field, code, payloads)


def identity(eid: str, device: str | None = None) -> pb.Identity:
    return pb.Identity(eid=eid, connection_resource_id=device)


def spans(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


# Message.


def message(**fields: Any) -> pb.Message:
    given: dict[str, Any] = {"id": "m9", "to": identity("bob"), "type": 1, "payload": b"x"}
    return pb.Message(**(given | fields))


def device(eid: str = "bob", name: str = "phone") -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=identity(eid, name))


def message_rows() -> Iterator[Row]:
    yield row("id", INVALID, message(id=LINES))
    yield row("id", TOO_LARGE, message(id=LONG))
    yield row("id", CONFLICT, message(id="m1", payload=b"another"))
    yield row("from.eid", FORBIDDEN, message(**{"from": identity("bob")}))
    yield row("from.eid", INVALID, message(**{"from": identity(LINES)}))
    yield row("from.eid", TOO_LARGE, message(**{"from": identity("x" * 256)}))
    yield row("to.eid", INVALID, message(to=None))
    yield row("to.eid", INVALID, message(to=identity(STRANGE)))
    yield row("to.eid", TOO_LARGE, message(to=identity("x" * 256)))
    for to in ("nobody", "c99", "c3", "c01"):
        yield row("to.eid", NOT_FOUND, message(to=identity(to)))
    yield row("type", INVALID, message(type=-1))
    yield row("timestamp", INVALID, message(timestamp=-1))
    yield row("timestamp", INVALID, message(timestamp=1 << 60))
    for field in ("payload", "encrypted", "signature", "encryption_type"):
        huge = bytes(MOST_BYTES) if field == "payload" else "x" * MOST_BYTES
        yield row("payload", TOO_LARGE, message(**{field: huge}))
    yield row("partition", INVALID, message(partition=LINES))
    yield row("partition", TOO_LARGE, message(partition=LONG))
    yield row("partition", NOT_FOUND, message(partition="nowhere"))
    yield row("devices", TOO_LARGE, message(devices=[device(name=str(number)) for number in range(257)]))
    yield row("devices", INVALID, message(devices=[device(), device()]))
    yield row("devices", INVALID, message(devices=[device("carol")]))
    yield row("devices", INVALID, message(devices_complete=True))
    yield row("devices", NOT_FOUND, message(devices=[device("ann", "fridge")]))
    yield row("devices", CONFLICT, message(devices=[device()], devices_complete=True))
    yield row("devices.identity.eid", INVALID, message(devices=[pb.DeviceAddress()]))
    yield row("devices.identity.eid", TOO_LARGE, message(devices=[device("x" * 256)]))
    yield row("devices.identity.connection_resource_id", INVALID, message(devices=[device(name="")]))
    yield row("devices.identity.connection_resource_id", TOO_LARGE, message(devices=[device(name=LONG)]))
    yield row(
        "devices_complete", FORBIDDEN, message(to=identity("dave"), devices=[device("dave")], devices_complete=True)
    )
    yield row("scope", INVALID, message(scope="everybody"))
    yield row("seq", INVALID, message(seq="1:2"))
    yield row("seq", INVALID, message(seq=f"1:{2**32}:d"))
    yield row("seq", TOO_LARGE, message(seq=f"1:1:{LONG}"))
    yield row("reply_to", INVALID, message(reply_to=LINES))
    yield row("reply_to", TOO_LARGE, message(reply_to=LONG))
    yield row("audiences", TOO_LARGE, message(audiences={str(number): "" for number in range(257)}))
    yield row("audiences", INVALID, message(audiences={LINES: ""}))
    yield row("audiences", TOO_LARGE, message(audiences={"x" * 256: ""}))
    yield row("mentions", TOO_LARGE, message(mentions=["bob"] * 257))
    yield row("mentions", INVALID, message(mentions=[""]))
    yield row("mentions", TOO_LARGE, message(mentions=["x" * 256]))
    yield row("ttl_ms", INVALID, message(ttl_ms=999))
    yield row("ttl_ms", INVALID, message(ttl_ms=HUGE))


MESSAGE_TAKES = [
    message(**{"from": pb.Identity(eid="ann", connection_resource_id="forged", node=LINES)}),
    message(to=pb.Identity(eid="bob", connection_resource_id=LINES, node=LINES)),
    message(type=2**31 - 1, signal_type=-(2**31), stamp=HUGE, encryption_type=LINES, encrypted="?", signature="?"),
    message(devices=[pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="tv", node="x"))]),
    message(devices=[pb.DeviceAddress(identity=identity("bob", "phone"), payload=b"")]),
    message(audiences={"family": LINES}),
]


# Signal.


def signal(status: int, **fields: Any) -> pb.Signal:
    said = pb.Signal(**fields)
    said.status = status
    return said


def ack(**fields: Any) -> pb.Signal:
    return signal(pb.DELIVERED, **{"partition": "chat", **fields})


def read(**fields: Any) -> pb.Signal:
    return signal(pb.READ, **{"conversation": "c1", **fields})


def signal_rows() -> Iterator[Row]:
    yield row("id", INVALID, ack(id=LINES, upto=1))
    yield row("id", TOO_LARGE, ack(id=LONG, upto=1))
    yield of("id", CONFLICT, lambda there: [forwarded(there.bobs, "k"), forwarded(there.anns, "k")])
    yield row("from.eid", FORBIDDEN, ack(upto=1, **{"from": identity("bob")}))
    yield row("to.eid", INVALID, read(conversation="", to=identity(STRANGE), upto=1))
    yield row("to.eid", TOO_LARGE, read(conversation="", to=identity("x" * 256), upto=1))
    yield row("to.eid", NOT_FOUND, read(conversation="", to=identity("c01"), upto=1))
    for status in (0, pb.SENT, 13, 99, -3):
        yield row("status", INVALID, signal(status, partition="chat", upto=1))
    yield row("conversation", INVALID, signal(pb.STATUS_TYPING))
    yield row("conversation", NOT_FOUND, signal(pb.STATUS_RESUME, conversation="c3"))
    yield row("partition", INVALID, ack(partition="", upto=1))
    yield row("partition", TOO_LARGE, ack(partition=LONG, upto=1))
    yield row("partition", NOT_FOUND, ack(partition="nowhere", upto=1))
    yield row("signal_offset", INVALID, forwarded(0))
    yield row("signal_offset", NOT_FOUND, forwarded(12345))
    for name in NO_CONVERSATION:
        yield row("conversation", NOT_FOUND, read(conversation=name, upto=1))
    yield row("conversation", NOT_FOUND, read(conversation="", to=identity("dave"), upto=1))
    yield row("conversation", INVALID, read(conversation="", upto=1))
    yield row("conversation", INVALID, read(conversation=LINES, upto=1))
    yield row("conversation", TOO_LARGE, read(conversation=LONG, upto=1))
    yield row("upto", INVALID, ack())
    yield row("upto", INVALID, read())
    yield row("upto", INVALID, signal(pb.PLAYED, conversation="c1", upto=1))
    yield row("upto", BEYOND, ack(upto=99))
    yield row("upto", BEYOND, ack(upto=HUGE))
    yield row("upto", BEYOND, read(upto=99))
    yield row("user_offset", BEYOND, ack(user_offset=99))
    yield row("conversation_offset", BEYOND, read(conversation_offset=99))
    yield row("offsets", BEYOND, ack(offsets=spans((1, 99))))
    yield row("offsets", BEYOND, read(offsets=spans((1, 99))))
    yield row("offsets", TOO_LARGE, ack(offsets=spans(*[(2 * at, 2 * at) for at in range(1, 258)])))
    yield row("offsets.from", INVALID, ack(offsets=spans((0, 1))))
    yield row("offsets.from", INVALID, read(offsets=spans((1, 2), (2, 3))))
    yield row("offsets.to", INVALID, ack(offsets=spans((2, 1))))
    yield from call_rows()


def call(**fields: Any) -> pb.Signal:
    return signal(pb.CALLING, **{"to": identity("bob"), "call": "x", **fields})


def call_rows() -> Iterator[Row]:
    for to in ("", STRANGE, "ann", "c1"):
        yield row("to.eid", INVALID, call(to=identity(to)))
    yield row("to.eid", TOO_LARGE, call(to=identity("x" * 256)))
    yield row("to.eid", NOT_FOUND, call(to=identity("nobody")))
    yield row("call", INVALID, call(call=""))
    yield row("call", INVALID, call(call=LINES))
    yield row("call", TOO_LARGE, call(call=LONG))
    yield row("call", CONFLICT, call(), call(call="y"))
    yield row("step", INVALID, call(step=pb.CALL_ENDED))
    yield row("step", INVALID, call(step=-1))
    yield row("step", CONFLICT, call(), call(step=pb.CALL_ANSWER))
    yield row("payload", TOO_LARGE, call(payload=bytes(32769)))
    yield row("payload", TOO_LARGE, *[call(step=step, payload=bytes(32768)) for step in (1, 4, 4, 4, 4)])
    yield row("ttl_ms", INVALID, call(ttl_ms=999))


def forwarded(stamp: int, signal_id: str = "") -> pb.Signal:
    return signal(pb.FORWARDED, id=signal_id, signal_offset=stamp)


SIGNAL_TAKES = [
    read(conversation="", to=pb.Identity(eid="bob", connection_resource_id=LINES, node=LINES), upto=1),
    ack(upto=1, **{"from": pb.Identity(eid="ann", connection_resource_id="x", node="x")}),
    ack(upto=1, payload=b"x", call=LINES),
    call(ttl_ms=2**32 - 1, payload=bytes(32768)),
    signal(pb.STATUS_PAUSED, conversation="c1", ttl_ms=2**32 - 1),
]


# Command.


def command(kind: int, **fields: Any) -> pb.Command:
    said = pb.Command(**fields)
    said.kind = kind  # type: ignore[assignment]  # any number can be sent
    return said


def about_message(kind: int, **fields: Any) -> pb.Command:
    return command(kind, **{"payload": b"x", "emoji": "+", **fields})


def command_rows() -> Iterator[Row]:
    react, edit, archive = pb.Command.REACT, pb.Command.EDIT, pb.Command.ARCHIVE
    yield row("id", INVALID, command(archive, id=LINES, conversation="c1"))
    yield row("id", TOO_LARGE, command(archive, id=LONG, conversation="c1"))
    yield row(
        "id",
        CONFLICT,
        command(archive, id="k", conversation="c1", value=True),
        command(archive, id="k", conversation="c1"),
    )
    for kind in (0, 77, -1):
        yield row("kind", UNSUPPORTED, command(kind, conversation="c1"))
    for number, rule in RULES.items():
        if rule.about_message:
            yield of("target", INVALID, lambda there, n=number: about_message(n, target=there.anns, target_id="m1"))  # type: ignore[misc]
            yield row("target", INVALID, about_message(number))
            for stamp in (12345, HUGE):
                yield row("target", NOT_FOUND, about_message(number, target=stamp))
            yield row("target_id", NOT_FOUND, about_message(number, target_id="never sent"))
            yield row("target_id", INVALID, about_message(number, target_id=LINES))
            yield row("target_id", TOO_LARGE, about_message(number, target_id=LONG))
        if rule.about_conversation:
            if not rule.about_message:
                yield row("conversation", INVALID, command(number))
                yield row("target", INVALID, command(number, conversation="c1", target=1))
            yield row("conversation", TOO_LARGE, command(number, conversation=LONG))
            for name in NO_CONVERSATION:
                yield row("conversation", NOT_FOUND, command(number, conversation=name))
    for kind in (edit, pb.Command.DELETE_FOR_EVERYONE):
        yield of("target", FORBIDDEN, lambda there, kind=kind: about_message(kind, target=there.bobs))  # type: ignore[misc]
    yield of("payload", INVALID, lambda there: command(edit, target=there.anns))
    yield of("payload", TOO_LARGE, lambda there: command(edit, target=there.anns, payload=bytes(MOST_BYTES + 1)))
    yield row("payload", TOO_LARGE, command(pb.Command.DRAFT, conversation="c1", payload=bytes(MOST_BYTES + 1)))
    for kind in (react, pb.Command.UNREACT):
        for emoji in ("", " +", LINES):
            yield of("emoji", INVALID, lambda there, k=kind, e=emoji: command(k, target=there.anns, emoji=e))  # type: ignore[misc]
        yield of("emoji", TOO_LARGE, lambda there, k=kind: command(k, target=there.anns, emoji=LONG))  # type: ignore[misc]
    yield of(
        "emoji", INVALID, lambda there: [command(react, target=there.anns, emoji=one) for one in "abcdefghijklmnopq"]
    )
    for until in (-1, 1 << 60):
        yield row("until", INVALID, command(pb.Command.MUTE, conversation="c1", until=until))
    yield row("conversation_offset", INVALID, command(pb.Command.MARK_READ, conversation="c1"))
    for offset in (99, HUGE):
        yield row(
            "conversation_offset",
            BEYOND,
            command(pb.Command.MARK_READ, conversation="c1", conversation_offset=offset),
        )
    for name in NO_CONVERSATION:
        yield row("conversation", NOT_FOUND, command(pb.Command.MARK_READ, conversation=name, conversation_offset=1))


COMMAND_TAKES = [
    command(pb.Command.ARCHIVE, conversation="c1", value=value, stamp=stamp)
    for value in (False, True)
    for stamp in (0, HUGE)
]


# Conversation.

ACTIONS = pb.Conversation


def conversation(action: int, group: str = "", *members: str, **fields: Any) -> pb.Conversation:
    role = fields.pop("role", "")
    said = pb.Conversation(id=group, members=[pb.Member(eid=eid, role=role) for eid in members], **fields)
    said.action = action  # type: ignore[assignment]  # any number can be sent
    return said


def conversation_rows() -> Iterator[Row]:
    for action in (0, 99):
        yield row("action", INVALID, conversation(action, "c2"))
    yield row("action", UNSUPPORTED, conversation(ACTIONS.JOIN, "c2"))
    well_formed: dict[int, dict[str, Any]] = {
        ACTIONS.INVITE: {"members": ["carol"]},
        ACTIONS.LEAVE: {},
        ACTIONS.REMOVE_MEMBER: {"members": ["bob"]},
        ACTIONS.RENAME: {"title": "mine"},
        ACTIONS.SET_ROLE: {"members": ["bob"], "role": "admin"},
        ACTIONS.GET: {},
    }
    for action, said in well_formed.items():
        members, fields = said.get("members", ()), {name: one for name, one in said.items() if name != "members"}
        for group, code in (("", INVALID), (LONG, TOO_LARGE), *((name, NOT_FOUND) for name in NO_CONVERSATION)):
            yield row("id", code, conversation(action, group, *members, **fields))
        if action != ACTIONS.GET:
            yield row("id", INVALID, conversation(action, "c1", *members, **fields))
        if action not in {ACTIONS.GET, ACTIONS.LEAVE}:
            yield row("action", FORBIDDEN, conversation(action, "c4", *members, **fields))
    again = conversation(ACTIONS.RENAME, "c2", title="one", request_id="r")
    yield row("id", CONFLICT, again, conversation(ACTIONS.RENAME, "c2", title="two", request_id="r"))
    for action, group in ((ACTIONS.CREATE, ""), (ACTIONS.RENAME, "c2")):
        yield row("title", TOO_LARGE, conversation(action, group, title="x" * 256))
        yield row("title", INVALID, conversation(action, group, title=LINES))
    yield row("title", CONFLICT, conversation(ACTIONS.RENAME, "c2", title="trip"))
    for action, group in ((ACTIONS.CREATE, ""), (ACTIONS.INVITE, "c2")):
        yield row("members", TOO_LARGE, conversation(action, group, *["dave"] * 5))
        yield row("members", NOT_FOUND, conversation(action, group, "nobody"))
        yield row("members", CONFLICT, conversation(action, group, "bob", "carol", "dave", "erin"))
        yield row("members.role", INVALID, conversation(action, group, "carol", role="owner"))
    yield row("members", INVALID, conversation(ACTIONS.INVITE, "c2"))
    yield row("members", CONFLICT, conversation(ACTIONS.INVITE, "c2", "bob"))
    for action, role in ((ACTIONS.REMOVE_MEMBER, ""), (ACTIONS.SET_ROLE, "admin")):
        yield row("members", INVALID, conversation(action, "c2", role=role))
        yield row("members", INVALID, conversation(action, "c2", "bob", "ann", role=role))
        yield row("members", NOT_FOUND, conversation(action, "c2", "carol", role=role))
        yield row("members", NOT_FOUND, conversation(action, "c2", "nobody", role=role))
    yield row("members", FORBIDDEN, conversation(ACTIONS.REMOVE_MEMBER, "c5", "bob"))
    yield row("members", CONFLICT, conversation(ACTIONS.SET_ROLE, "c2", "bob", role="member"))
    yield row("members", CONFLICT, conversation(ACTIONS.SET_ROLE, "c2", "ann", role="member"))
    for action in (ACTIONS.CREATE, ACTIONS.INVITE, ACTIONS.REMOVE_MEMBER, ACTIONS.SET_ROLE):
        group = "" if action == ACTIONS.CREATE else "c2"
        for eid, code in (("", INVALID), (STRANGE, INVALID), ("c7", INVALID), ("x" * 256, TOO_LARGE)):
            yield row("members.eid", code, conversation(action, group, eid))
    for role in ("", "boss", "OWNER"):
        yield row("members.role", INVALID, conversation(ACTIONS.SET_ROLE, "c2", "bob", role=role))
    yield row("request_id", INVALID, conversation(ACTIONS.CREATE, request_id=LINES))
    yield row("request_id", TOO_LARGE, conversation(ACTIONS.CREATE, request_id=LONG))
    yield row("after", INVALID, conversation(ACTIONS.GET, "c2", after="c8"))
    yield row("after", TOO_LARGE, conversation(ACTIONS.GET, "c2", after="x" * 256))
    yield row("id", INVALID, conversation(ACTIONS.GET, "c2", feed=True, peer="bob"))
    for eid, code in (("", INVALID), (STRANGE, INVALID), ("c7", INVALID), ("x" * 256, TOO_LARGE)):
        yield row("peer", code, conversation(ACTIONS.GET, feed=True, peer=eid))
    for eid in ("ann", "bob", "nobody"):  # none of whom wrote one that she reads
        yield row("peer", NOT_FOUND, conversation(ACTIONS.GET, feed=True, peer=eid))


CONVERSATION_TAKES = [
    *(conversation(ACTIONS.GET, "c2", limit=limit, after="nobody") for limit in (0, 2**32 - 1)),
    conversation(ACTIONS.RENAME, "c2", title="another", feed=True, peer=LINES),
]


# Settings, Snapshot, Devices.


def settings_rows() -> Iterator[Row]:
    for name, switch in AUDIENCES.items():
        yield row(name, INVALID, settings_of(**{name: 4}))
        for audience, value in ((pb.EVERYBODY, False), (pb.CONTACTS, False), (pb.NOBODY, True)):
            yield row(name, INVALID, settings_of(**{name: audience, switch: value}))
    for name in AUDIENCES.values():
        yield row(f"exceptions.{name}", INVALID, pb.Settings(exceptions=[excepted("bob", **{name: 4})]))
    for eid, code in (
        ("", INVALID),
        (STRANGE, INVALID),
        ("c7", INVALID),
        ("x" * 256, TOO_LARGE),
        ("nobody", NOT_FOUND),
    ):
        yield row("exceptions.eid", code, pb.Settings(visible=False, exceptions=[excepted("bob"), excepted(eid)]))
    yield row("exceptions.eid", INVALID, pb.Settings(exceptions=[excepted("ann")]))
    yield row("exceptions.eid", INVALID, pb.Settings(exceptions=[excepted("bob"), excepted("bob")]))
    yield row("exceptions", INVALID, pb.Settings(exceptions=[pb.PrivacyException(eid="bob")]))
    yield row("exceptions", TOO_LARGE, pb.Settings(exceptions=[excepted(str(number)) for number in range(257)]))


AUDIENCES = {
    "read_receipts_to": "send_read_receipts",
    "read_receipts_of": "show_read_receipts",
    "last_seen_to": "show_last_seen",
    "online_status_to": "show_online_status",
}


def settings_of(**fields: Any) -> pb.Settings:
    return pb.Settings(**fields)


def excepted(eid: str = "bob", **values: Any) -> pb.PrivacyException:
    return pb.PrivacyException(eid=eid, **values or {"show_last_seen": pb.PrivacyException.DENIED})


def awareness_visibility_rows() -> Iterator[Row]:
    yield row("from.eid", FORBIDDEN, visibility(eid="bob"))
    yield row("id", INVALID, pb.AwarenessVisibility(id=LINES))
    yield row("id", TOO_LARGE, pb.AwarenessVisibility(id=LONG))


def visibility(eid: str = "ann", **fields: Any) -> pb.AwarenessVisibility:
    said = pb.AwarenessVisibility(**fields)
    getattr(said, "from").CopyFrom(pb.Identity(eid=eid, connection_resource_id=LONG, node=LONG))
    return said


VISIBILITY_TAKES = [visibility(visible=flag, stamp=stamp) for flag in (False, True) for stamp in (0, HUGE)]

SETTINGS_TAKE = [
    pb.Settings(
        send_read_receipts=flag,
        show_read_receipts=flag,
        show_last_seen=flag,
        show_online_status=flag,
        visible=flag,
        stamp=stamp,
        exceptions=[excepted(show_last_seen=pb.PrivacyException.ALLOWED, stamp=stamp)],
    )
    for flag in (False, True)
    for stamp in (0, HUGE)
]


def snapshot_rows() -> Iterator[Row]:
    for text in ("chat", "chat:x", ":1", f"chat:{'9' * 21}"):
        yield row("id", INVALID, pb.Snapshot(id=text))
    yield row("id", INVALID, pb.Snapshot(id="chat:1", partition="feed"))
    yield row("id", INVALID, pb.Snapshot(id="chat:1", offset=2))
    yield row("id", NOT_FOUND, pb.Snapshot(id="chat:1"))
    yield row("partition", INVALID, pb.Snapshot())
    yield row("partition", INVALID, pb.Snapshot(partition=LINES))
    yield row("partition", TOO_LARGE, pb.Snapshot(partition=LONG))
    yield row("partition", NOT_FOUND, pb.Snapshot(partition="nowhere"))
    for offset in (99, HUGE):
        yield row("offset", BEYOND, pb.Snapshot(partition="chat", offset=offset))
    yield row("offset", INVALID, pb.Snapshot(partition="chat", checksum=bytes(16)))
    for size in (1, 15, 17):
        yield row("checksum", INVALID, pb.Snapshot(partition="chat", offset=1, checksum=bytes(size)))


SNAPSHOT_TAKES = [
    pb.Snapshot(partition="chat", offset=1, checksum=bytes(16), state_version=one) for one in (0, 1, HUGE)
]


def push(**fields: Any) -> pb.PushNotification:
    return pb.PushNotification(**({"id": "p", "platform": "fcm", "token": "t"} | fields))


def web_push(**fields: Any) -> pb.PushNotification:
    return push(**(BROWSER | fields))


def push_rows() -> Iterator[Row]:
    for name, code in (("", INVALID), (LINES, INVALID), (LONG, TOO_LARGE)):
        yield row("id", code, push(id=name))
        yield row("id", code, pb.PushNotification(id=name, remove=True))
    yield row("id", CONFLICT, *(push(id=str(number)) for number in range(5)))
    for platform in ("", "nowhere", LONG, LINES):
        yield row("platform", INVALID, push(platform=platform))
    for token, code in (("", INVALID), (LINES, INVALID), ("x" * 2049, TOO_LARGE)):
        yield row("token", code, push(token=token))
    for url in PRIVATE_URLS:
        yield row("token", INVALID, web_push(token=url))
    for key in (b"", BROWSER["p256dh"][:-1], bytes(65), b"\4" + bytes(64)):
        yield row("p256dh", INVALID, web_push(p256dh=key))
    for secret in (b"", bytes(15), bytes(17)):
        yield row("auth", INVALID, web_push(auth=secret))
    yield row("p256dh", INVALID, push(p256dh=BROWSER["p256dh"]))
    yield row("auth", INVALID, push(auth=bytes(16)))
    yield row("query", INVALID, push(query=True, remove=True))
    for device, code in ((LINES, INVALID), (LONG, TOO_LARGE), ("fridge", NOT_FOUND)):
        yield row("device", code, push(remove=True, device=device))


PUSH_TAKES = [
    push(token="x" * 2048),
    web_push(),
    push(query=True, platform=LINES, token=LINES, device=LINES),
    push(remove=True, platform=LINES, token=LINES, device="laptop"),
]


def devices_rows() -> Iterator[Row]:
    def devices(action: int, **fields: Any) -> pb.Devices:
        said = pb.Devices(**fields)
        said.action = action  # type: ignore[assignment]  # any number can be sent
        return said

    for action in (9, -1):
        yield row("action", INVALID, devices(action, name="phone"))
    for action in (pb.Devices.REMOVE, pb.Devices.RENAME):
        yield row("name", INVALID, devices(action))
        yield row("name", INVALID, devices(action, name=LINES))
        yield row("name", TOO_LARGE, devices(action, name=LONG))
        yield row("name", NOT_FOUND, devices(action, name="fridge"))
        yield row("eid", INVALID, devices(action, name="phone", eid="bob"))
    yield row("name", INVALID, devices(pb.Devices.REMOVE, name="phone"))
    yield row("name", TOO_LARGE, devices(pb.Devices.LIST, name=LONG))
    yield row("label", INVALID, devices(pb.Devices.RENAME, name="phone", label=LINES))
    yield row("label", TOO_LARGE, devices(pb.Devices.RENAME, name="phone", label=LONG))
    for eid, code in (("c7", INVALID), (STRANGE, INVALID), ("x" * 256, TOO_LARGE), ("nobody", NOT_FOUND)):
        yield row("eid", code, devices(pb.Devices.LIST, eid=eid))
    yield row("eid", NOT_FOUND, devices(pb.Devices.LIST, eid="carol"))


# Fetch.


def fetch(kind: int, **fields: Any) -> pb.Fetch:
    said = pb.Fetch(**fields)
    said.kind = kind  # type: ignore[assignment]  # any number can be sent
    return said


OF_LOG = (pb.UNACKNOWLEDGED, pb.LOG, pb.BY_SEQ, pb.HEADS, pb.SYNCED)
OF_CONVERSATION = (pb.HISTORY, pb.RECEIPTS, pb.THREAD)
SIGNAL_ID = "0" * 13


def fetch_rows() -> Iterator[Row]:
    for kind in (9, 99, -1):
        yield row("kind", INVALID, fetch(kind, partition="chat"))
    for kind in OF_LOG:
        for name, code in (("", INVALID), (LINES, INVALID), (LONG, TOO_LARGE), ("nowhere", NOT_FOUND)):
            yield row("partition", code, fetch(kind, partition=name))
    for kind in OF_CONVERSATION:
        named = {"reply_to": SIGNAL_ID}
        for name, code in (("", INVALID), (LINES, INVALID), (LONG, TOO_LARGE)):
            yield row("conversation", code, fetch(kind, conversation=name, **named))
        for name in NO_CONVERSATION:
            yield row("conversation", NOT_FOUND, fetch(kind, conversation=name, **named))
    for side in ("from", "to"):
        for eid, code in ((STRANGE, INVALID), ("x" * 256, TOO_LARGE)):
            yield row(f"{side}.eid", code, fetch(pb.LOG, partition="chat", **{side: identity(eid)}))
        for name, code in (("", INVALID), (LINES, INVALID), (LONG, TOO_LARGE)):
            said: dict[str, Any] = {side: identity("bob", name)}
            yield row(f"{side}.connection_resource_id", code, fetch(pb.LOG, partition="chat", **said))
    for field in ("seq_from", "seq_to"):
        for seq, code in (("1:1", INVALID), (f"1:{2**32}:d", INVALID), (f"1:1:{LONG}", TOO_LARGE)):
            yield row(field, code, fetch(pb.BY_SEQ, partition="chat", **{field: seq}))
    for kind in (*OF_LOG, *OF_CONVERSATION, pb.INBOX):
        said = {"conversation": "c1", "reply_to": SIGNAL_ID} if kind in OF_CONVERSATION else {"partition": "chat"}
        yield row("cursor", INVALID, fetch(kind, cursor=b"made up", **said))
        yield row("cursor", INVALID, fetch(kind, cursor=b"x", offset=1, **said))
    for eid, name in (("", "fridge"), ("bob", "phone")):
        yield row("to", NOT_FOUND, fetch(pb.SYNCED, partition="chat", to=identity(eid, name)))
    for text in ("", "x", SIGNAL_ID.lower() + "0"):
        yield row("reply_to", INVALID, fetch(pb.THREAD, conversation="c1", reply_to=text))


FETCH_TAKES = [
    fetch(pb.LOG, partition="chat", limit=2**32 - 1, offset=HUGE, backwards=True),
    fetch(pb.LOG, partition="chat", **{"from": pb.Identity(eid="bob", node=LINES), "to": pb.Identity(node=LINES)}),
    fetch(pb.RECEIPTS, conversation="c1", upto=HUGE, offset=0),
    fetch(pb.INBOX),
]


# Body, Hello.


def body_rows() -> Iterator[Row]:
    for field, one in (
        ("messages", message()),
        ("signals", ack(upto=1)),
        ("commands", command(pb.Command.ARCHIVE, conversation="c1")),
    ):
        many: dict[str, Any] = {field: [one] * 1025}
        yield row(field, TOO_LARGE, pb.Body(**many))
    yield row("commands", TOO_LARGE, pb.Body(messages=[message()] * 1024, commands=[pb.Command()]))
    yield row("to.eid", INVALID, pb.Body(messages=[pb.Message(id="m9")]))
    yield row("status", INVALID, pb.Body(signals=[pb.Signal()]))
    yield row("kind", UNSUPPORTED, pb.Body(commands=[pb.Command()]))


def position(**fields: Any) -> pb.Position:
    given: dict[str, Any] = {"partition": "chat"}
    return pb.Position(**(given | fields))


def hello_of(*positions: pb.Position, **fields: Any) -> pb.Hello:
    return pb.Hello(partitions=positions, **fields)


def hello_rows() -> Iterator[Row]:
    yield row("partitions", TOO_LARGE, hello_of(*[position(partition=str(number)) for number in range(65)]))
    yield row("partitions.partition", INVALID, hello_of(position(partition="")))
    yield row("partitions.partition", INVALID, hello_of(position(), position()))
    yield row("partitions.partition", TOO_LARGE, hello_of(position(partition=LONG)))
    yield row("partitions.partition", NOT_FOUND, hello_of(position(partition="nowhere")))
    yield row("partitions.held", TOO_LARGE, hello_of(position(held=spans((1, 257)))))
    yield row("partitions.held", TOO_LARGE, hello_of(position(held=spans(*[(2 * at, 2 * at) for at in range(1, 258)]))))
    yield row("partitions.held", INVALID, hello_of(position(offset=5, held=spans((5, 6)))))
    yield row("partitions.held.from", INVALID, hello_of(position(held=spans((0, 1)))))
    yield row("partitions.held.to", INVALID, hello_of(position(held=spans((3, 2)))))
    for start in (9, -1):
        told = position()
        told.start = start  # type: ignore[assignment]  # any number can be sent
        yield row("partitions.start", INVALID, hello_of(told))
    for said in ({"offset": 1}, {"held": spans((1, 1))}, {"seq": "1:1:d"}):
        yield row("partitions.start", INVALID, hello_of(position(start=pb.HEAD, **said)))
    yield row("partitions.last", INVALID, hello_of(position(start=pb.LAST)))
    yield row("partitions.last", INVALID, hello_of(position(last=3)))
    yield row("partitions.seq", INVALID, hello_of(position(seq="1:1")))
    yield row("partitions.seq", INVALID, hello_of(position(seq="1:1:d", offset=0)))
    yield row("partitions.seq", TOO_LARGE, hello_of(position(seq=f"1:1:{LONG}")))
    yield row("snapshot_id", INVALID, hello_of(snapshot_id="chat", snapshot_checksum=bytes(16)))
    yield row("snapshot_id", INVALID, hello_of(snapshot_checksum=bytes(16)))
    yield row("snapshot_checksum", INVALID, hello_of(snapshot_id="chat:1", snapshot_checksum=bytes(15)))
    yield row("messages", TOO_LARGE, hello_of(messages=[message()] * 1025))
    yield row("agent", TOO_LARGE, hello_of(agent="x" * 256))
    yield row("snapshots", TOO_LARGE, hello_of(snapshots=[pb.Snapshot(partition="chat")] * 129))
    yield row("snapshots.partition", INVALID, hello_of(snapshots=[pb.Snapshot()]))
    yield row("snapshots.partition", TOO_LARGE, hello_of(snapshots=[pb.Snapshot(partition=LONG)]))
    for size in (1, 17):
        chain = pb.Snapshot(partition="chat", offset=1, checksum=bytes(size))
        yield row("snapshots.checksum", INVALID, hello_of(snapshots=[chain]))
    for half in (pb.Snapshot(partition="chat", offset=1), pb.Snapshot(partition="chat", checksum=bytes(16))):
        yield row("snapshots.offset", INVALID, hello_of(snapshots=[half]))


HELLO_TAKES = [
    hello_of(position(offset=HUGE), epoch=HUGE, state_version=HUGE, token=LINES),
    hello_of(snapshots=[pb.Snapshot(id=LINES, partition="chat", state_version=HUGE)]),
]


# Contact.

CONTACTS = pb.Contact


def contact(action: int, eid: str = "bob", **fields: Any) -> pb.Contact:
    said = pb.Contact(eid=eid, **fields)
    said.action = action  # type: ignore[assignment]  # any number can be sent
    return said


def contact_rows() -> Iterator[Row]:
    changes = [one for one in CONTACTS.Action.values() if one not in {CONTACTS.ACTION_UNSPECIFIED, CONTACTS.LIST}]
    for action in (0, 99, -1):
        yield row("action", INVALID, contact(action))
    for action in changes:
        for eid, code in (("", INVALID), (STRANGE, INVALID), ("c1", INVALID), ("ann", INVALID), ("x" * 256, TOO_LARGE)):
            yield row("eid", code, contact(action, eid))
        yield row("eid", NOT_FOUND, contact(action, "nobody"))
    for action in (CONTACTS.ACCEPT, CONTACTS.DENY):
        yield row("eid", CONFLICT, contact(action))
    for action in (CONTACTS.REQUEST, CONTACTS.ACCEPT):
        yield row("eid", CONFLICT, contact(CONTACTS.BLOCK), contact(action))
    yield row(
        "eid",
        CONFLICT,
        contact(CONTACTS.BLOCK),
        contact(CONTACTS.BLOCK, "carol"),
        contact(CONTACTS.NAME, "dave", name="D"),
    )
    yield row("eid", CONFLICT, contact(CONTACTS.REQUEST), contact(CONTACTS.REQUEST, "carol"))
    yield row("id", INVALID, contact(CONTACTS.BLOCK, id=LINES))
    yield row("id", TOO_LARGE, contact(CONTACTS.LIST, id=LONG))
    for other in (contact(CONTACTS.UNBLOCK, id="k"), contact(CONTACTS.BLOCK, "carol", id="k")):
        yield row("id", CONFLICT, contact(CONTACTS.BLOCK, id="k"), other)
    yield row("name", INVALID, contact(CONTACTS.NAME, name=LINES))
    yield row("name", TOO_LARGE, contact(CONTACTS.NAME, name="x" * 256))
    yield row("name", TOO_LARGE, contact(CONTACTS.NAME, name="\u00e4" * 128))
    yield row("after", INVALID, contact(CONTACTS.LIST, after=STRANGE))
    yield row("after", TOO_LARGE, contact(CONTACTS.LIST, after="x" * 256))
    yield row("after", NOT_FOUND, contact(CONTACTS.LIST, after="nobody"))


CONTACT_TAKES = [
    contact(CONTACTS.LIST, LINES, limit=2**32 - 1, name=LINES, mutual=True, stamp=HUGE),
    contact(CONTACTS.NAME, name="\u200d" * 85, stamp=HUGE),
    contact(CONTACTS.NAME, name="Bobby", stamp=1, after=LINES),
    contact(CONTACTS.REQUEST, mutual=True, name=LINES, stamp=HUGE),
]


# Awareness.


def awareness_rows() -> Iterator[Row]:
    def said(status: int, **fields: Any) -> pb.Awareness:
        awareness = pb.Awareness(**fields)
        awareness.status = status  # type: ignore[assignment]  # any number can be sent
        return awareness

    bob = pb.Identity(eid="bob")
    for status in (11, -1, 2**31 - 1):
        yield row("status", INVALID, said(status, to=bob))
    yield row("to.eid", INVALID, said(0))
    for status in (pb.TYPING, pb.RECORDING, pb.RESUME, pb.PAUSED, pb.CANCELLED):
        yield row("conversation", INVALID, said(status))
        yield row("conversation", NOT_FOUND, said(status, conversation="c3"))  # bob's and carol's
        yield row("to.eid", NOT_FOUND, said(status, to=pb.Identity(eid="c99")))
    yield row("conversation", TOO_LARGE, said(pb.TYPING, conversation=LONG))
    for status in (0, pb.TYPING, pb.AWAY):
        yield row("to.eid", INVALID, said(status, to=pb.Identity(eid=LINES)))
        yield row("to.eid", TOO_LARGE, said(status, to=pb.Identity(eid="x" * 256)))
        yield row("id", INVALID, said(status, to=bob, id=LINES))
        yield row("id", TOO_LARGE, said(status, to=bob, id=LONG))
        yield row("from.eid", FORBIDDEN, said(status, to=bob, **{"from": bob}))
    for until in (-1, 2**62):
        yield row("until", INVALID, pb.Awareness(status=pb.DND, until=until))


ANY_ANN: dict[str, Any] = {"from": pb.Identity(eid="ann", connection_resource_id=LINES, node=LINES)}
ANY_NOBODY = pb.Identity(eid="nobody", connection_resource_id=LINES, node=LINES)
AWARENESS_TAKES = [
    pb.Awareness(to=ANY_NOBODY, status=pb.TYPING, ttl_ms=2**32 - 1, **ANY_ANN),
    pb.Awareness(status=pb.ONLINE, inactive=True, keep_intent=True, stamp=HUGE),
    pb.Awareness(status=pb.AWAY, until=253_402_300_799_999, stamp=HUGE),
    pb.Awareness(status=pb.OFFLINE),
]


# PingPong, TokenAuthority, Logout.


def ping_pong_rows() -> Iterator[Row]:
    yield row("id", INVALID, pb.PingPong(id=LINES))
    yield row("id", TOO_LARGE, pb.PingPong(id=LONG))


def token_authority_rows() -> Iterator[Row]:
    yield row("action", INVALID, pb.TokenAuthority())
    for token in ("", "x.y.z", "x" * 9000):
        yield row("token", UNAUTHENTICATED, pb.TokenAuthority(action=pb.TokenAuthority.REFRESH, token=token))
    yield row("jti", FORBIDDEN, pb.TokenAuthority(action=pb.TokenAuthority.REVOKE, jti="bob/phone"))


def location(**fields: Any) -> pb.LocationStream:
    return pb.LocationStream(**fields)


def location_rows() -> Iterator[Row]:
    yield row("id", INVALID, location(id=LINES, has_position=True))
    yield row("id", TOO_LARGE, location(id=LONG, has_position=True))
    yield row("from.eid", FORBIDDEN, location(has_position=True, **{"from": identity("bob")}))
    for to in (STRANGE, "ann", "c1"):
        yield row("to.eid", INVALID, location(to=identity(to), enabled=True))
    yield row("to.eid", TOO_LARGE, location(to=identity("x" * 256), enabled=True))
    for to in ("carol", "nobody"):  # contacts of hers they are both not
        yield row("to.eid", FORBIDDEN, location(to=identity(to), enabled=True))
    for conversation in ("c99", "c3", "c01"):
        yield row("conversation", NOT_FOUND, location(conversation=conversation, enabled=True))
    yield row("conversation", INVALID, location(conversation=LINES))
    yield row("conversation", INVALID, location(conversation="c2", to=identity("bob")))
    yield row("conversation", TOO_LARGE, location(conversation=LONG))
    for value in (-91, 90.5, float("nan")):
        yield row("latitude", INVALID, location(latitude=value, has_position=True))
    yield row("longitude", INVALID, location(longitude=180.5, has_position=True))
    yield row("altitude", INVALID, location(altitude=float("inf"), has_position=True))
    yield row("accuracy", INVALID, location(accuracy=-0.1, has_position=True))
    yield row("timestamp", INVALID, location(timestamp=-1, has_position=True))
    yield row("timestamp", INVALID, location(timestamp=1 << 60, has_position=True))
    for until in (-1, 1, 1 << 60):
        yield row("expires_at", INVALID, location(conversation="c2", enabled=True, expires_at=until))
    yield row("has_position", INVALID, location())


LOCATION_TAKES = [
    location(conversation="c2", enabled=True, has_position=True),
    location(to=pb.Identity(eid="bob", connection_resource_id=LINES, node=LINES)),
    location(has_position=True, **{"from": pb.Identity(eid="ann", connection_resource_id=LINES, node=LINES)}),
]


def peer(kind: str = "hello", /, **fields: Any) -> pb.PeerSignal:
    return pb.PeerSignal(kind=kind, **fields)


def named(device: str) -> pb.Identity:
    return pb.Identity(connection_resource_id=device)


def peer_rows() -> Iterator[Row]:
    yield row("id", INVALID, peer(id=LINES))
    yield row("id", TOO_LARGE, peer(id=LONG))
    yield row("from.eid", FORBIDDEN, peer(**{"from": identity("bob")}))
    for to in ("bob", "nobody", "c1"):
        yield row("to.eid", FORBIDDEN, peer(to=identity(to)))
    yield row("to.connection_resource_id", INVALID, peer(to=named(LINES)))
    yield row("to.connection_resource_id", TOO_LARGE, peer(to=named(LONG)))
    for kind in ("hello", "offer", "answer", "candidate", "done"):
        yield row("to.connection_resource_id", NOT_FOUND, peer(kind, to=named("elsewhere")))
    for kind in ("offer", "answer", "candidate"):
        yield row("to.connection_resource_id", INVALID, peer(kind))
    for kind in ("", "HELLO", STRANGE):
        yield row("kind", INVALID, peer(kind))
    yield row("payload", TOO_LARGE, peer(payload=bytes(32 * 1024 + 1)))


PEER_TAKES = [
    peer(payload=bytes(32 * 1024), to=pb.Identity(eid="ann", node=LINES)),
    peer("done", **{"from": pb.Identity(eid="ann", connection_resource_id=LINES, node=LINES)}, reached=7),
]

PRE_KEY = pb.PreKey(id=7, key=bytes(32), signature=bytes(64))


def publish(**fields: Any) -> pb.Keys:
    keys: dict[str, Any] = {"identity": bytes(32), "signing": bytes(32), "signature": bytes(64), "fallback": PRE_KEY}
    return pb.Keys(action=pb.Keys.PUBLISH, keys=pb.DeviceKeys(**keys | fields))


def keys_rows() -> Iterator[Row]:
    for action in (5, 99):
        yield row("action", INVALID, pb.Keys(action=action))  # type: ignore[arg-type]
    for size in (0, 31, 33):
        for name in ("identity", "signing"):
            yield row(f"keys.{name}", INVALID, publish(**{name: bytes(size)}))
        yield row("keys.signature", INVALID, publish(signature=bytes(size)))
        for what in ("keys.fallback", "one_time"):
            key = pb.PreKey(id=7, key=bytes(size), signature=bytes(64))
            signature = pb.PreKey(id=7, key=bytes(32), signature=bytes(size))
            for name, wrong in (("key", key), ("signature", signature)):
                asked = publish(fallback=wrong) if what == "keys.fallback" else publish()
                asked.one_time.extend([wrong] if what == "one_time" else [])
                yield row(f"{what}.{name}", INVALID, asked)
    for number in (0, 1 << 63, HUGE):
        wrong = pb.PreKey(id=number, key=bytes(32), signature=bytes(64))
        yield row("keys.fallback.id", INVALID, publish(fallback=wrong))
        asked = publish()
        asked.one_time.append(wrong)
        yield row("one_time.id", INVALID, asked)
    asked = publish()
    asked.one_time.extend([PRE_KEY] * 2)
    yield row("one_time.id", INVALID, asked)
    asked = publish()
    asked.one_time.extend([PRE_KEY] * 101)
    yield row("one_time", TOO_LARGE, asked)
    for action in (pb.Keys.QUERY, pb.Keys.CLAIM):
        for of in ([], [pb.Identity(eid="bob")] * 2, [pb.Identity(eid=f"u{one}") for one in range(65)]):
            yield row("of", INVALID, pb.Keys(action=action, of=of))
        yield row("of.eid", INVALID, pb.Keys(action=action, of=[pb.Identity(eid=LINES)]))
        for code, name in ((INVALID, LINES), (TOO_LARGE, LONG)):
            device = pb.Identity(eid="bob", connection_resource_id=name)
            yield row("of.connection_resource_id", code, pb.Keys(action=action, of=[device]))
            yield row("after", code, pb.Keys(action=action, of=[identity("bob")], after=name))


KEYS_TAKE = [
    pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob", node=LINES)], after="z", one_time_left=7, last_id=HUGE),
    publish(device=identity("bob"), claimed=PRE_KEY, is_fallback=True, published=-1),
]

BOUNDS: dict[str, list[Row]] = {
    "awareness": list(awareness_rows()),
    "message": list(message_rows()),
    "signal": list(signal_rows()),
    "command": list(command_rows()),
    "conversation": list(conversation_rows()),
    "settings": list(settings_rows()),
    "awareness_visibility": list(awareness_visibility_rows()),
    "contact": list(contact_rows()),
    "location_stream": list(location_rows()),
    "peer_signal": list(peer_rows()),
    "keys": list(keys_rows()),
    "snapshot": list(snapshot_rows()),
    "devices": list(devices_rows()),
    "push_notification": list(push_rows()),
    "fetch": list(fetch_rows()),
    "body": list(body_rows()),
    "hello": list(hello_rows()),
    "state_delta": [row("after", BEYOND, pb.StateDelta(after=after)) for after in (9999, HUGE)],
    "ping_pong": list(ping_pong_rows()),
    "token_authority": list(token_authority_rows()),
    "logout": [],
}
"""By route: what is refused, with the field and the code."""

UNBOUNDED: dict[str, list[Any]] = {
    "awareness": AWARENESS_TAKES,
    "message": MESSAGE_TAKES,
    "signal": SIGNAL_TAKES,
    "command": COMMAND_TAKES,
    "conversation": CONVERSATION_TAKES,
    "contact": CONTACT_TAKES,
    "settings": SETTINGS_TAKE,
    "awareness_visibility": VISIBILITY_TAKES,
    "location_stream": LOCATION_TAKES,
    "peer_signal": PEER_TAKES,
    "keys": KEYS_TAKE,
    "snapshot": SNAPSHOT_TAKES,
    "fetch": FETCH_TAKES,
    "hello": HELLO_TAKES,
    "state_delta": [pb.StateDelta(after=1, reset=flag) for flag in (False, True)],
    "ping_pong": [pb.PingPong(kind=kind, timestamp=-(2**63)) for kind in (pb.PingPong.PING, pb.PingPong.PONG)],
    "logout": [pb.Logout(forget=flag, reason=LINES * 1000, revoke=True) for flag in (False, True)],
    "devices": [pb.Devices()],
    "push_notification": PUSH_TAKES,
    "body": [pb.Body()],
    "token_authority": [pb.TokenAuthority(action=pb.TokenAuthority.REVOKE)],
}
"""By route: the utmost of what is taken, of fields that any value may have."""

BATCHED = {"messages", "signals", "commands"}
"""Fields of batches: what stands in them has rows of its own."""


def client_fields(kind: Any, prefix: str = "") -> Iterator[str]:
    """Lists the fields of a payload that clients say, those of what it holds included."""
    said = {cells[1].strip("`"): cells[2] for cells in rows(kind.name) if cells[0].isdigit()}
    for field in kind.fields:
        if said[field.name] == "S":
            continue
        inner = field.message_type
        if inner is None or inner.GetOptions().map_entry or field.name in BATCHED:
            yield prefix + field.name
        else:
            yield from client_fields(inner, f"{prefix}{field.name}.")
            if field.is_repeated:
                yield prefix + field.name


def said_fields(payload: Any, prefix: str = "") -> Iterator[str]:
    """Lists the fields that a payload sets."""
    for field, value in payload.ListFields():
        yield prefix + field.name
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else [value]:
            yield from said_fields(one, f"{prefix}{field.name}.")


ROUTE_FIELDS = {name: pb.MessageScheme.DESCRIPTOR.fields_by_name[name].message_type for name in ROUTES}


def test_every_route_that_is_served_is_here() -> None:
    assert set(ROUTES) == set(BOUNDS) == set(UNBOUNDED)


@pytest.mark.parametrize("name", ROUTES)
def test_every_field_that_clients_say_has_its_bound_or_may_be_anything(name: str) -> None:
    kind = ROUTE_FIELDS[name]
    assert kind is not None
    bounded = {one.field for one in BOUNDS[name]}
    unbounded = {field for payload in UNBOUNDED[name] for field in said_fields(payload)}

    assert sorted(set(client_fields(kind)) - bounded - unbounded) == []


def test_a_field_without_rows_is_found() -> None:
    fields = set(client_fields(pb.Hello.DESCRIPTOR))

    assert {"partitions.held.from", "snapshots.checksum", "messages", "agent"} <= fields
    assert not fields & {"limits", "identity", "logs.first", "snapshots.matches", "messages.id"}


async def prepare(world: World) -> tuple[Client, There]:
    ann, bob, _, *_ = [await world.join(eid, "phone") for eid in ("ann", "bob", "carol", "dave", "erin")]
    await world.join("ann", "laptop")
    anns = await ann.post("bob", b"hello", "m1")
    bobs = await bob.post("ann", b"hello", "m1")
    await change(ann, conversation(ACTIONS.CREATE, "", "bob", title="trip"))
    await bob.post("carol", b"between us", "m2")
    await change(bob, conversation(ACTIONS.CREATE, "", "ann", title="his"))
    await change(bob, conversation(ACTIONS.CREATE, "", "ann", title="theirs"))
    await change(bob, conversation(ACTIONS.SET_ROLE, "c5", "ann", role="admin"))
    await ann.heard()
    return ann, There(anns.signal_offset, bobs.signal_offset)


async def change(client: Client, said: pb.Conversation) -> None:
    client.peer.send(SERVER.encode(3, conversation=said))
    assert (await client.heard()).errors == []


def stored(store: MemoryStore) -> object:
    with store.snapshot() as view:
        return {table: dict(records) for table, records in view.records.items() if records}


CASES = [(name, number) for name, found in BOUNDS.items() for number, _ in enumerate(found)]


def called(case: tuple[str, int]) -> str:
    name, number = case
    one = BOUNDS[name][number]
    return f"{name} {one.field} {pb.ErrorCode.Name(one.code)} {number}"


@pytest.mark.parametrize("case", CASES, ids=map(called, CASES))
async def test_what_is_out_of_bounds_is_refused_with_its_field_and_stores_nothing(
    case: tuple[str, int], autojump_clock: MockClock
) -> None:
    name, number = case
    field, code, say = BOUNDS[name][number]
    store = MemoryStore()
    async with open_world(store=store, settings=SETTINGS) as world:
        ann, there = await prepare(world)
        *first, last = say(there)
        for one in first:
            ann.peer.send(SERVER.encode(8, **{name: one}))
        assert (await ann.heard()).errors == []
        asker = world.connect("ann", "laptop") if name == "hello" else ann
        await asker.heard()
        before = stored(store)
        asker.peer.send(SERVER.encode(9, **{name: last}))
        heard = await asker.heard()

        assert [(one.code, one.field, one.ref) for one in heard.errors] == [(code, field, 9)]
        assert stored(store) == before


TAKEN = [(name, number) for name, payloads in UNBOUNDED.items() for number, _ in enumerate(payloads)]


@pytest.mark.parametrize("case", TAKEN, ids=[f"{name} {number}" for name, number in TAKEN])
async def test_what_may_be_anything_is_taken(case: tuple[str, int], autojump_clock: MockClock) -> None:
    name, number = case
    async with open_world(settings=SETTINGS) as world:
        ann, _ = await prepare(world)
        asker = world.connect("ann", "laptop") if name == "hello" else ann
        asker.peer.send(SERVER.encode(9, **{name: UNBOUNDED[name][number]}))

        assert (await asker.heard()).errors == []


def with_what_the_server_says(payload: Any) -> Any:
    """The same with something in each field that is the server's to say."""
    said = {cells[1].strip("`"): cells[2] for cells in rows(payload.DESCRIPTOR.name) if cells[0].isdigit()}
    copy = type(payload)()
    copy.CopyFrom(payload)
    for field in copy.DESCRIPTOR.fields:
        if said[field.name] != "S":
            continue
        is_many, held = field.is_repeated, getattr(copy, field.name)
        if field.message_type is not None:
            held.add() if is_many else held.SetInParent()
        elif is_many:
            held.append(junk(field))
        else:
            setattr(copy, field.name, junk(field))
    return copy


def junk(field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return LINES * 100
    return (
        b"\xff" * 100
        if field.type == FieldDescriptor.TYPE_BYTES
        else True
        if field.type == FieldDescriptor.TYPE_BOOL
        else 1
    )


GOOD: dict[str, Any] = {
    "awareness": pb.Awareness(status=pb.AWAY),
    "message": message(),
    "signal": ack(upto=1),
    "command": command(pb.Command.ARCHIVE, conversation="c1"),
    "conversation": conversation(ACTIONS.GET, "c2"),
    "contact": contact(CONTACTS.UNBLOCK),
    "settings": pb.Settings(),
    "awareness_visibility": pb.AwarenessVisibility(),
    "location_stream": location(has_position=True),
    "peer_signal": peer(),
    "keys": publish(),
    "snapshot": pb.Snapshot(partition="chat"),
    "devices": pb.Devices(),
    "push_notification": pb.PushNotification(query=True),
    "fetch": fetch(pb.LOG, partition="chat", offset=1),
    "body": pb.Body(messages=[message()]),
    "hello": hello_of(position()),
    "state_delta": pb.StateDelta(after=1),
    "ping_pong": pb.PingPong(),
    "token_authority": pb.TokenAuthority(action=pb.TokenAuthority.REVOKE),
    "logout": pb.Logout(),
}


async def answered(name: str, payload: Any) -> list[Any]:
    async with open_world(settings=SETTINGS) as world:
        ann, _ = await prepare(world)
        asker = world.connect("ann", "laptop") if name == "hello" else ann
        asker.peer.send(SERVER.encode(9, **{name: payload}))
        return list((await asker.heard()).frames)


@pytest.mark.parametrize("name", ROUTES)
def test_what_is_the_servers_to_say_is_ignored_from_clients(name: str) -> None:
    """Each is asked of a server of its own, at the same time of day."""
    found = [
        trio.run(answered, name, payload, clock=MockClock(autojump_threshold=0))
        for payload in (GOOD[name], with_what_the_server_says(GOOD[name]))
    ]

    assert found[0] == found[1]


SLOW = settings_for_tests(BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND="10", BIMIP_LIMITS_RATE_BURST_SECONDS="1")


@pytest.mark.parametrize("name", sorted(ROUTES.keys() - {"hello"}))
async def test_who_asks_too_fast_is_told_when_to_ask_again(name: str, autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_world(store=store, settings=SLOW) as world:
        ann, _ = await prepare(world)
        before = stored(store)
        for _ in range(20):
            ann.peer.send(SERVER.encode(7, ping_pong=pb.PingPong()))
        ann.peer.send(SERVER.encode(9, **{name: GOOD[name]}))
        heard = await ann.heard()
        (refused,) = [one for one in heard.errors if one.ref == 9]

        assert int(refused.code) == pb.RATE_LIMITED
        assert 0 < refused.retry_after_ms <= 2000
        assert stored(store) == before


NEEDS_ROOM: dict[str, Any] = {
    "message": message(),
    "body": pb.Body(messages=[message()]),
    "command": command(pb.Command.ARCHIVE, conversation="c1"),
    "conversation": conversation(ACTIONS.RENAME, "c2", title="journey"),
    "contact": contact(CONTACTS.REQUEST),
    "location_stream": location(conversation="c2", enabled=True),
    "keys": publish(),
}
"""By route: what makes the store grow."""


@pytest.mark.parametrize("name", sorted(ROUTES.keys() - {"hello"}))
async def test_a_full_store_refuses_what_needs_room_and_takes_what_needs_none(
    name: str, autojump_clock: MockClock
) -> None:
    store = MemoryStore()
    async with open_world(store=store, settings=SETTINGS) as world:
        ann, _ = await prepare(world)
        store._quota_bytes = 1
        before = stored(store)
        ann.peer.send(SERVER.encode(9, **{name: NEEDS_ROOM.get(name, GOOD[name])}))
        errors = (await ann.heard()).errors

        assert [int(one.code) for one in errors] == ([pb.STORAGE_FULL] if name in NEEDS_ROOM else [])
        assert not errors or (errors[0].retry_after_ms > 0 and stored(store) == before)
