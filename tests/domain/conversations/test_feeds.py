from bimip.domain.conversations.feeds import follow
from bimip.domain.conversations.membership import NOBODY, known_members, members_of, membership_of, witnesses_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, UserId
from bimip.domain.core.operations import FRIENDS
from bimip.domain.core.records import Changes, Contact, Member, Role, Roster, Table
from tests.domain.support import Ledger, Peer

FEED = ConversationId(1)


def accept(ledger: Ledger, owner: Peer, *viewers: Peer) -> None:
    """The owner lets these see them, and nobody else."""
    rows = {
        (owner.user, other): Contact(grants=True) if other in {one.user for one in viewers} else None
        for other in range(1, 9)
        if other != owner.user
    }
    ledger.store.begin()
    puts = {Table.CONTACTS: rows, Table.ROSTERS: {(owner.user,): Roster(len(viewers))}}
    ledger.store.apply(Changes(puts=puts))  # type: ignore[arg-type]  # plain numbers
    ledger.store.commit()


def friends() -> tuple[Ledger, Peer, Peer, Peer]:
    ledger = Ledger()
    ann, bob, carol = ledger.device("ann"), ledger.device("bob"), ledger.device("carol")
    accept(ledger, ann, bob, carol)
    ledger.send(ann, FRIENDS, "m1")
    return ledger, ann, bob, carol


def test_its_readers_are_known_to_its_author_alone() -> None:
    ledger, ann, bob, carol = friends()
    with ledger.store.snapshot() as view:
        assert view.get(Table.CONVERSATIONS, (FEED,)).members == (NOBODY, ann.user)
        assert view.get(Table.DIRECT, (ann.user, NOBODY)) == FEED
        assert members_of(view, FEED) == known_members(view, ann.user, FEED) == (ann.user, bob.user, carol.user)
        assert known_members(view, bob.user, FEED) == (ann.user, bob.user)


def test_whoever_is_seen_no_more_is_no_reader_at_once_and_ends_with_the_next_message() -> None:
    ledger, ann, bob, carol = friends()
    accept(ledger, ann, carol)
    with ledger.store.snapshot() as view:
        assert membership_of(view, bob.user, FEED) is None
        assert witnesses_of(view, FEED, 1) == [ann.user, carol.user]
    ledger.send(ann, FRIENDS, "m2")

    with ledger.store.snapshot() as view:
        member: Member = view.get(Table.MEMBERS, (FEED, bob.user))
        assert (member.role, member.since, member.upto) == (Role.NONE, 1, 1)
        assert members_of(view, FEED) == (ann.user, carol.user)
        assert view.get(Table.LOGS, (bob.user, "chat")).head == 1


def test_readers_who_stay_are_not_written_again() -> None:
    ledger, _, bob, carol = friends()
    with ledger.store.snapshot() as view:
        known = view.get(Table.CONVERSATIONS, (FEED,))
        assert follow(view, FEED, known, (bob.user, carol.user), Millis(5)) == []
        [(table, changed)] = follow(view, FEED, known, (carol.user, UserId(9)), Millis(5))

    assert table is Table.MEMBERS
    assert changed == {
        (FEED, bob.user): Member(Role.NONE, ConversationOffset(1), ConversationOffset(1), Millis(5)),
        (FEED, 9): Member(Role.MEMBER, ConversationOffset(2), ConversationOffset(0), Millis(5)),
    }
