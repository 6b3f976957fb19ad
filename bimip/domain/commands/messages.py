"""What becomes of one message by command."""

from bimip.domain.commands.case import Case
from bimip.domain.commands.effect import Effect
from bimip.domain.commands.operation import CommandKind
from bimip.domain.commands.target import refuse_late, refuse_others
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import MessageRecord, OwnMessage, Reaction, Table
from bimip.domain.messages.erasing import MAX_ADDRESSED, erase, unmention, use
from bimip.domain.state.merges import MergeRule, merge_messages, merge_own, merge_reactions
from bimip.domain.state.messages import read_own, read_reactions


def edit(case: Case) -> Effect | Refused:
    op, target, known = case.op, case.target, case.known
    refused = (
        refuse_others(target, op.user)
        or refuse_late(target, case.context.now, case.context.rules.edit_seconds, "edited")
        or _refuse_addressed(case)
    )
    if refused is not None:
        return refused
    case.come_behind(known.edited, known.editor)
    merged = merge_messages(
        known, known._replace(edited=case.stamp, editor=op.device, content=op.digest, edited_behind=target.head)
    )
    if known.deleted:
        return case.lose(MergeRule.DELETED, (known.deleted, known.deleter))
    if merged == known:
        return case.lose(MergeRule.LATER_EDIT, (known.edited, known.editor))
    return _replace_body(case) or _edited(case, merged)


def delete_for_everyone(case: Case) -> Effect | Refused:
    target, known = case.target, case.known
    late = refuse_late(target, case.context.now, case.context.rules.delete_seconds, "deleted for everyone")
    if refused := refuse_others(target, case.op.user) or late:
        return refused
    if known.deleted:
        return case.leave()
    low, high = case.place, (target.conversation, target.place + 1)
    # Of a larger group the rest of the reactions stays until the message expires, and is shown to nobody.
    reactions = case.view.scan(Table.REACTIONS, low, high, limit=MAX_ADDRESSED)
    case.puts += erase(case.view, target.author, target.stamp, case.context)
    case.puts += unmention(case.view, case.witnesses, *case.place)
    if reactions:
        case.puts.append((Table.REACTIONS, dict.fromkeys(key for key, _ in reactions)))
    merged = merge_messages(known, known._replace(deleted=case.stamp, deleter=case.op.device))
    case.put(merged)
    return case.tell_everybody(merged, is_new_body=True)


def react(case: Case) -> Effect | Refused:
    """REACT and UNREACT: a register for each user and emoji."""
    op, known = case.op, read_reactions(case.view, case.op.user, *case.place)
    if case.known.deleted:
        return case.lose(MergeRule.DELETED, (case.known.deleted, case.known.deleter))
    is_removed = op.kind is CommandKind.UNREACT
    before = next((one for one in known if one.emoji == op.emoji), None)
    if before is not None:
        case.come_behind(before.stamp, before.device)
    reaction = Reaction(op.emoji, case.stamp, op.device, is_removed, _is_unheard(case, before))
    merged = merge_reactions(known, (reaction,))
    if merged == known:
        won = next(one for one in known if one.emoji == op.emoji)
        return case.lose(MergeRule.LATER_REACTION, (won.stamp, won.device))
    most = case.context.rules.max_reactions
    if not reaction.removed and sum(not one.removed for one in merged) > most:
        return Refused(Fault.INVALID, f"a message takes {most} reactions of yours: take another one back", "emoji")
    case.puts.append((Table.REACTIONS, {(*case.place, op.user): _bounded(merged, most)}))
    if case.record is None:
        case.put(case.known)
    return case.tell_everybody(case.known, ((op.user, (reaction,)),), is_unheard=reaction.unheard)


def _is_unheard(case: Case, before: Reaction | None) -> bool:
    """Tells whether the other one of the two is to know nothing of a reaction, or of its end: what they were not told
    is not taken back for them either, and what they know is, also from whom they have blocked since.
    """
    if case.is_unheard:
        return before is None or before.unheard or before.removed
    return case.op.kind is CommandKind.UNREACT and before is not None and before.unheard


def mark_forwarded(case: Case) -> Effect | Refused:
    """FORWARD_MARK: its count tells how often; a command is counted once, however often it is sent."""
    if case.known.deleted:
        return case.lose(MergeRule.DELETED, (case.known.deleted, case.known.deleter))
    counted = case.known._replace(forwards=case.known.forwards + 1)
    case.put(counted)
    return case.tell_everybody(counted)


def delete_for_me(case: Case) -> Effect | Refused:
    known = read_own(case.view, case.op.user, *case.place) or OwnMessage(case.target.stamp)
    return case.leave() if known.hidden else case.tell_themselves(known._replace(hidden=True))


def pin(case: Case) -> Effect | Refused:
    """PIN of a message, which only its user sees."""
    known = read_own(case.view, case.op.user, *case.place) or OwnMessage(case.target.stamp)
    case.come_behind(known.pinned_at, known.pinned_by)
    pinned = known._replace(pinned=case.op.value, pinned_at=case.stamp, pinned_by=case.op.device)
    merged = merge_own(known, pinned)
    return case.lose(MergeRule.LATER_PIN, known[3:]) if merged == known else case.tell_themselves(merged)


def _replace_body(case: Case) -> Refused | None:
    """Puts the edited body, unless there is none or no room."""
    view, rules, author = case.view, case.context.rules, case.op.user
    body: bytes | None = view.get(Table.BODIES, (case.target.stamp,))
    if body is None:
        return Refused(Fault.NOT_FOUND, "the message expired or is damaged: it cannot be edited any more", "target")
    edited = rules.bodies.edit(body, case.op.payload, case.stamp)
    table, usage = use(view, author, len(edited) - len(body))
    if 0 < rules.max_stored_bytes < usage[author,] and len(edited) > len(body):
        sentence = f"you may have {rules.max_stored_bytes} bytes stored here, and this edit would make it more"
        return Refused(Fault.STORAGE_FULL, sentence, "")
    case.puts += [(table, usage), (Table.BODIES, {(case.target.stamp,): edited})]
    return None


def _edited(case: Case, merged: MessageRecord) -> Effect:
    case.put(merged)
    return case.tell_everybody(merged, is_new_body=True)


def _bounded(reactions: tuple[Reaction, ...], most: int) -> tuple[Reaction, ...]:
    """Forgets the oldest of those that were taken back: what they keep away is an older change that was on its way."""
    gone = sorted((one for one in reactions if one.removed), key=lambda one: one.stamp)
    dropped = set(gone[: max(0, len(reactions) - 2 * most)])
    return tuple(one for one in reactions if one not in dropped)


def _refuse_addressed(case: Case) -> Refused | None:
    if not case.target.addressed:
        return None
    sentence = "what was addressed to single devices has a content for each: delete it for everyone, and send it anew"
    return Refused(Fault.INVALID, sentence, "target")
