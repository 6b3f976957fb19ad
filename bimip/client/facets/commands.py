"""What changes messages and conversations that are there already: commands, by which both facets do it."""

from collections.abc import Iterable

from bimip.client.errors import InvalidArgument, Refused
from bimip.client.events import CommandDone
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Command
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp

SMALLEST_BATCH = 256
"""What every server takes in one frame."""


class Commands(Facet):
    """Gives commands, each stamped by this device's one clock: two of the same moment differ, whatever they are about.

    It is no facet of a client itself: `Messages` and `Conversations` share one.
    """

    _newest_stamp = Stamp(0)

    async def give_many(self, commands: Iterable[Command]) -> list[CommandDone | Refused]:
        """Gives commands of any kinds in batches and returns the answer of each: `messages.give_many` says the rest."""
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

    async def give(self, command: Command) -> CommandDone:
        """Gives one command and waits for its answer. Raises Refused, TimedOut, NotConnected, InvalidArgument."""
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
