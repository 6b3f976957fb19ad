"""Which messages were encrypted, and what nobody may say of them in the clear.

Every client keeps to it, whether it encrypts or not: one that does not has no text of these messages, but its user may
write it once more into an edit.
"""

from bimip.client.encryption_tables import EncryptionTables, OpenedRow
from bimip.client.errors import InvalidArgument
from bimip.client.events import Identity
from bimip.client.store import Store
from bimip.client.wire.bimip import Command, CommandKind, Message
from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import Stamp

_IN_THE_CLEAR = {CommandKind.EDIT: "edit", CommandKind.REACT: "reaction", CommandKind.UNREACT: "reaction"}


class SealedMessages:
    """Knows the encrypted messages that arrived here, or left."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables = EncryptionTables(store)

    def are_wanted(self) -> bool:
        """Whether the file has keys: this device encrypts what it writes."""
        return self._tables.has_account()

    def note(self, message: Message) -> None:
        """Note an encrypted message that this device does not decrypt."""
        author = message.from_
        eid, device = ("", "") if author is None else (author.eid, author.connection_resource_id or "")
        self._tables.put_opened(OpenedRow(message.signal_id, eid, device, "", message.conversation, None, None))

    def check_command(self, command: Command, identity: Identity | None, *, encrypts: bool) -> None:
        """Refuse what would say in the clear what was written encrypted, or will be. Raises InvalidArgument."""
        if command.kind is CommandKind.DRAFT:
            self._check_draft(command, encrypts=encrypts)
            return
        what = _IN_THE_CLEAR.get(command.kind)
        if what is not None and self._may_be_sealed(command, identity, encrypts=encrypts):
            raise InvalidArgument(
                f"the {what} would be sent in the clear, and the message that it is about was encrypted, or this "
                "device does not know how it was sent: write another message"
            )

    def _check_draft(self, command: Command, *, encrypts: bool) -> None:
        if command.payload and (encrypts or self._tables.is_encrypted(command.conversation)):
            raise InvalidArgument(
                f"a draft goes to the server in the clear, and what is written in {command.conversation} is encrypted: "
                "keep it on this device"
            )

    def _may_be_sealed(self, command: Command, identity: Identity | None, *, encrypts: bool) -> bool:
        if command.target:
            stamp = signal_id(Stamp(command.target))
            if self._tables.opened(stamp) is not None:
                return True
            return encrypts and not self._store.remembers(stamp)
        if self._tables.plain(command.target_id) is not None:
            return True
        own = None if identity is None else (identity.eid, identity.device)
        return own is not None and self._tables.opened_as(*own, command.target_id) is not None
