"""What begins, bounds and ends a device's connection."""

from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Millis
from bimip.operations import Operations
from bimip.testing.virtual import BEGIN, settings_for_tests, token
from tests.kit.memory_server import at, begin, go_on, message, open_world, settle
from tests.scenarios.conftest import OpenStore

REFRESH, REVOKE = pb.TokenAuthorityAction.REFRESH, pb.TokenAuthorityAction.REVOKE


async def test_the_same_device_twice_the_newer_stays(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        older = await world.join("bob", "phone")
        newer = await world.join("bob", "phone")
        await world.fill("bob", 1)

        assert await older.closed() == 4103
        assert (await newer.heard()).payloads == [b"1"]
        assert world.server.users.statistics()["devices"] == 1


async def test_a_device_that_an_operator_kicks_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        await world.fill("bob", 1)
        phone.acknowledge(1)
        await phone.heard()
        operations = Operations(world.server)
        kicked = operations.kick("bob", "phone"), operations.kick("nobody", ""), operations.kick("", "")

        assert (await phone.closed(), laptop.is_connected) == (1001, True)
        await world.fill("bob", 2)
        again = await world.join("bob", "phone", go_on())
        assert (await again.heard()).payloads == [b"2"]
        assert kicked == (["phone"], None, None)
        assert operations.kick("bob", "") == ["laptop", "phone"]
        assert [await one.closed() for one in (laptop, again)] == [1001, 1001]
        await settle()
        assert operations.kick("bob", "") == []


async def test_a_device_that_connects_many_times_at_once_ends_up_connected_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        clients = [world.connect("bob", "phone") for _ in range(10)]
        for client in clients:
            client.send(hello=pb.Hello(partitions=[go_on()]))
        await settle()
        alive = [client for client in clients if client.is_connected]

        assert len(alive) == 1
        assert (await alive[0].heard()).frames[0].hello is not None
        assert {await client.closed() for client in clients if client not in alive} == {4103}


async def test_what_the_older_connection_acknowledged_counts_for_the_newer(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        older = await world.join("bob", "phone", at(0))
        older.acknowledge(2)
        await trio.lowlevel.checkpoint()
        newer = await world.join("bob", "phone", go_on())

        assert newer.welcome.logs[0].floor in {0, 2}
        assert newer.welcome.logs[0].position == newer.welcome.logs[0].floor


async def test_a_session_ends_with_its_last_device_and_comes_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        counts = [world.server.users.statistics()]
        for client in (phone, laptop):
            client.cut()
            await settle()
            counts.append(world.server.users.statistics())
        again = await world.join("bob", "phone")
        await world.fill("bob", 1)

        assert counts == [{"users": 1, "devices": 2}, {"users": 1, "devices": 1}, {"users": 0, "devices": 0}]
        assert (await again.heard()).payloads == [b"1"]
        assert again.is_connected


async def test_a_device_that_returns_in_the_moment_of_its_end_is_taken(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for _ in range(20):
            phone = await world.join("bob", "phone")
            phone.cut()

        assert (await world.join("bob", "phone")).is_connected


async def test_a_connection_that_is_gone_before_its_turn_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone")
        phone.cut()
        await settle()

        assert world.server.users.statistics() == {"users": 0, "devices": 0}


async def test_while_64_requests_are_unanswered_nothing_more_is_read(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        phone = world.connect("alice", "phone", room=1)
        phone.send(hello=pb.Hello(partitions=[go_on()]))
        await settle()
        for number in range(500):
            phone.send(ping_pong=pb.PingPong(id=str(number)))
            if number % 7 == 0:
                await trio.lowlevel.checkpoint()
        await settle()
        described: Any = await Operations(world.server).describe_user("alice")
        unanswered = described["devices"]["phone"]["connection"]["unanswered"]
        pongs = [frame.ping_pong.id for frame in (await phone.heard_slowly()).frames if frame.ping_pong is not None]

        assert unanswered <= 64
        assert pongs == [str(number) for number in range(500)]


async def test_a_burst_that_arrives_at_once_is_taken_64_requests_at_a_time(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        backlogs = []
        for number in range(300):
            alice.write("bob", b"%d" % number, f"m{number}")
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            backlogs.append(len(world.server.queue))
        sent = (await alice.heard()).sent

        assert max(backlogs) <= 64
        assert [one.id for one in sent] == [f"m{number}" for number in range(300)]
        assert len((await bob.heard()).payloads) == 256


async def test_a_peer_that_does_not_read_costs_little_and_goes_on_exactly_behind(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        slow = world.connect("bob", "phone", room=1)
        slow.send(hello=pb.Hello(partitions=[at(0)]))
        await world.fill("bob", *range(1, 201))
        described: Any = await Operations(world.server).describe_user("bob")
        connection = described["devices"]["phone"]["connection"]
        heard = await slow.heard_slowly()

        assert connection["unanswered"] == 0
        assert connection["partitions"]["chat"]["in_flight"] < 200
        assert heard.offsets == list(range(1, 201))
        assert heard.ranges[0][0] == 0
        assert all(one[1] == other[0] for one, other in zip(heard.ranges, heard.ranges[1:], strict=False))
        assert len(heard.ranges) <= 4


async def test_an_expired_token_ends_the_connection_when_it_expires(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone", expires_at=Millis(BEGIN + 10_000))
        await phone.hello()
        code = await phone.closed()

        assert code == 4101
        assert trio.current_time() == pytest.approx(10, abs=1)


async def test_a_refreshed_token_takes_the_place_of_the_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone", expires_at=Millis(BEGIN + 10_000))
        await phone.hello()
        refreshed = token("bob", "phone", seconds=100, jti="second")
        phone.send(token_authority=pb.TokenAuthority(action=REFRESH, token=refreshed), ref=3)
        [answer] = [frame for frame in (await phone.heard()).frames if frame.token_authority is not None]
        await trio.sleep(60)
        was_connected = phone.is_connected

        assert answer.ref == 3
        assert answer.token_authority is not None
        assert (answer.token_authority.jti, answer.token_authority.expires_at) == ("second", BEGIN + 100_000)
        assert was_connected
        assert await phone.closed() == 4101
        assert trio.current_time() == pytest.approx(100, abs=1)


async def test_a_token_of_somebody_else_or_none_at_all_refreshes_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for text in (token("bob", "laptop"), token("alice", "phone"), "nonsense"):
            phone.send(token_authority=pb.TokenAuthority(action=REFRESH, token=text))

        assert (await phone.heard()).codes == [
            pb.ErrorCode.FORBIDDEN,
            pb.ErrorCode.FORBIDDEN,
            pb.ErrorCode.UNAUTHENTICATED,
        ]
        assert phone.is_connected


async def test_a_revoked_token_ends_its_connection_and_does_not_come_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.send(token_authority=pb.TokenAuthority(action=REVOKE), ref=2)
        heard = await phone.heard()
        again = world.connect("bob", "phone")
        other_token = world.connect("bob", "phone", jti="another")
        await other_token.hello()

        assert [frame.ref for frame in heard.frames if frame.token_authority is not None] == [2]
        assert await phone.closed() == 4102
        assert await again.closed() == 4102
        assert other_token.is_connected


async def test_a_revoked_token_is_refused_after_a_restart_too(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await world.join("bob", "phone")
        phone.send(token_authority=pb.TokenAuthority(action=REVOKE))
        await phone.closed()
    async with open_world(open_store=open_store) as world:
        assert await world.connect("bob", "phone").closed() == 4102


async def test_a_user_revokes_the_token_of_another_device_by_showing_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        lost = token("bob", "phone")
        laptop.send(token_authority=pb.TokenAuthority(action=REVOKE, token=lost))

        assert await phone.closed() == 4102
        assert (await laptop.heard()).errors == []
        assert laptop.is_connected


async def test_nobody_revokes_what_is_not_theirs(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        eve, bob = await world.join("eve", "phone"), await world.join("bob", "phone")
        eve.send(token_authority=pb.TokenAuthority(action=REVOKE, token=token("bob", "phone")))
        eve.send(token_authority=pb.TokenAuthority(action=REVOKE, jti="bob/phone"))
        eve.send(token_authority=pb.TokenAuthority())

        assert (await eve.heard()).codes == [pb.ErrorCode.FORBIDDEN, pb.ErrorCode.FORBIDDEN, pb.ErrorCode.INVALID]
        assert bob.is_connected


async def test_who_logs_out_is_answered_and_closed_with_1000(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        phone = await world.join("bob", "phone", at(1))
        phone.send(logout=pb.Logout(), ref=4)
        frames = (await phone.heard()).frames
        code = await phone.closed()
        again = await world.join("bob", "phone", go_on())

        assert frames[-1].logout is not None
        assert frames[-1].ref == 4
        assert code == 1000
        assert again.welcome.logs[0].floor == 1


async def test_a_device_that_is_forgotten_returns_as_a_new_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        phone = await world.join("bob", "phone", at(1))
        phone.send(logout=pb.Logout(forget=True))
        code = await phone.closed()
        again = await world.join("bob", "phone", go_on())

        assert code == 1000
        assert again.welcome.logs[0].floor == 2


async def test_who_logs_out_may_revoke_its_token(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await world.join("bob", "phone")
        laptop = world.connect("bob", "laptop", jti="bob/phone")
        await laptop.hello()
        phone.send(logout=pb.Logout(revoke=True, forget=True), ref=4)
        answers = [(frame.logout, frame.ref) for frame in (await phone.heard()).frames if frame.logout is not None]

        assert answers == [(pb.Logout(revoke=True, forget=True), 4)]
        assert await phone.closed() == 1000
        assert await laptop.closed() == 4102
    async with open_world(open_store=open_store) as world:
        assert await world.connect("bob", "phone").closed() == 4102
        assert (await world.connect("bob", "phone", jti="another").hello()).logs


async def test_a_revocation_closes_the_token_s_connections_of_a_later_session_too(autojump_clock: MockClock) -> None:
    """The session of the device that asked ended while the revocation was written."""
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.send(logout=pb.Logout(revoke=True))
        phone.cut()
        again = world.connect("bob", "phone")

        assert await again.closed() == 4102


async def test_a_ping_is_answered_with_its_id(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        await phone.heard()
        phone.send(ping_pong=pb.PingPong(kind=pb.PingPongKind.PING, id="a", timestamp=1), ref=5)
        phone.send(ping_pong=pb.PingPong(kind=pb.PingPongKind.PONG, id="b"))
        [answer] = (await phone.heard()).frames

        assert answer.ref == 5
        assert answer.ping_pong is not None
        assert (answer.ping_pong.kind, answer.ping_pong.id) == (pb.PingPongKind.PONG, "a")


@pytest.mark.parametrize("frame", [b"\xff\xff", b"", b"\x08\x06", bytes(pb.MessageScheme(route=3, hello=pb.Hello()))])
async def test_a_malformed_frame_is_answered(autojump_clock: MockClock, frame: bytes) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.peer.send(frame)

        assert (await phone.heard()).codes == [pb.ErrorCode.MALFORMED]
        assert phone.is_connected


async def test_nine_malformed_frames_in_a_row_close_the_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for _ in range(9):
            phone.peer.send(b"\xff\xff")
            await trio.sleep(0.01)

        assert await phone.closed() == 4105
        assert len((await phone.heard()).codes) >= 8


async def test_a_good_frame_between_them_forgives_the_malformed_ones(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        for _ in range(5):
            for _ in range(8):
                phone.peer.send(b"\xff\xff")
            phone.send(ping_pong=pb.PingPong())

        assert len((await phone.heard()).codes) == 40
        assert phone.is_connected


async def test_a_first_frame_that_is_no_hello_closes_the_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone")
        phone.write("alice", b"hi", "m1")
        phone.send(hello=pb.Hello(partitions=[go_on()]))
        heard = await phone.heard()

        assert heard.codes == [pb.ErrorCode.OUT_OF_ORDER]
        assert [frame for frame in heard.frames if frame.hello is not None] == []
        assert await phone.closed() == 4106


async def test_a_hello_that_does_not_come_in_time_closes_the_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone")

        assert await phone.closed() == 4106
        assert trio.current_time() == pytest.approx(5, abs=0.5)


async def test_a_second_hello_is_out_of_order(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.send(hello=pb.Hello(partitions=[begin(pb.Start.FIRST, partition="sync")]), ref=9)
        heard = await phone.heard()

        assert [(error.code, error.ref) for error in heard.errors] == [(pb.ErrorCode.OUT_OF_ORDER, 9)]
        assert phone.is_connected


UNSUPPORTED = [
    (11, {"error": pb.ErrorMessage()}),
    (15, {"command": pb.Command(id="c")}),
    (10, {"body": pb.Body(commands=[pb.Command()])}),
]


@pytest.mark.parametrize(("route", "payload"), UNSUPPORTED)
async def test_what_is_declared_and_not_served_is_answered_so(
    autojump_clock: MockClock, route: int, payload: dict[str, Any]
) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.peer.send(bytes(pb.MessageScheme(route=route, ref=6, **payload)))
        heard = await phone.heard()

        assert [(error.code, error.ref) for error in heard.errors] == [(pb.ErrorCode.UNSUPPORTED, 6)]


async def test_hello_tells_the_limits_who_it_is_and_the_epoch(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_UNANSWERED_REQUESTS="7")
    async with open_world(settings=settings) as world:
        first = await world.join("bob", "phone", messages=[message("bob", b"1", "m1")])
        second = await world.join("bob", "laptop")

        assert first.welcome.identity == pb.Identity(eid="bob", connection_resource_id="phone")
        assert first.welcome.limits is not None
        assert first.welcome.limits.max_unanswered == 7
        assert first.welcome.limits.window_entries == 256
        assert first.welcome.epoch == second.welcome.epoch != 0
        assert first.welcome.server_time >= BEGIN


async def test_an_error_stands_where_the_page_says(autojump_clock: MockClock) -> None:
    """PROTOCOL.md, "Answers": alone in the place of Hello's answer where that asks for what cannot be had, else in a
    Body.
    """
    async with open_world() as world:
        alone = world.connect("bob", "one")
        alone.send(ref=5, hello=pb.Hello(partitions=[pb.Position(partition="none")]))
        (refused,) = (await alone.heard()).frames
        wrong = world.connect("bob", "two")
        wrong.send(ref=6, hello=pb.Hello(partitions=[at(1, (5, 3))]))
        (invalid,) = (await wrong.heard()).frames
        phone = await world.join("bob", "phone")
        phone.send(ref=9, hello=pb.Hello())
        phone.send(ref=10, fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="none"))
        phone.peer.send(b"\xff\xff")
        bodies = (await phone.heard()).bodies

        assert refused.error is not None
        assert (refused.error.code, refused.error.ref, refused.ref) == (pb.ErrorCode.NOT_FOUND, 5, 5)
        assert invalid.body is not None
        assert [(one.code, one.ref) for one in invalid.body.errors] == [(pb.ErrorCode.INVALID, 6)]
        assert (await alone.closed(), await wrong.closed()) == (4106, 4106)
        assert [(one.code, one.ref) for body in bodies for one in body.errors] == [
            (pb.ErrorCode.OUT_OF_ORDER, 9),
            (pb.ErrorCode.NOT_FOUND, 10),
            (pb.ErrorCode.MALFORMED, 0),
        ]
