"""What a device says of its user: how they are, whether anybody looks at it, and what they do just now."""

from collections.abc import Sequence
from random import Random

from tests.kit.codecs import Codec, Message
from tests.kit.history import (
    ActivitySaid,
    ActivityTold,
    Focused,
    IntentAnswered,
    IntentSaid,
    Name,
    PresenceTold,
    Shown,
)

FIRST_TTL_MS = 30_000
"""Each activity has a time of its own, by which it is known again."""
LAST_MILLISECOND = 253_402_300_799_999
OVER = 1
"""A time that is long past."""
INTENTS = (Shown.ONLINE, Shown.AWAY, Shown.BUSY, Shown.DND)
LASTING = ("TYPING", "RECORDING", "PAUSED")


class Herald:
    def __init__(self, codec: Codec, name: Name, random: Random) -> None:
        self._codec = codec
        self._name = name
        self._random = random
        self._count = 0

    def intent(self) -> tuple[Message, IntentSaid]:
        """Says how the user is, until another word or a time, by a clock that may run ahead or stand."""
        random = self._random
        status = random.choice(INTENTS)
        until = 0 if status is Shown.ONLINE else random.choice([0, 0, OVER, LAST_MILLISECOND])
        stamp = random.choice([0, 0, 2**64 - 1, random.getrandbits(40)])
        said = IntentSaid(self._name, status, until)
        return self._awareness(status.name, until=until, stamp=stamp), said

    def any_focus(self) -> tuple[Message, Focused]:
        """Says that nobody looks at the device, that somebody does, or that it is not to count as being there."""
        return self.focus(self._random.choice(list(Shown)[:3]))

    def focus(self, focus: Shown) -> tuple[Message, Focused]:
        inactive = focus is Shown.AWAY
        status = "OFFLINE" if focus is Shown.OFFLINE else "ONLINE"
        fields = {"inactive": inactive, "keep_intent": focus is Shown.ONLINE}
        return self._awareness(status, **fields), Focused(self._name, focus)

    def activity(self, groups: Sequence[str], users: Sequence[str]) -> tuple[Message, ActivitySaid]:
        """Says what the user does in a group, or to another user."""
        self._count = self._count % 29_000 + 1
        ttl_ms, random = FIRST_TTL_MS + self._count, self._random
        to = "" if groups and random.random() < 0.5 else random.choice(users)
        conversation = "" if to else random.choice(groups)
        said = ActivitySaid(self._name, ttl_ms, to, conversation)
        fields = {"to": self._codec.messages.Identity(eid=to)} if to else {"conversation": conversation}
        return self._awareness(random.choice(LASTING), ttl_ms=ttl_ms, **fields), said

    def resume(self, conversation: str) -> Message:
        """Opens a conversation."""
        return self._awareness("RESUME", conversation=conversation)

    def _awareness(self, status: str, **fields: object) -> Message:
        return self._codec.messages.Awareness(status=self._codec.awareness_status(status), **fields)

    def answered(self, answer: Message) -> IntentAnswered:
        return IntentAnswered(self._name, self._codec.intent(answer))

    def told(self, body: Message) -> tuple[PresenceTold, list[ActivityTold]]:
        """Takes what it is told of others, and of its own user."""
        shown, doing = [], []
        for one in body.awareness:
            eid, status = self._codec.author(one).eid, int(one.status)
            if status <= max(Shown):
                shown.append((eid, Shown(status)))
            elif one.ttl_ms:
                doing.append(ActivityTold(self._name, eid, one.ttl_ms, one.conversation))
        return PresenceTold(self._name, tuple(shown), is_reset=body.awareness_reset), doing
