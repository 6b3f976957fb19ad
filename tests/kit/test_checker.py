"""The checker itself: for each kind of violation the smallest history that has it, and one that has none."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.kit.checker import check, explain
from tests.kit.history import (
    Acked,
    ActivitySaid,
    ActivityTold,
    Answered,
    Batch,
    Changed,
    Closed,
    Complaint,
    ContactAnswered,
    ContactKnown,
    ContactRefused,
    ContactSaid,
    Delivery,
    DeviceKnown,
    Done,
    Event,
    EventKind,
    Gap,
    GapReason,
    Given,
    GroupAnswered,
    GroupAsked,
    GroupEvent,
    GroupKnown,
    Ids,
    Intent,
    IntentAnswered,
    IntentSaid,
    Kept,
    Kind,
    Knocked,
    Labelled,
    LabelSaid,
    LocationAnswered,
    LocationSaid,
    LocationTold,
    Marked,
    Name,
    Opened,
    Place,
    PresenceTold,
    PutBack,
    Read,
    ReadSet,
    Receipts,
    Refused,
    Seat,
    Shown,
    State,
    Turn,
    Wrote,
)

PHONE, LAPTOP = Name("alice", "phone"), Name("alice", "laptop")
BOB, BOB2 = Name("bob", "phone"), Name("bob", "laptop")
EVE = Name("eve", "phone")
EVERYBODY = (PHONE, LAPTOP, BOB, BOB2)


def opened(*devices: Name, head: int = 0, floor: int = 0, position: int = 0, epoch: int = 7) -> list[Event]:
    seat = Seat(1, head, floor, position)
    return [Opened(device, epoch, {"chat": seat}) for device in devices]


def wrote(number: int = 1, device: Name = PHONE, *, addressed: Sequence[Name] = (), to: str = "bob") -> Wrote:
    return Wrote(device, f"m{number}", to, "chat", f"{device} {number}".encode(), dict.fromkeys(addressed))


def ids(number: int = 1) -> Ids:
    return Ids(1000 + number, number, "c1", number)


def sent(number: int = 1, *, duplicate: bool = False) -> Answered:
    return Answered(PHONE, f"m{number}", ids(number), duplicate)


def delivery(number: int = 1, *, offset: int = 0, author: Name = PHONE, text: str = "") -> Delivery:
    payload = (text or f"{PHONE} {number}").encode()
    return Delivery(offset or number, 1000 + number, author, f"m{number}", "c1", number, payload)


def batch(device: Name, *numbers: int, after: int = -1, upto: int = 0) -> Batch:
    """In turn, of messages whose offset is their number."""
    after = numbers[0] - 1 if after < 0 else after
    return Batch(device, "chat", after, upto or numbers[-1], Turn.IN_TURN, tuple(map(delivery, numbers)))


def delivered(*numbers: int, to: Sequence[Name] = EVERYBODY[1:]) -> list[Event]:
    return [batch(device, number) for number in numbers for device in to]


def state(device: Name, *runs: tuple[int, int, int], after: int = 0, upto: int = 1, **fields: Any) -> State:
    kind = Kind.READ if fields.pop("read", False) else Kind.DELIVERED
    return State(device, after, upto, (Receipts("c1", "bob", kind, runs),), **fields)


def everybody_knows(*runs: tuple[int, int, int]) -> list[Event]:
    return [state(PHONE, *runs), state(LAPTOP, *runs)]


def marked(upto: int) -> list[Event]:
    """Bob's phone says that all up to there was read, and is answered."""
    return [ReadSet(BOB, "c1", upto), Marked(BOB, "c1", upto)]


def told(device: Name, upto: int, after: int = 0) -> State:
    return State(device, after, after + 1, markers=(("c1", upto),))


def gave(kind: str, device: Name = PHONE, *, target: int = 1001, number: int = 1) -> list[Event]:
    """A command about the first message, or its conversation, and its answer."""
    payload = b"new" if kind == "EDIT" else b""
    return [Given(device, f"{kind}{number}", kind, target, "c1", payload, "+"), done(device, kind, target, number)]


def done(device: Name, kind: str, target: int = 1001, number: int = 1) -> Done:
    return Done(device, f"{kind}{number}", "c1", 1 if target else 0, 5, 1)


def became(*devices: Name, **fields: Any) -> list[Event]:
    """These devices, or all, are told what became of the first message."""
    return [State(device, 0, 1, changes=(Changed("c1", 1, 1001, **fields),)) for device in devices or EVERYBODY]


def keeps(*devices: Name) -> list[Event]:
    return [State(device, 1, 2, kept=(Kept("c1", 1, (True,)),)) for device in devices]


def edited_delivery(payload: bytes, *, erased: bool = False) -> list[Event]:
    """The first message, to who has not seen it before."""
    found = delivery(1)._replace(payload=payload, edited=0 if erased else 5, erased=erased)
    return [Batch(device, "chat", 0, 1, Turn.IN_TURN, (found,)) for device in EVERYBODY[1:]]


def happened(
    place: int, kind: EventKind, *members: str, title: str = "", to: Sequence[Name] = EVERYBODY
) -> list[Event]:
    """An event of the group c9, which alice asked for as g1, g2 … by its place, at that offset of these devices."""
    event = GroupEvent(kind, members, title)
    found = Delivery(place, 1000 + place, Name("alice", ""), f"g{place}", "c9", place, b"", event)
    return [Batch(device, "chat", place - 1, place, Turn.IN_TURN, (found,)) for device in to]


def changed(place: int, kind: EventKind, *members: str, title: str = "", to: Sequence[Name] = EVERYBODY) -> list[Event]:
    """It is asked for, answered, and told."""
    asked: list[Event] = [GroupAsked(PHONE, f"g{place}"), GroupAnswered(PHONE, f"g{place}", "c9", place)]
    return [*asked, *happened(place, kind, *members, title=title, to=to)]


def know(
    title: str, *members: str, devices: Sequence[Name] = EVERYBODY, after: int = 0, role: str = "x"
) -> list[Event]:
    known = GroupKnown("c9", title, role, frozenset(members))
    return [State(device, after, after + 1, groups=(known,)) for device in devices]


def in_group(*devices: Name, offset: int = 2) -> list[Event]:
    """A message of alice to the group, at its place 2."""
    found = Delivery(offset, 1002, PHONE, "m2", "c9", 2, f"{PHONE} 2".encode())
    return [Batch(device, "chat", offset - 1, offset, Turn.IN_TURN, (found,)) for device in devices]


