"""What the screen shows, as events change it: no terminal, no network."""

from typing import Any

from bimip.cli.chat.model import Conversation, Entry, Model
from bimip.client.core.kept import KeptMessage
from bimip.client.events import (
    ActivityChanged,
    ContactChanged,
    ConversationChanged,
    GroupChanged,
    KnownContact,
    MessageChanged,
    PostReceived,
    PresenceChanged,
    ReadAgain,
    ReadMarkerChanged,
    ReceiptsChanged,
    Received,
    SendRefused,
    Sent,
)
from bimip.client.facets.conversations import InboxRow
from bimip.client.wire.bimip import ErrorCode, GroupEvent, GroupEventKind, Identity, Message
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptKind, ReceiptRun, Status

ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"
NOW = 1_700_000_000_000


def a_model() -> Model:
    return Model(own_eid=ALICE)


def a_message(offset: int, text: str = "", author: str = BOB, to: str = ALICE, **fields: Any) -> Message:
    return Message(
        id=f"{author}-{offset}",
        signal_id=f"{fields.get('conversation', 'c1')}S{offset:012}",
        signal_offset=offset * 1000,
        from_=Identity(eid=author, connection_resource_id="phone"),
        to=Identity(eid=to),
        payload=(text or f"text {offset}").encode(),
        conversation_offset=offset,
        server_time=1_700_000_000_000 + offset * 1000,
        **({"conversation": "c1"} | fields),
    )


def received(offset: int, text: str = "", author: str = BOB, to: str = ALICE, **fields: Any) -> Received:
    return Received(a_message(offset, text, author, to, **fields), "chat", offset, own=author == ALICE)


def changed(offset: int, **fields: Any) -> MessageChanged:
    told: dict[str, Any] = {
        "payload": None,
        "deleted": False,
        "hidden": False,
        "pinned": False,
        "forwards": 0,
        "reactions": {},
    }
    return MessageChanged("c1", offset, offset * 1000, **(told | fields))


def kept(conversation: str, **fields: Any) -> ConversationChanged:
    told: dict[str, Any] = {
        "archived": False,
        "pinned": False,
        "marked_unread": False,
        "muted_until": 0,
        "draft": b"",
    }
    return ConversationChanged(conversation, **(told | fields))


def a_row(**fields: Any) -> InboxRow:
    told: dict[str, Any] = {
        "conversation": "c1",
        "peer": BOB,
        "title": "",
        "head": 9,
        "last_message": a_message(9, "the last"),
        "last_activity": 1_700_000_009_000,
        "unread": 4,
        "has_more_unread": False,
        "mentions": 1,
        "read_upto": 5,
        "member_count": 2,
        "archived": False,
        "pinned": False,
        "marked_unread": False,
        "muted_until": 0,
        "draft": b"",
    }
    return InboxRow(**(told | fields))


def texts(one: Conversation) -> list[str]:
    return [entry.text for entry in one.entries]


def test_a_message_makes_a_conversation_and_is_unread() -> None:
    model = a_model()
    news = model.take(received(1, "Hello"))
    [one] = model.ordered()

    assert news is one.last
    assert (one.peer, one.unread, texts(one), model.title_of(one)) == (BOB, 1, ["Hello"], "bob")


def test_a_message_that_comes_again_is_there_once_and_no_news() -> None:
    model = a_model()
    model.take(received(1))

    assert model.take(received(1)) is None
    assert (len(model.conversations["c1"].entries), model.conversations["c1"].unread) == (1, 1)


def test_what_this_user_wrote_elsewhere_is_no_news() -> None:
    model = a_model()

    assert model.take(received(1, "from my phone", author=ALICE, to=BOB)) is None
    assert (model.conversations["c1"].peer, model.conversations["c1"].unread) == (BOB, 0)


def test_messages_stand_in_the_order_of_the_conversation() -> None:
    model = a_model()
    model.take(received(5, "five"))
    one = model.conversations["c1"]
    model.wrote(one, "own-1", "mine waits", 1)
    added = model.take_page(one, [a_message(2, "two"), a_message(5, "five"), a_message(3, "three")])

    assert added == 2
    assert texts(one) == ["two", "three", "five", "mine waits"]
    assert one.first_offset == 2


