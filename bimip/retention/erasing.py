"""Erasing users: a task that goes through all that is theirs, a slice at a time, and goes on after a restart.

That a user is being erased is noted in the store (`domain/accounts/erasing.py`). From that note on nobody finds them by
their name; here the rest goes, by operations that each take a slice and may be repeated. First their conversations,
while it is known who was in them, then what is theirs alone. Where they were is not indexed in both directions, so all
conversations and all names of devices are looked through once, in snapshots of a few hundred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from bimip.concurrency import Watch
from bimip.domain.accounts.erasing import (
    EraseConflicts,
    EraseDevice,
    EraseLog,
    EraseRecords,
    ErasingFinished,
    FinishErasing,
)
from bimip.domain.contacts.roster import ForgetContacts
from bimip.domain.conversations.erasing import (
    DropAlone,
    EraseMessages,
    EraseReceipts,
    ForgetMember,
    MessagesErased,
    RestartStates,
    is_in,
)
from bimip.domain.conversations.groups import LeaveErased
from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.operations import Barrier, Expired, Fault, Operation, Refused, Result
from bimip.domain.core.records import Conversation, Key, Table
from bimip.domain.core.schema import behind
from bimip.domain.messages.leaving import users_of
from bimip.domain.state.changes import state_of
from bimip.journal.queue import OperationQueue
from bimip.storage.interface import Store

SCAN = 200
"""Records looked at in one read transaction, so that none is held for long."""
LOOK_SECONDS = 60.0
"""Until it looks again whether somebody is to be erased: nobody may have told."""
AGAIN_SECONDS = 2.0
"""Until it goes on where the journal could not write."""
RESTARTED_AT_ONCE = 100
"""Users who are sent all of their state again, by one operation."""


@dataclass(slots=True)
class ErasingStatistics:
    users_erased: int = 0
    erasing: int = 0
    """Users who are being erased."""


class Erasing:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        begun: Watch,
        forget_name: Callable[[UserId], None] = lambda _user: None,
    ) -> None:
        """`begun` rises when another user is to be erased; `forget_name` is told of each: what is in memory of their
        name is to go.
        """
        self._store = store
        self._queue = queue
        self._begun = begun
        self._forget_name = forget_name
        self.statistics = ErasingStatistics()

    async def run(self) -> None:
        """Erases whoever is to be erased, until it is cancelled. What it leaves undone the next one finds."""
        while True:
            version = self._begun.version
            pause = LOOK_SECONDS
            try:
                await self.erase_all()
            except _RefusedError:
                pause = AGAIN_SECONDS
            await self._begun.wait_changed_since(version, trio.current_time() + pause)

    async def erase_all(self) -> None:
        """Erases all that are noted. Cancelling it, or a refusal, leaves the rest to the next time."""
        with self._store.snapshot() as view:
            noted = view.scan(Table.ERASING, (), Table.ERASING.schema.end, limit=SCAN)
        self.statistics.erasing = len(noted)
        for (user,), _ in noted:
            await self._erase(user)
            self.statistics.erasing -= 1
            self.statistics.users_erased += 1

    async def _erase(self, user: UserId) -> None:
        self._forget_name(user)
        is_done = False
        while not is_done:
            await self._ask(Barrier())  # what their devices asked for before they were closed is decided
            await self._erase_in_conversations(user)
            await self._leave_conversations(user)
            await self._forget_contacts(user)
            await self._erase_records(user)
            result = await self._ask(FinishErasing(user))
            is_done = not isinstance(result, ErasingFinished) or result.is_done
            if not is_done:  # something came meanwhile, or is damaged
                await trio.sleep(AGAIN_SECONDS)
        self._forget_name(user)

    async def _erase_in_conversations(self, user: UserId) -> None:
        for number, known in await self._conversations(user):
            if not known.members:
                await self._ask(LeaveErased(user, number))
            if known.members != (user,):
                await self._erase_messages(user, number)
            await self._exhaust(EraseReceipts(user, number))

    async def _erase_messages(self, user: UserId, number: ConversationId) -> None:
        operation = EraseMessages(user, number)
        while True:
            result = await self._ask(operation)
            if not isinstance(result, MessagesErased) or not result.more:
                return
            operation = operation._replace(after=result.upto)

    async def _leave_conversations(self, user: UserId) -> None:
        """Behind all that changes what others may know: each of them is sent their state once more, and not twice."""
        told: set[UserId] = {user}
        for number, known in await self._conversations(user):
            if known.members == (user,):
                await self._exhaust(DropAlone(user, number))
                continue
            with self._store.snapshot() as view:
                others = [other for other in users_of(view, number, known) if other not in told]
                heads = [(other, state_of(view, other).head) for other in others]
            for at in range(0, len(heads), RESTARTED_AT_ONCE):
                await self._ask(RestartStates(tuple(heads[at : at + RESTARTED_AT_ONCE])))
            told.update(others)
            await self._ask(ForgetMember(user, number))

    async def _forget_contacts(self, user: UserId) -> None:
        """Finds who has something of a user: few, among all."""
        low: Key | None = ()
        while low is not None:
            with self._store.snapshot() as view:
                found = view.scan(Table.CONTACTS, low, Table.CONTACTS.schema.end, limit=SCAN)
            if owners := tuple(owner for (owner, peer), _ in found if peer == user):
                await self._ask(ForgetContacts(user, owners))
            low = behind(found[-1][0]) if len(found) == SCAN else None
            await trio.lowlevel.checkpoint()

    async def _erase_records(self, user: UserId) -> None:
        with self._store.snapshot() as view:
            logs = view.scan(Table.LOGS, (user,), (user + 1,), limit=SCAN)
        for (_, partition), _ in logs:
            await self._exhaust(EraseLog(user, partition))
        await self._exhaust(EraseRecords(user))
        low: Key | None = ()
        while low is not None:
            with self._store.snapshot() as view:
                found = view.scan(Table.DEVICE_OWNERS, low, Table.DEVICE_OWNERS.schema.end, limit=SCAN)
            for (device,), owner in found:
                if owner.user == user:
                    await self._exhaust(EraseDevice(user, device))
            low = behind(found[-1][0]) if len(found) == SCAN else None
            await trio.lowlevel.checkpoint()
        await self._ask(EraseConflicts(user))

    async def _conversations(self, user: UserId) -> list[tuple[ConversationId, Conversation]]:
        """Finds the conversations in which there is still something of a user: few, among all."""
        theirs: list[tuple[ConversationId, Conversation]] = []
        low: Key | None = ()
        while low is not None:
            with self._store.snapshot() as view:
                found = view.scan(Table.CONVERSATIONS, low, Table.CONVERSATIONS.schema.end, limit=SCAN)
                theirs += [(key[0], known) for key, known in found if is_in(view, user, key[0], known)]
            low = behind(found[-1][0]) if len(found) == SCAN else None
            await trio.lowlevel.checkpoint()
        return theirs

    async def _exhaust(self, operation: Operation) -> None:
        while True:
            result = await self._ask(operation)
            if not isinstance(result, Expired) or not result.more:
                return

    async def _ask(self, operation: Operation) -> Result:
        """Asks the journal. What it refuses because a record is damaged, which was said, leaves the rest to go on."""
        result = await self._queue.execute(operation)
        if isinstance(result, Refused) and result.fault is not Fault.INTERNAL:
            raise _RefusedError
        return result


class _RefusedError(Exception):
    """The journal cannot write now."""