def named(label: str, device: Name = BOB) -> list[Event]:
    """Bob's phone is called so, and that is answered."""
    return [LabelSaid(device, BOB, label), Labelled(device, BOB, label)]


def siblings(label: str = "", *, stamp: int = 0, devices: Sequence[Name] = (BOB, BOB2), after: int = 0) -> list[Event]:
    """These devices of one user are told of each other, and what the phone is called."""
    known = (DeviceKnown("phone", 1, stamp, label), DeviceKnown("laptop", 2, 0, ""))
    return [State(device, after, after + 1, devices=known) for device in devices]


def whole(*addressed: Name) -> list[Event]:
    """A message to bob that is said to be for all devices, and is accepted."""
    return [wrote(addressed=addressed)._replace(is_complete=True), sent()]


def played(*places: int, device: Name = BOB) -> Read:
    return Read(device, "c1", 0, tuple((place, place) for place in places), Kind.PLAYED)


def seen(kind: Kind, *, after: int = 0) -> list[Event]:
    """Alice's devices are told that bob did that with the first message."""
    told = (Receipts("c1", "bob", kind, ((1, 1, 50),)),)
    return [State(device, after, after + 1, told) for device in (PHONE, LAPTOP)]


START = opened(*EVERYBODY)
ALICE_KNOWS = [
    State(one, 0, 1, devices=(DeviceKnown("phone", 1, 0, ""), DeviceKnown("laptop", 2, 0, "")))
    for one in (PHONE, LAPTOP)
]
TRIP = [*START, *changed(1, EventKind.CREATED, "bob", title="trip"), *know("trip", "alice", "bob")]
WRITTEN = [*TRIP, wrote(2, to="c9"), Answered(PHONE, "m2", Ids(1002, 2, "c9", 2))]
PARTED = [
    *WRITTEN,
    *in_group(*EVERYBODY[1:]),
    Batch(PHONE, "chat", 1, 2, Turn.IN_TURN),
    *changed(3, EventKind.REMOVED, "bob"),
    *know("trip", "alice", devices=EVERYBODY[:2], after=1),
    *know("", devices=EVERYBODY[2:], after=1, role=""),
    wrote(4, to="c9"),
    Answered(PHONE, "m4", Ids(1004, 4, "c9", 4)),
]


EDITED_IN_GROUP = Delivery(2, 1002, PHONE, "m2", "c9", 2, b"new", edited=2000)


def afterwards(*devices: Name) -> list[Event]:
    found = Delivery(4, 1004, PHONE, "m4", "c9", 4, f"{PHONE} 4".encode())
    return [Batch(device, "chat", 3, 4, Turn.IN_TURN, (found,)) for device in devices]


ONE = [*START, wrote(1), sent(1)]
ALL_OF_ONE = [*ONE, *delivered(1)]
EDITED = [*ALL_OF_ONE, *gave("EDIT"), *became(edited=5, payload=b"new")]
REFUSED = Refused(PHONE, "m1", "INVALID")
AGAIN = Knocked(BOB, {"chat": Place(1)})

LOST = [wrote(2), sent(2), *delivered(2)]
"""After the copy was made."""


def put_back(*after: Event) -> list[Event]:
    return [*ALL_OF_ONE, *LOST, PutBack(len(ALL_OF_ONE)), *after]


def back(had: int, *, head: int = 1, position: int = 0, epoch: int = 8) -> list[Event]:
    """Everybody comes with so many messages."""
    return [
        event
        for device in EVERYBODY
        for event in (
            Knocked(device, {"chat": Place(had)}),
            *opened(device, head=head, position=position, epoch=epoch),
            *([batch(device, 1)] if not position else []),
        )
    ]


def in_the_place_of_2(*devices: Name, number: int = 3) -> list[Event]:
    found = Delivery(2, 1003, PHONE, f"m{number}", "c1", 2, f"{PHONE} {number}".encode())
    return [Batch(device, "chat", 1, 2, Turn.IN_TURN, (found,)) for device in devices]


FOR_A_SIBLING = [*START, wrote(addressed=[LAPTOP]), sent(), *delivered(1, to=[LAPTOP]), *gave("DELETE_FOR_EVERYONE")]
"""A message to bob that was addressed to no device of his, and is deleted again."""


def share(share_id: str, *, is_shared: bool) -> LocationSaid:
    return LocationSaid(PHONE, share_id, "c9", is_shared=is_shared)


def position(latitude: float) -> LocationSaid:
    return LocationSaid(PHONE, "", latitude=latitude)


def located(latitude: float) -> LocationTold:
    return LocationTold(BOB, "alice", "c9", is_shared=True, latitude=latitude)


SHARED = [
    *START,
    share("s1", is_shared=True),
    LocationAnswered(PHONE, "s1", "c9", is_shared=True, version=1),
    position(1.0),
    located(1.0),
]
ENDED = [*SHARED, share("s2", is_shared=False), LocationAnswered(PHONE, "s2", "c9", is_shared=False, version=2)]


def shown_to(device: Name, eid: str, status: Shown = Shown.ONLINE) -> PresenceTold:
    return PresenceTold(device, ((eid, status),))


def said_and_answered(status: Shown, *told: Name, after: int = 0) -> list[Event]:
    """Alice says how she is, is answered, and these devices of hers are told."""
    intent = Intent(5, status, 0)
    states = [State(device, after, 5, intents=(intent,)) for device in told]
    return [IntentSaid(PHONE, status, 0), IntentAnswered(PHONE, intent), *states]


def sees(one: Name, other: Name) -> State:
    """A device knows that its user and another one see each other."""
    return State(one, 0, 3, contacts=(ContactKnown(other.eid, 3, "accepted", sees_you=True, seen=True),))


