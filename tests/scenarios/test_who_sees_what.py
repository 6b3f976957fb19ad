"""The matrix: in each relation of two users, with each setting and exception, what one sees of the other on real
connections is what the table says: live, by a device that comes later, and by who asks.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.contacts.access import lets_see
from bimip.domain.contacts.privacy import Seen, look_evenly, verdict
from bimip.domain.core.records import Table
from tests.kit.memory_server import Client, World, begin, go_on, open_world
from tests.kit.received import Received
from tests.scenarios.test_calls import say
from tests.scenarios.test_contacts import Action, ask
from tests.scenarios.test_locations import HERE, THERE
from tests.scenarios.test_presence import DELAY, INTERVAL
from tests.scenarios.test_presence import say as say_status
from tests.scenarios.test_privacy import reads, set_to

ALLOWED, DENIED = pb.PrivacyExceptionException.ALLOWED, pb.PrivacyExceptionException.DENIED

Step = tuple[str, pb.ContactAction, bool]
"""Who does what about the other one, and whether it is mutual. Ann is the viewer, bob the owner."""

RELATIONS: dict[str, list[Step]] = {
    "strangers": [],
    "ann asked": [("ann", Action.REQUEST, False)],
    "ann sees bob": [("ann", Action.REQUEST, False), ("bob", Action.ACCEPT, False)],
    "bob sees ann": [("bob", Action.REQUEST, False), ("ann", Action.ACCEPT, False)],
    "both see": [("ann", Action.REQUEST, True), ("bob", Action.ACCEPT, False)],
    "no longer": [("ann", Action.REQUEST, True), ("bob", Action.ACCEPT, False), ("bob", Action.REMOVE, False)],
    "bob blocked a friend": [
        ("ann", Action.REQUEST, True),
        ("bob", Action.ACCEPT, False),
        ("bob", Action.BLOCK, False),
    ],
    "ann blocked a friend": [
        ("ann", Action.REQUEST, True),
        ("bob", Action.ACCEPT, False),
        ("ann", Action.BLOCK, False),
    ],
    "bob blocked a stranger": [("bob", Action.BLOCK, False)],
    "ann blocked a stranger": [("ann", Action.BLOCK, False)],
    "unblocked again": [
        ("ann", Action.REQUEST, True),
        ("bob", Action.ACCEPT, False),
        ("bob", Action.BLOCK, False),
        ("bob", Action.UNBLOCK, False),
    ],
}


class Choice(NamedTuple):
    """What each has set."""

    bob: Mapping[str, Any] = {}
    ann: Mapping[str, Any] = {}

    def __str__(self) -> str:
        said = [f"{eid} {name} {value}" for eid, given in self._asdict().items() for name, value in given.items()]
        return ", ".join(said) or "nothing set"


def choices(owners: tuple[str, str], viewers: tuple[str, str] | None = None) -> list[Choice]:
    """Each audience with each exception, of a setting of the owner's, or else of one of the viewer's."""
    found = [Choice()]
    for eid, names in (("bob", owners), ("ann", viewers)):
        if names is None:
            continue
        for audience in (None, pb.Audience.EVERYBODY, pb.Audience.CONTACTS, pb.Audience.NOBODY):
            for exception in (None, ALLOWED, DENIED):
                given = {names[0]: audience, names[1]: exception}
                found.append(Choice(**{eid: {name: value for name, value in given.items() if value is not None}}))
    return [one for at, one in enumerate(found) if one not in found[:at]]


RECEIPTS = choices(("read_receipts_to", "send_read_receipts"), ("read_receipts_of", "show_read_receipts"))
INVISIBLE = Choice(bob={"visible": False})
ONLINE = [*choices(("online_status_to", "show_online_status")), INVISIBLE]
LAST_SEEN = choices(("last_seen_to", "show_last_seen"))[1:]


async def relate(phones: Mapping[str, Client], relation: str, first: int = 0) -> None:
    for at, (who, action, mutual) in enumerate(RELATIONS[relation][first:], first):
        await ask(phones[who], action, "bob" if who == "ann" else "ann", mutual=mutual, id=f"step{at}")


async def choose(phones: Mapping[str, Client], choice: Choice) -> None:
    for who, other in (("bob", "ann"), ("ann", "bob")):
        given = dict(getattr(choice, who))
        values = {
            name: given.pop(name) for name in list(given) if isinstance(given[name], pb.PrivacyExceptionException)
        }
        if values:
            given["exceptions"] = [pb.PrivacyException(eid=other, **values)]
        if given:
            await set_to(phones[who], **given)


def is_allowed(world: World, seen: Seen) -> bool:
    """What the table says that ann sees of bob."""
    with world.server.store.snapshot() as view:
        ann, bob = (view.get(Table.USERS, (eid,)).number for eid in ("ann", "bob"))
        return verdict(view, ann, bob, seen).allowed


def frozen_for_ann(world: World) -> int:
    """When bob was last there to ann, whom he has blocked."""
    with world.server.store.snapshot() as view:
        ann, bob = (view.get(Table.USERS, (eid,)).number for eid in ("ann", "bob"))
        return look_evenly(view, ann, bob).frozen


async def known_to(world: World, eid: str, device: str, conversation: str) -> list[set[tuple[str, int]]]:
    """Who read what, as a device that begins anew is told of it, and as it is told when it asks."""
    tablet = await world.join(eid, device, begin(pb.Start.HEAD))
    whole = await tablet.heard()
    tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=conversation), ref=9)
    asked = await tablet.heard()
    tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, offset=1), ref=10)
    history = await tablet.heard()
    return [reads(heard.receipts) for heard in (whole, asked, history)]


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("choice", RECEIPTS, ids=str)
async def test_receipts_are_seen_where_the_table_says_so(
    autojump_clock: MockClock, relation: str, choice: Choice
) -> None:
    async with open_world() as world:
        phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob")}
        sent = await phones["ann"].post("bob", b"hello", "m1")
        await phones["bob"].heard()
        phones["bob"].acknowledge(1)
        await relate(phones, relation)
        await choose(phones, choice)
        await phones["ann"].heard()
        phones["bob"].read(sent.conversation, 1)
        live = await phones["ann"].heard()
        expected = {("bob", 1)} if is_allowed(world, Seen.READ_RECEIPTS) else set()

        assert live.errors == []
        assert reads(live.receipts) == expected
        assert await known_to(world, "ann", "tablet", sent.conversation) == [expected] * 3
        own = await known_to(world, "bob", "tablet", sent.conversation)
        is_private = not expected and not own[0]
        assert is_private or own == [{("bob", 1)}] * 3  # whoever reads knows what they read


@pytest.mark.parametrize("relation", RELATIONS)
async def test_in_a_group_in_common_receipts_are_seen_where_the_table_says_so(
    autojump_clock: MockClock, relation: str
) -> None:
    """Who is in a group with them, and writes there, is no other than who writes to them alone; carol is no concern."""
    async with open_world() as world:
        phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob", "carol")}
        create = pb.Conversation(
            action=pb.ConversationAction.CREATE,
            title="trip",
            members=[pb.Member(eid=eid) for eid in ("ann", "bob")],
            request_id="r1",
        )
        phones["carol"].send(conversation=create, ref=5)
        await phones["carol"].heard()
        for eid in ("ann", "carol"):
            await phones[eid].post("c1", b"hello", "m1")
        for phone in phones.values():
            await phone.heard()
            phone.acknowledge(3)
        await relate(phones, relation)
        await choose(phones, Choice(bob={"read_receipts_to": pb.Audience.EVERYBODY}))
        await phones["ann"].heard()
        phones["bob"].read("c1", 3)
        seen = {eid: reads((await phones[eid].heard()).receipts) for eid in ("ann", "carol")}
        expected = {("bob", 2)} if is_allowed(world, Seen.READ_RECEIPTS) else set()

        assert {one for one in seen["ann"] if one[0] == "bob"} == expected
        assert ("bob", 3) in seen["carol"]


@pytest.mark.parametrize("relation", RELATIONS)
async def test_calls_ring_where_the_table_says_so(autojump_clock: MockClock, relation: str) -> None:
    async with open_world() as world:
        phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob")}
        await relate(phones, relation)
        await phones["bob"].heard()
        say(phones["ann"], "bob", pb.CallStep.CALL_OFFER, b"offer")
        heard = await phones["bob"].heard()
        rang = [signal.step for signal in heard.call_signals]

        assert (pb.CallStep.CALL_OFFER in rang) is is_allowed(world, Seen.CALL)


@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("relation", ["strangers", "ann sees bob", "both see", "bob blocked a friend"])
async def test_whether_it_rings_somewhere_is_told_where_the_table_says_that_they_are_seen_online(
    autojump_clock: MockClock, relation: str, *, visible: bool
) -> None:
    """To who may not see whether bob is there a call to nobody, and one that rings, are the same."""
    async with open_world() as world:
        phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob")}
        await relate(phones, relation)
        await set_to(phones["bob"], visible=visible)
        for phone in phones.values():
            await phone.heard()
        say(phones["ann"], "bob", pb.CallStep.CALL_OFFER, b"offer")
        await phones["bob"].heard()
        say(phones["bob"], "ann", pb.CallStep.CALL_RINGING)
        told = [signal.step for signal in (await phones["ann"].heard()).call_signals]

        assert (pb.CallStep.CALL_RINGING in told) is is_allowed(world, Seen.ONLINE)


async def join_both(world: World) -> dict[str, Client]:
    return {eid: await world.join(eid, "phone") for eid in ("ann", "bob")}


async def join_group(world: World) -> dict[str, Client]:
    """Ann and bob, who are in carol's group, c1."""
    phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob", "carol")}
    members = [pb.Member(eid=eid) for eid in ("ann", "bob")]
    create = pb.Conversation(action=pb.ConversationAction.CREATE, title="trip", members=members, request_id="r1")
    phones["carol"].send(conversation=create, ref=5)
    await phones["carol"].heard()
    return phones


