"""What a device was told, gathered from its frames, so that a test can say in one line what it expects of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bimip.client.wire import bimip as pb


class ReceiptRun(NamedTuple):
    """One run of one receipt, as state brought it."""

    member: str
    kind: pb.MessageStatus
    first: int
    last: int


@dataclass(frozen=True)
class Received:
    frames: Sequence[pb.MessageScheme]

    @property
    def bodies(self) -> list[pb.Body]:
        return [frame.body for frame in self.frames if frame.body is not None]

    @property
    def messages(self) -> list[pb.Message]:
        return [message for body in self.bodies for message in body.messages]

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    @property
    def offsets(self) -> list[int]:
        """Of the entries, in the order in which they came."""
        return [message.user_offset or 0 for message in self.messages]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What was covered in turn; batches without entries and gaps that only bring signals or state left away."""
        covered = [(body.after, body.upto) for body in self.bodies if body.turn == pb.Turn.IN_TURN]
        return [(after, upto) for after, upto in covered if upto > after]

    @property
    def gaps(self) -> list[tuple[int, int, pb.GapReason]]:
        return [(gap.from_, gap.to, gap.reason) for body in self.bodies for gap in body.gaps]

    @property
    def sent(self) -> list[pb.Signal]:
        return [signal for body in self.bodies for signal in body.signals if signal.status == pb.MessageStatus.SENT]

    @property
    def call_signals(self) -> list[pb.Signal]:
        return [signal for body in self.bodies for signal in body.signals if signal.call]

    @property
    def errors(self) -> list[pb.ErrorMessage]:
        alone = [frame.error for frame in self.frames if frame.error is not None]
        return alone + [error for body in self.bodies for error in body.errors]

    @property
    def codes(self) -> list[pb.ErrorCode]:
        return [error.code for error in self.errors]

    @property
    def states(self) -> list[pb.StateDelta]:
        return [state for body in self.bodies for state in body.states]

    @property
    def commands(self) -> list[pb.Command]:
        return [command for body in self.bodies for command in body.commands]

    @property
    def read_markers(self) -> list[tuple[str, int]]:
        """The conversation and the offset of each, as state brought them."""
        return [
            (item.read_marker.conversation, item.read_marker.conversation_offset)
            for state in self.states
            for item in state.items
            if item.read_marker is not None
        ]

    @property
    def settings(self) -> list[pb.Settings]:
        """As state brought them."""
        return [item.settings for state in self.states for item in state.items if item.settings is not None]

    @property
    def message_states(self) -> list[pb.MessageState]:
        return [item.message for state in self.states for item in state.items if item.message is not None]

    @property
    def conversations(self) -> list[pb.Conversation]:
        """How conversations are kept, as state brought it."""
        return [item.conversation for state in self.states for item in state.items if item.conversation is not None]

    @property
    def receipts(self) -> list[ReceiptRun]:
        return _runs(item.receipts for state in self.states for item in state.items)

    @property
    def private_receipts(self) -> list[ReceiptRun]:
        return _runs(item.private_receipts for state in self.states for item in state.items)


def _runs(told: Iterable[pb.Receipts | None]) -> list[ReceiptRun]:
    return [
        ReceiptRun(receipts.member, receipts.kind, run.from_, run.to)
        for receipts in told
        if receipts is not None
        for run in receipts.runs
    ]
