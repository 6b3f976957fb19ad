"""The simulation sees what it is there to see: each of these servers has one defect, and is found out."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from bimip import parts, processes
from bimip.api.endpoint import Visit
from bimip.api.events import Place
from bimip.domain.accounts.registering import LabelDevice
from bimip.domain.awareness.calls import End, Phase, Side, transition
from bimip.domain.awareness.locations import ShareLocation
from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.commands import case
from bimip.domain.commands import messages as commands
from bimip.domain.commands.operation import Command
from bimip.domain.contacts import changing_settings, privacy, roster
from bimip.domain.contacts.changing_settings import ChangeSettings
from bimip.domain.contacts.privacy import Verdict
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.conversations import erasing, feeds, groups
from bimip.domain.conversations.membership import group_of, witnesses_of
from bimip.domain.core import operations as ops
from bimip.domain.core.decision import NOTHING, Decision
from bimip.domain.core.ids import ConversationOffset, Millis, Offset, UserId
from bimip.domain.core.records import ReceiptKind, Status, Table
from bimip.domain.decisions import OPERATIONS
from bimip.domain.delivery import acknowledging
from bimip.domain.keeping.timekeeping import Timekeeper
from bimip.domain.messages import appending, committed
from bimip.domain.push import outbox
from bimip.domain.push.ringing import Ring
from bimip.domain.state import devices, private_reads, read_markers, receipts, settings
from bimip.domain.state import groups as state_of_groups
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.intents import SetIntent
from bimip.domain.state.lifecycle import IMPLIED
from bimip.domain.state.settings import Setting
from bimip.push import notifications
from bimip.push.process import Push
from bimip.push.rings import Rings
from bimip.reading import presence
from bimip.requests import forwards
from bimip.requests.command import operation_of
from bimip.retention import process as retention_process
from bimip.users import calls, locations
from bimip.users.attention import Attention
from bimip.users.awareness import presence as users_presence
from bimip.users.awareness.appearances import Appearances
from bimip.users.awareness.presence import Presence
from bimip.users.device import Device
from bimip.webhooks import process as webhooks
from bimip.webhooks.process import Webhooks
from tests.chaos.runner import HastyJournal
from tests.kit import befriender
from tests.kit.actor import Actor, Link
from tests.kit.coverage import unmeasured
from tests.kit.history import SettingsSaid
from tests.simulation import simulation
from tests.simulation.disk import Disk
from tests.simulation.simulation import Options, simulate

SEEDS = range(1, 21)
TINY, FEW, SHORT, LONG = 20, 60, 200, 500
YEAR_2001, YEAR_2096 = 1_000_000_000_000, 4_000_000_000_000


def kinds_found(kind: str, disk: type[Disk] = Disk, messages: int = SHORT, first: int = 1) -> set[str]:
    """The kinds of violations of the first seed that shows this one; or of all, if none does. `first`: the seed that
    is known to show it soon, and is tried before the others.
    """
    found: set[str] = set()
    for seed in sorted(SEEDS, key=lambda seed: seed != first):
        with unmeasured():
            outcome = simulate(seed, Options(messages=messages, disk=disk))
        kinds = {violation.kind for violation in outcome.violations}
        found |= kinds
        if kind in kinds:
            break
    return found


class UnsyncedDisk(Disk):
    """Commits stay in the page cache."""

    syncs = False


class TrustingDisk(Disk):
    """An older copy that was put back is served as if it were the last one: no other epoch begins."""

    notices_copies = False


class Boastful:
    """A connection as a fetcher sees it that does not ask whether its frame was taken."""

    sendable = True

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send_nowait(self, frame: bytes) -> bool:
        self._connection.send_nowait(frame)
        return True

    def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)


def moving_first(step: Callable[[Any, float], None]) -> Callable[[Any, float], None]:
    def hasty(device: Any, now: float) -> None:
        connection = device.connection
        device.connection = Boastful(connection)
        try:
            step(device, now)
        finally:
            device.connection = connection

    return hasty


def acknowledging_more(decide: Callable[..., Any]) -> Callable[..., Any]:
    def generous(view: Any, op: ops.Acknowledge, moment: Any) -> Any:
        log = view.get(Table.LOGS, (op.user, op.partition))
        head = log.head if log is not None else 0
        return decide(view, op._replace(upto=Offset(max(op.upto, min(op.upto + 2, head)))), moment)

    return generous


def forgetting(decide: Callable[..., Any]) -> Callable[..., Any]:
    """Appends as if no message had ever been seen before."""

    class Forgetful:
        def __init__(self, view: Any) -> None:
            self._view = view

        def __getattr__(self, name: str) -> Any:
            return getattr(self._view, name)

        def get(self, table: Table, key: Any) -> Any:
            return None if table is Table.SEEN else self._view.get(table, key)

        def get_all(self, table: Table, keys: Any) -> Any:
            return [self.get(table, key) for key in keys]

    return lambda view, op, moment: decide(Forgetful(view), op, moment)


def all_users(view: Any) -> list[UserId]:
    return [record.number for _, record in view.scan(Table.USERS, ("",), Table.USERS.schema.end, limit=100)]


def test_a_disk_that_does_not_sync_loses_what_was_acknowledged() -> None:
    assert "lost" in kinds_found("lost", UnsyncedDisk, messages=FEW, first=3)


def test_an_older_copy_that_is_served_under_the_same_epoch_is_noticed() -> None:
    assert "untold" in kinds_found("untold", TrustingDisk, messages=FEW, first=2)


def test_a_journal_that_answers_before_its_commit_loses_what_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "Journal", HastyJournal)

    assert "lost" in kinds_found("lost", messages=FEW, first=2)


def test_a_position_that_moves_before_the_frame_was_taken_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "send_some", moving_first(Device.send_some))

    assert "skipped" in kinds_found("skipped", messages=FEW, first=2)


def test_an_ack_that_moves_the_floor_too_far_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ops.Acknowledge]
    monkeypatch.setitem(OPERATIONS, ops.Acknowledge, replace(kind, decide=acknowledging_more(kind.decide)))

    assert "floor ahead" in kinds_found("floor ahead", messages=FEW, first=7)


def test_a_resend_that_is_appended_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ops.Append]
    monkeypatch.setitem(OPERATIONS, ops.Append, replace(kind, decide=forgetting(kind.decide)))

    assert "duplicated" in kinds_found("duplicated", messages=FEW, first=2)


def test_a_read_marker_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ops.MarkRead]

    def forgetting_markers(view: Any, op: ops.MarkRead, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, ops.MarkRead, replace(kind, decide=forgetting_markers))

    assert "marker lost" in kinds_found("marker lost", messages=FEW, first=3)


def test_a_read_marker_that_moves_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_markers, "read_marker", lambda _view, _user, _conversation: ConversationOffset(0))

    assert "marker lost" in kinds_found("marker lost")


def test_a_setting_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ChangeSettings]

    def forgetting_settings(view: Any, op: ChangeSettings, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, ChangeSettings, replace(kind, decide=forgetting_settings))

    assert "setting lost" in kinds_found("setting lost", messages=FEW, first=3)


def test_an_exception_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ChangeSettings]

    def forgetting_exceptions(view: Any, op: ChangeSettings, context: Any) -> Decision:
        decision = kind.decide(view, op, context)
        return decision._replace(writes=NOTHING, news=()) if op.exceptions else decision

    monkeypatch.setitem(OPERATIONS, ChangeSettings, replace(kind, decide=forgetting_exceptions))

    assert "setting lost" in kinds_found("setting lost", messages=FEW, first=3)


def test_receipts_that_are_shown_to_who_is_excepted_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "written_for", lambda _view, _user, _other, _setting: None)

    assert "leaked" in kinds_found("leaked")


def test_a_setting_for_contacts_that_holds_for_everybody_is_told_to_nobody_who_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = settings.settings_written

    def wrong(writes: Any) -> Any:
        found = told(writes)
        return found._replace(last_seen_to=settings.Audience(2 - found.last_seen_to))

    monkeypatch.setattr(settings, "settings_written", wrong)
    monkeypatch.setattr(changing_settings, "settings_written", wrong)

    assert "false setting" in kinds_found("false setting")


def test_an_acceptance_of_which_who_asked_is_not_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = roster.RULES[ContactAction.ACCEPT]

    def one_sided(pair: Any, op: ChangeContact, context: Any) -> Any:
        wanted = accept(pair, op, context)
        return wanted if isinstance(wanted, ops.Refused) else wanted._replace(theirs=pair.theirs)

    monkeypatch.setitem(roster.RULES, ContactAction.ACCEPT, one_sided)

    assert "one-sided" in kinds_found("one-sided", messages=FEW, first=13)


def test_a_contact_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ChangeContact]

    def forgetting_contacts(view: Any, op: ChangeContact, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, ChangeContact, replace(kind, decide=forgetting_contacts))

    assert "contact lost" in kinds_found("contact lost", messages=FEW, first=2)


def test_a_contact_whom_nobody_asked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denial lets whoever asked see, and be seen."""
    monkeypatch.setitem(roster.RULES, ContactAction.DENY, lambda pair, *_: roster._both(pair))

    assert "false contact" in kinds_found("false contact")


