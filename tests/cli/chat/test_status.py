"""What the line at the bottom and the one at the top say."""

import pytest
from rich.cells import cell_len

from bimip.cli.chat.session import Link
from bimip.cli.chat.status import header_text, status_text
from bimip.client.events import ContactChanged, GroupChanged, KnownContact, KnownPresence
from bimip.domain.core.records import Status
from tests.cli.chat.test_model import ALICE, BOB, NOW, a_model, kept, received
from tests.cli.chat.test_text import HOSTILE


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (Link(), "○ connecting · what you write is kept and sent later"),
        (Link(is_connected=True, lag=0.0123), "● connected 12 ms"),
        (Link(is_connected=True, waiting=1), "● connected · 1 message waits to be sent"),
        (
            Link(reason="cut", retry_at=107.0, waiting=2),
            "○ offline, again in 7 s · 2 messages wait to be sent · cut",
        ),
        (Link(ended="this device was replaced"), "✗ this device was replaced"),
    ],
)
def test_the_status_line_says_whether_there_is_a_connection_and_what_waits(link: Link, said: str) -> None:
    assert status_text(a_model(), link, 100.0, NOW, 100).plain == f" {said}"


def test_the_status_line_counts_what_is_unread_and_is_as_wide_as_the_screen() -> None:
    model = a_model()
    model.take(received(1))
    link = Link(is_connected=True)

    assert status_text(model, link, 0.0, NOW, 80).plain == " ● connected · 1 unread"
    assert len(status_text(model, link, 0.0, NOW, 16).plain) <= 16


def test_what_is_unread_in_a_muted_conversation_is_not_counted_as_long_as_it_is_muted() -> None:
    model = a_model()
    model.take(received(1))
    model.take(kept("c1", muted_until=NOW + 1))
    link = Link(is_connected=True)

    assert status_text(model, link, 0.0, NOW, 80).plain == " ● connected"
    assert status_text(model, link, 0.0, NOW + 1, 80).plain == " ● connected · 1 unread"


def test_the_header_says_who_it_is_and_how_they_are() -> None:
    model = a_model()
    model.take(received(1))
    one = model.conversations["c1"]
    assert header_text(model, one, NOW, 60).plain == " bob  bob@example.org"
    model.contacts[BOB] = KnownContact(seen=True)
    assert "○ offline" in header_text(model, one, NOW, 60).plain
    model.presence[BOB] = KnownPresence(Status.ONLINE)
    model.take(kept("c1", muted_until=NOW + 1))
    assert "● online" in header_text(model, one, NOW, 60).plain
    assert "muted" in header_text(model, one, NOW, 60).plain

    assert "muted" not in header_text(model, one, NOW + 1, 60).plain
    assert "Ctrl-N" in header_text(model, None, NOW, 60).plain


def test_the_header_of_a_group_counts_its_members() -> None:
    model = a_model()
    model.take(received(1, author=ALICE, to="c7", conversation="c7"))
    one = model.conversations["c7"]
    one.member_count = 3

    assert header_text(model, one, NOW, 60).plain == " group c7  3 members"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_header_is_one_line_whatever_somebody_is_called(text: str) -> None:
    model = a_model()
    model.take(received(1, conversation="c7", to="c7"))
    model.take(received(1))
    model.take(GroupChanged("c7", text, "member", 3, {}))
    model.take(ContactChanged(BOB, KnownContact(name=text)))
    for key in ("c1", "c7"):
        said = header_text(model, model.conversations[key], NOW, 40).plain
        assert said.isprintable()
        assert cell_len(said) <= 40