def statuses(heard: Received, owner: str = "bob") -> list[tuple[str, bool]]:
    """What was told of how somebody is, and whether when they were last there."""
    told = [one for body in heard.bodies for one in body.awareness if one.from_ and one.from_.eid == owner]
    return [(one.status.name or "", one.last_seen > 0) for one in told]


async def asked_of(client: Client, eid: str) -> pb.Awareness:
    """How somebody is, as who asks is told, but for who that is."""
    answer = await say_status(client, pb.AwarenessStatus.AWARENESS_STATUS_UNSPECIFIED, to=pb.Identity(eid=eid))
    answer.from_ = None
    return answer


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("choice", [*ONLINE, *LAST_SEEN], ids=str)
async def test_who_is_there_and_was_is_seen_where_the_table_says_so(
    autojump_clock: MockClock, relation: str, choice: Choice
) -> None:
    async with open_world() as world:
        phones = await join_both(world)
        ann, bob = phones["ann"], phones["bob"]
        await relate(phones, relation)
        await choose(phones, choice)
        await trio.sleep(INTERVAL)
        await ann.heard()
        is_shown, last_seen = is_allowed(world, Seen.ONLINE), is_allowed(world, Seen.LAST_SEEN)
        nobody = await asked_of(ann, "nobody")
        nobody.last_seen = frozen_for_ann(world)
        await say_status(bob, pb.AwarenessStatus.BUSY)
        live = statuses(await ann.heard())
        tablet = await world.join("ann", "tablet", go_on())
        later = statuses(await tablet.heard())
        asked = await asked_of(ann, "bob")

        assert live == later == ([("BUSY", False)] if is_shown else [])
        assert asked.status == pb.AwarenessStatus.BUSY if is_shown else last_seen or asked == nobody
        bob.cut()
        await trio.sleep(DELAY + INTERVAL)
        assert statuses(await ann.heard()) == ([("OFFLINE", last_seen)] if is_shown else [])
        gone = await asked_of(ann, "bob")
        assert gone.last_seen > 0 if last_seen else gone == nobody


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("choice", ONLINE, ids=str)
async def test_that_somebody_types_is_seen_where_the_table_says_so(
    autojump_clock: MockClock, relation: str, choice: Choice
) -> None:
    """Of the two alone and in a group in common; and who types learns nothing."""
    async with open_world() as world:
        phones = await join_group(world)
        await relate(phones, relation)
        await choose(phones, choice)
        for phone in phones.values():
            await phone.heard()
        phones["bob"].send(awareness=pb.Awareness(status=pb.AwarenessStatus.TYPING, to=pb.Identity(eid="ann")))
        phones["bob"].send(signal=pb.Signal(status=pb.MessageStatus.STATUS_RECORDING, conversation="c1"))
        typed = [name for name, _ in statuses(await phones["ann"].heard())]

        assert sorted(typed) == (["RECORDING", "TYPING"] if is_allowed(world, Seen.ACTIVITY) else [])
        assert (await phones["bob"].heard()).frames == []


