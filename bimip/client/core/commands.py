"""Commands on their way out: what is to be done to messages and conversations, kept and sent as messages are.

A command may be about a message that waits itself: so it is sent when all messages that were written before it have
their answers.
"""

from collections.abc import Iterable
from dataclasses import replace

from bimip.client.core.outbox import Outbox
from bimip.client.errors import DuplicateId
from bimip.client.events import CommandDone, CommandRefused
from bimip.client.frames import checked, decode, encode
from bimip.client.wire.bimip import Command, ErrorMessage
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp

MAX_COMMANDS_IN_FLIGHT = 16


class CommandOutbox(Outbox[CommandDone | CommandRefused]):
    """The commands. An answer is stored as the frame that it would be alone.

    Each is stamped behind all that this device has seen, so that what is done offline takes its place among what
    others did meanwhile.
    """

    newest_stamp = Stamp(0)

    def stamp(self, command: Command, now: int) -> None:
        """Give a command its stamp, where it has none. `now`: milliseconds since 1970."""
        if not command.stamp:
            waiting = self._table.newest()
            known = Stamp(Command.parse(waiting.message).stamp) if waiting is not None else Stamp(0)
            self.newest_stamp = next_stamp(max(self.newest_stamp, known), Millis(now), 0)
            command.stamp = self.newest_stamp

    def saw(self, stamp: int) -> None:
        """Note a stamp that somebody gave: those of this device come behind it."""
        if stamp > self.newest_stamp:
            self.newest_stamp = Stamp(stamp)

    def put_all(self, commands: Iterable[Command]) -> None:
        """Store commands to be given, all or none; what waits already is no change.

        Raises DuplicateId if another with one of the ids waits, InvalidArgument for what cannot be encoded.
        """
        new: list[tuple[str, bytes]] = []
        for command in commands:
            encoded = checked(command)
            row = self._table.get(command.id)
            if row is None:
                new.append((command.id, encoded))
            elif not _same_command(Command.parse(row.message), command):
                raise DuplicateId(f"another command with the id {command.id!r} waits")
        self._put(new)

    def accepted(self, answer: Command) -> None:
        self._answer(answer.id, encode(answer))

    def _refusal(self, error: ErrorMessage) -> bytes:
        return encode(error)

    def _event(self, item_id: str, answer: bytes) -> CommandDone | CommandRefused:
        payload = decode(answer).payload
        if isinstance(payload, ErrorMessage):
            return CommandRefused(item_id, payload.code, payload.message, payload.field)
        assert isinstance(payload, Command)
        return CommandDone(
            id=item_id,
            conversation=payload.conversation,
            conversation_offset=payload.conversation_offset,
            stamp=payload.stamp,
            duplicate=payload.duplicate,
            superseded=payload.superseded,
        )


def _same_command(one: Command, other: Command) -> bool:
    """Compares two commands but for their stamps: who gives one again under its id stamps it anew."""
    return bytes(replace(one, stamp=0)) == bytes(replace(other, stamp=0))