def test_a_message_that_comes_through_a_block_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "blocks", lambda _view, _owner, _other: False)

    assert "let through" in kinds_found("let through")


def test_a_receipt_that_is_told_to_whom_one_has_blocked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "blocked_among", lambda _view, _owner, _others: set())

    assert "leaked" in kinds_found("leaked", messages=LONG)


def send_no_receipts(actor: Actor, link: Link) -> None:
    """All that this world's devices set is that they send none: so the checker is sure of it."""
    ref = actor._next_ref()
    link.wishes.add(ref)
    actor._record(SettingsSaid(actor.name, Setting.SEND_READ_RECEIPTS, 0))
    actor._post(link, ref, settings=actor._codec.messages.Settings(send_read_receipts=False))


def test_receipts_of_who_sends_none_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Actor, "_change_setting", send_no_receipts)
    monkeypatch.setattr(private_reads, "sends_receipts", lambda _view, _reader, _author: True)

    assert "leaked" in kinds_found("leaked", messages=FEW, first=7)


def test_receipts_that_are_shown_to_who_shows_none_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (acknowledging, receipts):
        monkeypatch.setattr(module, "may_see", lambda _view, _viewer, _member, _kind: True)

    assert "leaked" in kinds_found("leaked")


def test_devices_that_are_not_sent_their_state_again_go_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateChanges, "restart", lambda _changes, _user: None)

    assert kinds_found("leaked") & {"leaked", "receipt lost", "diverged"}