def places(heard: Received) -> set[tuple[str, float]]:
    """In which conversations, and by "" to oneself, it was told where somebody is."""
    told = [one for body in heard.bodies for one in body.locations]
    return {(one.conversation, one.latitude) for one in told if one.has_position}


def shown_places(world: World, latitude: float) -> set[tuple[str, float]]:
    """Where ann sees bob if he shares it with her, if he may, and in c1."""
    if not is_allowed(world, Seen.LOCATION):
        return set()
    with world.server.store.snapshot() as view:
        ann, bob = (view.get(Table.USERS, (eid,)).number for eid in ("ann", "bob"))
        names = {"c1", ""} if lets_see(view, bob, ann) else {"c1"}
    return {(name, latitude) for name in names}


async def share_both(bob: Client) -> None:
    bob.send(location_stream=pb.LocationStream(to=pb.Identity(eid="ann"), enabled=True), ref=5)
    bob.send(location_stream=pb.LocationStream(conversation="c1", enabled=True), ref=6)
    await bob.heard()


async def be_at(bob: Client, place: tuple[float, float]) -> None:
    bob.send(location_stream=pb.LocationStream(latitude=place[0], longitude=place[1], has_position=True), ref=7)
    await bob.heard()


WERE_CONTACTS = [name for name, steps in RELATIONS.items() if steps[:2] == RELATIONS["both see"]]


