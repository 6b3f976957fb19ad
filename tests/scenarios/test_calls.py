"""Calls: who hears what of one, in which order, and how it ends, whoever hangs up, is cut off or does not answer."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.interface import Store
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, befriend, go_on, open_world, settle
from tests.kit.received import Received

OpenStore = Callable[[], Store]
Step, End = pb.CallStep, pb.CallEnd
OFFER, RINGING, ANSWER = Step.CALL_OFFER, Step.CALL_RINGING, Step.CALL_ANSWER
CANDIDATE, HANG_UP, ENDED = Step.CALL_CANDIDATE, Step.CALL_HANG_UP, Step.CALL_ENDED
CALLING, DECLINE = pb.MessageStatus.CALLING, pb.MessageStatus.DECLINE

RING_SECONDS, AWAY_SECONDS = 60, 15


def say(client: Client, to: str, step: pb.CallStep, payload: bytes = b"", *, call: str = "x", **fields: Any) -> None:
    given: dict[str, Any] = {"status": CALLING, "to": pb.Identity(eid=to), "call": call, "step": step}
    client.send(signal=pb.Signal(**(given | {"payload": payload} | fields)), ref=9)


def steps(heard: Received) -> list[tuple[Any, ...]]:
    """What was told of calls: the step, and its payload, or why it ended."""
    return [(one.step, one.end if one.step == ENDED else one.payload) for one in heard.call_signals]


def sequences(heard: Received) -> list[int]:
    return [one.sequence for one in heard.call_signals]


def missed(heard: Received) -> list[tuple[str, pb.CallEnd]]:
    found = [message.call_event for message in heard.messages]
    return [(event.call, event.end) for event in found if event is not None]


async def ann_calls(world: World) -> tuple[Client, Client, Client]:
    """Ann's phone calls bob, who lets her see him. His phone and laptop ring, and have told nobody yet."""
    ann = await world.join("ann", "phone")
    phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop", go_on())
    await befriend(ann, phone)
    for client in (ann, phone, laptop):
        await client.heard()
    say(ann, "bob", OFFER, b"offer")
    await settle()
    return ann, phone, laptop


async def they_talk(world: World) -> tuple[Client, Client, Client]:
    """Bob's phone has answered, and all three have heard it."""
    ann, phone, laptop = await ann_calls(world)
    say(phone, "ann", ANSWER, b"answer")
    for client in (ann, phone, laptop):
        await client.heard()
    return ann, phone, laptop


