"""The screen: what keys do, and what is shown when."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from bimip.cli.chat.composer import MOST_CHARACTERS, Composer
from bimip.cli.chat.dialogs import Asked, Choice, Picked, Picker, Reading
from bimip.cli.chat.emoji import emoji_of, matching
from bimip.cli.chat.help import help_text
from bimip.cli.chat.layout import SIGNS, fit
from bimip.cli.chat.messages import Messages
from bimip.cli.chat.model import Conversation, Entry
from bimip.cli.chat.muting import mute_choices, mute_text, muted_by
from bimip.cli.chat.rows import Rows
from bimip.cli.chat.session import Session
from bimip.cli.chat.status import header_text, status_text
from bimip.cli.chat.text import cut, shown, shown_lines
from bimip.cli.show_events import contact_text
from bimip.cli.words import date_text
from bimip.client import KeptMessage
from bimip.domain.core.records import Status

NARROW = 60
"""Columns below which the list and the conversation take turns."""

THEMES = {"terminal": "ansi-dark", "dark": "textual-dark", "light": "textual-light"}

LOOK_SECONDS = 180.0
"""So long after a key somebody is thought to look: what comes later is not said to be read."""

DRAFT_PAUSE = 1.5
"""So long after a key, at the latest, what was typed is in the file."""

GIVE_SECONDS = 5.0
"""So often the server is given what was typed."""

LEAVE_SECONDS = 3.0
ROWS_SECONDS = 20.0
"""So often the list is drawn again, for what time alone changes: a mute ends, today is yesterday."""


class ChatApp(App[None]):
    TITLE = "BIMIP"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-wide")]  # noqa: RUF012 - Textual declares it so
    CSS = """
    Screen { layout: vertical; }
    #main { height: 1fr; }
    #rows { width: 32%; min-width: 24; max-width: 40; border-right: solid $panel-lighten-1; }
    #side { width: 1fr; }
    #header { height: 1; background: $panel; }
    #messages { height: 1fr; }
    #about { height: auto; max-height: 2; display: none; background: $boost; }
    #about.-shown { display: block; }
    #composer {
        height: auto; min-height: 2; max-height: 8; padding: 0 1;
        border: none; border-top: solid $panel-lighten-1;
    }
    #composer:focus { border: none; border-top: solid $accent; }
    #status { height: 1; background: $panel; }
    ToastRack { dock: top; align: right top; margin-top: 1; }
    .-narrow #rows { display: none; width: 1fr; max-width: 100%; border: none; }
    .-narrow.-listing #rows { display: block; }
    .-narrow.-listing #side { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", priority=True),
        Binding("ctrl+n", "new", "New", priority=True),
        Binding("ctrl+f", "search", "Find", priority=True),
        Binding("ctrl+t", "contacts", "People", priority=True),
        Binding("ctrl+o", "devices", "Devices", priority=True),
        Binding("ctrl+s", "settings", "Settings", priority=True),
        Binding("ctrl+q", "quit", "Quit", priority=True),
        Binding("ctrl+c", "quit_hint", show=False),
    ]

    def __init__(self, session: Session, *, theme: str = "terminal", bell: bool = False) -> None:
        super().__init__(ansi_color=True if theme == "terminal" else None)
        self.session = session
        self.model = session.model
        self.is_belling = bell
        self._theme_wanted = THEMES[theme]
        self._reply_to: Entry | None = None
        self._editing: Entry | None = None
        self._kept_text = ""  # what stood in the composer before an edit
        self._filled = ""  # what is saved of what stands there
        self._saves_soon = False
        self._not_saved = ""  # why
        self._ended = ""
        self._said: dict[str, Text] = {}  # what the lines of one row say
        self.touched_at = 0.0  # when somebody pressed a key, by the loop's clock
        self._wanted_draw = False
        session.changed, session.told, session.arrived = self._want_draw, self.tell, self._arrived

    def compose(self) -> ComposeResult:
        with Horizontal(id="main"):
            yield Rows(self.model)
            with Vertical(id="side"):
                yield Static(id="header", markup=False)
                yield Messages(self.model)
                yield Static(id="about", markup=False)
                yield Composer()
        yield Static(id="status", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.theme = self._theme_wanted
        self.touched_at = asyncio.get_running_loop().time()
        self.composer.focus()
        self.screen.add_class("-listing")
        self.run_worker(self.session.run(), exit_on_error=True)
        self.set_interval(1.0, self._draw_status)
        self.set_interval(ROWS_SECONDS, self.rows.refresh)
        self.set_interval(GIVE_SECONDS, self.session.give_drafts)
        self._draw()

    # Parts of the screen.

    @property
    def rows(self) -> Rows:
        return self._base.query_one(Rows)

    @property
    def messages(self) -> Messages:
        return self._base.query_one(Messages)

    @property
    def composer(self) -> Composer:
        return self._base.query_one(Composer)

    @property
    def _base(self) -> Screen[object]:
        return self.screen_stack[0]

    def tell(self, sentence: str) -> None:
        """Says something for a moment."""
        self.notify(sentence, markup=False, timeout=6)

    def complain(self, sentence: str) -> None:
        """Says what went wrong, if anything did."""
        if sentence:
            self.notify(sentence, markup=False, severity="error", timeout=10)

    # Drawing.

    def _want_draw(self) -> None:
        """Draws soon: many changes of one moment are drawn once."""
        if not self._wanted_draw and self.is_running:
            self._wanted_draw = True
            self.set_timer(1 / 30, self._draw)

    def _draw(self) -> None:
        self._wanted_draw = False
        if not self._is_there:
            return
        self.rows.show()
        self.messages.show()
        self._draw_status()
        if not self.model.opened and self.model.conversations and not self.screen.has_class("-narrow"):
            self._open(self.model.ordered()[0].key)
        self._take_draft()
        self._read()
        if self.session.link.ended and not self._ended:
            self._ended = self.session.link.ended
            more = "\n\nWhat is kept here can still be read; what you write waits for the next start. Ctrl-Q leaves."
            self.push_screen(Reading("This device is not connected any more", Text(shown(self._ended) + more)))

    @property
    def _is_there(self) -> bool:
        """Whether there is a screen to draw: timers run on while it goes."""
        return self.is_running and bool(self.screen_stack) and bool(self._base.query("#status"))

    def _draw_status(self) -> None:
        if not self._is_there:
            return
        width = self.size.width
        now = asyncio.get_running_loop().time()
        self._say("#status", status_text(self.model, self.session.link, now, _now(), width))
        width = self._base.query_one("#header").size.width or width
        self._say("#header", header_text(self.model, self.model.open_one, _now(), width))

    def _say(self, where: str, text: Text) -> None:
        """Writes a line of one row, where it says something else than before: the screen is as it was otherwise."""
        if self._said.get(where) != text:
            self._said[where] = text
            self._base.query_one(where, Static).update(text, layout=False)

    def _draw_about(self) -> None:
        """Shows what is written is an answer, or an edit."""
        about = self._base.query_one("#about", Static)
        entry = self._editing or self._reply_to
        about.set_class(entry is not None, "-shown")
        if entry is not None:
            what = "Editing" if self._editing is not None else "Answering"
            text = fit(shown(cut(entry.text, 200)[0]), max(8, self.composer.size.width - 24))
            about.update(Text.assemble((f" {what}: ", "bold"), (text, "italic"), ("  Esc drops it", "dim")))

    def _read(self) -> None:
        """Marks as read what is visible and looked at."""
        one = self.model.open_one
        is_visible = len(self.screen_stack) == 1 and self._is_looked_at and self.messages.follows
        hidden = self.screen.has_class("-narrow") and self.screen.has_class("-listing")
        if one is not None and is_visible and not hidden and one.head > one.read_upto:
            self.session.read(one)

    def _arrived(self, conversation: Conversation) -> None:
        now = _now()
        intent = self.session.client.presence.intent.status if self.session.client is not None else Status.ONLINE
        looks = self._is_looked_at and conversation.key == self.model.opened
        if self.is_belling and not conversation.is_muted(now) and intent is not Status.DND and not looks:
            self.bell()

    @property
    def _is_looked_at(self) -> bool:
        """Whether somebody seems to look: a terminal may not tell, so a key is to have been pressed not long ago."""
        return self.app_focus and asyncio.get_running_loop().time() - self.touched_at < LOOK_SECONDS

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.MouseDown | events.AppFocus):
            self.touched_at = asyncio.get_running_loop().time()
            self._want_draw()
        await super().on_event(event)

    def on_app_blur(self) -> None:
        self.session.look(is_looked_at=False)

    def on_app_focus(self) -> None:
        self.session.look(is_looked_at=True)
        self._want_draw()

    # Conversations.

    def _open(self, key: str) -> None:
        self._save_draft()
        self.session.give_drafts()
        is_same = self.model.opened == key and self._editing is None
        begun = self.composer.text if self.model.open_one is None else ""  # before it was said to whom
        self._reply_to = self._editing = None
        self.session.open(key)
        self.screen_stack[0].remove_class("-listing")
        opened = self.model.conversations[key]
        if not is_same:
            self._fill(opened.draft, begun)
        self._draw_about()
        self.messages.follow()
        self._want_draw()

    def on_rows_opened(self, event: Rows.Opened) -> None:
        self._open(event.key)
        self.composer.focus()

    def on_messages_near_top(self) -> None:
        one = self.model.open_one
        if one is not None:
            self._soon(self._load_older(one))

    async def _load_older(self, one: Conversation) -> None:
        await self.session.load_older(one)

    def on_messages_left(self) -> None:
        self.action_compose()

    def on_messages_at_end(self) -> None:
        self._read()

    @property
    def _meant(self) -> Conversation | None:
        """The conversation that a key is about: the chosen one of the list, else the open one."""
        return self.rows.chosen if self.rows.has_focus else self.model.open_one

    @work
    async def action_mute(self) -> None:
        if self._meant is not None and len(self.screen_stack) == 1:
            await self._mute(self._meant)

    async def _mute(self, one: Conversation) -> None:
        """Asks for how long a conversation is to be quiet, and mutes it."""
        if not one.id:
            self.complain(self.session.keep(one, muted_until=0))
            return
        lines = [Choice(Text(said), value) for value, said in mute_choices(one.muted_until, _now())]
        title = f"Mute {shown(self.model.title_of(one))}"
        dialog = Picker(title, lambda _typed: lines, hint="Enter chooses, Esc leaves it as it is")
        picked = await self.push_screen_wait(dialog)
        if picked is not None and picked.value:
            until = muted_by(picked.value, _now())
            wrong = self.session.keep(one, muted_until=until)
            if not wrong:
                self.model.mute(one, until)
            self.complain(wrong)
            self._want_draw()

    def action_keep(self, what: str) -> None:
        """Pins, archives or marks the chosen conversation, or takes that back."""
        one = self._meant
        if one is None:
            return
        match what:
            case "pin":
                one.pinned = not one.pinned
                self.complain(self.session.keep(one, pinned=one.pinned))
            case "archive":
                one.archived = not one.archived
                self.complain(self.session.keep(one, archived=one.archived))
            case _:
                one.marked_unread = not one.marked_unread
                self.complain(self.session.keep(one, marked_unread=one.marked_unread))
        self.model.revision += 1
        self._want_draw()

    # Writing.

    def action_compose(self) -> None:
        self.screen_stack[0].remove_class("-listing")
        self.composer.focus()

    def action_leave_composer(self) -> None:
        if self._editing is not None or self._reply_to is not None:
            self._drop_about()
        elif self.screen.has_class("-narrow"):
            self.screen.add_class("-listing")
            self.rows.focus()
        else:
            self.messages.focus()

    def _fill(self, text: str, more: str = "") -> None:
        """Puts what is saved into the composer, and below it what is not."""
        self._filled = text
        self.composer.fill("\n".join(filter(None, (text, more))))

    def _drop_about(self) -> None:
        if self._editing is not None:
            self._fill(self._kept_text)
        self._editing = self._reply_to = None
        self._draw_about()

    def on_composer_written(self, event: Composer.Written) -> None:
        one = self.model.open_one
        if one is None:
            self.complain("to whom? Ctrl-N begins a conversation")
            return
        if len(event.text) > MOST_CHARACTERS:
            self.complain(f"a message has {MOST_CHARACTERS:,} characters at most, this one {len(event.text):,}")
            return
        if self._editing is not None:
            wrong = self.session.edit(self._editing, event.text)
        else:
            wrong = self.session.send(one, event.text, self._reply_to.key if self._reply_to is not None else "")
        if wrong:
            self.complain(f"not {'edited' if self._editing else 'sent'}: {wrong}")
            return
        was_editing = self._editing is not None
        self._editing = self._reply_to = None
        self._draw_about()
        self._fill(self._kept_text if was_editing else "")
        self._kept_text = ""
        if not was_editing:
            self.complain(self.session.save_draft(one, ""))
        self.messages.follow()
        self._want_draw()

    def on_composer_typed(self) -> None:
        if self.model.open_one is not None and self._editing is None:
            self.session.type(self.model.open_one)

    def on_composer_edit_last(self) -> None:
        one = self.model.open_one
        entry = one.last_own() if one is not None else None
        if entry is not None:
            self._edit(entry)

    def _edit(self, entry: Entry) -> None:
        if self._editing is None:
            self._save_draft()
            self._kept_text = self.composer.text
        self._editing, self._reply_to = entry, None
        self.composer.fill(entry.text)
        self._draw_about()
        self.action_compose()

    def on_text_area_changed(self) -> None:
        if not self._saves_soon:
            self._saves_soon = True
            self.set_timer(DRAFT_PAUSE, self._save_draft)

    def _save_draft(self) -> None:
        """Saves what was typed, and says once why that does not go."""
        self._saves_soon = False
        one = self.model.open_one
        text = self.composer.text if self._is_there else self._filled
        if one is None or self._editing is not None or text == self._filled or self.session.client is None:
            return
        wrong = self.session.save_draft(one, text)
        if wrong != self._not_saved:
            self._not_saved = wrong
            self.complain(wrong)
        if not wrong:
            self._filled = text

    def _take_draft(self) -> None:
        """Shows what another device of this user wrote, unless there is something here that is not saved."""
        one = self.model.open_one
        if one is None or self._editing is not None or one.draft_waits:
            return
        if self.composer.text == self._filled != one.draft:
            self._fill(one.draft)

    # A message.

    @property
    def _chosen(self) -> Entry | None:
        return self.messages.chosen

    def action_use(self) -> None:
        """Answers a message, or takes a refused one back into the composer."""
        entry = self._chosen
        one = self.model.open_one
        if entry is None or one is None:
            return
        if entry.is_refused:
            self._take_back(one, entry)
        else:
            self.action_reply()

    def _take_back(self, one: Conversation, entry: Entry) -> None:
        """Puts what was refused into the composer, below what stands there, and is saved before it is dropped."""
        self._drop_about()
        self._fill(self.composer.text, entry.text)
        self._filled = ""
        self._save_draft()
        if not self._not_saved:
            self.complain(self.session.drop(entry))
        self._reply_to = one.find(entry.reply_to) if entry.reply_to else None
        self._draw_about()
        self.action_compose()

    def action_send_again(self) -> None:
        """Sends what was refused once more, as it is."""
        entry, one = self._chosen, self.model.open_one
        if entry is None or one is None:
            return
        if not entry.is_refused:
            self.tell("only what was refused can be sent again")
            return
        self.complain(self.session.send(one, entry.text, entry.reply_to) or self.session.drop(entry))
        self.messages.follow()

    def action_reply(self) -> None:
        entry = self._chosen
        if entry is None or entry.is_event:
            return
        if not entry.offset:
            self.tell("this message waits to be sent: it can be answered afterwards")
            return
        self._reply_to, self._editing = entry, None
        self._draw_about()
        self.action_compose()

    def action_edit(self) -> None:
        entry = self._chosen
        if entry is None:
            return
        if not entry.own or entry.is_deleted or entry.is_event:
            self.tell("only your own messages can be edited, while they are there")
        elif entry.is_refused:
            self.action_use()
        else:
            self._edit(entry)

    def action_delete(self) -> None:
        entry = self._chosen
        if entry is None or entry.is_event:
            return
        choices = [Choice(Text("Delete for me: on all your devices"), "me")]
        if entry.is_refused:
            choices = [Choice(Text("Drop it: nobody has it but this device"), "drop")]
        elif entry.own and not entry.is_deleted:
            choices.insert(0, Choice(Text("Delete for everyone"), "everyone"))

        def deleted(picked: Picked | None) -> None:
            if picked is not None and picked.value == "drop":
                self.complain(self.session.drop(entry))
            elif picked is not None and picked.value:
                self.complain(self.session.delete(entry, for_everyone=picked.value == "everyone"))

        self.push_screen(
            Picker("Delete this message?", lambda _typed: choices, hint="Enter deletes, Esc keeps it"), deleted
        )

    def action_react(self) -> None:
        entry = self._chosen
        if entry is None or entry.is_event or entry.is_deleted:
            return

        def choices(typed: str) -> list[Choice]:
            return [Choice(Text.assemble(f"{emoji}  ", (name, "dim")), emoji) for name, emoji in matching(typed)]

        def reacted(picked: Picked | None) -> None:
            if picked is not None and (emoji := picked.value or emoji_of(picked.typed)):
                self.complain(self.session.react(entry, emoji))

        hint = "Enter reacts, or takes it back; any emoji may be typed"
        self.push_screen(Picker("React", choices, asks="a short name, such as heart", hint=hint), reacted)

    def action_info(self) -> None:
        entry = self._chosen
        if entry is None:
            return
        lines = [f"from {shown(entry.author) or 'an erased user'}{'/' + shown(entry.device) if entry.device else ''}"]
        lines.append(f"at {date_text(entry.time, seconds=True)}, number {entry.offset or 'none yet'}")
        for member, times in sorted(self.model.times(entry.conversation, entry.offset).items() if entry.offset else ()):
            said = ", ".join(f"{what} {date_text(at)}" for what, at in times.items())
            lines.append(f"{shown(member)}: {said}")
        if entry.changes is not None:
            for emoji, eids in entry.changes.reactions.items():
                lines.append(f"{shown(emoji)}  {', '.join(map(shown, eids))}")
        self.push_screen(Reading("This message", Text("\n".join(lines))))

    def action_whole(self) -> None:
        entry = self._chosen
        if entry is not None:
            self.push_screen(Reading("The whole message", Text("\n".join(shown_lines(entry.text)))))

    # What is asked for in front of it.

    def action_help(self) -> None:
        if len(self.screen_stack) == 1:
            self.push_screen(Reading("Keys", help_text()))

    @work
    async def action_new(self) -> None:
        if len(self.screen_stack) > 1:
            return
        hint = "A name is one as bob@example.org. Several, with spaces between, or a title make a group."
        fields = (("With whom", ""), ("Title, of a group", ""))
        answer = await self.push_screen_wait(Asked("New conversation", *fields, hint=hint))
        if not answer or not answer[0]:
            return
        eids, title = answer[0].replace(",", " ").split(), answer[1]
        if len(eids) == 1 and not title:
            key = self.model.by_target(eids[0]).key
        else:
            key, wrong = await self.session.new_group(title, eids)
            if wrong:
                self.complain(f"no group was made: {wrong}")
                return
        self._open(key)
        self.composer.focus()

    @work
    async def action_search(self) -> None:
        if len(self.screen_stack) > 1:
            return
        found: dict[str, KeptMessage] = {}

        def choices(typed: str) -> list[Choice]:
            found.clear()
            with suppress(Exception):
                found.update({one.message.signal_id: one for one in self.session.search(typed.strip())})
            lines = []
            for key, one in found.items():
                who = self.model.name_of(one.message.from_.eid if one.message.from_ is not None else "")
                said = shown(cut(one.payload.decode(errors="replace"), 300)[0])
                when = date_text(one.message.server_time)[:16]
                lines.append(
                    Choice(Text.assemble((f"{when} ", "dim"), (f"{shown(who)}: ", "bold"), fit(said, 200)), key)
                )
            return lines

        title = "Search what this device keeps"
        nothing = "nothing that this device keeps has these words: older messages are at the server"
        dialog = Picker(title, choices, asks="words", hint="Enter goes there", nothing=nothing)
        picked = await self.push_screen_wait(dialog)
        if picked is None or picked.value not in found:
            return
        message = found[picked.value].message
        if message.conversation not in self.model.conversations:
            return
        self._open(message.conversation)
        one = self.model.conversations[message.conversation]
        await self.session.load_back_to(one, message.conversation_offset)
        self.messages.focus()
        self.messages.choose(message.signal_id)

    @work
    async def action_contacts(self) -> None:
        if len(self.screen_stack) > 1:
            return
        does = {"ctrl+a": "accept", "ctrl+d": "deny", "ctrl+b": "block", "ctrl+r": "remove", "ctrl+e": "name"}
        while True:

            def choices(typed: str) -> list[Choice]:
                wanted = typed.casefold()
                known = sorted(self.model.contacts.items())
                return [
                    Choice(self._contact_line(eid), eid)
                    for eid, contact in known
                    if wanted in eid.casefold() or wanted in contact.name.casefold()
                ]

            hint = "Enter writes, or asks who is new; ^A accept, ^D deny, ^E name, ^B block, ^R remove"
            dialog = Picker(
                "Contacts",
                choices,
                asks="find, or a new name as bob@example.org",
                hint=hint,
                keys=[*does],
                nothing="nobody of that name is among them: Enter asks them, by the whole name",
            )
            picked = await self.push_screen_wait(dialog)
            if picked is None:
                return
            if picked.key == "enter" and picked.value:
                self._open(self.model.by_target(picked.value).key)
                return
            if picked.key == "enter":
                if picked.typed.strip():
                    self.complain(await self.session.change_contact("request", picked.typed.strip()))
                continue
            if picked.value:
                await self._change_contact(does[picked.key], picked.value)

    async def _change_contact(self, change: str, eid: str) -> None:
        name = ""
        if change == "name":
            contact = self.model.contacts.get(eid)
            answer = await self.push_screen_wait(
                Asked(f"Call {shown(eid)}", ("a name", contact.name if contact else ""))
            )
            if answer is None:
                return
            name = answer[0]
        contact = self.model.contacts.get(eid)
        if change == "block" and contact is not None and contact.blocked:
            change = "unblock"
        self.complain(await self.session.change_contact(change, eid, name))
        self.messages.note_names()

    def _contact_line(self, eid: str) -> Text:
        sign, colour = SIGNS[self.model.is_online(eid)]
        return Text.assemble((f"{sign} ", colour), shown(eid), (f"  {contact_text(self.model.contacts[eid])}", "dim"))

    @work
    async def action_devices(self) -> None:
        if len(self.screen_stack) > 1:
            return
        found, wrong = await self.session.devices()
        if found is None:
            self.complain(wrong)
            return
        text = Text()
        for one in found:
            sign, colour = ("●", "green") if one.online else ("○", "dim")
            label = f" ({shown(one.label)})" if one.label else ""
            lag = sum(log.lag for log in one.logs.values())
            seen = "" if one.online else f"  seen {date_text(one.last_seen)}"
            mine = "  this one" if one.is_this else ""
            behind = f"  {lag} behind" if lag else ""
            text.append_text(
                Text.assemble((f"{sign} ", colour), shown(one.name) + label, (f"{mine}{behind}{seen}\n", "dim"))
            )
        self.push_screen(Reading("Your devices", text))

    @work
    async def action_settings(self) -> None:
        if len(self.screen_stack) > 1:
            return
        at = ""
        while at not in {"members", "leave", "logout"}:
            dialog = Picker("Settings", lambda _typed: self._settings(), hint="Enter changes it", at=at)
            picked = await self.push_screen_wait(dialog)
            if picked is None:
                return
            at = picked.value
            await self._set(at)

    def _settings(self) -> list[Choice]:
        client = self.session.client
        if client is None:
            return [Choice(Text(f"bell: {'on' if self.is_belling else 'off'}"), "bell")]
        intent, privacy = client.presence.intent.status, client.settings.privacy
        one = self.model.open_one
        lines = [
            ("bell", f"Bell when a message comes: {'on' if self.is_belling else 'off'}"),
            ("theme", f"Look: {next(name for name, theme in THEMES.items() if theme == self.theme)}"),
            *(
                (f"status {status.name}", f"{'•' if intent is status else ' '} You are {said}")
                for status, said in (
                    (Status.ONLINE, "online"),
                    (Status.AWAY, "away"),
                    (Status.BUSY, "busy"),
                    (Status.DND, "not to be disturbed"),
                )
            ),
            ("receipts", f"Others see what you read: {privacy.read_receipts_to.name.lower()}"),
            ("visible", f"Others see that you are there: {'yes' if privacy.visible else 'no'}"),
        ]
        leaving = ("logout", "Log this device out: the server forgets it")
        if one is not None and one.id:
            title = shown(self.model.title_of(one))
            lines += [
                ("mute", f"{title}: {mute_text(one.muted_until, _now()) or 'not muted'}"),
                ("pin", f"{title}: {'pinned' if one.pinned else 'not pinned'}"),
                ("archive", f"{title}: {'archived' if one.archived else 'not archived'}"),
            ]
            if one.is_group:
                lines += [
                    ("members", f"{title}: members"),
                    ("add", f"{title}: add somebody"),
                    ("rename", f"{title}: another title"),
                    ("leave", f"{title}: leave the group"),
                ]
        return [Choice(Text(line), value) for value, line in [*lines, leaving]]

    async def _set(self, value: str) -> None:
        """Does what a line of the settings says."""
        one, client = self.model.open_one, self.session.client
        match value.split():
            case ["bell"]:
                self.is_belling = not self.is_belling
            case ["theme"]:
                names = list(THEMES.values())
                self.theme = names[(names.index(self.theme) + 1) % len(names)]
            case ["status", name]:
                self.complain(await self.session.set_intent(Status[name]))
            case ["receipts"] if client is not None:
                is_on = client.settings.privacy.read_receipts_to.name != "NOBODY"
                self.complain(await self.session.set_privacy(send_read_receipts=not is_on))
            case ["visible"] if client is not None:
                self.complain(await self.session.set_privacy(visible=not client.settings.privacy.visible))
            case ["logout"]:
                sure = Picker("Log out?", lambda _typed: [Choice(Text("Log out"), "yes")], hint="Esc stays")
                if await self.push_screen_wait(sure) is not None:
                    self.complain(await self.session.log_out())
            case [what] if one is not None:
                await self._set_conversation(what, one)

    async def _set_conversation(self, what: str, one: Conversation) -> None:
        match what:
            case "mute":
                await self._mute(one)
            case "pin" | "archive":
                self.action_keep(what)
            case _:
                await self._change_group(what, one)

    async def _change_group(self, what: str, one: Conversation) -> None:
        match what:
            case "members":
                await self._show_members(one)
            case "leave":
                sure = Picker("Leave this group?", lambda _typed: [Choice(Text("Leave"), "leave")], hint="Esc stays")
                if await self.push_screen_wait(sure) is not None:
                    self.complain(await self.session.change_group("leave", one))
            case _:
                title = "Whom" if what == "add" else "Its title"
                answer = await self.push_screen_wait(Asked(title, ("names" if what == "add" else "title", "")))
                if answer and answer[0]:
                    self.complain(await self.session.change_group(what, one, answer[0]))

    async def _show_members(self, one: Conversation) -> None:
        info, wrong = await self.session.group(one)
        if info is None:
            self.complain(wrong)
            return
        text = Text()
        for member in info.members:
            sign, colour = SIGNS[self.model.is_online(member.eid)]
            text.append_text(Text.assemble((f"{sign} ", colour), shown(member.eid), (f"  {member.role}\n", "dim")))
        self.push_screen(Reading(f"Members of {shown(info.title) or info.id}", text))

    # The end.

    def action_quit_hint(self) -> None:
        self.tell("Ctrl-Q leaves")

    async def action_quit(self) -> None:
        self._save_draft()
        self.session.give_drafts()
        await self.session.stop()
        self.exit()

    def leave_at_signal(self, number: int, _frame: object) -> None:
        """Leaves in order, but not for long: a terminal that is gone takes nothing more, and who draws to it hangs."""
        deadline = threading.Timer(LEAVE_SECONDS, os._exit, (128 + number,))
        deadline.daemon = True
        deadline.start()
        self.call_later(self._hang_up if number == signal.SIGHUP else self.action_quit)

    async def _hang_up(self) -> None:
        """Leaves a terminal that is gone: there is nothing to be put back as it was."""
        self._save_draft()
        await self.session.stop()
        os._exit(128 + signal.SIGHUP)

    def _soon(self, doing: Coroutine[object, object, None]) -> None:
        self.run_worker(doing, exit_on_error=True)


def _now() -> int:
    return time.time_ns() // 1_000_000
