"""The calls that a device takes part in, as it knows them: the server has them in memory, and none after a crash."""

from dataclasses import dataclass
from typing import Any

from bimip.client.wire import bimip as pb


class CallsLostError(Exception):
    """The server crashed while there was a call, and all who took part in it were told so: the scenario ends here."""


@dataclass(frozen=True)
class KnownCall:
    peer: str
    name: str

    def signal(self, step: pb.CallStep) -> pb.Signal:
        status = pb.MessageStatus.CALLING
        return pb.Signal(status=status, to=pb.Identity(eid=self.peer), call=self.name, step=step)


class KnownCalls:
    def __init__(self) -> None:
        self.had_any = False
        """An offer was said or told: what comes then needs the server's memory."""
        self.open: list[KnownCall] = []

    def said(self, payload: dict[str, Any]) -> None:
        if (signal := payload.get("signal")) is not None:
            self._note(signal)

    def take(self, scheme: pb.MessageScheme) -> None:
        for signal in scheme.body.signals if scheme.body is not None else ():
            self._note(signal)

    def _note(self, signal: pb.Signal) -> None:
        if not signal.call or signal.to is None:
            return
        call = KnownCall(signal.to.eid, signal.call)
        is_offer = signal.status == pb.MessageStatus.CALLING and signal.step in {
            pb.CallStep.CALL_STEP_UNSPECIFIED,
            pb.CallStep.CALL_OFFER,
        }
        if is_offer and call not in self.open:
            self.had_any = True
            self.open.append(call)
        if signal.step == pb.CallStep.CALL_ENDED and call in self.open:
            self.open.remove(call)
