"""The words of the command line. Exit codes are in `failures.py`, and in the README.

Each command loads what it needs and nothing else: a client has no use for the server, and `--help` for neither.
"""
# ruff: noqa: PLC0415

import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import Abort, TyperException

from bimip import __version__
from bimip.cli.failures import Exit, leave, telling
from bimip.cli.output import lossy_output

if TYPE_CHECKING:
    from bimip.cli.changes import Change

app = typer.Typer(
    help="BIMIP: instant messaging for people with several devices.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they print local variables, which hold tokens
)

store = typer.Typer(help="The store: look at it, copy it, put a copy back.", no_args_is_help=True)
app.add_typer(store, name="store")
devices = typer.Typer(help="The devices of a token's user.")
app.add_typer(devices, name="devices")
push = typer.Typer(help="How a user's devices are reached while they are not connected.")
app.add_typer(push, name="push")
group = typer.Typer(help="Groups that the token's user is in.", no_args_is_help=True)
app.add_typer(group, name="group")
contacts_app = typer.Typer(help="Whom the token's user knows, lets see them, or blocks.", no_args_is_help=True)
app.add_typer(contacts_app, name="contacts")
location_app = typer.Typer(help="With whom the token's user shares where they are.", no_args_is_help=True)
app.add_typer(location_app, name="location")
status = typer.Typer(help="How you and your contacts are: online, away, busy.")
app.add_typer(status, name="status")
message = typer.Typer(help="Change a message that was sent.", no_args_is_help=True)
app.add_typer(message, name="message")
user = typer.Typer(help="What a running server holds about a user.", no_args_is_help=True)
app.add_typer(user, name="user")
clock = typer.Typer(help="The time that a running server goes by.")
app.add_typer(clock, name="clock")

Config = Annotated[
    Path | None,
    typer.Option(
        help="The settings, a TOML file. Else the one that BIMIP_CONFIG names, else the defaults.", metavar="FILE"
    ),
]
As = Annotated[Path | None, typer.Option("--as", help="A file with this device's token.", metavar="FILE")]
Token = Annotated[
    str,
    typer.Option(
        envvar="BIMIP_TOKEN",
        help="This device's token itself: better in the environment or a file, since others see a command's words.",
        show_default=False,
    ),
]
Url = Annotated[
    str, typer.Option(envvar="BIMIP_URL", help="The server. Else where the settings put one on this machine.")
]