ASKED = [ContactSaid(PHONE, "k1", "REQUEST", "bob"), ContactSaid(BOB, "k1", "REQUEST", "alice")]
FRIENDS = [*opened(PHONE, BOB), *ASKED, sees(PHONE, BOB), sees(BOB, PHONE)]
SEE_EACH_OTHER = [*FRIENDS, shown_to(PHONE, "bob"), shown_to(BOB, "alice")]
BUSY = said_and_answered(Shown.DND, PHONE, after=3)
TYPES = ActivitySaid(PHONE, 30_001, to="bob")
CLEAN: dict[str, list[Event]] = {
    "friends who see each other": SEE_EACH_OTHER,
    "a friend who goes": [*SEE_EACH_OTHER, Closed(PHONE, 1000), shown_to(BOB, "alice", Shown.OFFLINE)],
    "a friend who is busy": [
        *SEE_EACH_OTHER,
        *said_and_answered(Shown.DND, PHONE, after=3),
        shown_to(BOB, "alice", Shown.DND),
    ],
    "somebody who types": [*SEE_EACH_OTHER, TYPES, ActivityTold(BOB, "alice", 30_001, "c1")],
    "nothing": [],
    "a message": ALL_OF_ONE,
    "a message for a sibling alone, which is deleted": [*FOR_A_SIBLING, *became(PHONE, LAPTOP, deleted=True)],
    "a message, its ack and its receipt": [
        *ALL_OF_ONE,
        Acked(BOB, "chat", 1),
        *everybody_knows((1, 1, 50)),
        AGAIN,
        *opened(BOB, head=1, floor=1, position=1),
    ],
    "an edit, told to all": EDITED,
    "an edit that arrived before its answer was cut off": [
        *ALL_OF_ONE,
        gave("EDIT")[0],
        *became(edited=5, payload=b"new"),
    ],
    "a resend of a command": [*EDITED, done(PHONE, "EDIT")._replace(duplicate=True)],
    "a message as it was edited, to who comes later": [
        *ONE,
        *gave("EDIT"),
        *became(edited=5, payload=b"new"),
        *edited_delivery(b"new"),
    ],
    "a message that was deleted, to who comes later": [
        *ONE,
        *gave("DELETE_FOR_EVERYONE"),
        *became(deleted=True),
        *edited_delivery(b"", erased=True),
    ],
    "what a user keeps, told to their devices": [
        *ALL_OF_ONE,
        *gave("PIN", BOB),
        *became(BOB, BOB2, pinned=True, pinned_stamp=5),
        *gave("ARCHIVE", BOB, target=0),
        *keeps(BOB, BOB2),
    ],
    "an edit that lost": [*ALL_OF_ONE, gave("EDIT")[0], done(PHONE, "EDIT")._replace(superseded=True)],
    "a marker, told to all devices of its user": [*START, *marked(3), told(BOB, 3), told(BOB2, 3)],
    "a marker that was behind is answered with where it stands": [
        *START,
        *marked(3),
        told(BOB, 3),
        told(BOB2, 3),
        ReadSet(BOB2, "c1", 2),
        Marked(BOB2, "c1", 3),
    ],
    "a marker whose answer was cut off": [*START, ReadSet(BOB, "c1", 3)],
    "read before it was acknowledged": [*ALL_OF_ONE, Read(BOB, "c1", 1), *everybody_knows((1, 1, 50))],
    "refused, and nowhere": [*START, wrote(), REFUSED],
    "unknown, and nowhere": [*START, wrote()],
    "unknown, and everywhere": [*START, wrote(), *delivered(1), batch(PHONE, 1)],
    "sent again, answered alike": [*ALL_OF_ONE, sent(1, duplicate=True)],
    "delivered again behind a new Hello, and held": [
        *ALL_OF_ONE,
        AGAIN,
        *opened(BOB, head=1),
        batch(BOB, 1),
    ],
    "delivered again out of turn": [*ALL_OF_ONE, Batch(BOB, "chat", 0, 0, Turn.REDELIVERED, (delivery(1),))],
    "a client that lost its store is shown it again": [
        *ALL_OF_ONE,
        Knocked(BOB, {"chat": Place(0)}),
        *opened(BOB, head=1),
        batch(BOB, 1),
    ],
    "addressed to one device alone": [
        *START,
        wrote(addressed=[BOB]),
        sent(),
        batch(BOB, 1),
        *(Batch(device, "chat", 0, 1, Turn.IN_TURN) for device in (LAPTOP, BOB2)),
    ],
    "a position that is shared": SHARED,
    "a position that is shared again": [*ENDED, share("again", is_shared=True), position(2.0), located(2.0)],
    "a device that began later": [*ALL_OF_ONE, *opened(Name("bob", "tablet"), head=1, position=1)],
    "a gap that was asked for": [
        *ONE,
        *delivered(1, to=[LAPTOP, BOB2]),
        Batch(BOB, "chat", 0, 1, Turn.IN_TURN, gaps=(Gap(1, 1, GapReason.SKIPPED),)),
    ],
    "held out of turn, then passed over": [
        *START,
        *(event for number in (1, 2) for event in (wrote(number), sent(number))),
        *(batch(device, 1, 2) for device in (LAPTOP, BOB2)),
        Batch(BOB, "chat", 0, 0, Turn.FETCH, (delivery(2),)),
        batch(BOB, 1, upto=2),
    ],
    "a store that was put back as it was": [*ALL_OF_ONE, PutBack(len(ALL_OF_ONE)), *back(1)],
    "what came after the copy is lost with the store": put_back(*back(2)),
    "what is lost is not there, and its place another's": put_back(
        *back(2), wrote(3), Answered(PHONE, "m3", Ids(1003, 2, "c1", 2)), *in_the_place_of_2(LAPTOP, BOB, BOB2)
    ),
    "what waited for its answer is sent again": put_back(
        *back(2),
        Answered(PHONE, "m2", Ids(1003, 2, "c1", 2)),
        *in_the_place_of_2(LAPTOP, BOB, BOB2, number=2),
    ),
    "an older copy, and then the newer one": [
        *put_back(*back(2)),
        PutBack(len(ALL_OF_ONE) + len(LOST)),
        *back(1, head=2, position=1, epoch=9),
        *delivered(2),
        batch(PHONE, 2),
    ],
    "a group, and a message to all in it": [*WRITTEN, *in_group(*EVERYBODY[1:])],
    "a group, and a message after one was removed": [*PARTED, *afterwards(LAPTOP)],
    "a group that was asked for, and nobody knows what came of it": [*START, GroupAsked(PHONE, "g1")],
    "devices that know each other, and what one is called": [
        *START,
        *ALICE_KNOWS,
        *named("mine"),
        *siblings("mine", stamp=5),
    ],
    "a label that was taken away": [
        *START,
        *ALICE_KNOWS,
        *named("mine"),
        *named(""),
        *siblings("", stamp=6),
    ],
    "a label whose answer was cut off": [*START, *ALICE_KNOWS, LabelSaid(BOB, BOB, "mine"), *siblings("mine", stamp=5)],
    "a message for all devices": [*START, *whole(LAPTOP, BOB, BOB2), *delivered(1)],
    "played, and so read": [
        *ALL_OF_ONE,
        played(1),
        *seen(Kind.READ),
        *seen(Kind.PLAYED, after=1),
    ],
    "a FORWARDED that says again what the command says": [
        *ALL_OF_ONE,
        gave("FORWARD_MARK")[0],
        *gave("FORWARD_MARK"),
        *became(forwards=1),
    ],
    "the state read again as a whole": [
        *ALL_OF_ONE,
        Acked(BOB, "chat", 1),
        *everybody_knows((1, 1, 50)),
        Knocked(LAPTOP, {"chat": Place(1)}, version=1),
        Opened(LAPTOP, 7, {"chat": Seat(1, 1, 1, 1)}, version=1),
        state(LAPTOP, (1, 1, 50), reset=True, complete=True),
    ],
}

