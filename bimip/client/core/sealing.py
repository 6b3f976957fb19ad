"""What the device has to know of encryption, where messages are encrypted; `bimip.client.encryption` does it."""

from collections.abc import Iterable
from typing import Protocol

from bimip.client.events import Identity, SealedBy, Unreadable
from bimip.client.wire.bimip import Message

SEALED = "bimip-olm-1"
"""The `encryption_type` of messages that are encrypted for each device (PROTOCOL.md, "End-to-end encryption")."""


class Unsealer(Protocol):
    """Opens messages that were encrypted for this device."""

    def open(self, message: Message, identity: Identity, /) -> tuple[Message, SealedBy] | Unreadable: ...

    def taken(self, stamp: str, /) -> None:
        """The program has what was opened."""
        ...


class Sealing(Protocol):
    """Keeps messages as they were written, while they are encrypted."""

    def put_plain(self, message: Message, /) -> None: ...

    def plain(self, message_id: str, /) -> Message | None: ...

    def seal_again(
        self, message_id: str, missing: Iterable[tuple[str, str]], extra: Iterable[tuple[str, str]], field: str, /
    ) -> bool:
        """Has one encrypted anew that the server refused. False: it is refused."""
        ...