@pytest.mark.parametrize("choice", [Choice(), INVISIBLE], ids=str)
@pytest.mark.parametrize(
    ("relation", "contacts_first"),
    [*((name, False) for name in RELATIONS), *((name, True) for name in WERE_CONTACTS)],
)
async def test_where_somebody_is_is_seen_where_the_table_says_so(
    autojump_clock: MockClock, relation: str, choice: Choice, *, contacts_first: bool
) -> None:
    """Live, by a device that comes later, and by who asks: also where they shared it while they were contacts."""
    async with open_world() as world:
        phones = await join_group(world)
        ann, bob, carol = phones["ann"], phones["bob"], phones["carol"]
        if contacts_first:
            await relate(phones, "both see")
            await share_both(bob)
            await be_at(bob, HERE)
        await relate(phones, relation, 2 if contacts_first else 0)
        await choose(phones, choice)
        if not contacts_first:
            await share_both(bob)
        await ann.heard()
        nobody = await asked_of(ann, "nobody")
        nobody.last_seen = frozen_for_ann(world)
        await be_at(bob, THERE)
        expected = shown_places(world, THERE[0])
        live = places(await ann.heard())
        tablet = await world.join("ann", "tablet", go_on())
        later = places(await tablet.heard())
        asked = await asked_of(ann, "bob")

        assert live == later == expected
        assert (asked.location_sharing, asked.latitude) == ((True, THERE[0]) if expected else (False, 0.0))
        if not (expected or is_allowed(world, Seen.ONLINE) or is_allowed(world, Seen.LAST_SEEN)):
            assert asked == nobody
        assert (("c1", THERE[0]) in places(await carol.heard())) is (choice is not INVISIBLE)


@pytest.mark.parametrize("relation", RELATIONS)
async def test_messages_arrive_where_the_table_says_so(autojump_clock: MockClock, relation: str) -> None:
    """Of who is blocked nothing arrives; who blocks is told to write nothing."""
    async with open_world() as world:
        phones = await join_both(world)
        ann, bob = phones["ann"], phones["bob"]
        await relate(phones, relation)
        for phone in phones.values():
            await phone.heard()
        ann.write("bob", b"hello", "m1")
        answered = await ann.heard()
        laptop = await world.join("bob", "laptop", begin(pb.Start.FIRST))
        arrived = [(await one.heard()).payloads for one in (bob, laptop)]

        assert arrived == [[b"hello"] if is_allowed(world, Seen.MESSAGE) else []] * 2
        refused = [(error.code, error.field) for error in answered.errors]
        assert refused == ([(pb.ErrorCode.FORBIDDEN, "to.eid")] if relation.startswith("ann blocked") else [])
