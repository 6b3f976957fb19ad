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
    """Changes are stamped by this device's clock, and done for all devices concerned, in the order asked for.

    A message is named by its `signal_offset`; one of this device's that may not have been sent yet by the id that
    `send_nowait` returned. A change is in the file before anything else happens, and is asked for again on each
    connection until it is answered, behind the messages that were written before it: so it may be made without a
    connection. Those that wait return the answer; `…_nowait` ones its id, and the answer comes as an event, CommandDone
    or CommandRefused. `id` makes it safe to say it again after a failure: the same id is done once.

    What would say in the clear what was written encrypted (an edit of such a message, a reaction to it) raises
    InvalidArgument, in every client that knows of the message; in one that encrypts also where it does not know how a
    message was sent.

    Those that wait raise Refused, or what stopped the client. Cancelled or stopped, the change stays in the file and is
    made all the same; its answer then comes as an event. All raise InvalidArgument for what cannot be sent, DuplicateId
    where another change waits under the id, StoreError where the file fails.
    """

    def __init__(self, device: Device, connector: Connector, environment: Environment, commands: Commands) -> None:
        super().__init__(device, connector, environment)
        self._commands = commands

    async def edit(self, message: int | str, payload: bytes, *, id: str = "") -> CommandDone:  # noqa: A002
        """Give a message of this user another content, for whoever reads it from now on."""
        return await self._give(CommandKind.EDIT, message, id, payload=payload)

    def edit_nowait(self, message: int | str, payload: bytes, *, id: str = "") -> str:  # noqa: A002
        """Do as `edit` does, and return its id at once."""
        return self._give_nowait(CommandKind.EDIT, message, id, payload=payload)

    async def delete(self, message: int | str, *, for_everyone: bool = False, id: str = "") -> CommandDone:  # noqa: A002
        """Hide a message for this user, for good; or, where this user wrote it, take its content away for everyone."""
        return await self._give(_deletion(for_everyone=for_everyone), message, id)

    def delete_nowait(self, message: int | str, *, for_everyone: bool = False, id: str = "") -> str:  # noqa: A002
        """Do as `delete` does, and return its id at once."""
        return self._give_nowait(_deletion(for_everyone=for_everyone), message, id)

    async def react(self, message: int | str, emoji: str, *, remove: bool = False, id: str = "") -> CommandDone:  # noqa: A002
        """Add a reaction of this user to a message, or take it back."""
        return await self._give(_reaction(remove=remove), message, id, emoji=checked_text("emoji", emoji))

    def react_nowait(self, message: int | str, emoji: str, *, remove: bool = False, id: str = "") -> str:  # noqa: A002
        """Do as `react` does, and return its id at once."""
        return self._give_nowait(_reaction(remove=remove), message, id, emoji=checked_text("emoji", emoji))

    async def mark_forwarded(self, message: int | str, *, id: str = "") -> CommandDone:  # noqa: A002
        """Say that this user forwarded a message: all who may see it are told how often it was."""
        return await self._give(CommandKind.FORWARD_MARK, message, id)

    def mark_forwarded_nowait(self, message: int | str, *, id: str = "") -> str:  # noqa: A002
        """Do as `mark_forwarded` does, and return its id at once."""
        return self._give_nowait(CommandKind.FORWARD_MARK, message, id)

    async def pin(self, message: int | str, *, pinned: bool = True, id: str = "") -> CommandDone:  # noqa: A002
        """Pin a message for this user, or take it back."""
        return await self._give(CommandKind.PIN, message, id, value=pinned)

    def pin_nowait(self, message: int | str, *, pinned: bool = True, id: str = "") -> str:  # noqa: A002
        """Do as `pin` does, and return its id at once."""
        return self._give_nowait(CommandKind.PIN, message, id, value=pinned)

    def state(self, conversation: str, conversation_offset: int) -> MessageChanged | None:
        """Returns what became of a message since it was sent, as far as this device knows; None: nothing."""
        checked_text("conversation", conversation)
        known = message_known(
            self._device.store, conversation, checked_number("conversation_offset", conversation_offset)
        )
        return None if known is None else self._device.without_forgeries(known)

    async def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Give many commands of any kinds at once, as `Command` has them, and return the answer of each, in order.

        Each succeeds or fails for itself. Those without an id get one, and all without a stamp this device's.
        """
        return await self._commands.give_many(commands)

    async def _give(self, kind: CommandKind, message: int | str, id: str, **fields: Any) -> CommandDone:  # noqa: A002, ANN401
        return await self._commands.give(_about(kind, message, id, fields))

    def _give_nowait(self, kind: CommandKind, message: int | str, id: str, **fields: Any) -> str:  # noqa: A002, ANN401
        [command_id] = self._commands.give_nowait(_about(kind, message, id, fields))
        return command_id


def _deletion(*, for_everyone: bool) -> CommandKind:
    return CommandKind.DELETE_FOR_EVERYONE if for_everyone else CommandKind.DELETE_FOR_ME


def _reaction(*, remove: bool) -> CommandKind:
    return CommandKind.UNREACT if remove else CommandKind.REACT


def _about(kind: CommandKind, message: int | str, own_id: str, fields: dict[str, Any]) -> Command:
    if isinstance(message, str):
        return Command(id=own_id, kind=kind, target_id=checked_text("message", message), **fields)
    return Command(id=own_id, kind=kind, target=checked_number("message", message, most=2**64 - 1), **fields)