def test_a_group_is_no_conversation_of_two() -> None:
    model = a_model()
    model.take(received(1, "Hi all", author=CAROL, to="c7", conversation="c7"))
    model.take(GroupChanged("c7", "Trip", "member", 3, {}))
    one = model.conversations["c7"]

    assert (one.is_group, one.to, model.title_of(one), one.member_count) == (True, "c7", "Trip", 3)


def test_posts_are_their_authors() -> None:
    model = a_model()
    model.take(PostReceived(a_message(1, "On holiday", to="", conversation="f1"), "feed", 1))

    assert model.title_of(model.conversations["f1"]) == "bob's posts"
    assert model.by_target(BOB).key == f"to:{BOB}"


def test_the_first_message_to_somebody_makes_the_conversation_it_is_in() -> None:
    model = a_model()
    one = model.by_target(BOB)
    model.open(one.key)
    model.wrote(one, "own-1", "Hello", 1)
    model.take(Sent("own-1", 7000, "S7", 1, "c9", 1, 1_700_000_000_000))

    assert model.opened == "c9"
    assert list(model.conversations) == ["c9"]
    [entry] = model.conversations["c9"].entries
    assert (entry.key, entry.offset, entry.signal_offset, entry.conversation) == ("S7", 1, 7000, "c9")
    assert model.by_target(BOB).id == "c9"


def test_a_message_whose_answer_was_cut_off_is_there_once() -> None:
    model = a_model()
    one = model.by_target(BOB)
    model.wrote(one, f"{ALICE}-1", "Hello", 1)
    model.take(received(1, "Hello", author=ALICE, to=BOB))

    assert texts(model.conversations["c1"]) == ["Hello"]
    assert model.conversations["c1"].entries[0].offset == 1


def test_a_message_that_was_fetched_before_its_answer_came_is_there_once() -> None:
    model = a_model()
    model.take(received(1))
    one = model.conversations["c1"]
    model.wrote(one, "own-1", "mine", 1)
    model.take_page(one, [a_message(2, "mine", author=ALICE, to=BOB)])
    model.take(Sent("own-1", 2000, a_message(2).signal_id, 2, "c1", 2, 1_700_000_002_000))

    assert texts(one) == ["text 1", "mine"]


def test_what_was_read_or_counted_before_it_came_is_no_news() -> None:
    model = a_model()
    model.take_inbox([a_row()])
    one, unread = model.conversations["c1"], model.unread(NOW)

    assert model.take(received(8)) is None
    assert (one.unread, model.unread(NOW)) == (unread, unread)
    model.take(ReadMarkerChanged("c1", ConversationOffset(12)))
    assert model.take(received(11)) is None
    assert one.unread == 0
    assert model.take(received(13)) is not None


def test_what_an_earlier_process_wrote_waits_where_it_was_written() -> None:
    model = a_model()
    model.take(received(1))
    waiting = [Message(id="own-1", to=Identity(eid=BOB), payload=b"offline", timestamp=5)]
    model.take_waiting(waiting)
    model.take_waiting(waiting)

    assert texts(model.conversations["c1"]) == ["text 1", "offline"]
    assert model.stage_of(model.conversations["c1"].entries[1]) == "waiting"


def test_a_refusal_is_said_where_it_happened() -> None:
    model = a_model()
    one = model.by_target(BOB)
    entry = model.wrote(one, "own-1", "Hello", 1)
    model.take(SendRefused("own-1", ErrorCode.FORBIDDEN, "they do not take messages"))

    assert (entry.failure, model.stage_of(entry)) == ("not sent: they do not take messages", "refused")
    assert entry.is_refused
    assert one.last_own() is None


