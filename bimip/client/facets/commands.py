"""What changes messages and conversations that are there already: commands, by which both facets do it."""

from collections.abc import Iterable, Sequence

from bimip.client.core.outbox import refusal
from bimip.client.errors import InvalidArgument, Refused
from bimip.client.events import CommandDone, CommandRefused
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Command


class Commands(Facet):
    """Gives commands, each stamped by this device's one clock: two of the same moment differ, whatever they are about.

    It is no facet of a client itself: `Messages` and `Conversations` share one.
    """

    async def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Gives commands of any kinds in batches and returns the answer of each: `messages.give_many` says the rest."""
        given = list(commands)
        for command in given:
            if not isinstance(command, Command):
                raise InvalidArgument(f"a Command is expected, not {command!r}")
            self._complete(command)
        if len({command.id for command in given}) < len(given):
            raise InvalidArgument("two commands have one id")
        return [_or_refusal(answer) for answer in await self._give_all(given)]

    def give_nowait(self, *commands: Command) -> list[str]:
        """Stores commands, which are given then whatever happens, and returns their ids."""
        for command in commands:
            self._complete(command)
        self._device.commands.put_all(commands)
        return [command.id for command in commands]

    async def give(self, command: Command) -> CommandDone:
        """Gives one command and waits for its answer. Raises as `messages.edit` does."""
        self._complete(command)
        [answer] = await self._give_all([command])
        if isinstance(answer, CommandRefused):
            raise refusal(answer)
        return answer

    async def _give_all(self, commands: Sequence[Command]) -> list[CommandDone | CommandRefused]:
        """Stores commands, which are given then whatever happens, and waits for their answers."""
        self._device.commands.put_all(commands)
        self._connector.check_running()
        return await self._device.commands.wait_all([command.id for command in commands])

    def _complete(self, command: Command) -> None:
        """Give it an id and a stamp, where it has none. Raises InvalidArgument for what is to stay encrypted."""
        encrypts = self._device.encryption is not None
        self._device.sealed.check_command(command, self._device.inbox.identity, encrypts=encrypts)
        command.id = command.id or self._environment.new_id()
        self._device.commands.stamp(command, self._environment.now())


def _or_refusal(answer: CommandDone | CommandRefused) -> CommandDone | Refused:
    return refusal(answer) if isinstance(answer, CommandRefused) else answer
