"""What is done to a message is done on every device, whatever was offline, restarted or said in another order."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore

Kind = pb.CommandKind


class Talk:
    """Bob's phone and laptop, and carol's phone, which wrote to him: one message."""

    def __init__(self, bob: Client, laptop: Client, carol: Client, sent: pb.Signal) -> None:
        self.bob, self.laptop, self.carol = bob, laptop, carol
        self.sent = sent
        self._ids = 0

    def give(self, who: Client, kind: pb.CommandKind, **fields: Any) -> None:
        self._ids += 1
        if not fields.keys() & {"target", "target_id", "conversation"}:
            fields["target"] = self.sent.signal_offset
        who.send(command=pb.Command(**{"id": f"k{self._ids}", "kind": kind, **fields}))

    async def all_hear(self) -> list[Received]:
        return [await who.heard() for who in (self.bob, self.laptop, self.carol)]


async def carol_wrote(world: World, payload: bytes = b"hello") -> Talk:
    bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
    laptop = await world.join("bob", "laptop", go_on())
    sent = await carol.post("bob", payload, "m1")
    talk = Talk(bob, laptop, carol, sent)
    await talk.all_hear()
    return talk


async def test_an_edit_reaches_every_device_of_both(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        talk = await carol_wrote(world)
        talk.give(talk.carol, Kind.EDIT, payload=b"hello, bob")
        bob, laptop, carol = await talk.all_hear()

        (done,) = carol.commands
        assert (done.id, done.kind, done.target, done.conversation_offset) == (
            "k1",
            Kind.EDIT,
            talk.sent.signal_offset,
            talk.sent.conversation_offset,
        )
        assert done.version == carol.states[-1].upto
        for heard in (bob, laptop, carol):
            (state,) = heard.message_states
            assert (state.payload, state.stamp, state.signal_offset) == (
                b"hello, bob",
                done.stamp,
                talk.sent.signal_offset,
            )


async def test_who_comes_later_reads_what_it_says_now(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        talk = await carol_wrote(world)
        talk.give(talk.carol, Kind.EDIT, payload=b"hello, bob")
        talk.give(talk.bob, Kind.REACT, emoji="\N{THUMBS UP SIGN}")
        await talk.all_hear()
    async with open_world(open_store=open_store) as world:  # after a restart
        tablet = await world.join("bob", "tablet", begin(pb.Start.FIRST))
        heard = await tablet.heard()
        (message,), (state,) = heard.messages, heard.message_states

        assert (message.payload, message.edited) == (b"hello, bob", state.stamp)
        assert [(one.eid, one.emoji, one.removed) for one in state.reactions] == [("bob", "\N{THUMBS UP SIGN}", False)]
        tablet.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=talk.sent.conversation), ref=5)
        fetched = await tablet.heard()
        assert [message.payload for message in fetched.messages] == [b"hello, bob"]
        assert [state.stamp for state in fetched.message_states] == [message.edited]


async def test_what_was_deleted_for_everyone_is_read_by_nobody_any_more(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        talk = await carol_wrote(world, b"a secret")
        talk.give(talk.carol, Kind.DELETE_FOR_EVERYONE)
        for heard in await talk.all_hear():
            assert [(state.deleted, state.payload) for state in heard.message_states] == [(True, None)]
        talk.laptop.cut()
        laptop = await world.join("bob", "laptop", at(0))
        again = await laptop.heard()

        assert [(message.erased, message.payload) for message in again.messages] == [(True, b"")]
        (resent,) = (await resend(talk.carol, b"a secret")).sent
        assert (resent.duplicate, resent.signal_offset) == (True, talk.sent.signal_offset)


async def resend(carol: Client, payload: bytes) -> Received:
    carol.send(message=pb.Message(id="m1", to=pb.Identity(eid="bob"), payload=payload, type=1))
    return await carol.heard()


async def test_a_message_that_is_deleted_before_it_is_delivered_is_delivered_without_content(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        talk.bob.cut()
        sent = await talk.carol.post("bob", b"a mistake", "m2")
        talk.give(talk.carol, Kind.DELETE_FOR_EVERYONE, target=sent.signal_offset)
        await talk.carol.heard()
        bob = await world.join("bob", "phone", at(1))

        assert [(message.id, message.erased, message.payload) for message in (await bob.heard()).messages] == [
            ("m2", True, b"")
        ]


async def test_of_edits_made_apart_the_later_one_counts_whichever_arrives_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        tablet = await world.join("carol", "tablet", go_on())
        early, late = talk.sent.signal_offset + 100, talk.sent.signal_offset + 200
        talk.give(talk.carol, Kind.EDIT, payload=b"late", stamp=late)
        await talk.carol.heard()
        talk.give(tablet, Kind.EDIT, payload=b"early", stamp=early)

        (done,) = (await tablet.heard()).commands
        assert (done.superseded, done.stamp) == (True, early)
        assert [state.payload for state in (await talk.bob.heard()).message_states] == [b"late"]


async def test_a_clock_that_runs_ahead_does_not_win_for_ever(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        talk.give(talk.carol, Kind.EDIT, payload=b"from the future", stamp=2**63)
        (done,) = (await talk.carol.heard()).commands
        talk.give(talk.carol, Kind.EDIT, payload=b"now")

        assert done.stamp < 2**63
        assert (await talk.carol.heard()).message_states[-1].payload == b"now"


async def test_a_command_that_is_sent_again_is_answered_as_the_first_time(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        talk = await carol_wrote(world)
        talk.give(talk.carol, Kind.FORWARD_MARK, id="f")
        (first,) = (await talk.carol.heard()).commands
    async with open_world(open_store=open_store) as world:  # the answer was lost with the server
        carol = await world.join("carol", "phone", go_on())
        talk.give(carol, Kind.FORWARD_MARK, id="f")
        heard = await carol.heard()

        (again,) = heard.commands
        assert (again.duplicate, again.stamp, again.version) == (True, first.stamp, first.version)
        assert [state.forwards for state in heard.message_states] == [1]
        talk.give(carol, Kind.REACT, id="f", emoji="+")
        assert (await carol.heard()).codes == [pb.ErrorCode.CONFLICT]


async def test_what_one_keeps_for_oneself_is_told_to_ones_own_devices_alone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        conversation = talk.sent.conversation
        talk.give(talk.bob, Kind.DELETE_FOR_ME)
        talk.give(talk.bob, Kind.PIN, value=True)
        talk.give(talk.bob, Kind.ARCHIVE, conversation=conversation, value=True)
        talk.give(talk.bob, Kind.PIN, conversation=conversation, value=True)
        talk.give(talk.bob, Kind.MUTE, conversation=conversation, until=10**12)
        talk.give(talk.bob, Kind.DRAFT, conversation=conversation, payload=b"dear carol")
        talk.give(talk.bob, Kind.MARK_UNREAD, conversation=conversation, value=True)
        bob, laptop, carol = await talk.all_hear()

        assert [one.id for one in bob.commands] == [f"k{number}" for number in range(1, 8)]
        assert (laptop.message_states[-1].hidden, laptop.message_states[-1].pinned) == (True, True)
        kept = laptop.conversations[-1]
        assert (kept.id, kept.archived, kept.pinned, kept.muted_until, kept.draft, kept.marked_unread) == (
            conversation,
            True,
            True,
            10**12,
            b"dear carol",
            True,
        )
        assert (carol.message_states, carol.conversations) == ([], [])
        talk.give(talk.laptop, Kind.MARK_READ, conversation=conversation, conversation_offset=1)
        assert (await talk.bob.heard()).conversations[-1].marked_unread is False


async def test_each_command_of_a_batch_is_answered_for_itself_in_order(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        target = talk.sent.signal_offset
        commands = [
            pb.Command(id="good", kind=Kind.REACT, target=target, emoji="+"),
            pb.Command(id="not mine", kind=Kind.EDIT, target=target, payload=b"x"),
            pb.Command(id="nothing", kind=Kind.REACT, target=12345, emoji="+"),
            pb.Command(id="unknown", kind=99),  # type: ignore[arg-type]  # any number can be sent
            pb.Command(id="better", kind=Kind.UNREACT, target=target, emoji="+"),
        ]
        talk.bob.send(body=pb.Body(commands=commands), ref=7)
        heard = await talk.bob.heard()

        assert [(one.id, one.ref) for one in heard.commands] == [("good", 7), ("better", 7)]
        assert {error.id: (error.code.name, error.field) for error in heard.errors} == {
            "not mine": ("FORBIDDEN", "target"),
            "nothing": ("NOT_FOUND", "target"),
            "unknown": ("UNSUPPORTED", "kind"),
        }


BAD: list[tuple[pb.CommandKind, dict[str, Any], str, str]] = [
    (Kind.EDIT, {}, "INVALID", "payload"),
    (Kind.EDIT, {"payload": bytes(65_537)}, "TOO_LARGE", "payload"),
    (Kind.EDIT, {"payload": b"x", "target": 0}, "INVALID", "target"),
    (Kind.EDIT, {"payload": b"x", "target": 1, "target_id": "m1"}, "INVALID", "target"),
    (Kind.EDIT, {"payload": b"x", "target_id": "m" * 65}, "TOO_LARGE", "target_id"),
    (Kind.EDIT, {"payload": b"x", "target_id": "unknown"}, "NOT_FOUND", "target_id"),
    (Kind.DELETE_FOR_EVERYONE, {"target": 2**64 - 1}, "NOT_FOUND", "target"),
    (Kind.DELETE_FOR_ME, {"conversation": "c1"}, "INVALID", "target"),
    (Kind.REACT, {}, "INVALID", "emoji"),
    (Kind.REACT, {"emoji": "x" * 65}, "TOO_LARGE", "emoji"),
    (Kind.REACT, {"emoji": " x"}, "INVALID", "emoji"),
    (Kind.UNREACT, {"emoji": "\n"}, "INVALID", "emoji"),
    (Kind.PIN, {"conversation": "nobody"}, "NOT_FOUND", "conversation"),
    (Kind.PIN, {"conversation": "x" * 65}, "TOO_LARGE", "conversation"),
    (Kind.ARCHIVE, {"conversation": ""}, "INVALID", "conversation"),
    (Kind.ARCHIVE, {"conversation": "c1", "target": 5}, "INVALID", "target"),
    (Kind.ARCHIVE, {"conversation": "c99"}, "NOT_FOUND", "conversation"),
    (Kind.MUTE, {"conversation": "c1", "until": -1}, "INVALID", "until"),
    (Kind.MUTE, {"conversation": "c1", "until": 2**62}, "INVALID", "until"),
    (Kind.DRAFT, {"conversation": "c1", "payload": bytes(65_537)}, "TOO_LARGE", "payload"),
    (Kind.MARK_UNREAD, {"conversation": "c0"}, "NOT_FOUND", "conversation"),
    (Kind.FORWARD_MARK, {"id": "k" * 65}, "TOO_LARGE", "id"),
]


@pytest.mark.parametrize(("kind", "fields", "code", "field"), BAD)
async def test_what_a_command_may_not_say_is_refused_and_changes_nothing(
    autojump_clock: MockClock, kind: pb.CommandKind, fields: dict[str, Any], code: str, field: str
) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        version = talk.bob.welcome.state_version
        talk.give(talk.carol, kind, **fields)
        heard = await talk.carol.heard()

        assert [(error.code.name, error.field) for error in heard.errors] == [(code, field)]
        assert all(error.message for error in heard.errors)
        assert (await talk.bob.heard()).message_states == []
        assert version == talk.bob.welcome.state_version


NO_MESSAGE = "there is no such message for you here; name one by its signal_offset, or the id under which you sent it"


@pytest.mark.parametrize("target", ["hers", "nobody's"])
async def test_who_is_not_in_it_learns_nothing(autojump_clock: MockClock, target: str) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        mallory = await world.join("mallory", "phone")
        offset = talk.sent.signal_offset if target == "hers" else talk.sent.signal_offset + 1024
        for kind in (Kind.EDIT, Kind.REACT, Kind.DELETE_FOR_EVERYONE, Kind.DELETE_FOR_ME, Kind.PIN):
            talk.give(mallory, kind, target=offset, payload=b"x", emoji="+")
        heard = await mallory.heard()

        assert {(error.code.name, error.field, error.message) for error in heard.errors} == {
            (
                "NOT_FOUND",
                "target",
                NO_MESSAGE,
            )
        }
        assert len(heard.errors) == 5


KEYS, ROUNDS, TOGETHER = 100, 100, 500


async def test_ten_thousand_missed_changes_of_a_hundred_messages_are_a_hundred_items(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        talk = await carol_wrote(world)
        targets = [await talk.carol.post("bob", b"%d" % number, f"t{number}") for number in range(KEYS)]
        await talk.all_hear()
        version = talk.laptop.welcome.state_version
        for state in (await talk.laptop.heard()).states:
            version = max(version, state.upto)
        talk.laptop.cut()
        talk.carol.cut()
        commands = [
            pb.Command(
                id=f"{turn}-{number}",
                kind=Kind.UNREACT if turn % 2 else Kind.REACT,
                target=target.signal_offset,
                emoji="+",
            )
            for turn in range(ROUNDS)
            for number, target in enumerate(targets)
        ]
        for begin in range(0, len(commands), TOGETHER):
            talk.bob.send(body=pb.Body(commands=commands[begin : begin + TOGETHER]))
            assert len((await talk.bob.heard()).commands) == TOGETHER
        laptop = await world.join("bob", "laptop", at(KEYS + 1), state_version=version)
        heard = await laptop.heard()

        assert len(heard.message_states) == KEYS
        assert sum(len(state.items) for state in heard.states) < KEYS + 20
        assert all(one.removed for state in heard.message_states for one in state.reactions)
