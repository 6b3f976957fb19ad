from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client import Audience, ExceptionValue, InvalidArgument, PrivacyException, PrivacySettings, Refused
from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.receipts import times_of
from bimip.client.core.kinds.settings import (
    SETTINGS,
    KnownSettings,
    exceptions_known,
    settings_known,
    settings_told,
)
from bimip.client.core.state import State
from bimip.client.events import PrivacyExceptionChanged, ReceiptsChanged, SettingsChanged
from bimip.client.store import Store
from bimip.client.wire import bimip as pb
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
        answered = await client.settings.change(send_read_receipts=False)

        assert (
            answered
            == client.settings.privacy
            == PrivacySettings(read_receipts_to=Audience.NOBODY, stamp=Stamp(asked[0].stamp))
        )
        assert (asked[0].send_read_receipts, asked[0].show_read_receipts) == (False, None)
        assert millis_of(Stamp(asked[0].stamp)) == TIME
        assert await next_of(client, SettingsChanged) == SettingsChanged(answered)
        assert await nothing_more(client) == []
    async with a_client(server, path=path) as client:
        assert client.settings.privacy == answered


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
            await client.settings.change(show_last_seen=True)
        with pytest.raises(InvalidArgument):
            await client.settings.change(show_last_seen="no")  # type: ignore[arg-type]


def test_private_receipts_are_events_of_their_own_and_count_as_read(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    item = Receipts(conversation="c1", member="me", kind=MessageStatus.READ, runs=[ReceiptRun(from_=2, to=3, time=9)])
    (event,) = state.page(page(0, 1, StateItem(version=1, private_receipts=item)))

    assert isinstance(event, ReceiptsChanged)
    assert (event.member, event.private) == ("me", True)
    assert times_of(store, "c1", 2) == {"me": {"delivered": 9, "read": 9}}
    assert times_of(store, "c1", 4) == {}


DENIED = PrivacyException(show_last_seen=ExceptionValue.DENIED)


def excepted(version: int, *, removed: bool = False, **values: ExceptionValue) -> StateItem:
    numbers: dict[str, Any] = {name: pb.PrivacyExceptionException(int(value)) for name, value in values.items()}
    told = pb.PrivacyException(eid="bob", version=version, **numbers)
    return StateItem(version=version, removed=removed, privacy_exception=told)


def test_an_exception_is_told_kept_and_gone(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 4, excepted(4, show_last_seen=ExceptionValue.DENIED))) == [
        PrivacyExceptionChanged("bob", DENIED)
    ]
    assert state.page(page(4, 5, excepted(3, show_last_seen=ExceptionValue.ALLOWED))) == []
    assert exceptions_known(store) == {"bob": DENIED}
    assert state.page(page(5, 6, excepted(6, removed=True))) == [PrivacyExceptionChanged("bob", PrivacyException())]
    assert exceptions_known(store) == {}


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([7, [True, False, True, True, 9]], PrivacySettings(read_receipts_of=Audience.NOBODY, stamp=Stamp(9))),
        (
            [7, [2, 1, 0, 1, False, 9]],
            PrivacySettings(
                Audience.CONTACTS,
                Audience.EVERYBODY,
                Audience.NOBODY,
                Audience.EVERYBODY,
                visible=False,
                stamp=Stamp(9),
            ),
        ),
    ],
)
def test_what_was_kept_before_there_were_audiences_is_read_as_it_was_meant(
    kept: list[Any], expected: PrivacySettings
) -> None:
    assert SETTINGS.load(kept) == KnownSettings(7, expected)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(last_seen_to=pb.Audience.CONTACTS, show_last_seen=True), Audience.CONTACTS),
        (Settings(last_seen_to=pb.Audience.NOBODY, show_last_seen=False), Audience.NOBODY),
        (Settings(show_last_seen=False), Audience.NOBODY),  # an older server
        (Settings(), Audience.EVERYBODY),
    ],
)
def test_an_audience_counts_where_the_server_tells_one(settings: Settings, expected: Audience) -> None:
    assert settings_told(settings).last_seen_to is expected


@both_backends
async def test_an_exception_is_made_and_taken_back() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[pb.PrivacyException] = []

        async def serve() -> None:
            for version in (3, 4):
                settings, ref = await peer.expect(Settings)
                (exception,) = settings.exceptions
                asked.append(exception)
                told = pb.PrivacyException(eid="bob", version=version)
                if exception.show_last_seen == pb.PrivacyExceptionException.DENIED:
                    told.show_last_seen = exception.show_last_seen
                peer.send(Settings(exceptions=[told]), ref)

        tasks.start_soon(serve)
        made = await client.settings.set_exception("bob", show_last_seen=ExceptionValue.DENIED)

        assert (made, client.settings.exceptions) == (DENIED, {"bob": DENIED})
        assert (asked[0].eid, asked[0].send_read_receipts) == ("bob", pb.PrivacyExceptionException.UNCHANGED)
        gone = await client.settings.set_exception("bob", show_last_seen=ExceptionValue.NONE)
        assert (gone, client.settings.exceptions) == (PrivacyException(), {})


@both_backends
async def test_the_switch_answers_how_it_stands() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[pb.AwarenessVisibility] = []

        async def serve() -> None:
            switch, ref = await peer.expect(pb.AwarenessVisibility)
            asked.append(switch)
            peer.send(pb.AwarenessVisibility(visible=True, stamp=switch.stamp + 1), ref)  # another device's later word

        tasks.start_soon(serve)

        assert await client.settings.set_visible(visible=False) is True
        assert (asked[0].visible, asked[0].stamp > 0) == (False, True)


@both_backends
async def test_what_is_no_value_is_not_sent() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        await (await server.accept()).greet()
        wrong: Any = "contacts"
        for change in (
            client.settings.change(last_seen_to=wrong),
            client.settings.change(visible=wrong),
            client.settings.set_exception("bob", show_last_seen=wrong),
            client.settings.set_exception("bob"),
            client.settings.set_visible(visible=wrong),
        ):
            with pytest.raises(InvalidArgument):
                await change
