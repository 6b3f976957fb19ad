"""What nobody may say in the clear: of each kind of command, by clients that encrypt and by those that do not."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bimip.client.core.sealed_messages import SealedMessages
from bimip.client.encryption_tables import EncryptionTables, OpenedRow
from bimip.client.errors import InvalidArgument
from bimip.client.events import Identity
from bimip.client.store import Store
from bimip.client.wire.bimip import Command, CommandKind, Message
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import Stamp

PHONE = Identity("ann", "phone")
SEALED, CLEAR, UNKNOWN = 1, 2, 3
ABOUT = (CommandKind.EDIT, CommandKind.REACT, CommandKind.UNREACT)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as opened:
        yield opened


@pytest.fixture
def messages(store: Store) -> SealedMessages:
    """Knows an encrypted message in the conversation c1, and one in the clear in c2."""
    known = SealedMessages(store)
    known.note(Message(signal_id=signal_id(Stamp(SEALED)), from_=WireIdentity(eid="bob"), conversation="c1", id="m1"))
    for number in (SEALED, CLEAR):
        store.remember(signal_id(Stamp(number)))
    return known


def is_refused(messages: SealedMessages, command: Command, *, encrypts: bool) -> bool:
    try:
        messages.check_command(command, PHONE, encrypts=encrypts)
    except InvalidArgument as refused:
        return "in the clear" in str(refused)
    return False


@pytest.mark.parametrize("kind", ABOUT)
@pytest.mark.parametrize(
    ("target", "encrypts", "refused"),
    [
        (SEALED, True, True),
        (SEALED, False, True),
        (CLEAR, True, False),
        (CLEAR, False, False),
        (UNKNOWN, True, True),
        (UNKNOWN, False, False),
    ],
)
def test_what_is_about_an_encrypted_message_is_refused(
    messages: SealedMessages, kind: CommandKind, target: int, *, encrypts: bool, refused: bool
) -> None:
    assert is_refused(messages, Command(kind=kind, target=target), encrypts=encrypts) is refused


@pytest.mark.parametrize("kind", ABOUT)
@pytest.mark.parametrize("encrypts", [True, False])
def test_so_it_is_with_a_message_of_this_device_by_its_id_before_and_after_it_is_sent(
    store: Store, messages: SealedMessages, kind: CommandKind, *, encrypts: bool
) -> None:
    waiting, sent, plain = (Command(kind=kind, target_id=name) for name in ("waiting", "sent", "plain"))
    EncryptionTables(store).put_plain("waiting", b"text")
    EncryptionTables(store).put_opened(OpenedRow("9", "ann", "phone", "sent", "c1", None, None))

    assert is_refused(messages, waiting, encrypts=encrypts)
    assert is_refused(messages, sent, encrypts=encrypts)
    assert not is_refused(messages, plain, encrypts=encrypts)


def test_drafts_are_refused_where_something_was_encrypted_and_everywhere_by_who_encrypts(
    messages: SealedMessages,
) -> None:
    sealed, clear = (Command(kind=CommandKind.DRAFT, conversation=name, payload=b"x") for name in ("c1", "c2"))
    none = Command(kind=CommandKind.DRAFT, conversation="c1")

    assert is_refused(messages, sealed, encrypts=False)
    assert not is_refused(messages, clear, encrypts=False)
    assert is_refused(messages, clear, encrypts=True)
    assert not is_refused(messages, none, encrypts=True)


def test_what_says_no_text_is_not_refused(messages: SealedMessages) -> None:
    said = {CommandKind.DRAFT, *ABOUT}
    for kind in set(CommandKind) - said:
        assert not is_refused(messages, Command(kind=kind, target=SEALED, conversation="c1"), encrypts=True)


def test_a_file_with_keys_is_one_of_a_device_that_encrypts(store: Store, messages: SealedMessages) -> None:
    assert not messages.are_wanted()
    store.execute("INSERT INTO olm_account VALUES (1, 'p', x'', 0, x'', 0)")
    assert messages.are_wanted()