GUILTY: dict[str, tuple[str, list[Event]]] = {
    "a friend who is gone and shown": ("I8 ghost", [*SEE_EACH_OTHER, Closed(PHONE, 1000)]),
    "a friend who is there and not shown": ("I8 wrong view", [*FRIENDS, shown_to(PHONE, "bob")]),
    "a friend who is busy and shown as there": (
        "I8 wrong view",
        [*SEE_EACH_OTHER, *said_and_answered(Shown.DND, PHONE, after=3)],
    ),
    "who is no contact and shown": ("I10 leaked", [*SEE_EACH_OTHER, *opened(EVE), shown_to(EVE, "alice")]),
    "an intent that a device is not told": ("I8 intent lost", [*SEE_EACH_OTHER, *said_and_answered(Shown.DND)]),
    "an intent that nobody said": ("I8 false intent", [*START, State(PHONE, 0, 1, intents=(Intent(1, Shown.DND, 0),))]),
    "two devices with two intents": (
        "I9 diverged",
        [*START, *said_and_answered(Shown.DND, PHONE), *said_and_answered(Shown.BUSY, LAPTOP)],
    ),
    "who types, told to another one": (
        "I10 leaked",
        [*SEE_EACH_OTHER, *opened(EVE), TYPES, ActivityTold(EVE, "alice", 30_001, "")],
    ),
    "somebody who types and never did": ("I10 forged", [*SEE_EACH_OTHER, ActivityTold(BOB, "alice", 30_001, "c1")]),
    "a position that nobody said": ("I10 forged", [*SHARED, located(9.0)]),
    "a position that is shared with nobody": ("I10 leaked", [*START, position(1.0), located(1.0)]),
    "a position that was said after the share was over": (
        "I10 shown after the end",
        [*ENDED, position(2.0), located(2.0)],
    ),
    "acknowledged, and nowhere": ("I1 lost", ONE),
    "acknowledged, and not at one device": ("I1 lost", [*ONE, *delivered(1, to=[LAPTOP, BOB])]),
    "acknowledged, and not at the sender's other device": ("I1 lost", [*ONE, *delivered(1, to=[BOB, BOB2])]),
    "acknowledged before the copy, and not there": (
        "I1 lost",
        [*put_back(), *back(2, head=0, epoch=8)[:2]],
    ),
    "acknowledged before the copy, and not at one device": (
        "I1 lost",
        [*ONE, *delivered(1, to=[LAPTOP, BOB]), PutBack(len(ONE) + 2)],
    ),
    "acknowledged after the copy was put back": (
        "I1 lost",
        put_back(*back(2), wrote(3), Answered(PHONE, "m3", Ids(1003, 2, "c1", 2)), *in_the_place_of_2(LAPTOP, BOB)),
    ),
    "another epoch, and nothing was put back": ("I1 lost", [*ALL_OF_ONE, AGAIN, *opened(BOB, head=1, epoch=8)]),
    "what was wrong before a copy was put back": (
        "I10 leaked",
        [*ALL_OF_ONE, *opened(EVE), batch(EVE, 1), PutBack(len(ALL_OF_ONE)), *back(1)],
    ),
    "a copy was put back, and nobody is told": ("I4 untold", put_back(*back(2, epoch=7))),
    "a copy was put back, and what takes the places of the lost is not shown": (
        "I4 untold",
        put_back(*back(2, head=2, position=2, epoch=7)),
    ),
    "shown twice after a copy was put back": (
        "I5 duplicated",
        put_back(
            *back(2),
            Knocked(BOB, {"chat": Place(0)}),
            *opened(BOB, head=1, position=0, epoch=8),
            batch(BOB, 1),
            Batch(BOB, "chat", 1, 2, Turn.IN_TURN, (delivery(1, offset=2),)),
        ),
    ),
    "the log became shorter": ("I1 lost", [*ALL_OF_ONE, Knocked(BOB, {"chat": Place(1)}), *opened(BOB)]),
    "an offset given twice": (
        "I1 reused",
        [*ONE, wrote(2), Answered(PHONE, "m2", Ids(1002, 1, "c1", 2)), *delivered(1)],
    ),
    "unknown, and in one log alone": ("I2 half-appended", [*START, wrote(), batch(BOB, 1), batch(BOB2, 1)]),
    "refused, and delivered": ("I2 half-appended", [*START, wrote(), REFUSED, *delivered(1)]),
    "a change of a group that was answered, and nowhere": (
        "I1 lost",
        [*START, GroupAsked(PHONE, "g1"), GroupAnswered(PHONE, "g1", "c9", 1)],
    ),
    "a message to a group that is not at one of its members": ("I1 lost", [*WRITTEN, *in_group(LAPTOP)]),
    "an event of a group that is not at one device": (
        "I2 half-appended",
        [
            *START,
            *changed(1, EventKind.CREATED, "bob", title="trip", to=EVERYBODY[:3]),
            *know("trip", "alice", "bob"),
        ],
    ),
    "content that is kept from a member": (
        "I2 damaged",
        [
            *WRITTEN,
            Given(PHONE, "e1", "EDIT", 1002, "c9", b"new", ""),
            *in_group(*EVERYBODY[1:]),
            Batch(BOB, "chat", 0, 0, Turn.FETCH, (EDITED_IN_GROUP._replace(payload=b"", edited=0, erased=True),)),
        ],
    ),
    "an edit of a message of a group after its reader was removed": (
        "I10 leaked",
        [
            *PARTED,
            *afterwards(LAPTOP),
            Given(PHONE, "e1", "EDIT", 1002, "c9", b"new", ""),
            Batch(BOB, "chat", 0, 0, Turn.FETCH, (EDITED_IN_GROUP,)),
        ],
    ),
    "a message to a group after its reader was removed": ("I10 leaked", [*PARTED, *afterwards(LAPTOP, BOB)]),
    "an event of a group that nobody asked for": (
        "I10 forged",
        [*START, *happened(1, EventKind.CREATED, "bob", title="trip"), *know("trip", "alice", "bob")],
    ),
    "a group that a member's device does not know": (
        "I9 diverged",
        [
            *START,
            *changed(1, EventKind.CREATED, "bob", title="trip"),
            *know("trip", "alice", "bob", devices=EVERYBODY[:3]),
        ],
    ),
    "a group whose title a device does not know": (
        "I9 diverged",
        [
            *TRIP,
            *changed(2, EventKind.RENAMED, title="journey"),
            *know("journey", "alice", "bob", devices=EVERYBODY[1:], after=1),
        ],
    ),
    "a change of a group that was asked again, and is another one": (
        "I5 answered differently",
        [*TRIP, GroupAnswered(PHONE, "g1", "c10", 1)],
    ),
    "other bytes than were written": (
        "I2 damaged",
        [*ALL_OF_ONE, Batch(BOB, "chat", 0, 0, Turn.FETCH, (delivery(1, text="?"),))],
    ),
    "a range that does not join": ("I3 reordered", [*ALL_OF_ONE, Batch(BOB, "chat", 0, 1, Turn.IN_TURN)]),
    "a batch out of order": (
        "I3 reordered",
        [
            *ONE,
            wrote(2),
            sent(2),
            *delivered(1, 2, to=[LAPTOP, BOB2]),
            Batch(BOB, "chat", 0, 2, Turn.IN_TURN, (delivery(2), delivery(1))),
        ],
    ),
    "two devices that disagree on an offset": (
        "I3 reordered",
        [
            *ONE,
            wrote(2),
            sent(2),
            *delivered(1, 2, to=[LAPTOP, BOB2]),
            Batch(BOB, "chat", 0, 2, Turn.IN_TURN, (delivery(2, offset=1), delivery(1, offset=2))),
        ],
    ),
    "stored in another order than written": (
        "I3 reordered",
        [*START, wrote(2), wrote(1), sent(1), sent(2), *delivered(1, 2)],
    ),
    "a range over something owed": (
        "I4 skipped",
        [*ONE, *delivered(1, to=[LAPTOP, BOB2]), batch(BOB, after=0, upto=1)],
    ),
    "a range over something that nobody knows": ("I4 skipped", [*START, batch(BOB, after=0, upto=1)]),
    "a range beyond the position": (
        "I4 skipped",
        [*ONE, wrote(2), sent(2), *delivered(1, 2, to=[LAPTOP, BOB2]), batch(BOB, 2)],
    ),
    "a gap without a good reason": (
        "I4 skipped",
        [
            *ONE,
            *delivered(1, to=[LAPTOP, BOB2]),
            Batch(BOB, "chat", 0, 1, Turn.IN_TURN, gaps=(Gap(1, 1, GapReason.DAMAGED),)),
        ],
    ),
    "a seat beyond the position": (
        "I4 skipped",
        [*ALL_OF_ONE, wrote(2), sent(2), *delivered(2), AGAIN, *opened(BOB, head=3, position=3)],
    ),
    "a state page that does not join": ("I4 skipped", [*START, state(PHONE, after=3, upto=4)]),
    "a hole in a conversation": (
        "I4 skipped",
        [*START, wrote(1), Answered(PHONE, "m1", Ids(1001, 1, "c1", 2))],
    ),
    "one message under two offsets": (
        "I5 duplicated",
        [*ALL_OF_ONE, Batch(BOB, "chat", 1, 2, Turn.IN_TURN, (delivery(1, offset=2),))],
    ),
    "one message stored twice": (
        "I5 duplicated",
        [*ALL_OF_ONE, Answered(PHONE, "m1", Ids(1009, 1, "c1", 1), duplicate=True)],
    ),
    "sent again, answered with other ids": (
        "I5 answered differently",
        [*ALL_OF_ONE, Answered(PHONE, "m1", Ids(1001, 2, "c1", 1), duplicate=True)],
    ),
    "sent again, not marked as known": ("I5 answered differently", [*ALL_OF_ONE, sent(1)]),
    "acknowledged, then refused": ("I5 answered differently", [*ALL_OF_ONE, REFUSED]),
    "SENT for nothing": ("I5 invented", [*START, sent(1)]),
    "in another partition": (
        "I5 misplaced",
        [
            Opened(BOB, 7, {"feed": Seat(1, 0, 0, 0)}),
            wrote(),
            Batch(BOB, "feed", 0, 1, Turn.IN_TURN, (delivery(1),)),
        ],
    ),
    "a client that claims too much": ("I5 client", [*START, Knocked(BOB, {"chat": Place(1)})]),
    "a floor that moved back": (
        "I6 floor moved back",
        [*ALL_OF_ONE, AGAIN, *opened(BOB, head=1, floor=1, position=1), AGAIN, *opened(BOB, head=1, position=1)],
    ),
    "a floor ahead of the acks": (
        "I6 floor ahead",
        [*ALL_OF_ONE, Knocked(BOB, {}), *opened(BOB, head=1, floor=1, position=0)],
    ),
    "a receipt without an ack": ("I8 false receipt", [*ALL_OF_ONE, *everybody_knows((1, 1, 50))]),
    "a receipt before the ack": (
        "I8 false receipt",
        [*ALL_OF_ONE, *everybody_knows((1, 1, 50)), Acked(BOB, "chat", 1)],
    ),
    "a READ of what was only acknowledged": (
        "I8 false receipt",
        [*ALL_OF_ONE, Acked(BOB, "chat", 1), state(PHONE, (1, 1, 50), read=True)],
    ),
    "a receipt for nothing": ("I8 false receipt", [*ALL_OF_ONE, *everybody_knows((2, 2, 50))]),
    "a receipt that went back": (
        "I8 receipts went back",
        [
            *ALL_OF_ONE,
            Acked(BOB, "chat", 1),
            *everybody_knows((1, 1, 50)),
            State(PHONE, 0, 1, (), reset=True, complete=True),
        ],
    ),
    "a receipt that is not in all of the state that was asked for": (
        "I8 receipts went back",
        [
            *ALL_OF_ONE,
            Acked(BOB, "chat", 1),
            *everybody_knows((1, 1, 50)),
            State(PHONE, 0, 1, (), reset=True, complete=True, asked=True),
        ],
    ),
    "a receipt for nothing, to who asked": (
        "I8 false receipt",
        [*ALL_OF_ONE, state(PHONE, (2, 2, 50), reset=True, complete=True, asked=True)],
    ),
    "a receipt with a later time": (
        "I8 receipts went back",
        [
            *ALL_OF_ONE,
            Acked(BOB, "chat", 1),
            *everybody_knows((1, 1, 50)),
            state(PHONE, (1, 1, 51), reset=True, complete=True),
        ],
    ),
    "a state version that went back": (
        "I8 receipts went back",
        [*ALL_OF_ONE, Acked(BOB, "chat", 1), *everybody_knows((1, 1, 50)), Knocked(PHONE, {}), *opened(PHONE, head=1)],
    ),
    "an ack on disk without its receipt": (
        "I8 receipt lost",
        [*ALL_OF_ONE, AGAIN, *opened(BOB, head=1, floor=1, position=1)],
    ),
    "two devices with different receipts": (
        "I9 diverged",
        [*ALL_OF_ONE, Acked(BOB, "chat", 1), state(PHONE, (1, 1, 50))],
    ),
    "a marker beyond what anybody said": ("I8 false marker", [*START, *marked(3), told(BOB, 4)]),
    "an answer beyond what anybody said": ("I8 false marker", [*START, ReadSet(BOB, "c1", 3), Marked(BOB, "c1", 4)]),
    "a marker of another user": ("I8 false marker", [*START, *marked(3), told(PHONE, 3)]),
    "a marker that went back": (
        "I8 marker went back",
        [*START, *marked(3), told(BOB, 3), told(BOB2, 3), State(BOB, 0, 1, (), reset=True, complete=True)],
    ),
    "an edit that nobody made": ("I8 false change", [*ALL_OF_ONE, *became(edited=5, payload=b"new")]),
    "another edit than was made": ("I8 false change", [*ALL_OF_ONE, *gave("EDIT"), *became(edited=5, payload=b"old")]),
    "a deletion that nobody made": ("I8 false change", [*ALL_OF_ONE, *became(deleted=True)]),
    "a reaction of somebody else": (
        "I8 false change",
        [*ALL_OF_ONE, *gave("REACT", BOB), *became(reactions=(("alice", "+", 5, False),))],
    ),
    "a reaction that was not taken back": (
        "I8 false change",
        [*ALL_OF_ONE, *gave("REACT", BOB), *became(reactions=(("bob", "+", 5, True),))],
    ),
    "a pin of another user's": (
        "I8 false change",
        [*ALL_OF_ONE, *gave("PIN", BOB), *became(pinned=True, pinned_stamp=5)],
    ),
    "more forwards than there were": ("I8 false change", [*ALL_OF_ONE, *gave("FORWARD_MARK"), *became(forwards=2)]),
    "an edit of which no device is told": ("I8 change lost", [*ALL_OF_ONE, *gave("EDIT")]),
    "a reaction of which the other user is not told": (
        "I9 diverged",
        [*ALL_OF_ONE, *gave("REACT", BOB), *became(BOB, BOB2, reactions=(("bob", "+", 5, False),))],
    ),
    "a deletion of which one device is not told": (
        "I9 diverged",
        [*ALL_OF_ONE, *gave("DELETE_FOR_EVERYONE"), *became(PHONE, LAPTOP, BOB, deleted=True)],
    ),
    "a pin of which the user's other device is not told": (
        "I9 diverged",
        [*ALL_OF_ONE, *gave("PIN", BOB), *became(BOB, pinned=True, pinned_stamp=5)],
    ),
    "a forward that is forgotten": (
        "I8 change lost",
        [*ALL_OF_ONE, *gave("FORWARD_MARK"), *gave("FORWARD_MARK", number=2), *became(forwards=1)],
    ),
    "settings of a conversation of which a device is not told": (
        "I8 change lost",
        [*ALL_OF_ONE, *gave("ARCHIVE", BOB, target=0), *keeps(BOB)],
    ),
    "a command that is done twice": ("I5 answered differently", [*EDITED, done(PHONE, "EDIT")]),
    "a command that is answered otherwise": (
        "I5 answered differently",
        [*EDITED, done(PHONE, "EDIT")._replace(duplicate=True, stamp=6)],
    ),
    "an answer to a command that was not given": ("I5 invented", [*ALL_OF_ONE, done(PHONE, "EDIT")]),
    "a message in another content that nobody made": ("I2 damaged", [*ONE, *edited_delivery(b"new")]),
    "a message that is erased and was not deleted": ("I2 damaged", [*ONE, *edited_delivery(b"", erased=True)]),
    "a content after its deletion": (
        "I10 leaked",
        [*ONE, *gave("DELETE_FOR_EVERYONE"), *became(deleted=True), *delivered(1)],
    ),
    "a marker that a device is not told": ("I8 marker lost", [*START, *marked(3), told(BOB, 3)]),
    "two devices with different markers": (
        "I9 diverged",
        [*START, ReadSet(BOB, "c1", 3), told(BOB, 3), told(BOB2, 2)],
    ),
    "a device that its sibling does not know": (
        "I9 diverged",
        [*START, *ALICE_KNOWS, State(BOB, 0, 1, devices=(DeviceKnown("phone", 1, 0, ""),)), *siblings(devices=[BOB2])],
    ),
    "a label that nobody gave": ("I8 false label", [*START, *ALICE_KNOWS, *siblings("mine", stamp=5)]),
    "a label that a sibling is not told": (
        "I9 diverged",
        [*START, *ALICE_KNOWS, *named("mine"), *siblings("mine", stamp=5, devices=[BOB]), *siblings(devices=[BOB2])],
    ),
    "a label that is answered and nobody is told": (
        "I8 label lost",
        [*START, *ALICE_KNOWS, *named("mine"), *siblings()],
    ),
    "an older label in the place of a newer one": (
        "I8 label lost",
        [*START, *ALICE_KNOWS, *named("mine"), *named("his"), *siblings("mine", stamp=5)],
    ),
    "an answer about a label that was not given": ("I5 invented", [*START, Labelled(BOB, BOB, "mine")]),
    "a message for all devices that one is left out of": (
        "I1 left out",
        [*START, *whole(LAPTOP, BOB), *delivered(1, to=[LAPTOP, BOB])],
    ),
    "a PLAYED of what was only read": (
        "I8 false receipt",
        [*ALL_OF_ONE, Read(BOB, "c1", 1), *seen(Kind.PLAYED)],
    ),
    "a PLAYED of what was not read": (
        "I8 receipt lost",
        [*ALL_OF_ONE, played(1), *seen(Kind.PLAYED)],
    ),
    "from somebody else": (
        "I10 forged",
        [*START, wrote(), Batch(BOB, "chat", 0, 1, Turn.IN_TURN, (delivery(1, author=LAPTOP),))],
    ),
    "from nobody": (
        "I10 forged",
        [*START, Batch(BOB, "chat", 0, 1, Turn.IN_TURN, (delivery(1, text="never written"),))],
    ),
    "shown to a stranger": ("I10 leaked", [*ALL_OF_ONE, *opened(EVE), batch(EVE, 1)]),
    "shown to a device that was not addressed": (
        "I10 leaked",
        [*START, wrote(addressed=[BOB]), sent(), *delivered(1)],
    ),
    "what became of a message that is for none of their devices": (
        "I10 leaked",
        [*FOR_A_SIBLING, *became(PHONE, LAPTOP, BOB, deleted=True)],
    ),
    "a deletion of which a sibling that it was addressed to is not told": (
        "I9 diverged",
        [*FOR_A_SIBLING, *became(PHONE, deleted=True)],
    ),
    "a partition that nobody asked for": ("I10 leaked", [*START, Batch(BOB, "sync", 0, 1, Turn.IN_TURN)]),
    "what a client says itself": ("I5 client", [Complaint(BOB, "I5", "client", "this cannot be")]),
}


