"""What a device does about other users: it asks to see them, answers who asks, ends it, gives names, and in some worlds
blocks.
"""

from collections.abc import Sequence
from random import Random

from tests.kit.codecs import Codec, Message
from tests.kit.history import ContactKnown, ContactSaid, Name

MOST_UNANSWERED = 3
ACTIONS = ("REQUEST", "REQUEST", "REQUEST", "ACCEPT", "DENY", "REMOVE", "NAME")
BLOCKING = (*ACTIONS, "BLOCK", "BLOCK", "BLOCK", "UNBLOCK", "UNBLOCK")


class Befriender:
    def __init__(self, codec: Codec, name: Name, users: Sequence[str], random: Random, *, blocks: bool) -> None:
        self._codec = codec
        self._name = name
        self._others = [user for user in users if user != name.eid]
        self._random = random
        self._actions = BLOCKING if blocks else ACTIONS
        self._asking: dict[str, None] = {}  # who waits for an answer, as far as it knows
        self._count = 0
        self.unanswered: dict[str, Message] = {}

    def forget(self) -> None:
        """Its store is lost."""
        self._asking.clear()
        self.unanswered.clear()

    def told(self, contacts: Sequence[ContactKnown]) -> None:
        for one in contacts:
            self._asking.pop(one.other, None)
            if one.state == "asked":
                self._asking[one.other] = None

    def change(self) -> tuple[Message, ContactSaid] | None:
        """Does something about somebody, whether that can be done or not."""
        random = self._random
        if not self._others or len(self.unanswered) >= MOST_UNANSWERED:
            return None
        action, other = random.choice(self._actions), random.choice(self._others)
        if self._asking and random.random() < 0.4:
            action, other = random.choice(["ACCEPT", "ACCEPT", "ACCEPT", "DENY"]), random.choice(list(self._asking))
        return self._say(action, other, is_mutual=action in {"REQUEST", "ACCEPT"} and random.random() < 0.5)

    def ask(self, other: str) -> tuple[Message, ContactSaid]:
        """Asks somebody that both see each other."""
        return self._say("REQUEST", other, is_mutual=True)

    def _say(self, action: str, other: str, *, is_mutual: bool) -> tuple[Message, ContactSaid]:
        self._count += 1
        name = f"{self._name.device}'s {self._count}" if action == "NAME" else ""
        said = ContactSaid(self._name, f"{self._name.device}-k{self._count}", action, other, is_mutual, name)
        number = self._codec.contact_action(action)
        request = self._codec.messages.Contact(action=number, eid=other, id=said.id, mutual=is_mutual, name=name)
        self.unanswered[said.id] = request
        return request, said
