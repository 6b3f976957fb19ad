"""Words that are a device: `send`, `listen`, `chat`, `inbox`, `history`, `feed`, `heads`, `state`."""
# ruff: noqa: PLC0415

from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bimip.cli.commands.options import Partition, Who, as_device, with_device_options
from bimip.cli.failures import Exit, Failure, telling


@with_device_options
def send(
    to: Annotated[
        str, typer.Argument(help="The user to write to, or a group by its id, such as c1. Not there with --friends.")
    ],
    text: Annotated[str | None, typer.Argument(help="What to write.", show_default=False)] = None,
    friends: Annotated[
        bool, typer.Option("--friends", help="Write for all whom you let see you: then there is the text alone.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="How many: each gets its number behind the text.")] = 1,
    every: Annotated[float, typer.Option(min=0, help="Seconds between them.")] = 0.0,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server to have it on disk.")] = 30.0,
    ttl: Annotated[str, typer.Option(help="It disappears for everybody after this: 10s, 15m, 12h, 30d.")] = "",
    encrypt: Annotated[
        Path | None,
        typer.Option(help="Encrypt it end to end, with this device's keys in this file.", metavar="FILE"),
    ] = None,
    *,
    who: Who,
) -> None:
    """Write to somebody, or for friends, and wait until the server has it on disk."""
    from bimip.cli import devices
    from bimip.cli.words import seconds_of

    with telling():
        try:
            seen_for = float(seconds_of(ttl)) if ttl else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--ttl") from error
        if friends and encrypt is not None:
            raise typer.BadParameter("what is for friends is not encrypted: leave one away", param_hint="--encrypt")
        if friends != (text is None):
            wrong = (
                "with --friends there is no TO: give the text alone" if friends else "say whom to write to, and what"
            )
            raise typer.BadParameter(wrong, param_hint="TEXT")
    written, whom = (to, None) if text is None else (text, to)
    texts = [written] if count == 1 else [f"{written} {number}" for number in range(1, count + 1)]
    as_device(devices.send, whom, texts, every=every, timeout=timeout, ttl=seen_for, keys=encrypt, who=who)


@with_device_options
def listen(
    store: Annotated[
        Path | None,
        typer.Option(
            help="Keep this device's place here, to carry on from next time. Else it is forgotten.", metavar="FILE"
        ),
    ] = None,
    last: Annotated[
        int, typer.Option(min=0, help="A device without a place yet begins with so many old entries.")
    ] = 20,
    encrypt: Annotated[
        bool,
        typer.Option("--encrypt", help="Make keys in the file of --store, so that others encrypt for this device."),
    ] = False,
    *,
    who: Who,
) -> None:
    """Be a device: print what happens to it, as it happens, until Ctrl-C."""
    import trio

    from bimip.cli import devices
    from bimip.cli.settings import find_settings

    with telling():
        if encrypt and store is None:
            raise typer.BadParameter("keys are kept in a file: give --store FILE", param_hint="--encrypt")
        settings = find_settings(who.config)
        device = devices.device_of(who.url, settings, devices.read_token(who.token, who.file), store)
        device = replace(device, encrypts=encrypt or devices.has_keys(store))
        trio.run(partial(devices.listen, device, settings.partitions.names, last=last, as_json=who.as_json))


class Theme(StrEnum):
    """A look of the full-screen client."""

    TERMINAL = "terminal"
    DARK = "dark"
    LIGHT = "light"


@with_device_options
def chat(
    store: Annotated[
        Path | None,
        typer.Option(
            help="Keep messages, drafts and what is not sent yet here. Without it all is gone at the end.",
            metavar="FILE",
        ),
    ] = None,
    theme: Annotated[
        Theme, typer.Option(help="The colours: the terminal's own, dark, or light.", case_sensitive=False)
    ] = Theme.TERMINAL,
    bell: Annotated[
        bool, typer.Option("--bell", help="Ring the terminal's bell when a message comes that is not muted.")
    ] = False,
    *,
    who: Who,
) -> None:
    """Talk to people, full-screen: conversations, groups, receipts, reactions, search. F1 shows the keys.

    It works without a connection too: what you write waits in the file of --store and is sent later.
    """
    from bimip.cli import devices
    from bimip.cli.settings import find_settings

    with telling():
        from bimip.cli.chat.run import chat as run_chat

        settings = find_settings(who.config)
        device = devices.device_of(who.url, settings, devices.read_token(who.token, who.file), store)
        if who.as_json:
            raise Failure(Exit.USAGE, "chat is for people: `bimip listen --json` is for programs")
        token_file = None if who.token.strip() else who.file
        run_chat(device, settings.partitions.names, token_file, theme=theme.value, bell=bell)


@with_device_options
def inbox(
    limit: Annotated[int, typer.Option(help="Show so many conversations at most.", min=1)] = 20, *, who: Who
) -> None:
    """Show the conversations of the token's user, the newest first, with what is unread."""
    from bimip.cli import devices

    as_device(devices.show_inbox, limit=limit, who=who)


@with_device_options
def history(
    conversation: Annotated[str, typer.Argument(help="Its id, such as c12: `bimip inbox --json` has them.")] = "",
    limit: Annotated[int, typer.Option(help="Show so many messages at most.", min=1)] = 20,
    before: Annotated[
        int | None, typer.Option(help="Only those in front of the one with this number.", min=1, show_default=False)
    ] = None,
    forget: Annotated[
        Path | None,
        typer.Option(
            help="Show none, but drop from the file of `bimip chat --store` what it keeps; the server keeps its own.",
            metavar="FILE",
        ),
    ] = None,
    older_than: Annotated[str, typer.Option(help="Drop only what is older: 12h, 30d.", show_default=False)] = "",
    everything: Annotated[bool, typer.Option("--all", help="Drop what is kept of all conversations.")] = False,
    *,
    who: Who,
) -> None:
    """Show what was written in a conversation, the newest last; or forget what a device keeps of it."""
    from bimip.cli import history as kept
    from bimip.cli.words import seconds_of

    if forget is None:
        if older_than or everything:
            hint = "--older-than" if older_than else "--all"
            raise typer.BadParameter("is for what a device is to forget: give --forget FILE", param_hint=hint)
        if not conversation:
            raise typer.BadParameter("which one? `bimip inbox --json` has their ids", param_hint="CONVERSATION")
        as_device(kept.show_history, conversation, limit=limit, before=before, who=who)
        return
    if not (conversation or older_than or everything) or (conversation and everything):
        sentence = "what of it? name a conversation, say --older-than 30d, or give --all, and no conversation"
        raise typer.BadParameter(sentence, param_hint="--forget")
    with telling():
        try:
            age = seconds_of(older_than) if older_than else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--older-than") from error
        kept.forget_history(forget, conversation, older_than=age, as_json=who.as_json)


@with_device_options
def feed(
    eid: Annotated[str, typer.Argument(help="Whose: a user who lets you see them; without one your own.")] = "",
    limit: Annotated[int, typer.Option(help="Show so many messages at most.", min=1)] = 20,
    *,
    who: Who,
) -> None:
    """Show what a user wrote for their friends, the newest last."""
    from bimip.cli import feeds

    as_device(feeds.show_feed, eid, limit=limit, who=who)


@with_device_options
def newest_of_each(
    user: Annotated[str, typer.Argument(help="Whose devices; else each user who wrote.", metavar="[USER]")] = "",
    limit: Annotated[int, typer.Option(help="Show so many at most.", min=1)] = 20,
    partition: Partition = "chat",
    *,
    who: Who,
) -> None:
    """Show the newest message of each user in your log, or of each device of one."""
    from bimip.cli import devices

    as_device(devices.show_heads, user, partition, limit=limit, who=who)


@with_device_options
def show_state(
    since: Annotated[int, typer.Option(help="Only what changed behind this version.", min=0)] = 0, *, who: Who
) -> None:
    """Show what the server knows that changes: receipts, edits, read markers, settings, devices, groups."""
    from bimip.cli import state

    as_device(state.show_state, since, who=who)
