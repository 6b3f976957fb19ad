"""SIGHUP in a running server: what is taken over, what is told of it, and that a wrong file changes nothing."""

import base64
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from bimip.config import ConfigError, Settings
from bimip.config.differences import differences, shown, take_over
from bimip.config.sections import SECTIONS
from bimip.gateway.authentication import issue
from bimip.parts import Parts
from bimip.reloading import RESTARTED, reload
from bimip.session.tokens import TokenError
from bimip.storage.memory import MemoryStore
from bimip.testing.tokens import KEY
from bimip.testing.virtual import open_virtual_server, settings_for_tests
from tests.gateway.certificates import make

OTHER_KEY = "another key for tests, of 32 bytes or more"
SIGNING, OTHER_SIGNING = ("whsec_" + base64.b64encode(letter * 24).decode() for letter in (b"x", b"y"))

Logs = list[MutableMapping[str, Any]]


class Reloads:
    def __init__(self, server: Parts, logs: Logs, given: dict[str, str]) -> None:
        self.server = server
        self.logs = logs
        self.levels: list[str] = []
        self._given = given

    async def reload(self, **environment: str) -> str:
        """What comes of a reload of what the server began with, and this."""
        return await self.reload_by(lambda: settings_for_tests(**self._given | environment))

    async def reload_by(self, load: Callable[[], Settings]) -> str:
        async def read() -> Settings:
            return load()

        self.logs.clear()
        return await reload(self.server, read, self.levels.append)

    def told(self, event: str) -> dict[str, tuple[Any, Any]]:
        """Of each setting that the log names in such a line, what it was and what it is."""
        return {one["setting"]: (one["old"], one["new"]) for one in self.logs if one["event"] == event}


TAKEN, STAYED = "a setting was reloaded", "a setting needs a restart; the old one stays"


@asynccontextmanager
async def open_reloads(**given: str) -> AsyncIterator[Reloads]:
    async with open_virtual_server(MemoryStore, settings=settings_for_tests(**given)) as server:
        with structlog.testing.capture_logs() as logs:
            yield Reloads(server, logs, given)


async def test_what_differs_is_taken_over_and_told_or_needs_a_restart_which_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_reloads() as reloads:
        outcome = await reloads.reload(
            BIMIP_HEALTH_MAX_LOOP_LAG_SECONDS="7",
            BIMIP_GATEWAY_PORT="1234",
            BIMIP_LOGGING_LEVEL="debug",
            BIMIP_LOGGING_SAMPLE_MESSAGES="9",
        )
        settings = reloads.server.settings

        assert outcome == "taken over"
        assert reloads.told(TAKEN) == {
            "health.max_loop_lag_seconds": (1.0, 7.0),
            "logging.level": ("info", "debug"),
            "logging.sample_messages": (0, 9),
        }
        assert reloads.told(STAYED) == {"gateway.port": (8470, 1234)}
        assert (settings.health.max_loop_lag_seconds, settings.gateway.port) == (7.0, 8470)
        assert reloads.levels == ["debug"]
        assert reloads.server.traces.every == 9
        assert reloads.server.reloads == {"taken": 1}


