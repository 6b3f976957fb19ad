"""The full-screen client against a real server, as somebody types: two people, and what each sees."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from bimip.cli.chat.app import LOOK_SECONDS
from bimip.cli.chat.muting import HOUR_MS
from bimip.client import open_client
from bimip.client.errors import StoreError
from bimip.client.events import ContactChanged, ConversationChanged, GroupChanged, KnownContact
from bimip.testing import ServerProcess
from tests.cli.chat.screen import Screen, a_screen, in_thread, in_touch, run, server
from tests.cli.chat.test_model import received
from tests.cli.chat.test_text import HOSTILE

__all__ = ["server"]


def test_two_people_talk(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@talk.org", "bob@talk.org"
        await in_touch(server, bob)
        async with a_screen(server, alice) as one, a_screen(server, bob) as other:
            await one.until(lambda: one.session.link.is_connected)
            await other.until(lambda: other.session.link.is_connected)
            await one.open(bob)
            await one.press(*"Hello", "ctrl+j", *"Bob", "enter")
            await other.sees("Hello")
            assert other.opened().entries[0].text == "Hello\nBob"
            await one.sees("✓✓")
            await other.write("Hi")
            await one.sees("Hi")
            await one.until(lambda: one.model.stage_of(one.opened().entries[0]) == "read")
            await other.press("up", "!", "enter")  # an edit, as people know it
            await one.sees("Hi! (edited)")
            await one.press("escape")  # to the messages, of which the last one is chosen
            await one.press("plus", *"hea", "enter")
            await other.sees("❤ 1")
            await one.press("r")
            await one.sees("Answering: Hi!")
            await one.write("really")
            await other.sees("┌ you: Hi!")
            await one.until(lambda: not one.session.link.waiting)
            await one.press("escape", "d")
            await one.sees("Delete for everyone")
            await one.press("enter")
            await other.sees("deleted")
            assert "really" not in other.shown()

    run(scenario)


def test_what_is_written_offline_waits_is_said_and_is_sent(tmp_path: Path) -> None:
    async def scenario(server: ServerProcess) -> None:
        alice, bob = "alice@offline.org", "bob@offline.org"
        await in_touch(server, bob)
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            await one.write("first")
            await one.sees("first")
            await one.until(lambda: one.opened().entries[0].offset)
            server.load_ahead()
            await in_thread(server.kill)
            await one.sees("offline")
            await one.write("second")
            await one.press("up", "!", "enter")  # and changed before it was sent
            await one.sees("1 message waits to be sent")
            await one.sees("⧖")
            await in_thread(server.start)
            await one.until(lambda: not one.session.link.waiting and one.session.link.is_connected)
            await one.sees("second! (edited)")
            await one.until(lambda: one.opened().entries[-1].offset and one.opened().entries[-1].wanted is None)

    with ServerProcess(tmp_path) as server:
        run(lambda: scenario(server))


def test_hostile_messages_neither_move_the_cursor_nor_style_anything(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, mallory = "alice@hostile.org", "mallory@hostile.org"
        await in_touch(server, alice)
        async with (
            open_client(server.url, token=server.token(mallory)) as client,
            a_screen(server, alice, size=(100, 200)) as one,
        ):
            await one.until(lambda: one.session.link.is_connected)
            for text in HOSTILE.values():
                await client.messages.send(alice, text[:9000].encode(errors="replace"))
            await client.groups.create("[red]title[/red]", [alice])
            await one.until(lambda: len(one.model.conversations) == 2)
            await one.open(mallory)
            await one.until(lambda: len(one.opened().entries) == len(HOSTILE))
            await one.sees("[red]x[/red]")
            strips = one.strips()
            assert all(segment.text.isprintable() for strip in strips for segment in strip)
            assert all(strip.cell_length == 100 for strip in strips)
            assert not any(
                segment.style and (segment.style.link or segment.style.meta.get("@click"))
                for strip in strips
                for segment in strip
                if "x" in segment.text and "[" in segment.text
            )
            await one.press("ctrl+f", *"red")
            await one.until(lambda: one.app.screen.query(Input))
            await one.sees("[red]")
            strips = one.strips()
            assert all(segment.text.isprintable() for strip in strips for segment in strip)

    run(scenario)


def test_history_is_loaded_on_scrolling_up_from_this_device_and_then_from_the_server(
    server: ServerProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        alice, bob = "alice@history.org", "bob@history.org"
        await in_touch(server, bob)
        async with open_client(server.url, token=server.token(alice, "phone")) as phone:
            await phone.messages.send_many([(bob, f"old {number}".encode()) for number in range(120)])
        async with a_screen(server, alice, folder=tmp_path) as one:  # a further device: it begins at what is new
            await one.until(lambda: one.session.link.is_connected and one.model.conversations)
            await one.open(bob)
            await one.sees("old 119")
            assert "old 0" not in [entry.text for entry in one.opened().entries]
            await one.press("escape")
            for _ in range(4):
                await one.press("home")
                await one.pilot.pause(0.2)
            await one.until(lambda: one.opened().is_whole)
            assert [entry.text for entry in one.opened().entries] == [f"old {number}" for number in range(120)]

    run(scenario)


def test_only_what_is_visible_is_drawn_and_each_message_is_laid_out_once(server: ServerProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        alice, bob = "alice@many.org", "bob@many.org"
        await in_touch(server, alice, bob)
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.session.link.is_connected)
            fill(one, conversations=500, messages=10_000)
            await one.open("user7@many.org")
            messages, rows = one.app.messages, one.app.rows
            await one.press("escape")
            await one.until(lambda: messages.chosen is not None and not one.app._wanted_draw)
            messages.laid_out = messages.drawn = rows.drawn = 0
            await one.press("up")
            await one.until(lambda: messages.laid_out and not one.app._wanted_draw)
            assert 1 <= messages.laid_out <= 2  # the one that was chosen, and the one that is
            assert messages.drawn <= 3 * 24
            assert rows.drawn <= 3 * 24
            messages.laid_out = 0
            fill_one(one, 10_001)
            await one.until(lambda: messages.laid_out and not one.app._wanted_draw)
            assert messages.laid_out <= 3

    run(scenario)


def fill(one: Screen, *, conversations: int, messages: int) -> None:
    """Puts as much into the model as would have come over the years."""
    for number in range(conversations):
        eid, name = f"user{number}@many.org", f"k{number}"
        one.model.take(received(1, f"from {number}", author=eid, conversation=name))
    page = [received(offset, author="user7@many.org", conversation="k7").message for offset in range(2, messages + 2)]
    one.model.take_page(one.model.conversations["k7"], page)


def fill_one(one: Screen, offset: int) -> None:
    one.model.take(received(offset + 1, "the newest", author="user7@many.org", conversation="k7"))
    one.session.changed()


def test_a_group_is_made_and_somebody_is_added(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob, carol = "alice@group.org", "bob@group.org", "carol@group.org"
        await in_touch(server, bob, carol)
        async with a_screen(server, alice) as one, a_screen(server, bob) as other:
            await one.until(lambda: one.session.link.is_connected)
            await one.press("ctrl+n")
            await one.sees("New conversation")
            fields = [*one.app.screen.query(Input)]
            fields[0].value, fields[1].value = bob, "Trip"
            await one.press("enter", "enter")
            await one.until(lambda: one.model.open_one is not None and one.opened().id)
            await one.write("Where to")
            await other.sees("Where to")
            await other.sees("Trip")
            assert await one.session.change_group("add", one.opened(), carol) == ""
            await other.until(lambda: other.model.open_one is not None and other.opened().member_count == 3)
            assert await one.session.change_group("add", one.opened(), carol) != ""

    run(scenario)


def test_a_device_that_is_replaced_says_so_and_what_to_do(server: ServerProcess) -> None:
    async def scenario() -> None:
        eid = "alice@replaced.org"
        async with a_screen(server, eid) as one:
            await one.until(lambda: one.session.link.is_connected)
            async with open_client(server.url, token=server.token(eid, "laptop")) as again:
                await again.wait_connected()
                await one.sees("this device has connected again somewhere else")
            await one.sees("Ctrl-Q leaves")
            assert one.session.failure is not None

    run(scenario)


def test_a_full_disk_is_said_and_the_text_stays_where_it_was_written(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bob = "bob@full.org"
        await in_touch(server, bob)
        async with a_screen(server, "alice@full.org") as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)

            def full(*_: object, **__: object) -> str:
                raise StoreError("the client's file failed: database or disk is full")

            assert one.session.client is not None
            monkeypatch.setattr(one.session.client.messages, "send_nowait", full)
            await one.write("these words are precious")
            await one.sees("disk is full")
            await one.sees("these words are precious")  # not behind what says so
            assert one.app.composer.text == "these words are precious"
            assert one.opened().entries == []

    run(scenario)


def test_a_refused_message_says_why_and_can_be_taken_back(server: ServerProcess) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@refused.org") as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open("nobody@refused.org")
            await one.write("Hello")
            await one.sees("✗ not sent:")
            await one.press("escape", "enter")
            assert one.app.composer.text == "Hello"
            assert one.opened().entries == []

    run(scenario)


def test_drafts_are_kept_and_stand_in_the_list(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob, carol = "alice@draft.org", "bob@draft.org", "carol@draft.org"
        await in_touch(server, alice, bob, carol)
        async with (
            a_screen(server, alice) as one,
            open_client(server.url, token=server.token(bob)) as client,
            open_client(server.url, token=server.token(carol)) as other,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await client.messages.send(alice, b"Hello")
            await other.messages.send(alice, b"Hi")
            await one.until(lambda: len(one.model.conversations) == 2)
            first = await one.open(bob)
            await one.press(*"to be said")
            await one.open(carol)
            assert one.app.composer.text == ""
            await one.sees("draft: to be said")
            await one.open(bob)
            assert (one.app.composer.text, first.draft) == ("to be said", "to be said")

    run(scenario)


def test_the_bell_rings_for_what_is_not_muted_and_not_looked_at(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        alice, bob, carol = "alice@bell.org", "bob@bell.org", "carol@bell.org"
        await in_touch(server, alice)
        rung: list[int] = []
        async with (
            a_screen(server, alice, bell=True) as one,
            open_client(server.url, token=server.token(bob)) as client,
            open_client(server.url, token=server.token(carol)) as other,
        ):
            await one.until(lambda: one.session.link.is_connected)
            monkeypatch.setattr(one.app, "bell", lambda: rung.append(1))
            await client.messages.send(alice, b"rings: nothing is open")
            await one.until(lambda: one.model.open_one is not None)
            await other.messages.send(alice, b"rings: another one is open")
            await one.until(lambda: len(one.model.conversations) == 2)
            assert len(rung) == 2
            muted = one.model.by_target(carol)
            assert one.session.keep(muted, muted_until=4_000_000_000_000) == ""
            await one.until(lambda: muted.muted_until)
            await other.messages.send(alice, b"muted")
            await client.messages.send(alice, b"looked at")
            await one.until(lambda: len(one.opened().entries) == 2 and muted.head == 2)
            assert len(rung) == 2

    run(scenario)


def test_search_goes_to_where_it_was_written(server: ServerProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        alice, bob = "alice@search.org", "bob@search.org"
        await in_touch(server, alice)
        async with (
            a_screen(server, alice, folder=tmp_path) as one,
            open_client(server.url, token=server.token(bob)) as client,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await client.messages.send(alice, b"the needle")
            await client.messages.send_many([(alice, f"hay {number}".encode()) for number in range(150)])
            await one.until(lambda: one.model.conversations and one.model.ordered()[0].head == 151)
            one.opened().keep_newest(50)
            await one.press("ctrl+f", *"needle")
            await one.sees("bob: the needle")
            await one.press("enter")
            await one.until(lambda: one.app.messages.chosen and one.app.messages.chosen.text == "the needle")
            await one.sees("▌ the needle")
            await one.press("ctrl+f", *"zzzz")
            await one.sees("nothing that this device keeps has these words")
            assert " zzzz " in one.shown()
            await one.press("enter")
            await one.until(lambda: len(one.app.screen_stack) == 1)

    run(scenario)


def test_what_comes_while_nobody_looks_is_read_once_somebody_does(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@look.org", "bob@look.org"
        await in_touch(server, alice)
        async with (
            a_screen(server, alice) as one,
            open_client(server.url, token=server.token(bob)) as client,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await client.messages.send(alice, b"first")
            await one.until(lambda: one.model.open_one is not None and one.opened().read_upto == 1)
            one.app.touched_at -= LOOK_SECONDS
            await client.messages.send(alice, b"second")
            await one.sees("second")
            assert (one.opened().unread, one.opened().read_upto) == (1, 1)
            await one.press("left")
            await one.until(lambda: one.opened().read_upto == 2)

    run(scenario)


def test_a_narrow_screen_shows_the_list_or_the_conversation(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@narrow.org", "bob@narrow.org"
        await in_touch(server, alice)
        async with (
            a_screen(server, alice, size=(40, 20)) as one,
            open_client(server.url, token=server.token(bob)) as client,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await client.messages.send(alice, b"Hello from afar")
            await one.until(lambda: one.app.rows.display and one.model.conversations)
            one.app.rows.focus()
            await one.press("down", "enter")
            await one.sees("Hello from afar")
            await one.until(lambda: one.app.messages.size.width == 40)
            assert one.app.rows.size.width == 0
            await one.press("escape")
            await one.until(lambda: one.app.rows.size.width == 40)

    run(scenario)


def test_devices_help_and_settings_are_shown(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice = "alice@pages.org"
        await in_touch(server, alice)
        async with a_screen(server, alice) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.press("ctrl+o")
            await one.sees("● laptop  this one")
            await one.sees("○ phone  seen")
            await one.press("escape", "f1")
            await one.sees("begin a conversation, or a group")
            await one.press("escape", "ctrl+s")
            await one.sees("Bell when a message comes: off")
            await one.press("enter")
            await one.sees("Bell when a message comes: on")
            await one.press("escape")

    run(scenario)


def test_a_conversation_is_muted_for_a_time_and_says_until_when(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@mute.org", "bob@mute.org"
        await in_touch(server, alice)
        async with a_screen(server, alice) as one, open_client(server.url, token=server.token(bob)) as client:
            await one.until(lambda: one.session.link.is_connected)
            await client.messages.send(alice, b"Hello")
            await one.until(lambda: one.model.open_one is not None)
            one.app.rows.focus()
            await one.press("m")
            await one.sees("For eight hours")
            await one.press("down", "down", "enter")
            await one.sees("muted until")
            await one.until(lambda: known(one).muted_until == one.opened().muted_until)
            assert 0 <= now() + 7 * 24 * HOUR_MS - one.opened().muted_until < HOUR_MS
            await one.press("ctrl+s")
            await one.sees("bob: muted until")
            await one.press("escape", "m")
            await one.sees("Not any more")
            await one.press("enter")
            await one.until(lambda: not known(one).muted_until)
            assert "muted" not in one.shown()

    run(scenario)


def known(one: Screen) -> ConversationChanged:
    """Returns how the open conversation is kept, as the server told this device."""
    assert one.session.client is not None
    return one.session.client.conversations.settings(one.opened().id)


def now() -> int:
    return time.time_ns() // 1_000_000


def test_what_joins_an_emoji_is_typed_with_it(server: ServerProcess) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@joined.org") as one:
            await one.type("👩\u200d👧❤\ufe0f")
            assert one.app.composer.text == "👩\u200d👧❤\ufe0f"

    run(scenario)


def test_nothing_is_drawn_that_says_the_same_and_nothing_on_a_screen_that_goes(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@drawn.org") as one:
            await one.until(lambda: one.session.link.is_connected)
            one.app._draw_status()
            updates: list[object] = []
            monkeypatch.setattr(Static, "update", lambda _self, content, **_: updates.append(content))
            one.app._draw_status()
            assert updates == []
            one.session.link.waiting = 1
            one.app._draw_status()
            assert ["1 message waits" in str(text) for text in updates] == [True]
            await one.app.query_one("#status").remove()
            one.app._draw()  # a timer runs on

    run(scenario)


def test_a_terminal_that_is_gone_is_left_at_once(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        left: list[tuple[int, bool]] = []
        async with a_screen(server, "alice@gone.org") as one:
            await one.until(lambda: one.session.link.is_connected)
            monkeypatch.setattr(os, "_exit", lambda code: left.append((code, one.session.finished.is_set())))
            one.app.leave_at_signal(signal.SIGHUP, None)
            await one.until(lambda: left)
        assert left[0] == (128 + signal.SIGHUP, True)

    run(scenario)


def test_a_screen_that_is_resized_in_the_middle_keeps_what_is_written_and_what_is_read(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@resized.org", "bob@resized.org"
        await in_touch(server, alice)
        async with (
            a_screen(server, alice) as one,
            open_client(server.url, token=server.token(bob)) as client,
        ):
            await one.until(lambda: one.session.link.is_connected)
            text = "words that take another number of lines where there is less room for them "
            await client.messages.send_many([(alice, f"number {number} {text}".encode()) for number in range(40)])
            await one.until(lambda: one.model.open_one is not None and len(one.opened().entries) == 40)
            await one.press(*"begun")
            messages = one.app.messages
            messages.scroll_to(y=messages.max_scroll_y // 2, animate=False, force=True, immediate=True)
            await one.pilot.pause()
            at_top = messages._anchor()
            assert at_top is not None
            for width, height in ((40, 20), (30, 10), (120, 40), (80, 24)):
                await one.pilot.resize_terminal(width, height)
                await one.until(partial(is_drawn, one, (width, height)))
                assert [strip.cell_length for strip in one.strips()] == [width] * height
                assert (messages._anchor() or ("",))[0] == at_top[0]
                assert one.app.composer.text == "begun"
                assert not one.app.screen.has_class("-listing")

    run(scenario)


def is_drawn(one: Screen, size: tuple[int, int]) -> bool:
    return one.size() == size and not one.app._wanted_draw


def test_a_terminal_without_colours_has_none(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bob = "bob@plain.org"
        await in_touch(server, bob)
        async with a_screen(server, "alice@plain.org", theme="terminal") as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            await one.write("Hello")
            await one.sees("✓")
            await one.press("ctrl+s")
            await one.sees("You are busy")
            styles = [segment.style for strip in one.strips() for segment in strip]
            assert not [style for style in styles if style and style.color and not style.color.is_default]
            assert any(style.bold for style in styles if style)

    monkeypatch.setenv("NO_COLOR", "1")
    run(scenario)


def test_hostile_names_and_titles_stay_in_their_place(server: ServerProcess) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@names.org", size=(80, 90)) as one:
            await one.until(lambda: one.session.link.is_connected)
            for number, text in enumerate(
                HOSTILE.values()
            ):  # a server would refuse most of them: this one is hostile, too
                one.session._take(GroupChanged(f"c{number}", text, "member", 3, {}))
                eid = f"user{number}@names.org"
                one.session._take(ContactChanged(eid, KnownContact(name=text)))
                one.model.by_target(eid)
            one.session._take(received(1, author=f"\u202e{'x' * 90}\x1b[2J@names.org", conversation="last"))
            for key in ("last", "c0", f"to:user{len(HOSTILE) - 1}@names.org"):
                one.app._open(key)
                await one.until(lambda: not one.app._wanted_draw)
                strips = one.strips()
                assert {strip.cell_length for strip in strips} == {80}
                assert all(segment.text.isprintable() for strip in strips for segment in strip)
                assert {strip.crop(24, 25).text for strip in strips[:86]} == {"│"}  # nothing has pushed it aside

    run(scenario)