async def test_an_offer_rings_at_every_device_and_says_whose_it_is(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        (signal,) = (await phone.heard()).call_signals

        assert (signal.status, signal.step, signal.payload, signal.call) == (CALLING, OFFER, b"offer", "x")
        assert signal.from_ == pb.Identity(eid="ann")
        assert signal.to == pb.Identity(eid="ann")
        assert (signal.sequence, signal.ttl_ms) == (1, RING_SECONDS * 1000)
        assert signal.timestamp > 0
        assert steps(await laptop.heard()) == [(OFFER, b"offer")]
        assert (await ann.heard()).frames == []


async def test_the_first_answer_counts_and_the_other_devices_stop(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        say(phone, "ann", RINGING)
        say(phone, "ann", ANSWER, b"answer")
        await settle()
        say(laptop, "ann", ANSWER, b"too late")
        stopped = (await laptop.heard()).call_signals

        assert steps(await ann.heard()) == [(RINGING, b""), (ANSWER, b"answer")]
        assert steps(await phone.heard()) == [(OFFER, b"offer")]
        assert [(one.step, one.end) for one in stopped[1:]] == [(ENDED, End.CALL_ANSWERED_ELSEWHERE)] * len(stopped[1:])
        assert stopped[1].from_ == pb.Identity(eid="bob", connection_resource_id="phone")
        assert {one.sequence for one in stopped} == {1, 2}


async def test_of_two_that_answer_at_once_one_talks_and_the_other_stops(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        say(laptop, "ann", ANSWER, b"laptop")
        say(phone, "ann", ANSWER, b"phone")
        ((_, answer),) = steps(await ann.heard())
        ends = {
            client.device: [end for step, end in steps(await client.heard()) if step == ENDED]
            for client in (phone, laptop)
        }

        assert ends.pop(answer.decode()) == []
        ((end, *again),) = ends.values()
        assert {end, *again} == {End.CALL_ANSWERED_ELSEWHERE}


async def test_what_both_say_is_relayed_in_order_and_numbered(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await they_talk(world)
        for number in range(4):
            say(ann, "bob", CANDIDATE, b"a%d" % number)
            say(phone, "ann", CANDIDATE, b"b%d" % number)
        say(ann, "bob", OFFER, b"with video")
        say(phone, "ann", ANSWER, b"yes")
        at_phone, at_ann = await phone.heard(), await ann.heard()

        assert [payload for _, payload in steps(at_phone)] == [b"a0", b"a1", b"a2", b"a3", b"with video"]
        assert [payload for _, payload in steps(at_ann)] == [b"b0", b"b1", b"b2", b"b3", b"yes"]
        assert (sequences(at_phone), sequences(at_ann)) == ([2, 3, 4, 5, 6], [2, 3, 4, 5, 6])
        assert steps(await laptop.heard()) == []


async def test_candidates_before_the_answer_ring_everywhere_also_at_a_device_that_comes_later(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, phone, _ = await ann_calls(world)
        say(ann, "bob", CANDIDATE, b"a1")
        say(ann, "bob", CANDIDATE, b"a2")
        await settle()
        tablet = await world.join("bob", "tablet", go_on())
        rung = [(OFFER, b"offer"), (CANDIDATE, b"a1"), (CANDIDATE, b"a2")]

        assert steps(await tablet.heard()) == rung
        assert steps(await phone.heard()) == rung


@pytest.mark.parametrize(
    ("who", "status", "end", "is_missed"),
    [
        ("phone", DECLINE, End.CALL_DECLINED, False),
        ("phone", CALLING, End.CALL_DECLINED, False),
        ("ann", CALLING, End.CALL_CANCELLED, True),
        ("ann", DECLINE, End.CALL_CANCELLED, True),
    ],
)
async def test_who_hangs_up_before_an_answer_ends_it_for_all(
    who: str,
    status: pb.MessageStatus,
    end: pb.CallEnd,
    is_missed: bool,  # noqa: FBT001 - a parameter
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        client, peer = (ann, "bob") if who == "ann" else (phone, "ann")
        say(client, peer, HANG_UP, status=status)
        everybody = [await one.heard() for one in (ann, phone, laptop)]

        assert [steps(heard)[-1] for heard in everybody] == [(ENDED, end)] * 3
        assert [missed(heard) for heard in everybody] == [[("x", end)] if is_missed else []] * 3
        declined = DECLINE if end == End.CALL_DECLINED else CALLING
        assert {heard.call_signals[-1].status for heard in everybody} == {declined}


@pytest.mark.parametrize("who", ["ann", "phone"])
async def test_who_hangs_up_after_it_was_answered_ends_it_for_both(who: str, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await they_talk(world)
        say(*((ann, "bob") if who == "ann" else (phone, "ann")), HANG_UP)

        for one in (ann, phone):
            heard = await one.heard()
            assert (steps(heard), missed(heard)) == ([(ENDED, End.CALL_HUNG_UP)], [])
        assert (await laptop.heard()).frames == []


async def test_nobody_answers_and_it_becomes_one_message_before_anybody_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        await trio.sleep(RING_SECONDS)
        everybody = [await one.heard() for one in (ann, phone, laptop)]

        for heard in everybody:
            (message,) = heard.messages
            assert message.call_event is not None
            assert (message.call_event.call, message.call_event.end) == ("x", End.CALL_TIMED_OUT)
            assert (message.from_, message.to) == (pb.Identity(eid="ann"), pb.Identity(eid="bob"))
            assert (message.payload, message.conversation, message.user_offset) == (b"", "c1", 1)
            assert steps(heard)[-1] == (ENDED, End.CALL_TIMED_OUT)


async def test_who_is_offline_is_rung_in_vain_and_finds_the_message(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        ann = await world.join("ann", "phone")
        await ann.heard()
        say(ann, "bob", OFFER, b"offer", ttl_ms=5000)
        await trio.sleep(4.9)

        assert (await ann.heard()).call_signals == []
        await trio.sleep(0.1)
        assert steps(await ann.heard()) == [(ENDED, End.CALL_TIMED_OUT)]
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")

        assert missed(await bob.heard()) == [("x", End.CALL_TIMED_OUT)]


async def test_a_ring_lasts_no_longer_than_the_server_lets_it(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_CALLS_RING_SECONDS="3")) as world:
        await world.register("bob")
        ann = await world.join("ann", "phone")
        say(ann, "bob", OFFER, ttl_ms=2**32 - 1)
        await trio.sleep(3.1)

        assert steps(await ann.heard()) == [(ENDED, End.CALL_TIMED_OUT)]


async def test_a_device_that_returns_in_time_keeps_its_call_and_what_it_missed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, _ = await they_talk(world)
        phone.cut()
        await settle()
        say(ann, "bob", CANDIDATE, b"a1")
        await trio.sleep(AWAY_SECONDS - 1)
        phone = await world.join("bob", "phone", go_on())
        again = await phone.heard()
        say(ann, "bob", CANDIDATE, b"a2")

        assert steps(again) == [(OFFER, b"offer"), (CANDIDATE, b"a1")]
        assert sequences(again) == [1, 2]
        assert sequences(await phone.heard()) == [3]
        await trio.sleep(2 * AWAY_SECONDS)
        assert (await ann.heard()).call_signals == []


@pytest.mark.parametrize("who", ["ann", "phone"])
async def test_who_stays_away_has_lost_the_call_for_both(who: str, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await they_talk(world)
        gone, stays = (ann, phone) if who == "ann" else (phone, ann)
        gone.cut()
        await trio.sleep(AWAY_SECONDS)

        assert steps(await stays.heard()) == [(ENDED, End.CALL_LOST)]
        assert (await laptop.heard()).call_signals == []
        returned = await world.join(gone.eid, gone.device, go_on())
        assert steps(await returned.heard())[-1] == (ENDED, End.CALL_LOST)


async def test_a_caller_who_is_gone_before_an_answer_has_called_all_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        ann.cut()
        await trio.sleep(AWAY_SECONDS)

        for one in (phone, laptop):
            heard = await one.heard()
            assert (steps(heard)[-1], missed(heard)) == ((ENDED, End.CALL_LOST), [("x", End.CALL_LOST)])


async def test_one_of_many_that_ring_may_go(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        phone.cut()
        await trio.sleep(AWAY_SECONDS + 1)
        say(laptop, "ann", ANSWER, b"answer")

        assert steps(await ann.heard()) == [(ANSWER, b"answer")]


async def test_whoever_talks_is_busy(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, phone, laptop = await they_talk(world)
        carol = await world.join("carol", "phone")
        await befriend(carol, phone)
        for client in (carol, phone, laptop):
            await client.heard()
        say(carol, "bob", OFFER, b"hello", call="y")
        heard, at_phone = await carol.heard(), await phone.heard()

        assert (steps(heard), missed(heard)) == ([(ENDED, End.CALL_BUSY)], [("y", End.CALL_BUSY)])
        assert (steps(at_phone), missed(at_phone)) == ([], [("y", End.CALL_BUSY)])
        assert missed(await laptop.heard()) == [("y", End.CALL_BUSY)]


async def do_not_disturb(client: Client, **fields: Any) -> None:
    client.send(awareness=pb.Awareness(status=pb.AwarenessStatus.DND, **fields), ref=3)
    await settle()
    await client.heard()


async def test_who_is_not_to_be_disturbed_is_busy_until_that_ends(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        say(ann, "bob", HANG_UP)
        await settle()
        await do_not_disturb(phone, until=phone.welcome.server_time + 60_000)
        for client in (ann, laptop):
            await client.heard()
        say(ann, "bob", OFFER, call="y")
        heard, at_phone = await ann.heard(), await phone.heard()

        assert (steps(heard), missed(heard)) == ([(ENDED, End.CALL_BUSY)], [("y", End.CALL_BUSY)])
        assert (steps(at_phone), missed(at_phone)) == ([], [("y", End.CALL_BUSY)])
        assert steps(await laptop.heard()) == []
        await trio.sleep(60)
        say(ann, "bob", OFFER, b"later", call="z")
        assert steps(await phone.heard()) == [(OFFER, b"later")]


async def test_who_is_not_to_be_disturbed_and_not_there_is_called_as_if_they_were_only_not_there(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, phone, laptop = await ann_calls(world)
        say(ann, "bob", HANG_UP)
        await settle()
        await do_not_disturb(phone)
        phone.cut()
        laptop.cut()
        await trio.sleep(AWAY_SECONDS + 1)
        await ann.heard()
        say(ann, "bob", OFFER, call="y", ttl_ms=2000)

        assert steps(await ann.heard()) == []
        phone = await world.join("bob", "phone", go_on())
        assert steps(await phone.heard()) == []
        await trio.sleep(2)
        assert steps(await ann.heard()) == [(ENDED, End.CALL_TIMED_OUT)]
        assert missed(await phone.heard()) == [("y", End.CALL_TIMED_OUT)]


async def test_one_that_rings_does_not_keep_another_out(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, phone, _ = await ann_calls(world)
        carol = await world.join("carol", "phone")
        say(carol, "bob", OFFER, b"hello", call="x")

        assert [(one.from_ and one.from_.eid, one.payload) for one in (await phone.heard()).call_signals] == [
            ("ann", b"offer"),
            ("carol", b"hello"),
        ]


async def test_an_operator_may_allow_several_at_once(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_CALLS_AT_ONCE="2")) as world:
        ann, phone, _ = await they_talk(world)
        carol = await world.join("carol", "phone")
        say(carol, "bob", OFFER, b"hello", call="y")
        say(ann, "carol", OFFER, b"you too", call="z")
        say(ann, "bob", OFFER, b"three", call="w")
        heard = await ann.heard()

        assert steps(await phone.heard()) == [(OFFER, b"hello")]
        assert steps(await carol.heard()) == [(OFFER, b"you too")]
        assert [(error.code, error.field, error.ref) for error in heard.errors] == [(pb.ErrorCode.CONFLICT, "call", 9)]


async def test_who_calls_the_one_who_calls_them_is_told_that_they_are_busy(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, _ = await ann_calls(world)
        say(phone, "ann", OFFER, b"you first", call="y")
        heard = await phone.heard()

        assert steps(heard) == [(OFFER, b"offer"), (ENDED, End.CALL_BUSY)]
        assert [one.call for one in heard.call_signals] == ["x", "y"]
        say(phone, "ann", ANSWER, b"here I am")
        at_ann = await ann.heard()
        assert (steps(at_ann), missed(at_ann)) == ([(ANSWER, b"here I am")], [])


async def test_a_call_that_nobody_knows_is_lost(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await they_talk(world)
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone", go_on())
        await bob.heard()
        for step in (RINGING, ANSWER, CANDIDATE, HANG_UP):
            say(bob, "ann", step)
            told = (await bob.heard()).call_signals  # each time that it is said

            assert {(one.step, one.end, one.sequence) for one in told} == {(ENDED, End.CALL_LOST, 0)}
            assert all(one.to == pb.Identity(eid="ann") for one in told)


async def test_who_has_no_part_in_a_call_is_told_what_is_told_of_none(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _, _ = await they_talk(world)
        tablet, carol = await world.join("ann", "tablet", go_on()), await world.join("carol", "phone")
        for client, to in ((tablet, "bob"), (carol, "bob"), (carol, "ann")):
            await client.heard()
            say(client, to, HANG_UP)

            assert steps(await client.heard()) == [(ENDED, End.CALL_LOST)]
        assert (await ann.heard()).call_signals == []


@pytest.mark.parametrize(
    ("who", "step", "answered"),
    [
        ("ann", ANSWER, False),
        ("phone", OFFER, False),
        ("phone", CANDIDATE, False),
    ],
)
async def test_a_step_that_may_not_be_is_refused_and_changes_nothing(
    who: str,
    step: pb.CallStep,
    answered: bool,  # noqa: FBT001 - a parameter
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, phone, laptop = await (they_talk if answered else ann_calls)(world)
        client, peer, other = (ann, "bob", phone) if who == "ann" else (phone, "ann", ann)
        await client.heard()
        await other.heard()
        say(client, peer, step)

        assert [(one.code, one.field) for one in (await client.heard()).errors] == [(pb.ErrorCode.CONFLICT, "step")]
        assert (await other.heard()).call_signals == []
        say(laptop, "ann", ANSWER, b"answer")
        assert steps(await ann.heard()) == [(ANSWER, b"answer")]


async def test_a_name_is_given_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _, _ = await they_talk(world)
        say(ann, "bob", HANG_UP)
        await ann.heard()
        say(ann, "bob", OFFER)

        assert [(one.code, one.field) for one in (await ann.heard()).errors] == [(pb.ErrorCode.CONFLICT, "call")]
        await trio.sleep(AWAY_SECONDS + 1)
        say(ann, "bob", OFFER)
        assert (await ann.heard()).frames == []


async def test_a_process_that_dies_loses_its_calls_and_all_are_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, laptop = await they_talk(world)
        carol, dave = await world.join("carol", "phone"), await world.join("dave", "phone")
        say(carol, "dave", OFFER)
        await settle()
        await world.kill("calls")
        await trio.sleep(5)

        assert steps(await ann.heard()) == steps(await phone.heard()) == [(ENDED, End.CALL_LOST)]
        assert steps(await dave.heard())[-1] == (ENDED, End.CALL_LOST)
        assert steps(await carol.heard()) == [(ENDED, End.CALL_LOST)]
        assert (await laptop.heard()).call_signals == []
        say(ann, "bob", OFFER, b"again", call="y")
        assert steps(await phone.heard()) == [(OFFER, b"again")]


async def test_a_device_that_comes_and_goes_after_a_call_disturbs_no_other(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, _ = await they_talk(world)
        say(ann, "bob", HANG_UP)
        await settle()
        for _ in range(2):
            phone.cut()
            await settle()
            phone = await world.join("bob", "phone", go_on())
        await phone.heard()
        say(ann, "bob", OFFER, call="y")
        await trio.sleep(AWAY_SECONDS + 1)  # the first call is forgotten

        assert steps(await phone.heard()) == [(OFFER, b"")]


async def test_too_much_is_refused_for_a_while(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_CALLS_STEPS_PER_SECOND="1")) as world:
        ann, phone, _ = await they_talk(world)
        for number in range(10):
            say(ann, "bob", CANDIDATE, b"%d" % number)
        errors = (await ann.heard()).errors

        assert {error.code for error in errors} == {pb.ErrorCode.RATE_LIMITED}
        assert len(errors) + len((await phone.heard()).call_signals) == 10
        await trio.sleep(errors[0].retry_after_ms / 1000)
        say(ann, "bob", CANDIDATE, b"again")
        assert steps(await phone.heard()) == [(CANDIDATE, b"again")]


async def test_what_rings_is_bounded(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, phone, _ = await ann_calls(world)
        for _ in range(4):
            say(ann, "bob", CANDIDATE, bytes(32 * 1024))
        (error,) = (await ann.heard()).errors

        assert (error.code, error.field) == (pb.ErrorCode.TOO_LARGE, "payload")
        assert len((await phone.heard_slowly()).call_signals) == 1 + 3
        say(ann, "bob", OFFER, b"anew")
        assert steps(await phone.heard()) == [(OFFER, b"anew")]


@pytest.mark.parametrize("relation", ["stranger", "blocked"])
@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("talks", [True, False])
async def test_who_may_not_see_somebody_hears_the_same_of_who_is_there_who_is_not_and_who_is_busy(
    relation: str,
    is_there: bool,  # noqa: FBT001 - a parameter, as below
    talks: bool,  # noqa: FBT001
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, phone, laptop = await (they_talk if talks else ann_calls)(world)
        if not talks:
            say(ann, "bob", HANG_UP)
            await settle()
        carol = await world.join("carol", "phone")
        if relation != "stranger":
            phone.send(contact=pb.Contact(action=pb.ContactAction.BLOCK, eid="carol"), ref=3)
            await settle()
        if not is_there:
            phone.cut()
            laptop.cut()
        for client in (carol, phone, laptop):
            await client.heard()
        say(carol, "bob", OFFER, b"hello", call="y", ttl_ms=2000)
        say(carol, "bob", CANDIDATE, b"c", call="y")
        rings = is_there and not talks and relation == "stranger"

        assert (await carol.heard()).frames == []
        at_phone = await phone.heard() if is_there else Received([])
        assert steps(at_phone) == ([(OFFER, b"hello"), (CANDIDATE, b"c")] if rings else [])
        if rings:
            say(phone, "carol", RINGING, call="y")
            assert (await carol.heard()).frames == []
        await trio.sleep(2)
        assert steps(await carol.heard()) == [(ENDED, End.CALL_TIMED_OUT)]
        if is_there and relation == "stranger":
            assert missed(await phone.heard()) == [("y", End.CALL_TIMED_OUT)]


async def test_whom_one_has_blocked_one_does_not_call(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
        carol.send(contact=pb.Contact(action=pb.ContactAction.BLOCK, eid="bob"), ref=3)
        await settle()
        await carol.heard()
        say(carol, "bob", OFFER, b"hello")
        (error,) = (await carol.heard()).errors

        assert (error.code, error.field) == (pb.ErrorCode.FORBIDDEN, "to.eid")
        assert (await bob.heard()).call_signals == []


async def test_who_may_not_see_somebody_may_talk_to_them(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        carol = await world.join("carol", "phone")
        say(carol, "bob", OFFER, b"hello")
        await settle()
        say(bob, "carol", ANSWER, b"hello")

        assert steps(await carol.heard()) == [(ANSWER, b"hello")]
