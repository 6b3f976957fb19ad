"""What is done to messages that are there already."""

from collections.abc import Iterable
from typing import Any

from bimip.client.arguments import checked_number, checked_text
from bimip.client.connector import Connector
from bimip.client.core.device import Device
from bimip.client.core.kinds.messages import message_known
from bimip.client.environment import Environment
from bimip.client.errors import Refused
from bimip.client.events import CommandDone, MessageChanged
from bimip.client.facets.commands import Commands
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Command, CommandKind


class Changing(Facet):
    """Changes are stamped by this device's clock and answered once they are on disk, for all devices concerned.

    A message is named by its `signal_offset`. `id` makes it safe to say it again after a failure: the same id is done
    once. All raise Refused, TimedOut, NotConnected, and InvalidArgument for what cannot be sent; cancelled, it may have
    been done or not.
    """

    def __init__(self, device: Device, connector: Connector, environment: Environment, commands: Commands) -> None:
        super().__init__(device, connector, environment)
        self._commands = commands

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

    async def pin(self, signal_offset: int, *, pinned: bool = True, id: str = "") -> CommandDone:  # noqa: A002
        """Pin a message for this user, or take it back."""
        return await self._about_message(CommandKind.PIN, signal_offset, id, value=pinned)

    def state(self, conversation: str, conversation_offset: int) -> MessageChanged | None:
        """Returns what became of a message since it was sent, as far as this device knows; None: nothing."""
        checked_text("conversation", conversation)
        return message_known(
            self._device.store, conversation, checked_number("conversation_offset", conversation_offset)
        )

    async def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Give many commands of any kinds at once, as `Command` has them, and return the answer of each, in order.

        Each succeeds or fails for itself. Those without an id get one, and all without a stamp this device's. Raises
        TimedOut, NotConnected, InvalidArgument: then some of them may have been done.
        """
        return await self._commands.give_many(commands)

    async def _about_message(
        self,
        kind: CommandKind,
        signal_offset: int,
        id: str,  # noqa: A002 - the field's name
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> CommandDone:
        target = checked_number("signal_offset", signal_offset, most=2**64 - 1)
        return await self._commands.give(Command(id=id, kind=kind, target=target, **fields))
