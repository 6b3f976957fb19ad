from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis
from bimip.gateway import admission, framing
from bimip.gateway.admission import MOST_OWED_SECONDS, Admission, AdmissionRefusedError, address_of
from bimip.gateway.settings import GatewaySettings
from bimip.session.close import Close
from tests.gateway.harness import (
    PING,
    SETTINGS,
    close_code_in,
    close_of,
    frame,
    hello,
    open_port,
    open_world,
    opening,
    read_all,
    token,
    upgrade,
)

FEW = replace(
    SETTINGS,
    max_devices_per_user=2,
    max_connections_per_address=5,
    max_unauthenticated=4,
    max_unauthenticated_per_address=3,
    uncounted_addresses=(),
    close_seconds=0.3,
)


def claims(device: str = "phone", eid: str = "bob") -> Claims:
    return Claims(eid, device, Millis(0), "t")


class Doors:
    """Comes and goes."""

    def __init__(self, settings: GatewaySettings = FEW) -> None:
        self.now = 0.0
        self.given_up: list[str | None] = []
        self.admission = Admission(settings, lambda: self.now)
        self.stack = ExitStack()

    def come(self, address: str | None, who: Claims | None = None) -> int:
        """0, or the status that was answered."""
        try:
            slot = self.stack.enter_context(self.admission.enter(address, lambda: self.given_up.append(address)))
            if who is not None:
                slot.identify(who)
        except AdmissionRefusedError as error:
            return error.status
        return 0


def test_so_many_may_be_unknown_at_once() -> None:
    doors = Doors()

    assert [doors.come(f"10.0.0.{n}") for n in range(6)] == [0, 0, 0, 0, 503, 503]
    assert doors.admission.statistics().no_place == 2
    doors.stack.close()
    assert doors.come("10.0.0.9") == 0


def test_when_all_places_are_taken_the_oldest_is_given_up_for_a_new_one() -> None:
    doors = Doors(replace(FEW, handshake_seconds=5))
    for number in range(4):
        doors.come(f"10.0.0.{number}")
    doors.now = 1.0  # a fifth of the time that they have
    answers = [doors.come("10.0.0.9") for _ in range(2)]

    assert answers == [0, 0]
    assert doors.given_up == ["10.0.0.0", "10.0.0.1"]
    assert doors.admission.statistics().unauthenticated == 4
    assert doors.admission.statistics().given_up == 2


def test_nobody_who_just_came_or_is_known_is_given_up() -> None:
    doors = Doors(replace(FEW, handshake_seconds=5))
    doors.come("10.0.0.1", claims())
    doors.now = 0.1
    for number in range(2, 6):
        doors.come(f"10.0.0.{number}")
    doors.now = 1.0

    assert doors.come("10.0.0.9") == 503
    assert doors.given_up == []


def test_one_uncounted_address_cannot_keep_others_out() -> None:
    doors = Doors(replace(FEW, uncounted_addresses=("127.0.0.0/8",), handshake_seconds=5))
    doors.come("127.0.0.1")
    for second in range(1, 40):
        doors.now = second / 4
        doors.come("127.0.0.1")
    doors.now = 20.0

    assert doors.come("127.0.0.1", claims()) == 0


def test_those_who_were_given_up_end_as_any_other() -> None:
    doors = Doors(replace(FEW, handshake_seconds=5))
    for number in range(4):
        doors.come(f"10.0.0.{number}")
    doors.now = 1.0
    doors.come("10.0.0.9")
    doors.stack.close()

    assert doors.admission.statistics().unauthenticated == 0
    assert doors.admission.statistics().addresses == 0


PACED = replace(FEW, address_openings_per_second=2, max_connections_per_address=0, max_unauthenticated_per_address=0)


def come_and_go(doors: Doors, address: str, times: int, who: Claims | None = None) -> list[int]:
    answers = []
    for _ in range(times):
        answers.append(doors.come(address, who))
        doors.stack.close()
    return answers


def test_an_address_may_open_so_many_connections_and_then_so_many_a_second() -> None:
    doors = Doors(PACED)
    at_once = come_and_go(doors, "10.0.0.1", 30, claims())
    doors.now = 5.0
    later = come_and_go(doors, "10.0.0.1", 30, claims())

    assert at_once.count(0) == 21  # ten seconds' worth, and the one with which something is owed
    assert later.count(0) == 10
    assert set(at_once + later) == {0, 429}