def test_a_fan_out_that_forgets_a_member_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who came last has no entry of what is written to a group of three or more."""

    def forgetful(view: Any, number: Any) -> Any:
        group = group_of(view, number)
        return group._replace(members=group.members[:-1]) if len(group.members) > 2 else group

    monkeypatch.setattr(appending, "group_of", forgetful)

    assert "half-appended" in kinds_found("half-appended") or "lost" in kinds_found("lost")


def test_a_member_who_was_removed_and_gets_messages_still_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fan-out goes to everybody who was ever in the group."""

    def faithful(view: Any, number: Any) -> Any:
        found = view.scan(Table.MEMBERS, (number,), (number + 1,), limit=100)
        return group_of(view, number)._replace(members=tuple(key[1] for key, _ in found))

    monkeypatch.setattr(appending, "group_of", faithful)

    assert "leaked" in kinds_found("leaked")


def test_a_group_that_a_member_is_not_told_of_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is added learns it by the entry alone, and not by their state."""
    tell = StateChanges.tell

    def silent(changes: Any, user: Any, key: bytes, change: Any) -> Any:
        is_new = key[0] == state_of_groups.TAG and change is not None and change.since == change.changed
        return 0 if is_new else tell(changes, user, key, change)

    monkeypatch.setattr(StateChanges, "tell", silent)

    assert "diverged" in kinds_found("diverged", messages=FEW, first=2)


def test_a_member_who_is_not_told_that_they_are_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = StateChanges.remove

    def silent(changes: Any, user: Any, key: bytes, now: Any) -> Any:
        return 0 if key[0] == state_of_groups.TAG else remove(changes, user, key, now)

    monkeypatch.setattr(StateChanges, "remove", silent)

    assert "diverged" in kinds_found("diverged", messages=LONG)


def test_a_server_that_believes_every_clock_deletes_what_is_not_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for years that its records cannot hold: those only crash it, again and again."""
    believing = property(lambda keeper: lambda: min(max(keeper._wall_clock(), YEAR_2001), YEAR_2096))
    monkeypatch.setattr(Timekeeper, "now", believing)
    monkeypatch.setattr(Timekeeper, "passed", believing)

    assert "skipped" in kinds_found("skipped", messages=LONG)


