from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client import Audience, InvalidArgument, PrivacySettings, Refused
from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.receipts import times_of
from bimip.client.core.kinds.settings import settings_known
from bimip.client.core.state import State
from bimip.client.events import ReceiptsChanged, SettingsChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import (
    Body,
    ErrorCode,
    ErrorMessage,
    MessageStatus,
    ReceiptRun,
    Receipts,
    Settings,
    StateItem,
)
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Stamp
from tests.client.support import TIME, FakeServer, a_client, both_backends, next_of, nothing_more, page


def told(version: int, **settings: Any) -> StateItem:
    return StateItem(version=version, settings=Settings(**settings, version=version))


def test_the_servers_newest_word_counts_whatever_comes_first(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert settings_known(store) == PrivacySettings()
    assert state.page(page(0, 4, told(4, show_last_seen=False))) == [
        SettingsChanged(PrivacySettings(last_seen_to=Audience.NOBODY))
    ]
    assert state.page(page(4, 5, told(3))) == []
    assert settings_known(store) == PrivacySettings(last_seen_to=Audience.NOBODY)


def test_settings_that_are_in_no_page_of_a_whole_state_are_as_nobody_set_them(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 4, told(4, show_last_seen=False)))

    assert state.page(page(0, 5, reset=True, complete=True)) == [SettingsChanged(PrivacySettings())]


@both_backends
async def test_what_is_set_is_told_once_and_outlives_the_process(tmp_path: Path) -> None:
    server, path = FakeServer(), tmp_path / "phone.db"
    async with a_client(server, path=path) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[Settings] = []

        async def serve() -> None:
            settings, ref = await peer.expect(Settings)
            asked.append(settings)
            answer = Settings(send_read_receipts=False, show_read_receipts=True, stamp=settings.stamp, version=3)
            peer.send(answer, ref)
            peer.send(Body(states=[page(0, 3, StateItem(version=3, settings=answer))]))

        tasks.start_soon(serve)
        answered = await client.change_settings(send_read_receipts=False)

        assert (
            answered
            == client.settings
            == PrivacySettings(read_receipts_to=Audience.NOBODY, stamp=Stamp(asked[0].stamp))
        )
        assert (asked[0].send_read_receipts, asked[0].show_read_receipts) == (False, None)
        assert millis_of(Stamp(asked[0].stamp)) == TIME
        assert await next_of(client, SettingsChanged) == SettingsChanged(answered)
        assert await nothing_more(client) == []
    async with a_client(server, path=path) as client:
        assert client.settings == answered


@both_backends
async def test_what_is_refused_is_raised_and_what_is_no_setting_is_not_sent() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Settings)
            peer.send(Body(errors=[ErrorMessage(code=ErrorCode.STORAGE_FULL, message="full", ref=ref)]))

        tasks.start_soon(serve)
        with pytest.raises(Refused):
            await client.change_settings(show_last_seen=True)
        with pytest.raises(InvalidArgument):
            await client.change_settings(show_last_seen="no")  # type: ignore[arg-type]


def test_private_receipts_are_events_of_their_own_and_count_as_read(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    item = Receipts(conversation="c1", member="me", kind=MessageStatus.READ, runs=[ReceiptRun(from_=2, to=3, time=9)])
    (event,) = state.page(page(0, 1, StateItem(version=1, private_receipts=item)))

    assert isinstance(event, ReceiptsChanged)
    assert (event.member, event.private) == ("me", True)
    assert times_of(store, "c1", 2) == {"me": {"delivered": 9, "read": 9}}
    assert times_of(store, "c1", 4) == {}