def test_an_opening_that_ends_without_a_valid_token_counts_five() -> None:
    doors = Doors(PACED)

    assert come_and_go(doors, "10.0.0.1", 30).count(0) == 5
    assert come_and_go(doors, "10.0.0.2", 1) == [0]


def test_who_is_refused_by_the_rate_is_told_when_to_come_again() -> None:
    doors = Doors(PACED)
    come_and_go(doors, "10.0.0.1", 30)
    with pytest.raises(AdmissionRefusedError) as refused:
        doors.admission.enter("10.0.0.1")

    assert 1 <= refused.value.retry_after <= 3
    doors.now = float(refused.value.retry_after)
    assert doors.come("10.0.0.1") == 0


def test_an_uncounted_address_has_no_rate() -> None:
    doors = Doors(replace(PACED, uncounted_addresses=("10.0.0.0/8",)))

    assert come_and_go(doors, "10.0.0.1", 100) == [0] * 100


async def test_a_peer_that_was_given_up_finds_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PATIENCE", 0)
    settings = replace(FEW, max_unauthenticated=1, handshake_seconds=60.0)
    async with open_world(settings) as world, open_port(world) as port:
        silent = await trio.open_tcp_stream("127.0.0.1", port)
        while world.gateway.admission.statistics().unauthenticated == 0:
            await trio.lowlevel.checkpoint()
        other = await trio.open_tcp_stream("127.0.0.1", port)
        async with silent, other:
            with trio.fail_after(30):
                ended = await read_all(silent)
                await upgrade(other)

    assert ended == b""


def test_so_many_of_one_address_may_be_unknown_at_once() -> None:
    doors = Doors()

    assert [doors.come("10.0.0.1") for _ in range(4)] == [0, 0, 0, 429]
    assert doors.come("10.0.0.2") == 0


def test_so_many_of_one_address_may_be_connected_at_once() -> None:
    doors = Doors()

    assert [doors.come("10.0.0.1", claims(eid=str(n))) for n in range(6)] == [0, 0, 0, 0, 0, 429]
    assert doors.come("10.0.0.2") == 0


