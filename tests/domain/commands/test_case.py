from bimip.domain.commands.operation import CommandKind as Kind
from bimip.domain.core.records import Table
from bimip.domain.state.messages import TAG, pack_key
from tests.domain.commands.support import ONE, Commanders


def test_everybody_in_the_conversation_learns_of_what_is_everybodys() -> None:
    peers = Commanders()
    done = peers.done(peers.ann, Kind.EDIT, payload=b"new")

    told = peers.told()
    assert {news.user for news in told} == {peers.ann.user, peers.bob.user}
    assert {news.key for news in told} == {pack_key(ONE, peers.sent.conversation_offset)}
    assert [news.version for news in told if news.user == peers.ann.user] == [done.version]
    assert all(news.change.body.endswith(b"/new") for news in told)
    assert done.told == 2


def test_only_the_own_devices_learn_of_what_is_ones_own() -> None:
    peers = Commanders()
    peers.done(peers.bob, Kind.DELETE_FOR_ME)

    assert [news.user for news in peers.told()] == [peers.bob.user]
    assert peers.state(peers.ann) is None


def test_each_is_told_with_what_is_their_own() -> None:
    peers = Commanders()
    peers.done(peers.bob, Kind.PIN, value=True)
    peers.done(peers.ann, Kind.EDIT, payload=b"new")

    assert {news.user: news.change.own.pinned for news in peers.told()} == {peers.ann.user: False, peers.bob.user: True}


def test_who_was_away_reads_the_same_as_who_was_told() -> None:
    peers = Commanders()
    peers.done(peers.bob, Kind.REACT, emoji="+")
    peers.done(peers.ann, Kind.FORWARD_MARK)
    peers.done(peers.ann, Kind.EDIT, payload=b"new")
    told = {news.user: news.change for news in peers.told()}

    for who in (peers.ann, peers.bob):
        assert peers.known(who) == told[who.user]._replace(reactions=peers.known(who).reactions)
        assert peers.reactions(who) == {(peers.bob.user, "+"): True}


def test_only_the_newest_version_of_a_message_counts() -> None:
    peers = Commanders()
    for payload in (b"one", b"two", b"three"):
        peers.done(peers.ann, Kind.EDIT, payload=payload)
    with peers.ledger.store.snapshot() as view:
        changes = view.scan(Table.CHANGES, (peers.bob.user,), (peers.bob.user + 1,), limit=9)

    assert [key for _, key in changes if key[0] == TAG] == [pack_key(ONE, peers.sent.conversation_offset)]
