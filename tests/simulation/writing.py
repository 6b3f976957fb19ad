"""The writer of the chaos runs, in the codec that costs least."""

from typing import Any

from bimip.wire import bimip_pb2 as pb
from tests.chaos.history import Wrote
from tests.chaos.writing import TYPES, Writer


class QuickWriter(Writer):
    def contradict(self, message: Any) -> Any:
        """The same id with other content."""
        return pb.Message(id=message.id, to=message.to, type=message.type, payload=message.payload + b"!")

    def _encode(self, wrote: Wrote) -> Any:
        message = pb.Message(
            id=wrote.id,
            to=pb.Identity(eid=wrote.to),
            type=TYPES.get(wrote.partition, 3),
            payload=wrote.payload,
            partition="" if wrote.partition in TYPES else wrote.partition,
            devices=[
                pb.DeviceAddress(identity=pb.Identity(eid=one.eid, connection_resource_id=one.device), payload=payload)
                for one, payload in wrote.addressed.items()
            ],
        )
        claim = self._random.random()
        claimed = getattr(message, "from")
        if claim < 0.01:  # another user: to be refused
            claimed.eid, claimed.connection_resource_id = self._random.choice(self._users), "phone"
        elif claim < 0.05:  # another device: to be overwritten
            claimed.eid, claimed.connection_resource_id = self._name.eid, "forged"
        return message