def test_so_many_devices_of_a_user_may_be_connected_at_once_and_a_known_one_comes_again() -> None:
    doors = Doors()

    assert [doors.come(None, claims(name)) for name in ("a", "b", "c")] == [0, 0, 429]
    assert [doors.come(None, claims("a")) for _ in range(3)] == [0, 0, 429]
    assert doors.come(None, claims("c", "alice")) == 0
    doors.stack.close()
    assert [doors.come(None, claims(name)) for name in ("c", "d")] == [0, 0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_what_is_one_address(one: str, other: str, *, same: bool) -> None:
    doors = Doors(replace(FEW, max_unauthenticated_per_address=1))
    doors.come(one)

    assert doors.come(other) == (429 if same else 0)


def test_an_address_that_goes_on_without_waiting_is_shut_out_and_heard_again_after_a_while() -> None:
    doors = Doors(replace(FEW, address_openings_per_second=10, max_unauthenticated_per_address=0))
    for _ in range(100):  # what it has at once
        doors.come("10.0.0.1")
        doors.stack.close()
    tries = 0
    while not doors.admission.shuts_out("10.0.0.1"):
        tries += 1
    for _ in range(1000):
        assert doors.admission.shuts_out("10.0.0.1")

    assert 0 < tries <= 20  # as many as it would have had in two seconds
    assert not doors.admission.shuts_out("10.0.0.2")
    assert not doors.admission.shuts_out(None)
    doors.now += MOST_OWED_SECONDS
    assert doors.come("10.0.0.1") in {0, 429}
    doors.now += 1
    assert doors.come("10.0.0.1") == 0


def test_who_waits_as_it_was_told_is_never_shut_out() -> None:
    doors = Doors(replace(FEW, address_openings_per_second=10, max_unauthenticated_per_address=0))
    for _ in range(1000):
        assert not doors.admission.shuts_out("10.0.0.1")
        if doors.come("10.0.0.1") == 429:
            doors.now += 1
        doors.stack.close()


async def test_who_is_shut_out_gets_no_answer_and_costs_no_task() -> None:
    async with open_world(FEW) as world, open_port(world, shuts_out=lambda _stream: True) as port:
        with trio.fail_after(10):
            async with await knock(port) as stream:
                answer = await read_all(stream)

        assert answer == b""
        assert world.scopes == []


@pytest.mark.parametrize("address", [None, "127.0.0.1", "::ffff:127.9.9.9", "::1", "10.1.2.3", "/a/path", ""])
def test_who_stands_behind_a_proxy_or_has_no_address_is_not_counted(address: str | None) -> None:
    uncounted = ("127.0.0.0/8", "::1/128", "10.0.0.0/8")
    doors = Doors(replace(FEW, uncounted_addresses=uncounted, max_unauthenticated=0))

    assert [doors.come(address) for _ in range(50)] == [0] * 50
    assert doors.admission.statistics().addresses == 0


def test_a_connection_is_served_on_its_addresss_account_whoever_it_is() -> None:
    admission = Doors().admission
    with admission.enter("10.0.0.1") as slot, admission.enter("10.0.0.1") as other:
        before = slot.account
        slot.identify(claims())

        assert before == slot.account == other.account == "10.0.0.1"


def test_without_an_address_that_tells_something_it_has_its_own_account_and_then_its_users() -> None:
    admission = Doors().admission
    with admission.enter(None) as slot, admission.enter(None) as other:
        assert slot.account != other.account
        slot.identify(claims("phone"))
        other.identify(claims("laptop"))

        assert slot.account == other.account == "bob"


def test_0_is_without_limit() -> None:
    none = replace(
        FEW,
        max_devices_per_user=0,
        max_connections_per_address=0,
        max_unauthenticated=0,
        max_unauthenticated_per_address=0,
    )
    doors = Doors(none)

    assert [doors.come("10.0.0.1", claims(str(n)) if n % 2 else None) for n in range(500)] == [0] * 500


def test_nothing_is_left_when_all_have_gone() -> None:
    doors = Doors()
    for n in range(10):
        doors.come("10.0.0.1", claims(str(n % 3)))
        doors.come("10.0.0.2")
    doors.stack.close()
    admission = doors.admission

    assert (admission.statistics().unauthenticated, admission.statistics().users) == (0, 0)
    assert not admission._connected_from
    assert not admission._unauthenticated_from


# Over real sockets.


async def knock(port: int, *, says: bytes = b"") -> trio.SocketStream:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    if says:
        await stream.send_all(says)
    return stream


async def test_one_too_many_is_told_when_to_come_again_and_the_others_do_not_notice() -> None:
    async with open_world(FEW) as world, open_port(world) as port:
        with trio.fail_after(10):
            known = await knock(port)
            await upgrade(known)
            half = [await knock(port, says=opening()[:50]) for _ in range(3)]
            await trio.testing.wait_all_tasks_blocked(0.05)
            turned_away = await knock(port, says=opening())
            answer = await read_all(turned_away)
            await turned_away.aclose()
            for stream in half:
                await stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.05)
            again = await knock(port)
            await upgrade(again, shown=token(device="laptop"))
            await known.send_all(b"\x82\x80\0\0\0\0")

            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nRetry-After: 5\r\n" in answer
            assert (await known.receive_some())[:1] == b"\x82"
            for stream in (known, again):
                stream.socket.close()


@pytest.mark.parametrize(
    ("said", "code", "counted"),
    [
        (frame(framing.BINARY, b"\xff", mask=False), Close.PROTOCOL_ERROR, 16),
        (frame(framing.TEXT, b"{}"), Close.UNSUPPORTED_DATA, 16),
        (frame(framing.CLOSE, b"\x03\xe8\xff"), Close.INVALID_DATA, 16),
        (frame(framing.BINARY, length=b"\x7f\x00\x00\x00\x00\xff\xff\xff\xff"), Close.TOO_BIG, 16),
        (frame(framing.PONG) * 2_100, Close.TOO_MANY_ERRORS, 16),
        (frame(framing.CLOSE, b"\x03\xe8"), Close.NORMAL, 1),
    ],
)
async def test_who_was_let_in_and_closed_for_a_fault_of_theirs_counts_sixteen(
    said: bytes, code: Close, counted: int
) -> None:
    paced = replace(FEW, address_openings_per_second=10)
    async with open_world(paced) as world, open_port(world) as port:
        world.gateway.admission.now = lambda: 0.0
        with trio.fail_after(60):
            stream = await knock(port)
            await upgrade(stream)
            await stream.send_all(said)
            found = close_code_in(await read_all(stream))
            await stream.aclose()
            while "closed" not in {what for what, _, _ in world.told}:
                await trio.lowlevel.checkpoint()
    let_in = 0
    with suppress(AdmissionRefusedError):
        while True:
            with world.gateway.admission.enter("127.0.0.1") as slot:
                slot.identify(claims())
            let_in += 1

    assert found == code
    assert let_in == 101 - counted


