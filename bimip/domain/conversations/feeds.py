"""Feeds: what a user writes for all whom they let see them, their friends.

A feed is a conversation of its own. Its record has the members (NOBODY, author), and DIRECT names it under
(author, NOBODY), which no two users have; its readers have records in MEMBERS, as those of a group, which say from
where on and up to where they read it. It is no group: of that all members are told who is in it, and what these do, by
its state, its events and its list of members. Of a feed each reader knows the author and themselves.

The author's contacts say who may read; the records follow them when the author writes, or changes what they wrote. Who
was accepted since then begins there, who is a contact no more, or has blocked the author, or is blocked, ended there.
Between two messages `membership_of` asks the contacts, so that whoever was removed reads nothing from that moment on.

Rejected: one message to each friend. Its author would have as many to edit, delete and read receipts of.
"""

from collections.abc import Iterable

from bimip.domain.accounts.registering import allocate
from bimip.domain.contacts.access import accepted_by, lets_see
from bimip.domain.conversations.membership import NOBODY, readers_of
from bimip.domain.core.decision import Put
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import Conversation, Member, Reader, Role, Table
from bimip.domain.core.rules import Context


def open_feed(
    view: Reader, author: UserId, context: Context, puts: list[Put]
) -> tuple[ConversationId, Conversation, tuple[UserId, ...]] | Refused:
    """Opens a user's feed for what they write now, with those who read that. It exists by being used."""
    most = context.rules.max_group_members
    accepted = accepted_by(view, author, most)
    if len(accepted) >= most:
        sentence = f"what is for friends reaches at most {most} users, its author among them; you let more see you"
        return Refused(Fault.CONFLICT, sentence, "scope")
    number: ConversationId | None = view.get(Table.DIRECT, (author, NOBODY))
    if number is None:
        number = ConversationId(allocate(view, "conversations", puts))
        puts.append((Table.DIRECT, {(author, NOBODY): number}))
        known = Conversation(ConversationOffset(1), ConversationOffset(0), (NOBODY, author))
    else:
        known = view.get(Table.CONVERSATIONS, (number,))
    readers = tuple(user for user in accepted if lets_see(view, author, user))
    puts += follow(view, number, known, readers, context.now)
    return number, known, readers


def follow(
    view: Reader, number: ConversationId, known: Conversation, readers: Iterable[UserId], now: Millis
) -> list[Put]:
    """Makes these the readers of a feed: who is new begins at its next message, who is gone ended at its last one."""
    there = dict(readers_of(view, number))
    wanted = set(readers)
    begin, end = ConversationOffset(known.head + 1), ConversationOffset(0)
    changed = {
        user: Member(Role.MEMBER, begin, end, now)
        for user in sorted(wanted)
        if user not in there or not there[user].role
    }
    changed |= {
        user: member._replace(role=Role.NONE, upto=known.head, joined=now)
        for user, member in there.items()
        if member.role and user not in wanted
    }
    return [(Table.MEMBERS, {(number, user): member for user, member in changed.items()})] if changed else []
