"""Writing messages to somebody."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bimip.client.arguments import checked_number
from bimip.client.errors import InvalidArgument
from bimip.client.events import SendRefused, Sent
from bimip.client.facets.writing import Writing
from bimip.client.wire.bimip import Message


class Sending(Writing):
    """Messages that are written wait in the outbox, in the client's file, until the server has answered each."""

    @property
    def unsent(self) -> int:
        """Number of messages in the outbox without an answer."""
        return self._device.store.outbox.size()

    def waiting(self, limit: int = 1000, *, answered: bool = False) -> list[Message]:
        """Returns the messages in the outbox without an answer, in the order written: what a program shows of them
        after it was started again. Raises InvalidArgument for what is no number, StoreError where the file fails.

        `answered`: those with an answer instead that no program has taken yet, which comes as an event.
        """
        outbox = self._device.store.outbox
        most = checked_number("limit", limit)
        rows = outbox.answered(most) if answered else outbox.unanswered(0, most)
        return [Message.parse(row.message) for row in rows]

    def send_nowait(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        payloads: Mapping[tuple[str, str], bytes] | None = None,
        ttl: float | None = None,
        encrypt: bool | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> str:
        """Put a message into the outbox and return its id. Its answer comes as an event, Sent or SendRefused.

        It is on disk then and is sent, in order, whenever there is a connection, until it is answered.
        `to`: a user's eid, or the id of a group or conversation. `payload`: bytes into which the server does not look,
        64 KiB by default with all that belongs to the message (`max_message_bytes`). `type`: what they are, as programs
        agree among themselves.
        `payloads`, by (eid, device): each of these devices gets its own in place of `payload`, and no other device gets
        the message. They must be all that the recipients have, and this user's others; else it is refused with what is
        missing and what is not there (StaleDevices), so that none is passed over. `devices.of` asks for them.
        `encrypt`: whether it is encrypted for each device of its readers, by a client with `encryption`; there that is
        so for all that has no `payloads`, `devices` or `encryption_type` of its own, unless it says False. It waits in
        the file as plain text until there is a connection over which keys are known. SendRefused says where it cannot.
        `ttl`: seconds after which it disappears for everybody, 1 at least; None: never.
        `fields` are others of Message: reply_to, devices, encryption_type, mentions, seq …
        The same id again while the first waits is no second message; with other content it raises DuplicateId.
        Raises InvalidArgument for values that their fields cannot hold, StoreError where the file fails.
        """
        message = self._write(to, payload, type=type, partition=partition, id=id, payloads=payloads, ttl=ttl, **fields)
        self._put([message], encrypt=encrypt)
        return message.id

    async def send(
        self,
        to: str,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        payloads: Mapping[tuple[str, str], bytes] | None = None,
        ttl: float | None = None,
        encrypt: bool | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> Sent:
        """Send a message as `send_nowait` does, and wait until the server has it on disk.

        That may take several connections. Raises Refused (StaleDevices where `payloads` are not all), what
        `send_nowait` raises, or what stopped the client. Cancelled or stopped, the message stays in the outbox and is
        sent all the same; its answer then comes as an event.
        """
        message_id = self.send_nowait(
            to, payload, type=type, partition=partition, id=id, payloads=payloads, ttl=ttl, encrypt=encrypt, **fields
        )
        return await self._wait_sent(message_id)

    async def send_many(
        self,
        messages: Iterable[tuple[str, bytes]],
        *,
        encrypt: bool | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> list[Sent | SendRefused]:
        """Send many messages, each to somebody, in this order, and wait until each is answered, for itself.

        `fields` are those of all of them, as in `send_nowait`. They share frames. Raises what `send_nowait` raises,
        before any is sent, or what stopped the client. Cancelled or stopped, what has no answer stays in the outbox.
        """
        if "id" in fields:
            raise InvalidArgument("each message gets an id of its own")
        written = [self._write(to, payload, **fields) for to, payload in messages]
        self._put(written, encrypt=encrypt, are_new=True)
        self._connector.check_running()
        return await self._device.outbox.wait_all(message.id for message in written)

    def _put(self, messages: Sequence[Message], *, encrypt: bool | None, are_new: bool = False) -> None:
        outbox = self._device.outbox
        if self._is_to_seal(messages, encrypt):
            outbox.put_to_seal(messages)
        elif are_new:
            outbox.put_new(messages)
        else:
            for message in messages:
                outbox.put(message)

    def _is_to_seal(self, messages: Sequence[Message], encrypt: bool | None) -> bool:  # noqa: FBT001 - as it was said
        own = any(one.devices or one.encryption_type or one.encrypted or one.scope for one in messages)
        if encrypt is None:
            return self._device.encryption is not None and not own
        if encrypt and self._device.encryption is None:
            raise InvalidArgument("this client encrypts nothing: open it with encryption=True")
        if encrypt and own:
            raise InvalidArgument("what has devices, a scope or an encryption of its own is not encrypted once more")
        return encrypt