async def test_who_is_turned_away_is_answered_once_it_has_asked(autojump_clock: MockClock) -> None:
    async with open_world(replace(FEW, max_unauthenticated=1, close_seconds=2.0)) as world:
        first = world.dial()
        await trio.testing.wait_all_tasks_blocked()
        asking = world.dial()
        head = opening()
        for part in (head[:50], head[50:-2], head[-2:]):
            with trio.move_on_after(0.5) as early:
                await asking.receive_some()
            assert early.cancelled_caught
            await asking.send_all(part)
        answer = await read_all(asking)

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 5\r\n" in answer
        await first.aclose()


@pytest.mark.parametrize("says", [b"", b"GET / HT", b"x" * 100_000])
async def test_who_is_turned_away_and_does_not_ask_is_answered_all_the_same(
    autojump_clock: MockClock, says: bytes
) -> None:
    async with open_world(replace(FEW, max_unauthenticated=1)) as world:
        first = world.dial()
        await trio.testing.wait_all_tasks_blocked()
        silent = world.dial()
        if says:
            await silent.send_all(says)

        assert (await read_all(silent)).startswith(b"HTTP/1.1 503 ")
        await first.aclose()


async def test_a_device_too_many_is_told_by_http_or_by_1013(autojump_clock: MockClock) -> None:
    async with open_world(FEW) as world:
        connected = [await world.connect(shown=token(device=name)) for name in ("a", "b")]
        refused = world.dial()
        await refused.send_all(opening(shown=token(device="c")))
        answer = await read_all(refused)
        in_hello = await world.connect(shown="")
        await in_hello.send_message(hello(token(device="c")))
        code, reason = await close_of(in_hello)
        same = await world.connect(shown=token(device="a"))
        await same.send_message(PING)

        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nRetry-After: 60\r\n" in answer
        assert b"This user has 2 devices connected. Try again in 60 seconds." in answer
        assert (code, reason) == (
            Close.TRY_AGAIN_LATER,
            "This user has 2 devices connected. Try again in 60 seconds.",
        )
        assert await same.get_message() == PING
        assert len(connected) == 2


async def test_those_who_are_turned_away_hold_nothing(autojump_clock: MockClock) -> None:
    async with open_world(replace(FEW, max_unauthenticated=1)) as world:
        first = world.dial()
        await trio.testing.wait_all_tasks_blocked()
        silent = [world.dial() for _ in range(1000)]
        answers = [await read_all(stream) for stream in silent]
        await trio.sleep(1)

        assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers) == 256
        assert sum(answer == b"" for answer in answers) == 744
        assert world.ended == 1000
        await first.aclose()


async def test_an_address_is_a_sockets() -> None:
    async with open_world() as world, open_port(world) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)

        assert address_of(stream) == "127.0.0.1"
        await stream.aclose()
        assert address_of(stream) is None
        assert address_of(trio.testing.memory_stream_pair()[0]) is None


def test_all_connections_together_leave_files_for_the_rest_of_the_server() -> None:
    doors = Doors(replace(FEW, max_connections=2, max_unauthenticated=0, max_unauthenticated_per_address=0))
    first = doors.admission.enter("192.0.2.1")
    with (
        first,
        doors.admission.enter("192.0.2.2"),
        pytest.raises(AdmissionRefusedError, match="no room for more") as raised,
    ):
        doors.admission.enter("192.0.2.3")
    with doors.admission.enter("192.0.2.3"):
        pass

    assert raised.value.status == 503


async def test_who_comes_and_goes_is_told_with_the_connections_number() -> None:
    async with open_world() as world:
        websocket = await world.connect()
        await websocket.aclose(1000, "")
        refused = world.dial()
        await refused.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
        await read_all(refused)
        while len(world.told) < 3:
            await trio.lowlevel.checkpoint()
    (login, one, who), (closed, same, how), (turned_away, another, why) = world.told

    assert (login, closed, turned_away) == ("login", "closed", "refused")
    assert one == same != another
    assert {"eid", "device", "address"} == set(who)
    assert how["code"] == 1000
    assert why["status"] == 426
