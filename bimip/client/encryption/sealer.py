"""What encryption asks of the server: publishing this device's keys, learning and claiming those of others."""

import logging

import anyio

from bimip.client.connector import Connector
from bimip.client.core.chain import normal_name
from bimip.client.core.device import Device
from bimip.client.core.kinds.devices import devices_of
from bimip.client.core.outbox import RETRY_AFTER, TRY_AGAIN
from bimip.client.encryption.encryption import Encryption, UnsealedError
from bimip.client.errors import ClientError, NotConnected, Refused, TimedOut
from bimip.client.facets.keys import KeysFacet
from bimip.client.wire.bimip import Conversation, ConversationAction, ErrorCode, ErrorMessage, Keys, Message
from bimip.names import is_conversation_id

_log = logging.getLogger("bimip.client")


class Sealer:
    """Encrypts what waits in the outbox, in its order, as long as there is a connection."""

    def __init__(self, device: Device, connector: Connector, encryption: Encryption, keys: KeysFacet) -> None:
        self._device = device
        self._connector = connector
        self._encryption = encryption
        self._keys = keys
        encryption.owes_more = device.outbox.changed.notify_all

    async def run(self) -> None:
        """Runs until the client stops. Cancelling it leaves what is not encrypted where it is."""
        while True:
            try:
                await self._connector.wait_connected()
            except ClientError:
                return  # which the program is told
            try:
                await self._work()
            except (NotConnected, TimedOut):
                pass
            except Refused as refused:
                _log.warning("keys could not be published: %s", refused)
                await anyio.sleep(refused.retry_after or RETRY_AFTER)

    async def _work(self) -> None:
        """Does all that is to be done, then waits for more."""
        encryption = self._encryption
        if encryption.owes_keys():
            await self._publish()
        message = encryption.next_unsealed()
        if message is not None:
            await self._seal(message)
        elif not encryption.owes_keys():
            await self._device.outbox.changed.wait()

    async def _publish(self) -> None:
        identity = self._device.inbox.identity
        assert identity is not None
        if self._encryption.withdraws():
            await self._keys.withdraw()
            self._encryption.withdrawn()
        left = await self._keys.count()
        asked = self._encryption.prepare(left.one_time, left.last_id, identity)
        if asked is not None:
            await self._connector.request(asked, Keys)
            self._encryption.published()

    async def _seal(self, message: Message) -> None:
        identity = self._device.inbox.identity
        assert identity is not None
        encryption = self._encryption
        try:
            users = {identity.eid, *await self._readers(message)}
            encryption.look_again(message, users)
            if unknown := encryption.unknown(users):
                found = await self._keys.query((user, "") for user in unknown)
                encryption.learn(unknown, found, ((identity.eid, name) for name in devices_of(self._device.store)))
            if lacking := encryption.without_session(users):
                encryption.begin_sessions(await self._keys.claim(lacking))
                encryption.without_session(users)
            if encryption.unknown(users):
                return  # another connection began: devices may be others
            encryption.seal(message, users, identity)
        except UnsealedError as why:
            self._refuse(message, ErrorCode.FORBIDDEN, str(why))
        except Refused as refused:
            if refused.code in TRY_AGAIN:
                await anyio.sleep(refused.retry_after or RETRY_AFTER)
            else:
                self._refuse(message, refused.code, refused.message)
        self._device.outbox.changed.notify_all()

    async def _readers(self, message: Message) -> list[str]:
        """Asks who is in the conversation that a message goes to."""
        to = message.to.eid if message.to is not None else ""
        if not is_conversation_id(to):
            return [normal_name(to)]
        asked = Conversation(action=ConversationAction.GET, id=to)
        told = await self._connector.request(asked, Conversation)
        members = [member.eid for member in told.members]
        while not told.complete and told.members:
            asked.after = members[-1]
            told = await self._connector.request(asked, Conversation)
            members += [member.eid for member in told.members]
        return members or [told.peer]

    def _refuse(self, message: Message, code: ErrorCode, why: str) -> None:
        self._device.refuse_unsealed(ErrorMessage(code=code, message=why, id=message.id, field="encryption_type"))
