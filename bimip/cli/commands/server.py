"""Words that start the server and sign tokens, `serve` and `token`, load a running one, `bench`, and ask it:
`tree`, `kill`, `top`, `metrics`, `conflicts`, `drain`.
"""
# ruff: noqa: PLC0415

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bimip.cli.commands.options import Config, Json, as_operator
from bimip.cli.failures import telling

if TYPE_CHECKING:
    from bimip.cli.devices import Device


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


def bench(
    url: Annotated[
        str, typer.Option(help="The server. Without it, the one that the settings put on this machine.", metavar="URL")
    ] = "",
    users: Annotated[int, typer.Option(min=2, help="So many, in pairs that write to each other.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long.")] = 10.0,
    rate: Annotated[
        float, typer.Option(min=0, help="Messages a second, all together; 0: as fast as they are answered.")
    ] = 0.0,
    window: Annotated[int, typer.Option(min=1, max=32, help="Messages of one user without an answer.")] = 1,
    size: Annotated[int, typer.Option(min=8, help="Bytes of a message.")] = 100,
    yes: Annotated[bool, typer.Option("--yes", help="Also where the server is not this machine.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Load a running server with users who write to each other, and tell how fast it answers.

    They are bench-1@bench.invalid and so on, whose tokens are signed with the configured key; `bimip user erase` takes
    them and what they wrote away. What a user may ask for a second (`rates` in the settings) holds for them, too.
    """
    with telling():
        import trio

        from bimip.cli.bench import bench as run
        from bimip.cli.bench import load_of
        from bimip.cli.devices import device_of
        from bimip.cli.settings import find_settings
        from bimip.cli.tokens import sign

        settings = find_settings(config)

        def device(eid: str) -> "Device":
            return device_of(url, settings, sign(settings, eid, "bench", int(seconds) + 600))

        load = load_of(users, seconds, rate, window, size)
        trio.run(partial(run, device, load, sure=yes, as_json=json))


def tree(
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="As the console answers, once.")] = False,
    config: Config = None,
) -> None:
    """Show the processes of a running server: state, restarts, last crash, where each waits."""
    if watch and not json:
        as_operator("watch_tree", every, config=config)
    else:
        as_operator("show_tree", config=config, as_json=json)


def kill(
    path: Annotated[str, typer.Argument(help="Where it is in the tree, such as bimip/journal.")],
    json: Json = False,
    config: Config = None,
) -> None:
    """End a process of a running server as if it had crashed; its supervisor starts it again."""
    as_operator("kill", path, config=config, as_json=json)


def kick(
    eid: Annotated[str, typer.Argument(help="Whose devices.", metavar="USER")],
    device: Annotated[str, typer.Argument(help="Which of them; else all.", metavar="DEVICE", show_default=False)] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Close the connections of a user's devices, or of one; they come again by themselves, and lose nothing."""
    as_operator("kick", eid, device, config=config, as_json=json)


def top(
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, after one interval.")] = False,
    config: Config = None,
) -> None:
    """Show what a running server does just now: rates, latencies, lag, and its busiest devices."""
    as_operator("show_top", every=every, config=config, as_json=json)


def drain(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0, max=3600, help="Over how long; else as gateway.drain_spread_seconds says.", show_default=False
        ),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Accept connections again.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Have a running server close all connections one after the other, and accept none until it ends or --cancel."""
    if cancel:
        as_operator("cancel_drain", config=config, as_json=json)
    else:
        as_operator("drain", seconds, config=config, as_json=json)


def doctor(
    eid: Annotated[str, typer.Argument(help="Whose devices.", metavar="USER", show_default=False)] = "",
    device: Annotated[str, typer.Argument(help="Which of them; else all.", metavar="DEVICE", show_default=False)] = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Find why devices do not receive: what is wrong with a running server, with a user, and with each device."""
    as_operator("diagnose", eid, device, config=config, as_json=json)


def metrics(json: Json = False, config: Config = None) -> None:
    """Print what a running server counts, as Prometheus scrapes it."""
    as_operator("show_metrics", config=config, as_json=json)


def conflicts(json: Json = False, config: Config = None) -> None:
    """Show the newest edits, reactions and settings that lost against others on a running server, and why."""
    as_operator("show_conflicts", config=config, as_json=json)