def test_an_edit_is_shown_at_once_and_taken_back_where_it_is_refused() -> None:
    model = a_model()
    model.take(received(1, "Helo", author=ALICE, to=BOB))
    [entry] = model.conversations["c1"].entries
    model.changes(entry, "command-1", "edited", "Hello")
    assert (entry.text, entry.is_edited) == ("Hello", True)
    assert model.changed("command-1", "too late")

    assert (entry.text, entry.failure) == ("Helo", "not edited: too late")
    assert not model.changed("command-1")


def test_what_became_of_a_message_is_seen_in_it_and_in_the_list() -> None:
    model = a_model()
    model.take(received(1, "Helo"))
    one = model.conversations["c1"]
    model.take(changed(1, payload=b"Hello", reactions={"👍": (ALICE,)}))
    assert one.last is not None
    assert (one.entries[0].text, one.last.text, one.entries[0].is_edited) == ("Hello", "Hello", True)
    model.take(changed(1, deleted=True))
    assert one.entries[0].is_deleted
    model.take(changed(1, hidden=True))

    assert one.entries == []
    assert model.conversations["c1"].last is None


def test_receipts_of_all_the_others_make_the_stage() -> None:
    model = a_model()
    times: dict[str, dict[str, int]] = {ALICE: {"read": 1}}
    model.times = lambda _conversation, _offset: times
    model.take(received(1, "Hi all", author=ALICE, to="c7", conversation="c7"))
    model.take(GroupChanged("c7", "Trip", "owner", 3, {}))
    [entry] = model.conversations["c7"].entries
    stages = [model.stage_of(entry)]
    times[BOB] = {"delivered": 2, "read": 3}
    stages.append(model.stage_of(entry))
    times[CAROL] = {"delivered": 4}
    stages.append(model.stage_of(entry))
    times[CAROL]["read"] = 5
    revision = entry.revision
    run = ReceiptRun(ConversationOffset(1), ConversationOffset(1), Millis(5))
    model.take(ReceiptsChanged("c7", CAROL, ReceiptKind.READ, (run,)))

    assert [*stages, model.stage_of(entry)] == ["sent", "sent", "delivered", "read"]
    assert entry.revision > revision


def test_reading_counts_down_on_this_device_and_on_others() -> None:
    model = a_model()
    for offset in (1, 2, 3):
        model.take(received(offset))
    one = model.conversations["c1"]
    model.take(ReadMarkerChanged("c1", 2))
    assert one.unread == 1
    assert model.read(one) == 3
    assert (one.unread, model.read(one)) == (0, 0)
    model.take(received(4))
    model.take(ReadMarkerChanged("c1", 4))

    assert one.unread == 0


def test_where_reading_begins_is_marked_as_it_was_when_it_was_opened() -> None:
    model = a_model()
    model.take_inbox([a_row()])
    one = model.open("c1")
    model.read(one)

    assert one.new_from == 6


def test_the_inbox_says_what_counts_and_news_counts_behind_it() -> None:
    model = a_model()
    model.take(received(9, "the last"))
    model.take_inbox(
        [a_row(), a_row(conversation="c2", peer="", title="Trip", unread=0, mentions=0, last_message=None)]
    )
    assert (model.conversations["c1"].unread, model.unread(NOW)) == (4, 4)
    model.take(received(9, "the last"))
    assert model.unread(NOW) == 4
    model.take(received(10, mentions=[ALICE]))

    assert (model.unread(NOW), model.conversations["c1"].mentions) == (5, 2)


def test_an_inbox_that_is_older_than_what_came_changes_no_count() -> None:
    model = a_model()
    model.take(received(10))
    model.take_inbox([a_row()])

    assert (model.conversations["c1"].unread, model.conversations["c1"].head) == (1, 10)


def test_pinned_ones_come_first_and_archived_ones_last() -> None:
    model = a_model()
    for number, conversation in enumerate(("c1", "c2", "c3", "c4")):
        model.take(received(number + 1, conversation=conversation, author=f"user{number}@example.org"))
    model.take(kept("c1", pinned=True, draft=b"to be answered"))
    model.take(kept("c4", archived=True, muted_until=5))

    assert [one.key for one in model.ordered()] == ["c1", "c3", "c2", "c4"]
    assert model.conversations["c1"].draft == "to be answered"
    assert model.conversations["c4"].is_muted(4)
    assert not model.conversations["c4"].is_muted(5)


