"""`bimip push` against the real server, in this process, over real sockets."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from bimip.cli import push
from bimip.cli.failures import Exit, Failure
from bimip.push.settings import GatewaySettings, PushSettings
from bimip.settings import Secret
from tests.cli.test_devices import ALICE, SETTINGS, server

GATEWAY = GatewaySettings("https://push.example.org", Secret("a secret of the gateway"))


@pytest.fixture(autouse=True)
def _without_a_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def test_devices_subscribe_and_are_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    async with server(replace(SETTINGS, push=PushSettings(gateways={"fcm": GATEWAY}))) as device:
        phone, laptop = device(ALICE, "phone"), device(ALICE, "laptop")
        await push.subscribe(phone, "fcm", "the phone's", "push")
        await push.subscribe(laptop, "fcm", "the laptop's", "push", as_json=True)
        await push.unsubscribe(laptop, "push", "phone")
        await push.show_push(laptop)
        lines = capsys.readouterr().out.splitlines()

        assert lines[0] == "phone is reached by fcm"
        assert json.loads(lines[1]) == {"id": "push", "device": "laptop", "platform": "fcm", "token": "the laptop's"}
        assert lines[2:] == ["push is removed", "this server pushes by fcm", "laptop   push   fcm   the laptop's"]
        await push.show_push(phone, as_json=True)
        offer, one = map(json.loads, capsys.readouterr().out.splitlines())
        assert offer == {"platforms": ["fcm"], "public_key": ""}
        assert one["device"] == "laptop"
        with pytest.raises(Failure, match="use one of: fcm") as raised:
            await push.subscribe(phone, "apns", "t", "push")
        assert raised.value.code is Exit.REFUSED