@pytest.mark.parametrize("history", CLEAN.values(), ids=CLEAN)
def test_a_clean_history_has_no_violations(history: list[Event]) -> None:
    violations = check(history)

    assert violations == [], explain(violations)


@pytest.mark.parametrize(("kind", "history"), GUILTY.values(), ids=GUILTY)
def test_a_violation_is_reported_by_its_invariant_and_kind(kind: str, history: list[Event]) -> None:
    violations = check(history)

    assert kind in {f"{violation.invariant} {violation.kind}" for violation in violations}, explain(violations)


def test_nothing_is_called_lost_before_everybody_is_at_rest() -> None:
    assert check(ONE, quiet=False) == []


def test_a_gap_is_excused_where_its_reason_is() -> None:
    gap = Batch(BOB, "chat", 0, 1, Turn.IN_TURN, gaps=(Gap(1, 1, GapReason.EXPIRED),))
    history = [*ONE, *delivered(1, to=[LAPTOP, BOB2]), gap]

    assert check(history, excused=[GapReason.EXPIRED]) == []
    assert check(history, excused=[]) != []


def test_what_expired_before_anybody_of_its_reader_saw_it_is_not_lost() -> None:
    seen = [*ONE, batch(LAPTOP, 1)]
    seat, gap = {"chat": Seat(2, 1, 0, 1)}, {"chat": (Gap(1, 1, GapReason.EXPIRED),)}
    told = [Opened(bob, 7, seat, gap) for bob in (BOB, BOB2)]

    assert check([*seen, *told], excused=[GapReason.EXPIRED]) == []
    assert [violation.kind for violation in check(seen, excused=[GapReason.EXPIRED])] == ["lost", "lost"]