Which = Annotated[str, typer.Argument(help="Its signal_id or signal_offset, as `bimip listen --json` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def main() -> None:
    """Runs one command in a process: wrong words are one sentence and code 2, and what cannot be printed is lost."""
    with lossy_output():
        try:
            code = app(standalone_mode=False)
        except TyperException as error:
            _tell_wrong_words(error)
        except Abort:
            code = Exit.INTERRUPTED
        sys.exit(code if isinstance(code, int) else Exit.OK)


def _tell_wrong_words(error: TyperException) -> None:
    message = error.format_message().strip()
    context = getattr(error, "ctx", None)
    if "\n" in message:  # nothing was asked for, and this is the help
        print(message, file=sys.stderr)
        sys.exit(Exit.USAGE)
    leave(Exit.USAGE, f"{message.rstrip('.')} (`{context.command_path if context else 'bimip'} --help` tells more)")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"bimip {__version__}")
        raise typer.Exit


Who = tuple[str, str, Path | None, Path | None]
"""URL, token, the token's file, settings: as they were given, each may be missing."""


def _as_device(
    does: Callable[..., Awaitable[None]],
    *given: object,
    who: Who,
    **options: object,
) -> None:
    """Connects with a token, file or text, to a URL or where the settings say, and does what a command says."""
    import trio

    from bimip.cli.devices import device_of, read_token
    from bimip.cli.settings import find_settings

    url, token, file, config = who
    with telling():
        device = device_of(url, find_settings(config), read_token(token, file))
        trio.run(partial(does, device, *given, **options))


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Show which version this is.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command("serve")
def serve_server(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make keys and tokens for trying it, and say what to try.")
    ] = False,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    with telling():
        from bimip.cli.serve import serve
        from bimip.cli.settings import demo_settings, find_settings

        if demo and config is None and "BIMIP_CONFIG" not in os.environ:
            config = demo_settings()
        serve(find_settings(config), with_demo=demo, config=config)


@app.command()
def token(
    eid: Annotated[str, typer.Argument(help="The user, such as alice@example.org.")],
    device: Annotated[str, typer.Argument(help="One of their devices, such as phone.")],
    ttl: Annotated[str, typer.Option(help="How long it is good for: 90s, 15m, 12h, 30d.")] = "30d",
    json: Json = False,
    config: Config = None,
) -> None:
    """Sign a device's token with the configured key, and print it."""
    with telling():
        from bimip.cli import tokens
        from bimip.cli.settings import find_settings
        from bimip.cli.words import seconds_of, show_json

        try:
            lifetime = seconds_of(ttl)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--ttl") from error
        signed = tokens.sign(find_settings(config), eid, device, lifetime)
        show_json({"token": signed}) if json else print(signed)


@app.command()
def send(
    to: Annotated[
        str, typer.Argument(help="The user to write to, or a group by its id, such as c1. Not there with --friends.")
    ],
    text: Annotated[str | None, typer.Argument(help="What to write.", show_default=False)] = None,
    friends: Annotated[
        bool, typer.Option("--friends", help="Write for all whom you let see you: then there is the text alone.")
    ] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    count: Annotated[int, typer.Option(min=1, help="How many: each gets its number behind the text.")] = 1,
    every: Annotated[float, typer.Option(min=0, help="Seconds between them.")] = 0.0,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server to have it on disk.")] = 30.0,
    ttl: Annotated[str, typer.Option(help="It disappears for everybody after this: 10s, 15m, 12h, 30d.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Write to somebody, or for friends, and wait until the server has it on disk."""
    import trio

    from bimip.cli import devices
    from bimip.cli.settings import find_settings
    from bimip.cli.words import seconds_of

    with telling():
        try:
            seen_for = float(seconds_of(ttl)) if ttl else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--ttl") from error
        if friends != (text is None):
            wrong = (
                "with --friends there is no TO: give the text alone" if friends else "say whom to write to, and what"
            )
            raise typer.BadParameter(wrong, param_hint="TEXT")
        written, whom = (to, None) if text is None else (text, to)
        device = devices.device_of(url, find_settings(config), devices.read_token(token, as_))
        texts = [written] if count == 1 else [f"{written} {number}" for number in range(1, count + 1)]
        trio.run(partial(devices.send, device, whom, texts, every=every, timeout=timeout, as_json=json, ttl=seen_for))


@app.command()
def listen(
    as_: As = None,
    token: Token = "",
    url: Url = "",
    store: Annotated[
        Path | None,
        typer.Option(
            help="Keep this device's place here, to carry on from next time. Else it is forgotten.", metavar="FILE"
        ),
    ] = None,
    last: Annotated[
        int, typer.Option(min=0, help="A device without a place yet begins with so many old entries.")
    ] = 20,
    json: Json = False,
    config: Config = None,
) -> None:
    """Be a device: print what happens to it, as it happens, until Ctrl-C."""
    import trio

    from bimip.cli import devices
    from bimip.cli.settings import find_settings

    with telling():
        settings = find_settings(config)
        device = devices.device_of(url, settings, devices.read_token(token, as_), store)
        trio.run(partial(devices.listen, device, settings.partitions.names, last=last, as_json=json))


@app.command()
def inbox(
    limit: Annotated[int, typer.Option(help="Show so many conversations at most.", min=1)] = 20,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show the conversations of the token's user, the newest first, with what is unread."""
    from bimip.cli import devices

    _as_device(devices.show_inbox, limit=limit, as_json=json, who=(url, token, as_, config))


@app.command()
def feed(
    eid: Annotated[str, typer.Argument(help="Whose: a user who lets you see them; without one your own.")] = "",
    limit: Annotated[int, typer.Option(help="Show so many messages at most.", min=1)] = 20,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what a user wrote for their friends, the newest last."""
    from bimip.cli import feeds

    _as_device(feeds.show_feed, eid, limit=limit, as_json=json, who=(url, token, as_, config))


@devices.callback(invoke_without_command=True)
def list_devices(
    context: typer.Context, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Show the devices of the token's user: which are connected, and how far behind each is."""
    if context.invoked_subcommand is None:
        from bimip.cli import devices

        _as_device(devices.list_devices, as_json=json, who=(url, token, as_, config))


@devices.command("label")
def label_device(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")],
    label: Annotated[str, typer.Argument(help="What to call it; an empty text: nothing.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Say what a device is called."""
    from bimip.cli import devices

    _as_device(devices.label_device, name, label, as_json=json, who=(url, token, as_, config))


@devices.command("remove")
def remove_device(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Remove a device that is gone. Its connection ends; a token of it that still counts makes it a new device."""
    from bimip.cli import devices

    _as_device(devices.remove_device, name, as_json=json, who=(url, token, as_, config))


Subscription = Annotated[str, typer.Option("--id", help="Which subscription of the device.")]


@push.callback(invoke_without_command=True)
def show_push(
    context: typer.Context, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Show which devices of the token's user are reached how while they are not connected."""
    if context.invoked_subcommand is None:
        from bimip.cli import push

        _as_device(push.show_push, as_json=json, who=(url, token, as_, config))


@push.command("subscribe")
def subscribe_push(
    platform: Annotated[str, typer.Argument(help="One of the server's gateways, as the list has it.")],
    address: Annotated[str, typer.Argument(help="What the gateway knows the device by.", metavar="TOKEN")],
    name: Subscription = "push",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Have the token's device told by a gateway what waits for it while it is not connected."""
    from bimip.cli import push

    _as_device(push.subscribe, platform, address, name, as_json=json, who=(url, token, as_, config))


@push.command("remove")
def unsubscribe_push(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it.")] = "push",
    device: Annotated[str, typer.Option(help="Of which device; else the token's own.")] = "",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Have a device told no more."""
    from bimip.cli import push

    _as_device(push.unsubscribe, name, device, as_json=json, who=(url, token, as_, config))


@push.command("test")
def try_push(
    eid: Annotated[str, typer.Argument(help="The user.", metavar="USER")],
    device: Annotated[str, typer.Option(help="Of which device; else of all.")] = "",
    name: Annotated[str, typer.Option("--id", help="Which subscription; else all.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Send one notification to a user's subscriptions, as the operator, and show what the gateways answered."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.try_push, find_settings(config), eid, device, name, as_json=json))


Partition = Annotated[str, typer.Option(help="Which log.")]


@devices.command("synced")
def synced_devices(
    name: Annotated[str, typer.Argument(help="Which one, as the list has it; else the token's own.")] = "",
    partition: Partition = "chat",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show how far a device is with what each of the others wrote."""
    from bimip.cli import devices

    _as_device(devices.show_synced, name, partition, as_json=json, who=(url, token, as_, config))


@app.command("heads")
def newest_of_each(
    user: Annotated[str, typer.Argument(help="Whose devices; else each user who wrote.", metavar="[USER]")] = "",
    limit: Annotated[int, typer.Option(help="Show so many at most.", min=1)] = 20,
    partition: Partition = "chat",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show the newest message of each user in your log, or of each device of one."""
    from bimip.cli import devices

    _as_device(devices.show_heads, user, partition, limit=limit, as_json=json, who=(url, token, as_, config))


GroupId = Annotated[str, typer.Argument(help="The group, by its id, such as c12.", metavar="GROUP")]
Eid = Annotated[str, typer.Argument(help="The user.", metavar="USER")]


def _on_group(what: str, *given: object, who: Who, as_json: bool) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import groups

    _as_device(getattr(groups, what), *given, who=who, as_json=as_json)


@group.command("create")
def create_group(
    title: Annotated[str, typer.Argument(help="What it is called.")],
    members: Annotated[list[str] | None, typer.Argument(help="Who is in it besides you.", metavar="[USER]...")] = None,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Create a group, and print its id."""
    _on_group("create", title, members or [], who=(url, token, as_, config), as_json=json)


@group.command("add")
def add_members(
    group_id: GroupId,
    members: Annotated[list[str], typer.Argument(help="Whom to add.", metavar="USER...")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Add users to a group. Their history of it begins now."""
    _on_group("add", group_id, members, who=(url, token, as_, config), as_json=json)


@group.command("remove")
def remove_member(
    group_id: GroupId,
    member: Eid,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Remove a member, who gets nothing more of the group."""
    _on_group("remove", group_id, member, who=(url, token, as_, config), as_json=json)


@group.command("leave")
def leave_group(
    group_id: GroupId,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Leave a group."""
    _on_group("leave", group_id, who=(url, token, as_, config), as_json=json)


@group.command("rename")
def rename_group(
    group_id: GroupId,
    title: Annotated[str, typer.Argument(help="What to call it.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a group another title."""
    _on_group("rename", group_id, title, who=(url, token, as_, config), as_json=json)


@group.command("role")
def give_role(
    group_id: GroupId,
    member: Eid,
    role: Annotated[str, typer.Argument(help="owner, admin or member.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a member another role."""
    _on_group("give_role", group_id, member, role, who=(url, token, as_, config), as_json=json)


@group.command("show")
def show_group(
    group_id: GroupId,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show a group: its title, its members and their roles."""
    _on_group("show", group_id, who=(url, token, as_, config), as_json=json)


class ForWhom(StrEnum):
    EVERYBODY = "everybody"
    CONTACTS = "contacts"
    NOBODY = "nobody"


def _on_contact(what: str, *given: object, who: Who, as_json: bool, **options: object) -> None:
    """Does what one of the commands below says."""
    from bimip.cli import contacts

    _as_device(getattr(contacts, what), *given, who=who, as_json=as_json, **options)


@contacts_app.command("list")
def list_contacts(as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None) -> None:
    """Show whom you know: who sees you, whom you see, who waits for an answer, whom you blocked."""
    _on_contact("show", who=(url, token, as_, config), as_json=json)


Mutual = Annotated[bool, typer.Option("--mutual", help="Each is to see the other.")]


@contacts_app.command("request")
def request_contact(
    eid: Eid,
    mutual: Mutual = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Ask to see somebody."""
    _on_contact("request", eid, mutual=mutual, who=(url, token, as_, config), as_json=json)


@contacts_app.command("accept")
def accept_contact(
    eid: Eid,
    mutual: Mutual = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Let who asked see you."""
    _on_contact("accept", eid, mutual=mutual, who=(url, token, as_, config), as_json=json)


@contacts_app.command("deny")
def deny_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Refuse who asked."""
    _on_contact("deny", eid, who=(url, token, as_, config), as_json=json)


@contacts_app.command("remove")
def remove_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """End it in both directions, or withdraw a request."""
    _on_contact("remove", eid, who=(url, token, as_, config), as_json=json)


@contacts_app.command("block")
def block_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Get nothing more of somebody, without their knowing."""
    _on_contact("block", eid, who=(url, token, as_, config), as_json=json)


@contacts_app.command("unblock")
def unblock_contact(
    eid: Eid, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Lift a block. What they sent meanwhile does not come."""
    _on_contact("unblock", eid, who=(url, token, as_, config), as_json=json)


@contacts_app.command("name")
def name_contact(
    eid: Eid,
    name: Annotated[str, typer.Argument(help="What you call them; empty: nothing any more.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give somebody a name, for your devices alone."""
    _on_contact("name", eid, name, who=(url, token, as_, config), as_json=json)


WithWhom = Annotated[str, typer.Argument(help="A contact, or a conversation.", metavar="WHOM")]


@location_app.command("share")
def share_location(
    with_whom: WithWhom,
    at: Annotated[str, typer.Option(help="Where they are now: latitude and longitude in degrees, as 52.5,13.4.")] = "",
    minutes: Annotated[float, typer.Option(help="For how long, a week at most.", min=1)] = 60.0,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show somebody, or all in a conversation, where you are, for a while."""
    from bimip.cli import location

    _as_device(location.share, with_whom, at=at, minutes=minutes, as_json=json, who=(url, token, as_, config))


@location_app.command("stop")
def stop_sharing_location(
    with_whom: WithWhom, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Show it them no more: they are told at once."""
    from bimip.cli import location

    _as_device(location.stop, with_whom, as_json=json, who=(url, token, as_, config))


class Said(StrEnum):
    AWAY = "away"
    BUSY = "busy"
    DND = "dnd"
    ONLINE = "online"


@status.callback(invoke_without_command=True)
def show_status(
    context: typer.Context, as_: As = None, token: Token = "", url: Url = "", json: Json = False, config: Config = None
) -> None:
    """Show what you say of yourself, and how the contacts are whom you are let see."""
    if context.invoked_subcommand is None:
        from bimip.cli import status

        _as_device(status.show, as_json=json, who=(url, token, as_, config))


@status.command("set")
def set_status(
    said: Annotated[Said, typer.Argument(help="away, busy, dnd (do not disturb); online takes it back.")],
    for_: Annotated[
        str, typer.Option("--for", help="For so long: 90s, 15m, 2h, 30d. Else until you say another.")
    ] = "",
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Say how you are, on all your devices."""
    from bimip.cli import status
    from bimip.cli.words import seconds_of

    with telling():
        try:
            seconds = seconds_of(for_) if for_ else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--for") from error
        if seconds and said is Said.ONLINE:
            raise typer.BadParameter("online is until you say another", param_hint="--for")
    _as_device(status.set_intent, said.value, seconds=seconds, as_json=json, who=(url, token, as_, config))


@app.command("settings")
def privacy_settings(
    as_: As = None,
    token: Token = "",
    url: Url = "",
    send_read_receipts: Annotated[bool | None, typer.Option(help="Others learn what you have read.")] = None,
    show_read_receipts: Annotated[bool | None, typer.Option(help="You learn what others have read.")] = None,
    show_last_seen: Annotated[bool | None, typer.Option(help="Others learn when you were last there.")] = None,
    show_online_status: Annotated[bool | None, typer.Option(help="Others learn whether you are there.")] = None,
    read_receipts_to: Annotated[ForWhom | None, typer.Option(help="Who learns what you have read.")] = None,
    read_receipts_of: Annotated[ForWhom | None, typer.Option(help="Of whom you learn what they have read.")] = None,
    last_seen_to: Annotated[ForWhom | None, typer.Option(help="Who learns when you were last there.")] = None,
    online_status_to: Annotated[ForWhom | None, typer.Option(help="Who learns whether you are there.")] = None,
    visible: Annotated[
        bool | None,
        typer.Option("--visible/--invisible", help="Whether anybody learns that, what you do or where you are."),
    ] = None,
    except_: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            help="What holds for one other user instead: bob:show-last-seen=denied, or allowed, or none.",
            metavar="USER:SETTING=VALUE",
        ),
    ] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what others may know of you, on all your devices, and change what is given."""
    import trio

    from bimip.cli import devices
    from bimip.cli.settings import find_settings

    with telling():
        device = devices.device_of(url, find_settings(config), devices.read_token(token, as_))
        switches = {
            "send_read_receipts": send_read_receipts,
            "show_read_receipts": show_read_receipts,
            "show_last_seen": show_last_seen,
            "show_online_status": show_online_status,
            "visible": visible,
        }
        audiences = {
            "read_receipts_to": read_receipts_to,
            "read_receipts_of": read_receipts_of,
            "last_seen_to": last_seen_to,
            "online_status_to": online_status_to,
        }
        excepted = devices.exceptions_of(except_ or ())
        trio.run(partial(devices.change_settings, device, switches, audiences, excepted, as_json=json))


def _change(
    change: "Change", which: str, as_: Path | None, token: str, url: str, *, json: bool, config: Path | None
) -> None:
    from bimip.cli import changes

    _as_device(changes.change_message, which, change, as_json=json, who=(url, token, as_, config))


@message.command("edit")
def edit_message(
    which: Which,
    text: Annotated[str, typer.Argument(help="What it says from now on.")],
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a message that you wrote another content, for whoever reads it from now on."""
    _change(lambda client, at: client.edit(at, text.encode()), which, as_, token, url, json=json, config=config)


@message.command("delete")
def delete_message(
    which: Which,
    for_everyone: Annotated[bool, typer.Option("--for-everyone", help="Take its content away: you wrote it.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Hide a message for you, or take it away for everyone."""
    _change(
        lambda client, at: client.delete(at, for_everyone=for_everyone),
        which,
        as_,
        token,
        url,
        json=json,
        config=config,
    )


@message.command("react")
def react_to_message(
    which: Which,
    emoji: Annotated[str, typer.Argument(help="With what.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """React to a message, for all who may see it."""
    _change(lambda client, at: client.react(at, emoji, remove=remove), which, as_, token, url, json=json, config=config)


@message.command("pin")
def pin_message(
    which: Which,
    off: Annotated[bool, typer.Option("--off", help="Take it back.")] = False,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Pin a message, for you."""
    _change(lambda client, at: client.pin_message(at, pinned=not off), which, as_, token, url, json=json, config=config)


@app.command("conversation")
def keep_conversation(
    conversation: Annotated[str, typer.Argument(help="Its id, such as c12.")],
    archived: Annotated[bool | None, typer.Option(help="Put it away.")] = None,
    pinned: Annotated[bool | None, typer.Option(help="Keep it on top.")] = None,
    unread: Annotated[bool | None, typer.Option(help="Mark it as unread.")] = None,
    muted_until: Annotated[
        datetime | None, typer.Option(help="No notifications until then, in UTC; a time in the past: as ever.")
    ] = None,
    draft: Annotated[str | None, typer.Option(help="What is written so far; an empty text: nothing.")] = None,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Say how you keep a conversation, on all your devices: what is given of it changes."""
    import trio

    from bimip.cli import changes, devices
    from bimip.cli.settings import find_settings

    with telling():
        device = devices.device_of(url, find_settings(config), devices.read_token(token, as_))
        keep = partial(
            changes.keep_conversation,
            device,
            conversation,
            archived=archived,
            pinned=pinned,
            marked_unread=unread,
            muted_until=None if muted_until is None else int(muted_until.replace(tzinfo=UTC).timestamp() * 1000),
            draft=draft,
            as_json=json,
        )
        trio.run(keep)


@app.command("state")
def show_state(
    since: Annotated[int, typer.Option(help="Only what changed behind this version.", min=0)] = 0,
    as_: As = None,
    token: Token = "",
    url: Url = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what the server knows that changes: receipts, edits, read markers, settings, devices, groups."""
    from bimip.cli import state

    _as_device(state.show_state, since, as_json=json, who=(url, token, as_, config))


@app.command()
def tree(
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="As the console answers, once.")] = False,
    config: Config = None,
) -> None:
    """Show the processes of a running server: state, restarts, last crash, where each waits."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        settings = find_settings(config)
        if watch and not json:
            trio.run(operate.watch_tree, settings, every)
        else:
            trio.run(partial(operate.show_tree, settings, as_json=json))


@app.command()
def kill(
    path: Annotated[str, typer.Argument(help="Where it is in the tree, such as bimip/journal.")],
    json: Json = False,
    config: Config = None,
) -> None:
    """End a process of a running server as if it had crashed; its supervisor starts it again."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.kill, find_settings(config), path, as_json=json))


@app.command()
def top(
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, after one interval.")] = False,
    config: Config = None,
) -> None:
    """Show what a running server does just now: rates, latencies, lag, and its busiest devices."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.show_top, find_settings(config), every=every, as_json=json))


@app.command()
def metrics(json: Json = False, config: Config = None) -> None:
    """Print what a running server counts, as Prometheus scrapes it."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.show_metrics, find_settings(config), as_json=json))


@app.command()
def conflicts(json: Json = False, config: Config = None) -> None:
    """Show the newest edits, reactions and settings that lost against others on a running server, and why."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.show_conflicts, find_settings(config), as_json=json))


@user.command("why")
def why_seen(
    viewer: Annotated[str, typer.Argument(help="Who sees.", metavar="VIEWER")],
    owner: Annotated[str, typer.Argument(help="Of whom.", metavar="OWNER")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Show what a user sees of another on a running server, whether they are online say, and the rule that decides."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.show_why, find_settings(config), viewer, owner, as_json=json))


@user.command("export")
def export_user(eid: Eid, config: Config = None) -> None:
    """Print everything that a running server holds about a user, a JSON object a line."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.export_user, find_settings(config), eid))


@user.command("list")
def list_users(json: Json = False, config: Config = None) -> None:
    """List the users of a running server, by name."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.list_users, find_settings(config), as_json=json))


@user.command("disable")
def disable_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Keep a user out of a running server at once: their devices are closed, and no token of theirs counts."""
    _bar_tokens("disable", eid, f"{eid} is kept out until `bimip user enable`", json=json, config=config)


@user.command("enable")
def enable_user(eid: Eid, json: Json = False, config: Config = None) -> None:
    """Let a user in again who was disabled."""
    _bar_tokens("enable", eid, f"{eid} may come in again", json=json, config=config)


@user.command("revoke")
def revoke_tokens(
    eid: Eid,
    device: Annotated[str, typer.Option("--device", help="Only those that were issued to this device.")] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Revoke all tokens that were issued to a user so far, at once. Tokens that are issued from now on count."""
    whose = f"{eid}/{device}" if device else eid
    done = f"no token counts that was issued to {whose} until now"
    _bar_tokens("revoke", eid, done, device=device, json=json, config=config)


def _bar_tokens(action: str, eid: str, done: str, *, device: str = "", json: bool, config: Path | None) -> None:
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings
    from bimip.cli.words import printable

    with telling():
        settings = find_settings(config)
        trio.run(partial(operate.bar_tokens, settings, action, eid, printable(done), device=device, as_json=json))


@user.command("erase")
def erase_user(
    eid: Eid,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Erase a user from a running server: all that is theirs, and what they wrote to others. It cannot be undone."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        if not yes:
            typer.confirm(f"Erase {eid!r} and all that they wrote, for everybody and for ever?", abort=True, err=True)
        trio.run(partial(operate.erase_user, find_settings(config), eid, as_json=json))


@clock.callback(invoke_without_command=True)
def show_clock(context: typer.Context, json: Json = False, config: Config = None) -> None:
    """Show what time a running server goes by, and the machine's."""
    if context.invoked_subcommand is None:
        import trio

        from bimip.cli import operate
        from bimip.cli.settings import find_settings

        with telling():
            trio.run(partial(operate.show_clock, find_settings(config), as_json=json))


@clock.command("accept")
def accept_clock(json: Json = False, config: Config = None) -> None:
    """Have a running server follow the machine's clock, which it held for wrong."""
    import trio

    from bimip.cli import operate
    from bimip.cli.settings import find_settings

    with telling():
        trio.run(partial(operate.accept_clock, find_settings(config), as_json=json))


@store.command("check")
def check_store(
    config: Config = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what other records tell, and look again.")
    ] = False,
    json: Json = False,
) -> None:
    """Look for damage in the store of a server that is stopped."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import check_store as check

        check(find_settings(config), repair=repair, as_json=json)


@store.command("stats")
def store_stats(json: Json = False, config: Config = None) -> None:
    """Show what the store holds, of a running server too."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import show_stats

        show_stats(find_settings(config), as_json=json)


@store.command("backup")
def store_backup(
    target: Annotated[Path, typer.Argument(help="A folder that is not there yet.", metavar="DIR")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Copy the store as it is now, of a running server too."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import make_backup

        make_backup(find_settings(config), target, as_json=json)


@store.command("compact")
def store_compact(json: Json = False, config: Config = None) -> None:
    """Write the store of a server that is stopped anew, without free pages and what they held."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import compact_store

        compact_store(find_settings(config), as_json=json)


@store.command("restore")
def store_restore(
    source: Annotated[Path, typer.Argument(help="What `backup` made.", metavar="DIR")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Put a backup in the place of the store of a server that is stopped; the store that is there is kept aside."""
    with telling():
        from bimip.cli.settings import find_settings
        from bimip.cli.store import restore_backup

        restore_backup(find_settings(config), source, as_json=json)