def test_typing_is_shown_until_the_message_comes() -> None:
    model = a_model()
    model.take(received(1))
    one = model.conversations["c1"]
    model.take(ActivityChanged(BOB, "c1", Doing.TYPING))
    assert one.typing == {BOB: Doing.TYPING}
    model.take(received(2))
    assert one.typing == {}
    model.take(ActivityChanged(BOB, "", Doing.TYPING))
    assert one.typing == {BOB: Doing.TYPING}
    model.take(ActivityChanged(BOB, "c1", Doing.CANCELLED))

    assert one.typing == {}


def test_people_are_called_as_this_user_calls_them() -> None:
    model = a_model()
    assert [model.name_of(eid) for eid in (BOB, "bob@other.org", "")] == ["bob", "bob@other.org", "an erased user"]
    model.take(ContactChanged(BOB, KnownContact(name="Bobby")))
    model.take(PresenceChanged(BOB, Status.AWAY))
    assert (model.name_of(BOB), model.is_online(BOB), model.is_online(CAROL)) == (
        "Bobby",
        Status.AWAY,
        Status.OFFLINE,
    )
    model.take(ContactChanged(BOB, KnownContact(), is_gone=True))

    assert model.name_of(BOB) == "bob"


def test_what_is_kept_is_listed_without_a_connection() -> None:
    model = a_model()
    heads = [
        KeptMessage(a_message(4, "unread"), "chat", 4),
        KeptMessage(a_message(3, "mine", author=ALICE, to=CAROL, conversation="c2"), "chat", 3),
    ]
    model.take_kept(heads, lambda conversation: {"c1": 2}.get(conversation, 0))
    one, two = model.ordered()

    assert (one.peer, one.unread, one.entries, two.peer, two.unread) == (BOB, 2, [], CAROL, 0)
    assert [one.last.text if one.last else "" for one in (one, two)] == ["unread", "mine"]


def test_the_last_own_message_is_the_one_that_can_be_edited() -> None:
    model = a_model()
    for offset, author in enumerate((ALICE, ALICE, BOB), start=1):
        model.take(received(offset, author=author, to=BOB if author == ALICE else ALICE))
    one = model.conversations["c1"]
    model.take(changed(2, deleted=True))
    found = one.last_own()

    assert isinstance(found, Entry)
    assert found.offset == 1


def test_what_happened_to_a_group_is_said_by_names() -> None:
    model = a_model()
    what = GroupEvent(kind=GroupEventKind.ADDED, members=[CAROL])
    model.take(received(1, to="c7", conversation="c7", group_event=what))
    [entry] = model.conversations["c7"].entries

    assert (entry.text, entry.is_event) == ("bob added carol", True)


def test_members_who_are_named_are_mentioned() -> None:
    model = a_model()
    model.take(ContactChanged(CAROL, KnownContact(name="Caro")))

    assert model.mentioned("@bob, and @Caro: come! @nobody", [ALICE, BOB, CAROL]) == [BOB, CAROL]
    assert model.mentioned(f"@{BOB}", [BOB]) == [BOB]
    assert model.mentioned("bob", [BOB]) == []


def test_what_was_known_of_a_message_before_it_came_is_seen_in_it() -> None:
    model = a_model()
    model.state = lambda _conversation, offset: changed(offset, hidden=offset == 2, payload=b"edited")
    model.take(received(1))
    model.take_page(model.conversations["c1"], [a_message(2), a_message(3)])

    assert texts(model.conversations["c1"]) == ["edited", "edited"]


def test_a_message_that_is_read_again_is_as_the_server_has_it() -> None:
    model = a_model()
    model.take(received(1, "damaged"))
    model.take(ReadAgain(a_message(1, "whole"), "chat", 1))

    assert texts(model.conversations["c1"]) == ["whole"]