def test_a_device_that_has_nothing_begins_where_the_log_does_by_now() -> None:
    seat = Seat(3, 2, 2, 2)
    history = [*START, Knocked(BOB, {"chat": Place(0)}), Opened(BOB, 7, {"chat": seat})]

    assert check(history) == []


def test_the_explanation_counts_by_kind_and_shows_the_first_ones() -> None:
    text = explain(check([*START, *(event for n in range(1, 30) for event in (wrote(n), sent(n)))]))

    assert text.startswith("87 violations (I1 lost: 87)")
    assert text.endswith("… and 47 more")


def kinds(history: Sequence[Event]) -> set[str]:
    return {violation.kind for violation in check(history)}


def contact(device: Name, other: str, version: int = 1, **fields: Any) -> State:
    return State(device, version - 1, version, contacts=(ContactKnown(other, version, **fields),))


def befriended() -> list[Event]:
    """Alice asked bob, who accepted: she sees him."""
    return [
        *opened(PHONE, BOB),
        ContactSaid(PHONE, "k1", "REQUEST", "bob"),
        ContactAnswered(PHONE, "k1", ContactKnown("bob", 1, "requested")),
        contact(PHONE, "bob", state="requested"),
        contact(BOB, "alice", state="asked"),
        ContactSaid(BOB, "k1", "ACCEPT", "alice"),
        contact(BOB, "alice", 2, state="accepted", sees_you=True),
        shown_to(PHONE, "bob"),
        contact(PHONE, "bob", 2, state="accepted", seen=True),
    ]


