from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import ConversationSettings
from bimip.domain.state.conversation_settings import as_read, pack_key, unpack_key


def test_a_key_is_unpacked_as_it_was_packed() -> None:
    assert unpack_key(pack_key(ConversationId(2**32 - 1))) == 2**32 - 1


def test_only_a_mark_that_is_there_is_taken_away() -> None:
    marked = ConversationSettings(unread=LastWrite(value=True, stamp=Stamp(5)))

    assert as_read(None, Stamp(9)) is None
    assert as_read(ConversationSettings(), Stamp(9)) is None
    read = as_read(marked, Stamp(9))
    assert read is not None
    assert read.unread == LastWrite(value=False, stamp=Stamp(9))


def test_a_mark_that_a_clock_set_in_the_future_stays_until_then() -> None:
    marked = ConversationSettings(unread=LastWrite(value=True, stamp=Stamp(50)))

    assert as_read(marked, Stamp(9)) == marked