def test_a_server_that_never_follows_the_clock_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Timekeeper._judge
    monkeypatch.setattr(Timekeeper, "_judge", lambda keeper, *clocks: keeper.held or judge(keeper, *clocks))

    assert "wrong time" in kinds_found("wrong time", messages=FEW, first=4)


def test_a_log_that_lets_go_of_what_only_the_fastest_device_has_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committed, "min", max, raising=False)

    assert "gone too early" in kinds_found("gone too early", messages=FEW, first=3)


def test_a_server_that_lets_nothing_disappear_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_process, "due_by", lambda _view, _now, _limit: [])

    assert "seen after its time" in kinds_found("seen after its time", messages=LONG)


def test_a_command_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[Command]

    def forgetting_commands(view: Any, op: Command, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, Command, replace(kind, decide=forgetting_commands))

    assert "change lost" in kinds_found("change lost", messages=FEW, first=2)


def test_an_older_edit_that_wins_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "merge_messages", lambda _known, arrived: arrived)

    assert "change lost" in kinds_found("change lost", messages=LONG)


def test_a_change_of_which_only_one_side_is_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "witnesses_of", lambda view, number, place: witnesses_of(view, number, place)[:1])

    assert "diverged" in kinds_found("diverged", messages=FEW, first=2)


def test_a_deletion_that_leaves_the_content_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "erase", lambda _view, _author, _message, _context: [])

    assert "leaked" in kinds_found("leaked", messages=FEW, first=2)


def test_a_command_that_is_done_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[Command]

    def forgetting_ids(view: Any, op: Command, context: Any) -> Decision:
        return kind.decide(view, op._replace(id=f"{op.id}/{context.stamp()}"), context)

    monkeypatch.setitem(OPERATIONS, Command, replace(kind, decide=forgetting_ids))

    assert "false change" in kinds_found("false change", messages=FEW, first=3)  # more forwards than there were


def test_a_label_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[LabelDevice]

    def forgetting_labels(view: Any, op: LabelDevice, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, LabelDevice, replace(kind, decide=forgetting_labels))

    assert "label lost" in kinds_found("label lost", messages=FEW, first=4)


def test_a_label_of_which_no_sibling_is_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = StateChanges.tell

    def silent(changes: Any, user: Any, key: bytes, change: Any) -> Any:
        return 0 if key[0] == devices.TAG and change is not None and change.label else tell(changes, user, key, change)

    monkeypatch.setattr(StateChanges, "tell", silent)

    assert kinds_found("label lost", messages=FEW, first=4) & {"label lost", "diverged"}


