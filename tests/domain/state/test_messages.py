from bimip.domain.commands.operation import CommandKind
from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.state.messages import keys_of, pack_key, unpack_key
from tests.domain.commands.support import ONE, Commanders


def test_a_key_is_unpacked_as_it_was_packed() -> None:
    place = (ConversationId(2**32 - 1), ConversationOffset(2**64 - 1))

    assert unpack_key(pack_key(*place)) == place


def test_of_a_message_to_which_nothing_happened_there_is_no_state() -> None:
    assert Commanders().state(Commanders().ann) is None


def test_the_keys_of_a_part_of_a_conversation_are_those_that_its_reader_may_know() -> None:
    peers = Commanders()
    sent = [peers.sent, *(peers.write(f"m{number}", b"x") for number in range(5))]
    peers.done(peers.ann, CommandKind.EDIT, payload=b"new", target=sent[1].stamp)
    peers.done(peers.bob, CommandKind.PIN, value=True, target=sent[3].stamp)
    peers.done(peers.bob, CommandKind.REACT, emoji="+", target=sent[5].stamp)
    with peers.ledger.store.snapshot() as view:
        found = [
            keys_of(view, who.user, ONE, ConversationOffset(2), ConversationOffset(5)) for who in (peers.ann, peers.bob)
        ]

    assert [[unpack_key(key)[1] for key in keys] for keys in found] == [[2], [2, 4]]


def test_what_was_deleted_has_no_content_and_no_reactions() -> None:
    peers = Commanders()
    peers.done(peers.bob, CommandKind.REACT, emoji="+")
    peers.done(peers.ann, CommandKind.EDIT, payload=b"new")
    peers.done(peers.ann, CommandKind.DELETE_FOR_EVERYONE)
    state = peers.known(peers.bob)

    assert (state.body, state.reactions) == (None, ())
