"""Who opens a conversation has what is pending of it first, and the rest behind it, each once."""

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Offset
from bimip.session.position import Position
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, open_world
from tests.kit.received import Received

RESUME = pb.AwarenessStatus.RESUME
BACKLOG = 400
ANNS = [b"ann %d" % number for number in range(BACKLOG // 2)]
CAROLS = [b"carol %d" % number for number in range(BACKLOG // 2)]


async def backlog(world: World) -> tuple[str, str]:
    """Bob is away while ann and carol write to him in turns; their conversations with him."""
    await world.register("bob", "phone")
    ann, carol = await world.join("ann", "phone"), await world.join("carol", "phone")
    for number in range(BACKLOG // 2):
        ann.write("bob", b"ann %d" % number, f"m{number}")
        carol.write("bob", b"carol %d" % number, f"m{number}")
        await trio.sleep(0.001)
    anns, carols = (await ann.heard()).sent, (await carol.heard()).sent
    return anns[0].conversation, carols[0].conversation


def resume(client: Client, conversation: str = "", *, to: str = "", ref: int = 9) -> None:
    client.send(awareness=pb.Awareness(status=RESUME, conversation=conversation, to=pb.Identity(eid=to)), ref=ref)


class Reader:
    """Bob's phone, which keeps a position, shows each message once and acknowledges what it has."""

    def __init__(self, client: Client, *, acknowledges_resumed: bool = True) -> None:
        self.client = client
        self.position = Position()
        self.shown: list[bytes] = []
        self.doubled = 0
        self.resumed: list[pb.Body] = []
        self._acknowledges_resumed = acknowledges_resumed

    async def read(self) -> None:
        """Until nothing more comes."""
        while frames := (await self.client.heard()).frames:
            for body in Received(frames).bodies:
                self.take(body)

    def take(self, body: pb.Body) -> None:
        offsets = [Offset(message.user_offset or 0) for message in body.messages]
        if body.turn == pb.Turn.IN_TURN:
            if body.upto == body.after:
                return
            self.position, new = self.position.join(body.after, body.upto, offsets)
        else:
            assert (body.after, body.upto) == (0, 0)
            self.position, new = self.position.hold(offsets)
            self.resumed.append(body)
        self.shown += [one.payload for one in body.messages if one.user_offset in new]
        self.doubled += len(offsets) - len(new)
        if body.turn == pb.Turn.IN_TURN:
            self.client.acknowledge(body.upto)
        elif offsets and self._acknowledges_resumed:
            self.client.acknowledge(0, *offsets)


async def test_what_is_pending_of_it_comes_first_and_all_once_and_in_order(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        anns, _ = await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        resume(bob, anns)
        frame = await bob.receive()
        assert frame.hello is not None
        reader = Reader(bob)
        await reader.read()

        assert reader.shown == ANNS + CAROLS
        assert reader.doubled == 0
        assert reader.position == Position(Offset(BACKLOG))
        last = reader.resumed[-1]
        assert [(body.complete, body.ref) for body in reader.resumed] == [(False, 0)] * (len(reader.resumed) - 1) + [
            (True, 9)
        ]
        assert last.turn == pb.Turn.TURN_RESUME


async def test_by_the_peers_name_it_is_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        resume(bob, to="carol")
        await bob.receive()
        reader = Reader(bob)
        await reader.read()

        assert reader.shown == CAROLS + ANNS


async def test_as_a_signal_it_is_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        anns, _ = await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        bob.send(signal=pb.Signal(status=10, conversation=anns), ref=7)
        await bob.receive()
        reader = Reader(bob)
        await reader.read()

        assert reader.shown == ANNS + CAROLS
        assert reader.resumed[-1].ref == 7


async def test_what_is_not_acknowledged_comes_again_in_turn_and_delivery_does_not_wait_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        anns, _ = await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        resume(bob, anns)
        await bob.receive()
        reader = Reader(bob, acknowledges_resumed=False)
        while reader.position.offset < BACKLOG:
            await trio.sleep(1)
            await reader.read()

        assert reader.doubled == len([one for body in reader.resumed for one in body.messages]) > 0
        assert sorted(reader.shown) == sorted(ANNS + CAROLS)


async def test_what_was_sent_already_is_not_sent_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        anns, _ = await backlog(world)
        bob = await world.join("bob", "phone", at(0))
        reader = Reader(bob)
        frames = (await bob.heard()).frames  # a window full, which is not acknowledged yet
        resume(bob, anns)
        for body in Received(frames).bodies:
            reader.take(body)
        await reader.read()

        assert reader.doubled == 0
        assert sorted(reader.shown) == sorted(ANNS + CAROLS)


async def test_where_the_window_is_small_more_comes_again_and_all_is_shown_once(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_WINDOW_ENTRIES="16")
    async with open_world(settings=settings) as world:
        anns, _ = await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        resume(bob, anns)
        await bob.receive()
        reader = Reader(bob)
        await reader.read()

        assert reader.shown == ANNS + CAROLS
        assert max(len(body.messages) for body in reader.resumed) == 16


async def test_of_nothing_the_answer_is_empty_and_complete(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        sent = await ann.post("bob", b"hello", "m1")
        bob.acknowledge(1)
        await bob.heard()
        answers: list[pb.Body] = []
        for eid in ("ann", "nobody"):
            resume(bob, to=eid)
            answers += [body for body in (await bob.heard()).bodies if body.turn == pb.Turn.TURN_RESUME]
        resume(bob, sent.conversation)
        answers += [body for body in (await bob.heard()).bodies if body.turn == pb.Turn.TURN_RESUME]

        assert [(len(one.messages), one.complete, one.ref) for one in answers] == [(0, True, 9)] * 3


async def test_the_peer_is_told_and_a_stranger_is_refused_like_no_conversation(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        carol = await world.join("carol", "phone")
        sent = await ann.post("bob", b"hello", "m1")
        for client in (ann, bob, carol):
            await client.heard()
        resume(bob, sent.conversation)
        resume(carol, sent.conversation)
        heard = await ann.heard()

        assert [(one.from_.eid, one.status) for body in heard.bodies for one in body.awareness if one.from_] == [
            ("bob", RESUME)
        ]
        assert [(one.code, one.field) for one in (await carol.heard()).errors] == [
            (pb.ErrorCode.NOT_FOUND, "conversation")
        ]


async def test_many_resumes_and_a_cut_leave_nothing_out(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        anns, carols = await backlog(world)
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        for number in range(20):
            resume(bob, carols if number % 2 else anns, ref=10 + number)
        await bob.receive()
        reader = Reader(bob)
        await reader.read()

        assert len(reader.shown) == BACKLOG
        assert reader.doubled == 0
        assert [body.ref for body in reader.resumed if body.complete] == list(range(10, 30))
