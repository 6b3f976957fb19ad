"""What a device writes: to whom, or for friends, into which partition, how large, and now and then something that must
be refused.
"""

from collections.abc import Iterable, Sequence
from random import Random

from tests.kit.codecs import Codec, Message
from tests.kit.history import FRIENDS, Name, Wrote

NOBODY = "nobody@example.org"
TYPES = {"chat": 1, "notification": 2}


class Writer:
    def __init__(
        self, codec: Codec, name: Name, directory: Sequence[Name], partitions: Sequence[str], random: Random
    ) -> None:
        self._codec = codec
        self._name = name
        self._directory = directory
        self._users = list(dict.fromkeys(other.eid for other in directory))
        self._partitions = partitions
        self._random = random
        self._count = 0

    def write(self, groups: Sequence[str] = ()) -> tuple[Message, Wrote]:
        """Writes to a user, or to one of the groups that the device believes to be in."""
        random = self._random
        self._count += 1
        to = NOBODY if random.random() < 0.01 else random.choice(self._users)
        if groups and random.random() < 0.3:
            to = random.choice(groups)
        if random.random() < 0.07:
            to = FRIENDS
        usual = "chat" if to else "feed"
        partition = random.choice(self._partitions) if random.random() < 0.3 else usual
        payload = f"{self._name}/{self._count}|".encode() + b"." * self._size()
        addressed = self._address(to) if random.random() < 0.05 and to else {}
        ttl_ms = random.choice((1000, 3000, 60_000)) if not addressed and random.random() < 0.05 else 0
        is_complete = to in self._users and not addressed and random.random() < 0.03
        if is_complete:
            addressed = self._address_all(to)
        wrote = Wrote(self._name, f"{self._name.device}-{self._count}", to, partition, payload, addressed, ttl_ms)
        wrote = wrote._replace(is_complete=is_complete and bool(addressed))
        return self._encode(wrote), wrote

    def write_to(self, to: str) -> tuple[Message, Wrote]:
        """A plain message to this user."""
        self._count += 1
        payload = f"{self._name}/{self._count}|".encode()
        wrote = Wrote(self._name, f"{self._name.device}-{self._count}", to, "chat", payload)
        return self._encode(wrote), wrote

    def write_again(self, known: Wrote, missing: Iterable[Name], extra: Iterable[Name]) -> tuple[Message, Wrote]:
        """The same to the devices that there are, as the server has told, under another id."""
        self._count += 1
        gone = set(extra)
        addressed = {one: own for one, own in known.addressed.items() if one not in gone} | dict.fromkeys(missing)
        payload = f"{self._name}/{self._count}|".encode()
        wrote = known._replace(id=f"{self._name.device}-{self._count}", payload=payload, addressed=addressed)
        wrote = wrote._replace(is_complete=bool(addressed))
        return self._encode(wrote), wrote

    def contradict(self, message: Message) -> Message:
        """The same id with other content."""
        to = message.to if self._codec.has(message, "to") else None
        fields = {"type": message.type, "scope": message.scope, "payload": message.payload + b"!"}
        return self._codec.written(None, id=message.id, to=to, **fields)

    def _size(self) -> int:
        return self._random.choice([0, 50, 100, 100, 100, 400, 4000] if self._random.random() < 0.97 else [20_000])

    def _address(self, to: str) -> dict[Name, bytes | None]:
        """Some devices of either end, with a payload of their own or the common one; of a group those of anybody, who
        may be no member: then it is to be refused.
        """
        ends = {to, self._name.eid} if to in self._users else set(self._random.sample(self._users, 2))
        devices = [other for other in self._directory if other.eid in ends and other != self._name]
        chosen = self._random.sample(devices, self._random.randint(1, len(devices))) if devices else []
        own = f"{self._name}/{self._count} for ".encode()
        return {one: own + str(one).encode() if self._random.random() < 0.5 else None for one in chosen}

    def _address_all(self, to: str) -> dict[Name, bytes | None]:
        """All devices of both ends that this one has heard of; now and then without one, or with one that is none."""
        listed = [other for other in self._directory if other.eid in {to, self._name.eid} and other != self._name]
        chance = self._random.random()
        if listed and chance < 0.3:
            listed.remove(self._random.choice(listed))
        elif chance < 0.4:
            listed.append(Name(to, "fridge"))
        return dict.fromkeys(listed)

    def _encode(self, wrote: Wrote) -> Message:
        addresses = [
            self._codec.messages.DeviceAddress(identity=self._codec.identity(one), payload=payload)
            for one, payload in wrote.addressed.items()
        ]
        return self._codec.written(
            self._claimed(),
            id=wrote.id,
            to=self._codec.messages.Identity(eid=wrote.to) if wrote.to else None,
            scope="" if wrote.to else "friend",
            type=TYPES.get(wrote.partition, 3),
            payload=wrote.payload,
            partition=self._named(wrote),
            devices=addresses,
            devices_complete=wrote.is_complete,
            ttl_ms=wrote.ttl_ms,
        )

    @staticmethod
    def _named(wrote: Wrote) -> str:
        """The partition, unless it is the one that goes without saying."""
        if wrote.to:
            return "" if wrote.partition in TYPES else wrote.partition
        return "" if wrote.partition == "feed" else wrote.partition

    def _claimed(self) -> Name | None:
        claim = self._random.random()
        if claim < 0.01:  # another user: to be refused
            return Name(self._random.choice(self._users), "phone")
        return Name(self._name.eid, "forged") if claim < 0.05 else None  # another device: to be overwritten