def test_a_list_of_devices_that_is_believed_unseen_leaves_somebody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "stale_devices", lambda *_: None)

    assert "left out" in kinds_found("left out", messages=FEW, first=5)


def test_what_was_read_and_is_told_as_played_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = IMPLIED[ReceiptKind.PLAYED]
    monkeypatch.setattr(acknowledging, "IMPLIED", {**IMPLIED, ReceiptKind.READ: everything})

    assert "false receipt" in kinds_found("false receipt", messages=FEW, first=3)


def test_what_was_played_and_is_not_told_as_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "IMPLIED", {**IMPLIED, ReceiptKind.PLAYED: (ReceiptKind.PLAYED,)})

    assert "receipt lost" in kinds_found("receipt lost", messages=FEW, first=3)


def test_a_forward_that_counts_as_a_signal_and_as_a_command_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def counting_twice(asker: Any, command: Any) -> Command:
        return operation_of(asker, command)._replace(id=f"signal {command.id}")

    monkeypatch.setattr(forwards, "operation_of", counting_twice)

    assert "false change" in kinds_found("false change", messages=FEW, first=3)


def test_a_user_whose_messages_keep_their_content_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BODIES", replace(parts.BODIES, orphan=lambda body: body))

    assert "found" in kinds_found("found", messages=FEW, first=7)


