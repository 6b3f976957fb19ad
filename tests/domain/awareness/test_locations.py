"""A user shares where they are, until a time, with contacts and in conversations that they are in."""

from typing import Any

import pytest

from bimip.domain.awareness.locations import (
    MAX_SHARES,
    EndLocationShare,
    LocationShared,
    ShareLocation,
    first_end,
    reached_by,
    reaches,
    shares_of,
)
from bimip.domain.conversations.groups import CreateGroup, RemoveMember
from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import ConversationId, Millis, UserId
from bimip.domain.core.operations import Done
from bimip.domain.core.records import Changes, Contact, LocationShare, Table
from bimip.domain.state.location_shares import OtherEnd, With, pack_key
from tests.domain.support import BEGIN, Ledger, Peer, fault_of

LATER = Millis(BEGIN + 1000)


def three(*contacts: str) -> tuple[Ledger, Peer, Peer, Peer]:
    """Ann, whose contacts these are, bob and carol."""
    ledger = Ledger()
    peers = [ledger.device(eid) for eid in ("ann", "bob", "carol")]
    for peer in peers:
        if peer.eid in contacts:
            ledger.commit(Changes(puts={Table.CONTACTS: {(peers[0].user, peer.user): Contact(grants=True)}}))
    return ledger, peers[0], peers[1], peers[2]


def share(ann: Peer, peer: str = "bob", until: int = LATER, group: int = 0) -> ShareLocation:
    return ShareLocation(ann.user, peer, ConversationId(group) if group else None, Millis(until))


def ask(ledger: Ledger, question: Any, *about: Any) -> Any:
    with ledger.store.snapshot() as view:
        return question(view, *about)


def test_a_share_has_a_version_and_is_told_to_its_users_devices() -> None:
    ledger, ann, bob, carol = three("bob")
    other = OtherEnd(With.USER, bob.user)
    shared = ledger.do(share(ann))

    assert shared == LocationShared(other, LocationShare(LATER, ledger.now), shared.version)
    (news,) = ledger.decisions[0].news
    assert news == StateNews(ann.user, shared.version, pack_key(other), shared.share)
    assert ask(ledger, shares_of, ann.user) == [(other, shared.share)]
    assert ask(ledger, reached_by, ann.user, other) == (bob.user,)
    assert [ask(ledger, reaches, ann.user, other, peer.user) for peer in (bob, carol)] == [True, False]


def test_who_is_no_contact_any_more_is_shown_nothing() -> None:
    ledger, ann, bob, _ = three("bob")
    other = ledger.do(share(ann)).other
    ledger.commit(Changes(puts={Table.CONTACTS: {(ann.user, bob.user): Contact()}}))

    assert ask(ledger, reaches, ann.user, other, bob.user) is False


def test_the_same_again_changes_nothing_and_another_time_takes_the_place_of_the_first() -> None:
    ledger, ann, bob, _ = three("bob")
    first = ledger.do(share(ann))
    before = ledger.everything()

    assert ledger.do(share(ann)) == first
    assert ledger.everything() == before
    ledger.do(share(ann, until=LATER + 5))
    end = EndLocationShare(Millis(LATER + 5), ann.user, OtherEnd(With.USER, bob.user))
    assert ask(ledger, first_end) == end
    assert ledger.do(end._replace(expires_at=LATER)) == Done()  # which is another one now
    assert len(ask(ledger, shares_of, ann.user)) == 1


@pytest.mark.parametrize("by", ["its user", "its time"])
def test_a_share_that_ends_is_gone_and_told_so(by: str) -> None:
    ledger, ann, bob, _ = three("bob")
    ledger.do(share(ann))
    ledger.do(share(ann, until=0) if by == "its user" else ask(ledger, first_end))

    (news,) = ledger.decisions[0].news
    assert isinstance(news, StateNews)
    assert (news.key, news.change) == (pack_key(OtherEnd(With.USER, bob.user)), None)
    assert ask(ledger, shares_of, ann.user) == []
    assert ask(ledger, first_end) is None


def test_to_end_what_is_not_shared_changes_nothing_whoever_is_named() -> None:
    ledger, ann, _, _ = three()
    before = ledger.everything()

    for peer in ("bob", "nobody"):
        assert ledger.do(share(ann, peer, until=0)).share is None
    assert ledger.everything() == before


def test_who_is_no_contact_and_who_is_nobody_are_refused_alike() -> None:
    ledger, ann, _, _ = three("carol")
    found = [ledger.do(share(ann, peer)) for peer in ("bob", "nobody")]

    assert [(fault_of(one), one.field) for one in found] == [("FORBIDDEN", "to.eid")] * 2
    assert found[0].sentence.replace("bob", "nobody") == found[1].sentence


def test_in_a_group_it_is_for_who_is_in_it_while_both_are() -> None:
    ledger, ann, bob, carol = three()
    group = ledger.do(CreateGroup(bob.user, bob.device, "g", bytes(8), "trip", ("ann", "carol"))).conversation
    other = OtherEnd(With.CONVERSATION, group)

    assert ledger.do(share(ann, "", group=group)).other == other
    assert ask(ledger, reached_by, ann.user, other) == (bob.user, carol.user)
    ledger.do(RemoveMember(bob.user, bob.device, "r1", bytes(8), group, "carol"))
    assert ask(ledger, reaches, ann.user, other, carol.user) is False
    ledger.do(RemoveMember(bob.user, bob.device, "r2", bytes(8), group, "ann"))
    assert ask(ledger, reached_by, ann.user, other) == ()
    assert ask(ledger, reaches, ann.user, other, bob.user) is False


def test_in_somebody_elses_conversation_nothing_is_shared() -> None:
    ledger, ann, bob, _ = three()
    ledger.send(bob, "carol", "m1")

    assert fault_of(ledger.do(share(ann, "", group=1))) == "NOT_FOUND"
    assert fault_of(ledger.do(share(ann, "", group=99))) == "NOT_FOUND"


def test_a_user_has_only_so_many_shares() -> None:
    ledger, ann, _, _ = three()
    for number in range(MAX_SHARES + 1):
        peer = ledger.device(f"p{number}")
        ledger.commit(Changes(puts={Table.CONTACTS: {(ann.user, UserId(peer.user)): Contact(grants=True)}}))
        result = ledger.do(share(ann, peer.eid))

    assert fault_of(result) == "CONFLICT"
    assert isinstance(ledger.do(share(ann, "p0", until=LATER + 9)), LocationShared)