def test_an_acceptance_that_both_sides_are_told_is_no_violation() -> None:
    assert check(befriended()) == []


def test_sides_that_differ_are_found() -> None:
    assert "one-sided" in kinds(befriended()[:-1])


def test_a_contact_whom_nobody_asked_is_found() -> None:
    assert "false contact" in kinds([*opened(PHONE), contact(PHONE, "bob", state="asked")])


def test_a_contact_that_was_answered_and_is_not_known_is_found() -> None:
    assert "contact lost" in kinds(befriended()[:4])


def blocking(*, is_answered: bool = True, is_there: bool) -> list[Event]:
    """Bob blocks alice, who writes to him then."""
    blocked = ContactKnown("alice", 1, blocked=True)
    return [
        *opened(PHONE, BOB, head=1),
        ContactSaid(BOB, "k1", "BLOCK", "alice"),
        *([ContactAnswered(BOB, "k1", blocked)] if is_answered else []),
        contact(BOB, "alice", blocked=True),
        wrote(),
        sent(),
        *([batch(BOB, 1)] if is_there else []),
    ]


def test_what_is_written_to_who_has_blocked_its_author_is_not_owed_to_them() -> None:
    assert "lost" not in kinds(blocking(is_there=False))
    assert "lost" not in kinds(blocking(is_answered=False, is_there=False))


def test_what_is_written_to_who_has_blocked_its_author_and_comes_is_found() -> None:
    assert "let through" in kinds(blocking(is_there=True))