def test_a_user_whose_device_is_forgotten_when_they_are_erased_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was addressed to it stays."""
    monkeypatch.setattr(erasing._Erasing, "_drop_addressed", lambda _erasing, _entry: None)

    assert "found" in kinds_found("found", messages=FEW, first=3)


def test_devices_that_keep_receipts_of_who_was_erased_go_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[erasing.RestartStates]
    nothing = Decision(ops.Done())
    monkeypatch.setitem(OPERATIONS, erasing.RestartStates, replace(kind, decide=lambda *_: nothing))

    assert "diverged" in kinds_found("diverged", messages=LONG)


def test_a_call_that_two_devices_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_end = calls.Calls._tell_end

    def keeping_all(self: Any, party: Any, end: End, **by: Any) -> int:
        return 0 if end is End.ANSWERED_ELSEWHERE else tell_end(self, party, end, **by)

    def taking_over(call: Any, said: Any) -> Any:
        is_caller = said.device == call.caller.device
        return (Side.CALLER, call.caller) if is_caller else (Side.CALLEE, call.parties[said.device])

    monkeypatch.setattr(calls.Calls, "_tell_end", keeping_all)
    monkeypatch.setattr(calls, "_party_of", taking_over)
    monkeypatch.setattr(calls, "verdict", lambda *_: Verdict(allowed=True, rule="all may see all"))
    monkeypatch.setattr(calls, "transition", lambda _phase, side, step: transition(Phase.RINGING, side, step))

    assert "answered twice" in kinds_found("answered twice", messages=LONG)


def test_a_call_whose_end_nobody_is_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls.Calls, "_tell_end", lambda _calls, _party, _end, **_by: 0)
    monkeypatch.setattr(calls.Calls, "_tell_unknown", lambda _calls, _said: 0)
    monkeypatch.setattr(simulation, "REST_SECONDS", 10)

    assert "stuck" in kinds_found("stuck", messages=FEW, first=3)


def test_a_missed_call_that_is_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Decision(ops.Done())
    monkeypatch.setitem(OPERATIONS, MissCall, replace(OPERATIONS[MissCall], decide=lambda *_: nothing))

    assert "missed call lost" in kinds_found("missed call lost", messages=LONG, first=2)


def test_a_missed_call_that_is_written_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = calls.Calls._finish

    def noting_again(self: Any, call: Any, end: End, **by: Any) -> int:
        if end is End.TIMED_OUT:
            caller = call.caller
            again = MissCall(caller.user, caller.device, caller.peer, caller.call, end, Millis(call.started + 1))
            self._queue.submit(again, owner=caller.user)
        return finish(self, call, end, **by)

    monkeypatch.setattr(calls.Calls, "_finish", noting_again)

    assert "missed twice" in kinds_found("missed twice", messages=LONG)


def test_what_is_told_of_a_call_under_a_number_that_was_given_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = calls.Calls._tell

    def numbering_anew(self: Any, party: Any, signal: Any) -> int:
        party.sequence = min(party.sequence, 1)
        return tell(self, party, signal)

    monkeypatch.setattr(calls.Calls, "_tell", numbering_anew)

    assert "reordered" in kinds_found("reordered")


def test_a_share_that_goes_on_after_its_end_was_answered_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[ShareLocation]

    def going_on(view: Any, op: ShareLocation, context: Any) -> Decision:
        decision = kind.decide(view, op, context)
        return decision if op.expires_at else Decision(decision.result)

    monkeypatch.setitem(OPERATIONS, ShareLocation, replace(kind, decide=going_on))

    assert "shown after the end" in kinds_found("shown after the end", messages=LONG)


def test_a_location_that_is_shown_to_who_is_not_in_the_group_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def everybody(view: Any, user: UserId, _other: Any) -> tuple[UserId, ...]:
        users = (record.number for _, record in view.scan(Table.USERS, ("",), Table.USERS.schema.end, limit=100))
        return tuple(number for number in users if number != user)

    monkeypatch.setattr(locations, "reached_by", everybody)
    monkeypatch.setattr(locations, "reaches", lambda *_: True)

    assert "leaked" in kinds_found("leaked")


def test_an_intent_that_is_answered_and_not_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = OPERATIONS[SetIntent]

    def forgetting_intents(view: Any, op: SetIntent, context: Any) -> Decision:
        return kind.decide(view, op, context)._replace(writes=NOTHING, news=())

    monkeypatch.setitem(OPERATIONS, SetIntent, replace(kind, decide=forgetting_intents))

    assert "intent lost" in kinds_found("intent lost")


def test_a_change_of_status_that_nobody_is_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Presence, "_report", lambda *_: None)

    assert "wrong view" in kinds_found("wrong view")


def test_who_goes_and_is_shown_still_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Appearances.look

    def faithful(shown: Any, user: Any, status: Status, *when: Any) -> bool:
        return status is not Status.OFFLINE and look(shown, user, status, *when)

    monkeypatch.setattr(Appearances, "look", faithful)

    assert "ghost" in kinds_found("ghost")


def test_who_is_shown_to_who_is_no_contact_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "verdict", lambda *_: Verdict(allowed=True, rule="all may see all"))
    monkeypatch.setattr(presence, "viewers_of", lambda view, *_: all_users(view))

    assert "leaked" in kinds_found("leaked")


def test_who_hides_and_is_shown_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "verdict", lambda *_: Verdict(allowed=True, rule="all may see all"))

    assert "leaked" in kinds_found("leaked")


def test_what_somebody_does_and_is_told_to_others_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def everybody(store: Any, user: UserId, *_: Any) -> list[UserId]:
        with store.snapshot() as view:
            return [number for number in all_users(view) if number != user]

    monkeypatch.setattr(users_presence, "read_witnesses", everybody)

    assert "leaked" in kinds_found("leaked")


def test_a_push_that_does_not_look_at_what_was_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox._Judge, "_is_acknowledged", lambda *_: False)
    monkeypatch.setattr(outbox._Judge, "_is_done_with", lambda *_: False)

    assert "pushed after it was read" in kinds_found("pushed after it was read", messages=LONG)


def test_a_push_that_takes_a_failure_for_an_answer_loses_something(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Push._failed_at

    async def send(push: Any, lane: Any, item: Any, step: Any) -> bool:
        monkeypatch.setattr(Push, "_failed_at", lambda *_: None)
        await sends(push, lane, item, step)
        monkeypatch.setattr(Push, "_failed_at", failed)
        return True

    sends = Push._send
    monkeypatch.setattr(Push, "_send", send)

    assert "not pushed" in kinds_found("not pushed")


def test_a_notification_that_is_sent_again_under_another_id_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    monkeypatch.setattr(notifications, "notification_id", lambda *_: str(next(numbers)))

    assert "another id" in kinds_found("another id")


def test_a_push_of_what_one_wrote_oneself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox._Judge, "owes", lambda *_: True)

    assert "pushed to others" in kinds_found("pushed to others")


def test_a_webhook_that_takes_a_failure_for_an_answer_loses_something(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(webhooks: Any, *about: Any) -> bool:
        await sends(webhooks, *about)
        return True

    sends = Webhooks._send
    monkeypatch.setattr(Webhooks, "_send", send)

    assert "not told" in kinds_found("not told")


def test_an_event_that_is_sent_under_another_ones_id_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "event_id", lambda event: f"msg_{event.conversation}")

    assert "another event" in kinds_found("another event")


def test_receipts_that_are_not_written_down_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "received", lambda *_: [])

    assert "not told" in kinds_found("not told")


def test_a_message_that_is_posted_again_and_stored_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Visit, "key", lambda *_: "")

    assert "stored twice" in kinds_found("stored twice")


def test_a_stream_that_goes_on_where_it_was_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "take", lambda *_: None)

    assert "not streamed" in kinds_found("not streamed")


def test_what_is_for_friends_and_reaches_others_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "accepted_by", lambda view, author, _most: [*{*all_users(view)} - {author}])
    monkeypatch.setattr(feeds, "lets_see", lambda *_: True)

    assert "leaked" in kinds_found("leaked")


def test_what_is_for_friends_and_misses_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    open_feed = feeds.open_feed

    def forgetting_one(*given: Any) -> Any:
        found = open_feed(*given)
        return found if isinstance(found, ops.Refused) else (*found[:2], found[2][:-1])

    monkeypatch.setattr(appending, "open_feed", forgetting_one)

    assert "lost" in kinds_found("lost")


def test_what_a_reader_does_to_a_post_and_others_are_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case.Case, "witnesses", property(lambda self: witnesses_of(self.view, *self.place)))

    assert "leaked" in kinds_found("leaked", messages=LONG)


def test_a_group_to_which_one_adds_who_has_blocked_them_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among users who block each other much: else one is seldom added by whom they have blocked."""
    monkeypatch.setattr(groups, "blocks", lambda *_: False)
    monkeypatch.setattr(befriender, "BLOCKING", ("REQUEST", "BLOCK", "BLOCK", "BLOCK", "BLOCK"))

    assert "let through" in kinds_found("let through", first=18)


def test_a_push_to_who_said_that_they_are_not_to_be_disturbed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attention, "quiet_until", lambda *_: None)

    assert "pushed while held" in kinds_found("pushed while held")


def test_a_push_to_who_looks_at_a_device_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attention, "is_away", lambda *_: True)

    assert "pushed while held" in kinds_found("pushed while held")


def test_a_push_that_takes_what_nobody_looks_at_for_seen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attention, "inactive", lambda *_: {})

    assert "not pushed" in kinds_found("not pushed", messages=TINY, first=4)


def test_a_push_of_what_is_muted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "quiet_until", lambda _kept: Millis(0))

    assert "pushed while held" in kinds_found("pushed while held", messages=LONG, first=8)


def test_a_push_of_a_call_that_is_over_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rings, "ended", lambda *_: None)

    assert "pushed after its end" in kinds_found("pushed after its end", messages=LONG)


def test_a_push_of_somebody_elses_call_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Rings.begun

    def twisted(rings: Rings, ring: Ring) -> None:
        begun(rings, ring._replace(caller_eid="somebody else"))

    monkeypatch.setattr(Rings, "begun", twisted)

    assert "pushed to others" in kinds_found("pushed to others", messages=LONG)
