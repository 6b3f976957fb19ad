"""What a device says of calls: it calls others, answers or does not, and hangs up in the end."""

from collections.abc import Iterator
from random import Random

from tests.kit.codecs import Codec, Message
from tests.kit.history import CallSaid, CallStep, CallTold, Name

Key = tuple[str, str]
"""The other user, and the name of a call."""

SIGNS = "call "
"""What the ids of these signals begin with, so that an error tells of which call it is."""


class Caller:
    def __init__(self, codec: Codec, name: Name, random: Random) -> None:
        self._codec = codec
        self._name = name
        self._random = random
        self._count = 0
        self._open: dict[Key, bool] = {}
        """Whether it talks already."""

    @property
    def open(self) -> list[str]:
        """Lists the calls of which it knows no end."""
        return [call for _, call in self._open]

    def forget(self) -> None:
        """Its store is lost."""
        self._open.clear()

    def offer(self, users: list[str]) -> tuple[Message, CallSaid] | None:
        """Calls somebody, unless it is in a call already."""
        others = [user for user in users if user != self._name.eid]
        if self._open or not others:
            return None
        self._count += 1
        key = self._random.choice(others), f"{self._name} {self._count}"
        self._open[key] = False
        return self._say(key, CallStep.OFFER, self._random.choice([0, 1000, 1500]))

    def again(self) -> Iterator[tuple[Message, CallSaid]]:
        """Asks, of each call that is not over, whether the server still knows of it."""
        for key in self._open:
            yield self._say(key, CallStep.RINGING)

    def hang_up(self) -> Iterator[tuple[Message, CallSaid]]:
        for key in self._open:
            yield self._say(key, CallStep.HANG_UP)

    def told(self, told: CallTold) -> tuple[Message, CallSaid] | None:
        """Takes what it is told, and says something to it, or nothing."""
        key = (told.peer, told.call)
        if told.step is CallStep.ENDED:
            self._open.pop(key, None)
            return None
        chance = self._random.random()
        if told.step is CallStep.ANSWER:
            self._open[key] = True
        if told.step is CallStep.OFFER and not self._open.setdefault(key, False):
            if chance < 0.2:
                self._open[key] = True
                return self._say(key, CallStep.ANSWER)
            return self._say(key, CallStep.HANG_UP if chance < 0.25 else CallStep.RINGING)
        if told.step is CallStep.RINGING and chance < 0.1:
            return self._say(key, CallStep.HANG_UP)
        if self._open.get(key) and chance < 0.7:
            return self._say(key, CallStep.HANG_UP if chance < 0.2 else CallStep.CANDIDATE)
        self._open.setdefault(key, False)
        return None

    def refused(self, signal_id: str) -> None:
        """What it said was refused: an offer that was refused has begun nothing."""
        call, _, step = signal_id.removeprefix(SIGNS).rpartition(" ")
        if step == CallStep.OFFER.name:
            self._open = {key: talks for key, talks in self._open.items() if key[1] != call}

    def _say(self, key: Key, step: CallStep, ttl_ms: int = 0) -> tuple[Message, CallSaid]:
        peer, call = key
        self._count += 1
        messages = self._codec.messages
        said = CallSaid(self._name, peer, call, step, f"{self._name} {self._count}".encode())
        signal = messages.Signal(
            id=f"{SIGNS}{call} {step.name}",
            status=messages.MessageStatus.CALLING,
            to=messages.Identity(eid=peer),
            call=call,
            step=self._codec.call_step(step),
            payload=said.payload,
            ttl_ms=ttl_ms,
        )
        return signal, said
