"""What a device says of where its user is: it shares that in groups, for a while, and is now here and now there."""

from collections.abc import Sequence
from random import Random

from tests.kit.codecs import Codec, Message
from tests.kit.history import LocationAnswered, LocationSaid, LocationTold, Name


class Locator:
    def __init__(self, codec: Codec, name: Name, random: Random) -> None:
        self._codec = codec
        self._name = name
        self._random = random
        self._count = 0

    def say(self, groups: Sequence[str]) -> tuple[Message, LocationSaid]:
        """Says where it is, or shares that in one of the groups, or does so no more there."""
        self._count += 1
        own_id, chance = f"location {self._name.device} {self._count}", self._random.random()
        if not groups or chance < 0.6:
            latitude = self._random.uniform(-90.0, 90.0)  # which nobody else ever says
            position = self._codec.messages.LocationStream(id=own_id, latitude=latitude, has_position=True)
            return position, LocationSaid(self._name, own_id, latitude=latitude)
        said = LocationSaid(self._name, own_id, self._random.choice(groups), is_shared=chance < 0.85)
        fields = {"id": own_id, "conversation": said.conversation, "enabled": said.is_shared}
        return self._codec.messages.LocationStream(**fields), said

    def answered(self, answer: Message) -> LocationAnswered:
        return LocationAnswered(self._name, answer.id, answer.conversation, answer.enabled, answer.version)

    def told(self, location: Message) -> LocationTold:
        latitude = location.latitude if location.has_position else None
        user = self._codec.author(location).eid
        return LocationTold(self._name, user, location.conversation, location.enabled, latitude)
