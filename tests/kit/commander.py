"""What a device does to messages that it knows of: mostly sensible things, by a clock that may run ahead or stand."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.kit.codecs import Codec, Message
from tests.kit.history import Delivery, Given, Name

EMOJI = ("+", "-", "\N{PARTY POPPER}")
MOST_TARGETS = 12

Make = Callable[[Random], dict[str, Any]]

ABOUT_ANY: dict[str, Make] = {
    "REACT": lambda random: {"emoji": random.choice(EMOJI)},
    "UNREACT": lambda random: {"emoji": random.choice(EMOJI)},
    "PIN": lambda random: {"value": random.random() < 0.7},
    "FORWARD_MARK": lambda _: {},
    "DELETE_FOR_ME": lambda _: {},
}
ABOUT_OWN: dict[str, Make] = {
    "EDIT": lambda random: {"payload": b"edited %d" % random.getrandbits(40)},
    "DELETE_FOR_EVERYONE": lambda _: {},
}
ABOUT_CONVERSATION: dict[str, Make] = {
    "ARCHIVE": lambda random: {"value": random.random() < 0.5},
    "MUTE": lambda random: {"until": random.getrandbits(40)},
    "DRAFT": lambda random: {"payload": b"dear %d" % random.getrandbits(20)},
    "MARK_UNREAD": lambda random: {"value": random.random() < 0.7},
}


class Commander:
    def __init__(self, codec: Codec, name: Name, random: Random) -> None:
        self._codec = codec
        self._name = name
        self._random = random
        self._targets: list[Delivery] = []
        self._own: list[Delivery] = []
        self._count = 0

    def saw(self, delivery: Delivery) -> None:
        """This may be commanded about, as long as it is one of the newest few."""
        self._targets = [*self._targets[1 - MOST_TARGETS :], delivery]
        if delivery.author.eid == self._name.eid:
            self._own = [*self._own[1 - MOST_TARGETS :], delivery]

    def forget(self) -> None:
        """What was known is of another epoch, or of a store that is lost."""
        self._targets, self._own = [], []

    def forwarded(self) -> tuple[Message, Message, Given] | None:
        """Composes a FORWARDED, the command that says the same under the same id, and what they say; None as below."""
        if not self._targets:
            return None
        target = self._random.choice(self._targets)
        self._count += 1
        own_id = f"{self._name.device}-forward-{self._count}"
        status, kind = self._codec.messages.MessageStatus.FORWARDED, self._codec.command_kind("FORWARD_MARK")
        signal = self._codec.messages.Signal(status=status, id=own_id, signal_offset=target.stamp)
        command = self._codec.messages.Command(kind=kind, id=own_id, target=target.stamp)
        return signal, command, Given(self._name, own_id, "FORWARD_MARK", target.stamp, target.conversation)

    def command(self) -> tuple[Message, Given] | None:
        """Composes a command, and what it says; None: there is nothing to do it to."""
        random = self._random
        if not self._targets:
            return None
        kinds, targets = ABOUT_ANY, self._targets
        if self._own and random.random() < 0.4:
            kinds, targets = ABOUT_OWN, self._own
        elif random.random() < 0.3:
            kinds = ABOUT_CONVERSATION
        name = random.choice(sorted(kinds))
        if name == "DELETE_FOR_EVERYONE" and random.random() < 0.5:
            name = "EDIT"  # what is deleted can be nothing else any more
        target = random.choice(targets)
        fields = kinds[name](random)
        self._count += 1
        fields["id"] = f"{self._name.device}-command-{self._count}"
        if kinds is ABOUT_CONVERSATION:
            fields["conversation"] = target.conversation
        else:
            fields["target"] = target.stamp
        stamp = random.choice([0, 2**64 - 1, target.stamp + random.getrandbits(36)])
        command = self._codec.messages.Command(kind=self._codec.command_kind(name), stamp=stamp, **fields)
        given = Given(
            self._name,
            fields["id"],
            name,
            0 if kinds is ABOUT_CONVERSATION else target.stamp,
            target.conversation,
            fields.get("payload", b""),
            fields.get("emoji", ""),
        )
        return command, given