@pytest.mark.parametrize("is_told", [True, False])
def test_what_who_is_blocked_takes_back_and_the_other_one_knows_still_is_found(*, is_told: bool) -> None:
    reacted, ended = (("alice", "+", 5, False),), (("alice", "+", 6, True),)
    events = [
        *ALL_OF_ONE,
        *gave("REACT"),
        *became(reactions=reacted),
        ContactSaid(BOB, "k1", "BLOCK", "alice"),
        ContactAnswered(BOB, "k1", ContactKnown("alice", 1, blocked=True)),
        Given(PHONE, "UNREACT1", "UNREACT", 1001, "c1", b"", "+"),
        done(PHONE, "UNREACT")._replace(stamp=6),
        *became(PHONE, LAPTOP, *([BOB, BOB2] if is_told else []), reactions=ended),
    ]

    assert ("not taken back" in kinds(events)) is not is_told


def test_while_nobody_knows_whether_a_block_holds_a_message_may_come() -> None:
    assert "let through" not in kinds(blocking(is_answered=False, is_there=True))


def posted(*, again: int = 1001) -> list[Event]:
    """A back end of alice's posts a message by HTTP, of which SENT is lost, and posts it again."""
    poster = Name("alice", "backend")
    found = delivery(1, author=poster, text=f"{poster} 1")
    batches = [Batch(device, "chat", 0, 1, Turn.IN_TURN, (found,)) for device in EVERYBODY]
    answered = Answered(poster, "m1", ids()._replace(stamp=again), duplicate=True)
    return [*START, *ALICE_KNOWS, *siblings(), wrote(device=poster), *batches, answered]


def test_who_only_posts_is_asked_to_know_nothing() -> None:
    assert check(posted()) == []


def test_what_is_posted_twice_is_stored_once() -> None:
    kinds = {str(one).partition(":")[0] for one in check(posted(again=1002))}

    assert any("duplicated" in kind for kind in kinds), kinds


SEES, GONE = ContactKnown("bob", 2, "accepted", sees_you=True), ContactKnown("bob", 3, is_gone=True)


def about_bob(action: str, after: ContactKnown | None, number: int = 1) -> list[Event]:
    """What alice says of him, and how it stands then; None: she is not answered."""
    said: Event = ContactSaid(PHONE, f"k{number}", action, "bob")
    return [said] if after is None else [said, ContactAnswered(PHONE, f"k{number}", after)]


def published(*said: Event, to: Sequence[Name] = (), more: Sequence[Event] = ()) -> set[str]:
    """What is found where alice let bob see her, said more, and wrote for her friends, and these were shown that."""
    return kinds(
        [
            *opened(PHONE, BOB, EVE),
            *about_bob("ACCEPT", SEES),
            *said,
            wrote(to=""),
            sent(),
            *delivered(1, to=to),
            *more,
        ]
    )


def test_what_is_for_friends_is_owed_to_whom_its_author_lets_see_them_and_to_nobody_else() -> None:
    assert not {"lost", "leaked"} & published(to=[BOB])
    assert "lost" in published()
    assert "leaked" in published(to=[BOB, EVE])


@pytest.mark.parametrize("end", ["REMOVE", "BLOCK"])
def test_who_is_removed_or_blocked_is_no_friend_any_more(end: str) -> None:
    ended = about_bob(end, GONE if end == "REMOVE" else SEES._replace(version=3, blocked=True), 2)

    assert "leaked" in published(*ended, to=[BOB])
    assert "lost" not in published(*ended)


@pytest.mark.parametrize("end", ["REMOVE", "BLOCK"])
def test_while_nobody_knows_whether_it_is_over_a_friend_may_have_it_or_not(end: str) -> None:
    for to in ([], [BOB]):
        assert not {"lost", "leaked"} & published(*about_bob(end, None, 2), to=to)


def test_what_was_refused_makes_nobody_a_friend() -> None:
    ended = [*about_bob("REMOVE", GONE, 2), *about_bob("ACCEPT", None, 3)]

    assert "leaked" not in published(*ended, to=[BOB])
    assert "leaked" in published(*ended, ContactRefused(PHONE, "k3"), to=[BOB])


def test_who_is_unblocked_is_a_friend_again() -> None:
    blocked, lifted = SEES._replace(version=3, blocked=True), SEES._replace(version=4)
    again = [*about_bob("BLOCK", blocked, 2), *about_bob("UNBLOCK", lifted, 3)]

    assert "lost" in published(*again)
    assert "leaked" not in published(*again, to=[BOB])


def test_a_reader_who_is_told_of_another_is_found() -> None:
    eve: list[Event] = [
        ContactSaid(PHONE, "k9", "ACCEPT", "eve"),
        ContactAnswered(PHONE, "k9", ContactKnown("eve", 2, "accepted", sees_you=True)),
    ]
    receipt = Receipts("c1", "bob", Kind.DELIVERED, ((1, 1, 5),))
    reaction = Changed("c1", 1, 1001, reactions=(("bob", "+", 5, False),))
    said = Given(BOB, "r1", "REACT", 1001, "c1", emoji="+")
    for device, is_leak in ((EVE, True), (PHONE, False)):
        told: list[Event] = [Acked(BOB, "chat", 1), State(device, 0, 1, receipts=(receipt,))]
        became_of: list[Event] = [said, State(device, 0, 1, changes=(reaction,))]

        assert ("leaked" in published(*eve, to=[BOB, EVE], more=told)) is is_leak
        assert ("leaked" in published(*eve, to=[BOB, EVE], more=became_of)) is is_leak


def test_a_name_that_nobody_gave_is_found() -> None:
    told = contact(PHONE, "bob", name="Bobby")

    assert "false contact" in kinds([*opened(PHONE), told])
    assert "false contact" not in kinds([*opened(PHONE), ContactSaid(PHONE, "k1", "NAME", "bob", name="Bobby"), told])


def test_who_has_blocked_who_adds_them_to_a_group_is_listed_and_has_nothing_of_it() -> None:
    blocked: list[Event] = [
        ContactSaid(BOB, "k1", "BLOCK", "alice"),
        ContactAnswered(BOB, "k1", ContactKnown("alice", 1, blocked=True)),
    ]
    begun = [*opened(PHONE, LAPTOP, BOB), *blocked]
    others = (PHONE, LAPTOP)
    created = changed(1, EventKind.CREATED, "bob", title="trip", to=others)
    known = know("trip", "alice", "bob", devices=others)

    assert not {"lost", "diverged", "let through"} & kinds([*begun, *created, *known])
    assert "diverged" in kinds([*begun, *created, *know("trip", "alice", devices=others)])
    shown = changed(1, EventKind.CREATED, "bob", title="trip", to=(*others, BOB))
    assert "let through" in kinds([*begun, *shown, *know("trip", "alice", "bob", devices=(*others, BOB))])
