"""Who this device is, and how others see it: tokens that end, logging out, contacts, settings."""

from pathlib import Path

from bimip.cli.chat.run import _reader
from bimip.client import open_client
from bimip.testing import ServerProcess
from tests.cli.chat.screen import a_screen, in_touch, run, server

__all__ = ["server"]

EXPIRED = -3600  # seconds: clocks may differ by some


def test_a_token_that_ended_and_is_renewed_in_its_file_is_told_to_nobody(server: ServerProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        alice = "alice@renewed.org"
        file = tmp_path / "token"
        file.write_text(server.token(alice, "laptop", seconds=EXPIRED))
        read = _reader(file, "")
        assert read is not None
        asked: list[str] = []

        def renewed() -> str:
            asked.append(read())
            if len(asked) == 1:  # the one that ended is refused; whoever makes tokens has put another one there
                file.write_text(server.token(alice, "laptop") + "\n")
            return asked[-1]

        async with a_screen(server, alice, token=renewed) as one:
            await one.until(lambda: one.session.link.is_connected)
            assert len(one.app.screen_stack) == 1
            assert len(set(asked)) == 2

    run(scenario)


def test_a_token_that_cannot_be_renewed_is_told_what_is_kept_stays_and_what_is_written_waits_for_the_next_start(
    server: ServerProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        alice, bob = "alice@ended.org", "bob@ended.org"
        await in_touch(server, bob)
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.open(bob)
            await one.write("before")
            await one.until(lambda: one.opened().id and not one.session.link.waiting)
        expired = server.token(alice, "laptop", seconds=EXPIRED)
        async with a_screen(server, alice, folder=tmp_path, token=lambda: expired) as one:
            await one.sees("the server refuses this token")
            await one.sees("`bimip token` makes a new one")
            await one.sees("Ctrl-Q leaves")
            await one.press("escape")
            await one.sees("before")
            await one.sees("✗ the server refuses this token")  # in the last line
            await one.write("after")
            await one.sees("⧖")
        async with a_screen(server, alice, folder=tmp_path) as one:
            await one.until(lambda: one.model.open_one is not None)
            await one.until(lambda: [entry.text for entry in one.opened().entries] == ["before", "after"])
            await one.until(lambda: all(entry.offset for entry in one.opened().entries))

    run(scenario)


def test_who_logs_out_is_asked_first_and_then_the_server_knows_the_device_no_more(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice = "alice@out.org"
        async with (
            a_screen(server, alice) as one,
            open_client(server.url, token=server.token(alice, "phone"), partitions=()) as phone,
        ):
            await one.until(lambda: one.session.link.is_connected)
            await phone.wait_connected()
            await one.press("ctrl+s", "end", "enter")
            await one.sees("Esc stays")
            await one.press("escape")
            await one.until(lambda: len(one.app.screen_stack) == 1)
            assert one.session.link.is_connected
            await one.press("ctrl+s", "end", "enter")
            await one.sees("Esc stays")
            await one.press("enter")
            await one.sees("this device is logged out: its token is needed to come back")
            assert [device.name for device in await phone.devices.list()] == ["phone"]

    run(scenario)


def test_people_ask_each_other_are_named_and_blocked(server: ServerProcess) -> None:
    async def scenario() -> None:
        alice, bob = "alice@people.org", "bob@people.org"
        await in_touch(server, bob)
        async with a_screen(server, alice) as one, a_screen(server, bob, size=(100, 30)) as other:
            await one.until(lambda: one.session.link.is_connected)
            await other.until(lambda: other.session.link.is_connected)
            await one.press("ctrl+t", *"nobody")
            await one.sees("nobody of that name is among them")
            await one.press(*["backspace"] * 6, *"bob", "@", *"people", ".", *"org", "enter")
            await one.sees("○ bob@people.org")
            await other.press("ctrl+t")
            await other.sees(alice)
            await other.press("ctrl+a")
            await one.until(lambda: one.model.is_online(bob).name == "ONLINE")
            await other.press("ctrl+e")
            await other.sees(f"Call {alice}")
            await other.press(*"Ally", "enter")
            await other.until(lambda: other.model.name_of(alice) == "Ally")
            await other.press("ctrl+b")
            await other.until(lambda: other.model.contacts[alice].blocked)
            await other.press("ctrl+b")
            await other.until(lambda: not other.model.contacts[alice].blocked)
            await other.press("enter")
            await other.until(lambda: other.model.open_one is not None and other.opened().peer == alice)
            await other.sees("Ally  ")

    run(scenario)


def test_settings_are_changed_by_arrows_and_say_how_they_stand(server: ServerProcess) -> None:
    async def scenario() -> None:
        async with a_screen(server, "alice@set.org") as one:
            await one.until(lambda: one.session.link.is_connected)
            await one.press("ctrl+s", "down", "down", "down", "down")
            await one.press("down", "enter")
            await one.sees("• You are not to be disturbed")
            await one.press("down", "enter")  # where it stood
            await one.sees("Others see what you read: nobody")
            await one.press("down", "enter")
            await one.sees("Others see that you are there: no")
            await one.press("enter")
            await one.sees("Others see that you are there: yes")
            await one.press("up", "enter")
            await one.sees("Others see what you read: everybody")
            theme = one.app.theme
            await one.press("home", "down", "enter")
            await one.until(lambda: one.app.theme != theme)

    run(scenario)