async def test_nothing_that_differs_is_nothing_to_take_over(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        assert await reloads.reload() == "nothing to take over"
        assert await reloads.reload(BIMIP_GATEWAY_PORT="1") == "nothing to take over"


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"BIMIP_HEALTH_MAX_LOOP_LAG_SECONDS": "long"}, "BIMIP_HEALTH_MAX_LOOP_LAG_SECONDS is 'long'"),
        ({"BIMIP_TOKENS_KEY": "short"}, "tokens.key is too short"),
        ({"BIMIP_TOKENS_ALGORITHM": "EdDSA"}, ""),
        ({"BIMIP_TOKENS_KEY": "", "BIMIP_TOKENS_KEY_FILE": "nowhere"}, "nowhere cannot be read"),
    ],
)
async def test_where_anything_is_wrong_the_old_settings_stay(
    environment: dict[str, str], problem: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_reloads() as reloads:
        before = reloads.server.settings
        outcome = await reloads.reload(**{"BIMIP_HEALTH_MIN_FREE_DISK_BYTES": "1"} | environment)

        assert outcome == "refused"
        assert reloads.server.settings is before
        assert [one["log_level"] for one in reloads.logs] == ["error"]
        assert problem in reloads.logs[0]["problem"]
        assert reloads.server.reloads == {"refused": 1}
        assert reloads.levels == []


async def test_what_contradicts_what_stays_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        settings = reloads.server.settings
        outcome = await reloads.reload_by(
            lambda: replace(settings, tokens=replace(settings.tokens, key_file="another"))
        )

        assert outcome == "refused"
        assert "are both set" in reloads.logs[0]["problem"]


async def test_no_secret_is_told_and_that_it_is_another_is(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        await reloads.reload(BIMIP_TOKENS_KEY=OTHER_KEY, BIMIP_CONSOLE_OPERATOR_TOKEN="another operator's token")
        text = repr(reloads.logs)

        assert reloads.told(TAKEN) == {"tokens.key": ("set", "set, another")}
        assert reloads.told(STAYED) == {"console.operator_token": ("set", "set, another")}
        assert "another operator" not in text
        assert not any(secret in text for secret in (KEY, OTHER_KEY))


async def test_tokens_are_checked_with_the_new_key(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        now = reloads.server.timekeeper.now()

        def verify(key: str) -> str:
            token = issue(
                algorithm="HS256", signing_key=key, eid="a", device="b", now_ms=now, lifetime_seconds=60, jti="j"
            )
            return reloads.server.services.verify(token).eid

        before = verify(KEY)
        await reloads.reload(BIMIP_TOKENS_KEY=OTHER_KEY)

        assert (before, verify(OTHER_KEY)) == ("a", "a")
        with pytest.raises(TokenError):
            verify(KEY)


async def test_a_key_in_the_same_file_is_read_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    async with open_reloads(BIMIP_TOKENS_KEY="", BIMIP_TOKENS_KEY_FILE=str(file)) as reloads:
        file.write_text(OTHER_KEY)
        await reloads.reload()
        token = issue(
            algorithm="HS256",
            signing_key=OTHER_KEY,
            eid="a",
            device="b",
            now_ms=reloads.server.timekeeper.now(),
            lifetime_seconds=60,
            jti="j",
        )

        assert reloads.server.services.verify(token).eid == "a"


async def test_a_certificate_in_the_same_file_is_read_again_and_one_that_is_none_stays(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    certificate, key = make().write(tmp_path)
    given = {"BIMIP_GATEWAY_TLS_CERTIFICATE": certificate, "BIMIP_GATEWAY_TLS_KEY": key}
    async with open_reloads(**given) as reloads:
        assert reloads.server.certificate is not None
        first = reloads.server.certificate.context
        await reloads.reload()
        second = reloads.server.certificate.context
        tmp_path.joinpath(certificate).write_text("no certificate")
        refused = await reloads.reload()

        assert first is not second
        assert refused == "refused"
        assert reloads.server.certificate.context is second


async def test_rates_hold_for_who_connects_from_then_on(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        rates = reloads.server.services.rates
        now = trio.current_time()
        await reloads.reload(BIMIP_LIMITS_USER_LOGINS_PER_SECOND="1")
        waits = [rates.log_in("ann", now) for _ in range(22)]

        assert waits[0] == 0
        assert waits[-1] > 0


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("BIMIP_PUSH_COLLAPSE_SECONDS", "5", "bimip/push"),
        ("BIMIP_WEBHOOKS_MAX_SENDS", "3", "bimip/webhooks"),
    ],
)
async def test_a_process_that_has_its_settings_from_its_start_on_is_started_again_and_no_other(
    variable: str, value: str, path: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_reloads() as reloads:
        processes = reloads.server.processes
        assert processes is not None

        def begun() -> dict[str, float]:
            return {one.path: one.since for one in processes.snapshot().walk()}

        await trio.sleep(5)
        before = begun()
        await reloads.reload(**{variable: value})
        after = begun()

        assert {one for one in before if after[one] != before[one]} == {path}


async def test_secrets_of_webhooks_are_read_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    file = tmp_path / "secret"
    file.write_text(SIGNING)
    endpoints = {"crm": {"url": "https://crm.example.org/hook", "secret_file": str(file)}}
    async with open_reloads(BIMIP_WEBHOOKS_ENDPOINTS=json.dumps(endpoints)) as reloads:
        before = reloads.server.webhook_secrets
        file.write_text(OTHER_SIGNING)
        await reloads.reload()

        assert [*before] == [*reloads.server.webhook_secrets] == ["crm"]
        assert before != reloads.server.webhook_secrets


async def test_what_draining_goes_by_is_asked_for_when_it_begins(autojump_clock: trio.testing.MockClock) -> None:
    async with open_reloads() as reloads:
        await reloads.reload(BIMIP_GATEWAY_DRAIN_SECONDS="1", BIMIP_GATEWAY_DRAIN_SPREAD_SECONDS="9")

        assert reloads.server.settings.gateway.longest_drain_seconds == 10
        assert reloads.server.draining._answer_seconds() == 1


def test_each_setting_that_reloads_has_a_way_to_be_obeyed() -> None:
    """Whoever declares that one of another part does, says in `bimip.reloading` how."""
    parts = {(key.part, name) for keys in SECTIONS.values() for name, key in keys.items() if key.reloads}
    gateway = {("gateway", "drain_seconds"), ("gateway", "drain_spread_seconds")}

    assert {one for one in parts if one[0] == "gateway"} == gateway
    assert {part for part, _ in parts} == {"gateway", "health", "tokens", "rates", "logging", *RESTARTED}


def test_what_reloads_is_taken_over_and_nothing_else() -> None:
    old = settings_for_tests()
    new = settings_for_tests(BIMIP_PUSH_BURST="9", BIMIP_PUSH_DELAY_SECONDS="9", BIMIP_STORE_PATH="elsewhere")
    found = differences(old, new)
    taken = take_over(old, new)

    assert {(one.section, one.key): one.reloads for one in found} == {
        ("store", "path"): False,
        ("push", "burst"): True,
        ("push", "delay_seconds"): False,
    }
    assert differences(taken, new) == [one for one in found if not one.reloads]
    assert differences(old, take_over(old, old)) == []
    assert [(one.section, one.key) for one in shown(old)] == [
        (section, key) for section, keys in SECTIONS.items() for key in keys
    ]


async def test_a_file_that_cannot_be_read_is_told_whole(autojump_clock: trio.testing.MockClock) -> None:
    def load() -> Settings:
        raise ConfigError("one thing\nand another")

    async with open_reloads() as reloads:
        assert await reloads.reload_by(load) == "refused"
        assert [one["problem"] for one in reloads.logs] == ["one thing", "and another"]
