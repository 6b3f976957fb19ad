"""A batch of anything: each part is answered for itself, in order, and none costs the others anything."""

from typing import Any

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, go_on, message, open_world
from tests.kit.received import ReceiptRun

Code, Kind = pb.ErrorCode, pb.CommandKind
DELIVERED, READ, PLAYED = pb.MessageStatus.DELIVERED, pb.MessageStatus.READ, pb.MessageStatus.PLAYED
FORWARDED = pb.MessageStatus.FORWARDED
MOST = 1024
"""Parts of a frame, as Hello tells it."""
FRIENDS = 30


async def ann_has_friends(world: World) -> tuple[Client, dict[str, pb.Signal]]:
    """Ann's phone, after a message of each of her friends to her; and these, by friend."""
    ann = await world.join("ann", "phone")
    sent = {}
    for number in range(FRIENDS):
        friend = await world.join(f"f{number}", "phone")
        sent[friend.eid] = await friend.post("ann", b"hello", "h")
        friend.cut()
    await ann.heard()
    return ann, sent


def command(command_id: str, kind: pb.CommandKind, **fields: Any) -> pb.Command:
    return pb.Command(id=command_id, kind=kind, **fields)


async def test_receipts_of_many_conversations_are_told_to_each_who_wrote(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, sent = await ann_has_friends(world)
        reads = [pb.Signal(status=READ, conversation=one.conversation, upto=1) for one in sent.values()]
        bad = pb.Signal(status=READ, conversation="c999", upto=1, ref=77, id="bad")
        ann.send(body=pb.Body(signals=[*reads[:10], bad, *reads[10:]]), ref=5)
        heard = await ann.heard()

        assert [(error.code, error.ref) for error in heard.errors] == [(Code.NOT_FOUND, 77)]
        for eid in sent:
            friend = await world.join(eid, "laptop", go_on())

            assert ReceiptRun("ann", READ, 1, 1) in (await friend.heard()).receipts


async def test_commands_of_many_kinds_are_answered_in_order_one_bad_among_them(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, sent = await ann_has_friends(world)
        first, second, *_ = sent.values()
        commands = [
            command("react", Kind.REACT, target=first.signal_offset, emoji="+1"),
            command("edit", Kind.EDIT, target=first.signal_offset, payload=b"not hers"),
            command("pin", Kind.PIN, target=second.signal_offset, value=True),
            command("archive", Kind.ARCHIVE, conversation=first.conversation, value=True),
            command("nobody's", Kind.ARCHIVE, conversation="c999", value=True),
            command("mute", Kind.MUTE, conversation=second.conversation, until=1_800_000_000_000),
            command("empty", Kind.REACT, target=first.signal_offset),
            command("unknown", pb.CommandKind.KIND_UNSPECIFIED),
            command("read", Kind.MARK_READ, conversation=first.conversation, conversation_offset=1),
            command("draft", Kind.DRAFT, conversation=first.conversation, payload=b"dear"),
            command("hide", Kind.DELETE_FOR_ME, target=second.signal_offset),
        ]
        ann.send(body=pb.Body(commands=commands), ref=9)
        heard = await ann.heard()

        assert [(one.id, one.ref) for one in heard.commands] == [
            (name, 9) for name in ("react", "pin", "archive", "mute", "read", "draft", "hide")
        ]
        assert {error.id: (error.code, error.ref) for error in heard.errors} == {
            "edit": (Code.FORBIDDEN, 9),
            "nobody's": (Code.NOT_FOUND, 9),
            "empty": (Code.INVALID, 9),
            "unknown": (Code.UNSUPPORTED, 9),
        }


async def test_a_command_may_be_about_a_message_of_its_own_batch(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, _ = await ann_has_friends(world)
        edit = command("k", Kind.EDIT, target_id="m", payload=b"better")
        ann.send(body=pb.Body(messages=[message("f1", b"good", "m")], commands=[edit]), ref=3)
        heard = await ann.heard()
        friend = await world.join("f1", "laptop", go_on())

        assert ([one.id for one in heard.sent], [one.id for one in heard.commands], heard.errors) == (["m"], ["k"], [])
        (state,) = (await friend.heard()).message_states
        assert state.payload == b"better"


async def test_a_mixture_at_the_limit_is_taken_whole_and_one_more_is_refused_whole(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, sent = await ann_has_friends(world)
        assert ann.welcome.limits is not None
        assert ann.welcome.limits.max_batch == MOST
        friends = list(sent)
        messages = [message(friends[at % FRIENDS], b"%d" % at, f"m{at}") for at in range(400)]
        messages[200] = message("nobody", b"", "to nobody")
        signals = [
            pb.Signal(status=READ, conversation=sent[friends[at % FRIENDS]].conversation, upto=1) for at in range(300)
        ]
        signals[5] = pb.Signal(status=PLAYED, conversation=sent["f5"].conversation, upto=1, id="no upto")
        commands = [
            command(f"k{at}", Kind.REACT, target=sent[friends[at % FRIENDS]].signal_offset, emoji=f"{at // FRIENDS}")
            for at in range(MOST - 700)
        ]
        commands[100] = command("no target", Kind.REACT, emoji="x")
        body = pb.Body(messages=messages, signals=signals, commands=commands)
        ann.send(body=body, ref=4)
        heard = await ann.heard_slowly()

        assert [one.id for one in heard.sent] == [one.id for one in messages if one.id != "to nobody"]
        assert [one.id for one in heard.commands] == [one.id for one in commands if one.id != "no target"]
        assert sorted((error.id, error.code) for error in heard.errors) == [
            ("no target", Code.INVALID),
            ("no upto", Code.INVALID),
            ("to nobody", Code.NOT_FOUND),
        ]
        ann.send(
            body=pb.Body(messages=messages, signals=signals, commands=[*commands, command("one more", Kind.REACT)])
        )
        refused = await ann.heard()

        assert [error.code for error in refused.errors] == [Code.TOO_LARGE]
        assert (refused.sent, refused.commands) == ([], [])


async def test_who_forwarded_a_message_counts_once_for_all_who_see_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, sent = await ann_has_friends(world)
        signal = pb.Signal(status=FORWARDED, signal_offset=sent["f1"].signal_offset)
        ann.send(body=pb.Body(signals=[signal, signal]))
        ann.send(command=command("again", Kind.FORWARD_MARK, target=sent["f1"].signal_offset))
        heard = await ann.heard()
        friend = await world.join("f1", "laptop", go_on())

        assert heard.errors == []
        assert [state.forwards for state in (await friend.heard()).message_states] == [2]
        mallory = await world.join("mallory", "phone")
        mallory.send(signal=signal, ref=8)
        mallory.send(signal=pb.Signal(status=FORWARDED, signal_offset=1), ref=9)

        assert [(error.code, error.ref) for error in (await mallory.heard()).errors] == [
            (Code.NOT_FOUND, 8),
            (Code.NOT_FOUND, 9),
        ]
