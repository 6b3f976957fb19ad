"""`bimip bench` against the real server, in this process, over real sockets."""

import json
from functools import partial

import pytest

from bimip.cli import bench as benching
from bimip.cli.bench import Load, Measured, bench, is_local, load_of
from bimip.cli.devices import Device
from bimip.cli.failures import Exit, Failure
from tests.cli.test_devices import MakeDevice, _without_a_log, server

__all__ = ["_without_a_log"]

LOAD = Load(pairs=2, seconds=0.5, rate=0.0, window=2, size=64)
SLOW = Load(pairs=2, seconds=0.5, rate=20.0, window=2, size=64)


async def figures(device: MakeDevice, load: Load, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    await bench(lambda eid: device(eid, "bench"), load, sure=False, as_json=True)
    return dict(json.loads(capsys.readouterr().out))


async def test_what_is_written_arrives_and_how_long_that_took_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        told = await figures(device, LOAD, capsys)
        again = await figures(device, LOAD, capsys)

    for one in (told, again):  # the second time the users are there, with what was written to them
        assert (one["missing"], one["twice"], one["refused"], one["disconnected"]) == (0, 0, {}, 0)
        assert isinstance(one["accepted"], int)
        assert one["accepted"] > 0
        for name in ("sent_ms", "arrived_ms"):
            times = one[name]
            assert isinstance(times, dict)
            assert 0 < times["p50"] <= times["p95"] <= times["p99"] <= times["longest"]


async def test_a_rate_is_kept_to_by_all_together(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        told = await figures(device, SLOW, capsys)

    assert 0 < int(str(told["accepted"])) <= 11


async def test_people_are_shown_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        await bench(lambda eid: device(eid, "bench"), SLOW, sure=False)
    shown = capsys.readouterr().out

    assert "messages of 4 users" in shown
    assert "until it is on disk (SENT)" in shown
    assert "of a core" in shown


async def test_what_is_refused_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    async with server() as device:
        told = await figures(device, Load(pairs=1, seconds=0.3, rate=0.0, window=1, size=100_000), capsys)

    assert told["accepted"] == 0
    assert told["refused"].keys() == {"TOO_LARGE"}  # type: ignore[attr-defined]


async def test_what_does_not_arrive_or_comes_twice_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(benching, "_receive", lose)
    async with server() as device:
        with pytest.raises(Failure, match="did not arrive") as failed:
            await bench(lambda eid: device(eid, "bench"), SLOW, sure=False, as_json=True)

    assert failed.value.code is Exit.FAILED


async def lose(*_given: object) -> None:
    """Takes nothing."""


async def test_a_server_elsewhere_is_not_loaded_by_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failure, match="--yes") as refused:
        await bench(partial(Device, "wss://example.org"), SLOW, sure=False)

    assert refused.value.code is Exit.USAGE
    for url, local in {
        "ws://localhost:1": True,
        "ws://[::1]:1": True,
        "ws://127.0.0.9": True,
        "ws://a.b": False,
    }.items():
        assert is_local(url) == local


async def test_one_that_does_not_answer_is_said_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "CONNECT_SECONDS", 0.2)
    with pytest.raises(Failure, match="does not answer") as failed:
        await bench(partial(Device, "ws://127.0.0.1:9"), SLOW, sure=False)

    assert failed.value.code is Exit.UNREACHABLE


def test_users_come_in_pairs_and_messages_have_room_for_their_time() -> None:
    load = load_of(5, 1.0, 0.0, 1, 1)

    assert (load.pairs, load.size) == (2, 8)
    assert Measured().describe()["per_second"] == 0.0
