"""What is done to messages and conversations that are there already."""

from collections.abc import Iterable
from typing import Any

import anyio.lowlevel

from bimip.client.arguments import checked_number, checked_text
from bimip.client.core.kinds.conversations import conversation_known
from bimip.client.core.kinds.messages import message_known
from bimip.client.errors import InvalidArgument, Refused
from bimip.client.events import CommandDone, ConversationChanged, MessageChanged
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Command, CommandKind
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp

SMALLEST_BATCH = 256
"""What every server takes in one frame."""


class Commands(Facet):
    """Each is stamped by this device's clock and answered once it is on disk, for all devices concerned.

    A message is named by its `signal_offset`. `id` makes it safe to say it again after a failure: the same id is done
    once. All raise Refused, TimedOut, NotConnected, and InvalidArgument for what cannot be sent; cancelled, it may have
    been done or not.
    """

    _newest_stamp = Stamp(0)

    async def edit(self, signal_offset: int, payload: bytes, *, id: str = "") -> CommandDone:  # noqa: A002
        """Give a message of this user another content, for whoever reads it from now on."""
        return await self._about_message(CommandKind.EDIT, signal_offset, id, payload=payload)

    async def delete(self, signal_offset: int, *, for_everyone: bool = False, id: str = "") -> CommandDone:  # noqa: A002
        """Hide a message for this user, for good; or, where this user wrote it, take its content away for everyone."""
        kind = CommandKind.DELETE_FOR_EVERYONE if for_everyone else CommandKind.DELETE_FOR_ME
        return await self._about_message(kind, signal_offset, id)

    async def react(self, signal_offset: int, emoji: str, *, remove: bool = False, id: str = "") -> CommandDone:  # noqa: A002
        """Add a reaction of this user to a message, or take it back."""
        kind = CommandKind.UNREACT if remove else CommandKind.REACT
        return await self._about_message(kind, signal_offset, id, emoji=checked_text("emoji", emoji))

    async def mark_forwarded(self, signal_offset: int, *, id: str = "") -> CommandDone:  # noqa: A002
        """Say that this user forwarded a message: all who may see it are told how often it was."""
        return await self._about_message(CommandKind.FORWARD_MARK, signal_offset, id)

    async def pin_message(self, signal_offset: int, *, pinned: bool = True, id: str = "") -> CommandDone:  # noqa: A002
        """Pin a message for this user, or take it back."""
        return await self._about_message(CommandKind.PIN, signal_offset, id, value=pinned)

    async def keep_conversation(
        self,
        conversation: str,
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        marked_unread: bool | None = None,
        muted_until: int | None = None,
        draft: bytes | None = None,
    ) -> None:
        """Set how this user keeps a conversation, what is given of it, on all their devices. ConversationChanged tells.

        `muted_until`: milliseconds since 1970, 0: not muted. An empty draft is none. Each is a command for itself:
        where one is refused, those behind it, in the order above, are not given.
        """
        checked_text("conversation", conversation)
        given: list[tuple[CommandKind, dict[str, Any]]] = []
        for kind, value in (
            (CommandKind.ARCHIVE, archived),
            (CommandKind.PIN, pinned),
            (CommandKind.MARK_UNREAD, marked_unread),
        ):
            if value is not None:
                given.append((kind, {"value": value}))
        if muted_until is not None:
            given.append((CommandKind.MUTE, {"until": checked_number("muted_until", muted_until, least=0)}))
        if draft is not None:
            given.append((CommandKind.DRAFT, {"payload": draft}))
        for kind, fields in given:
            await self._give(Command(kind=kind, conversation=conversation, **fields))
        await anyio.lowlevel.checkpoint()

    def message_state(self, conversation: str, conversation_offset: int) -> MessageChanged | None:
        """Returns what became of a message since it was sent, as far as this device knows; None: nothing."""
        checked_text("conversation", conversation)
        return message_known(
            self._device.store, conversation, checked_number("conversation_offset", conversation_offset)
        )

    def conversation_settings(self, conversation: str) -> ConversationChanged:
        """Returns how this user keeps a conversation, as far as this device knows."""
        return conversation_known(self._device.store, checked_text("conversation", conversation))

    async def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Give many commands of any kinds at once, as `Command` has them, and return the answer of each, in order.

        Each succeeds or fails for itself. Those without an id get one, and all without a stamp this device's. Raises
        TimedOut, NotConnected, InvalidArgument: then some of them may have been done.
        """
        given = list(commands)
        for command in given:
            if not isinstance(command, Command):
                raise InvalidArgument(f"a Command is expected, not {command!r}")
            self._complete(command)
        if len({command.id for command in given}) < len(given):
            raise InvalidArgument("two commands have one id")
        answers: list[CommandDone | Refused] = []
        most = max(1, self._device.limits.max_batch or SMALLEST_BATCH)
        for first in range(0, len(given), most):
            done = await self._connector.request_all(given[first : first + most])
            answers += [one if isinstance(one, Refused) else _done(one) for one in done]
        return answers

    async def _about_message(
        self,
        kind: CommandKind,
        signal_offset: int,
        id: str,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> CommandDone:
        target = checked_number("signal_offset", signal_offset, most=2**64 - 1)
        return await self._give(Command(id=id, kind=kind, target=target, **fields))

    async def _give(self, command: Command) -> CommandDone:
        self._complete(command)
        return _done(await self._connector.request(command, Command))

    def _complete(self, command: Command) -> None:
        """Give it an id and a stamp, where it has none."""
        command.id = command.id or f"{self._environment.random.getrandbits(128):032x}"
        if not command.stamp:
            self._newest_stamp = next_stamp(self._newest_stamp, Millis(self._environment.now()), 0)
            command.stamp = self._newest_stamp


def _done(answer: Command) -> CommandDone:
    return CommandDone(
        id=answer.id,
        conversation=answer.conversation,
        conversation_offset=answer.conversation_offset,
        stamp=answer.stamp,
        duplicate=answer.duplicate,
        superseded=answer.superseded,
    )
