"""Who asks: a device of a user, whichever way its requests come. What only a connection can do is left to that."""

from collections.abc import Container, Mapping
from typing import Protocol

from bimip.domain.awareness.activities import Activity
from bimip.domain.awareness.status import Focus
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.merges import clamped
from bimip.domain.core.operations import Acknowledge, Receipt, Received
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Status
from bimip.requests.appends import CheckedMessage
from bimip.requests.rates import Buckets
from bimip.requests.replies import Replies
from bimip.requests.services import RequestServices
from bimip.session.close import Close
from bimip.wire import stored


class PendingAck(Protocol):
    """An acknowledgement on its way into the journal."""

    def merge(self, operation: Acknowledge, ref: int) -> bool: ...


class PendingReceipt(Protocol):
    """A READ or PLAYED on its way into the journal."""

    def merge(self, operation: Receipt, ref: int, places: str) -> bool: ...


class PendingAnswers(Protocol):
    """Answers that take long to make. They are made in slices, by whoever serves the asker, when it is due."""

    def deadline(self, now: float) -> float:
        """When there is something to do without anybody's word."""
        ...

    def holds_back(self, now: float) -> bool:
        """Whether nothing is to be delivered in turn, as something else comes first."""
        ...

    def work(self, now: float) -> bool:
        """Does one slice, if that is due. False: there is nothing to do now."""
        ...

    def acknowledged(self, partition: str, upto: int, ranges: Ranges) -> None:
        """An ack of the asker is on disk."""
        ...


class Asker(Replies):
    """A device of a user, as far as requests need it."""

    __slots__ = (
        "acks",
        "author_part",
        "checked",
        "claims",
        "eid",
        "frame_bytes",
        "heard_at",
        "number",
        "pending",
        "rates",
        "receipts",
        "services",
        "stamped",
        "user",
        "weight",
        "whole_state",
    )

    def __init__(
        self, services: RequestServices, user: UserId, eid: str, number: DeviceId, claims: Claims, rates: Buckets
    ) -> None:
        super().__init__(services.limits.unanswered_requests)
        self.services = services
        self.user = user
        self.eid = eid
        self.number = number
        self.claims = claims
        self.rates = rates
        self.author_part = stored.author_part(eid, claims.device)
        """`from` of what this device writes."""
        self.heard_at = 0.0
        """When the last frame that is being handled came."""
        self.frame_bytes = 0
        """Of that frame."""
        self.weight = 0
        """What was asked for in this turn: requests, by what they cost."""
        self.checked: list[CheckedMessage] = []
        """Messages that were taken from what arrived, until all of it was."""
        self.acks: dict[str, PendingAck] = {}
        """By partition, the last of its acknowledgements."""
        self.receipts: dict[tuple[int, str], PendingReceipt] = {}
        """By kind and conversation, as it was named, the last of what its user read."""
        self.pending: PendingAnswers | None = None
        """None until it asks for something that takes long: most never do."""
        self.whole_state: tuple[int, int] | None = None
        """Of a whole state that it asks for page by page: the version up to which it has it, and the state's floor when
        that began.
        """
        self.stamped = Stamp(0)
        """The last stamp that was drawn for it."""

    @property
    def name(self) -> str:
        return self.claims.device

    def weigh(self, requests: int) -> None:
        """Charges so many requests more for what is being handled."""
        if requests:
            self.weight += requests
            self.rates.charge(requests, self.heard_at)

    def stamp_for(self, given: int) -> Stamp:
        """Returns the stamp of what it writes: its own, or the present where that is ahead of it or none is given.

        It is drawn before the operation is tried, which may be tried again and must not win anew by that.
        """
        present = next_stamp(self.stamped, self.services.wall_clock(), 0)
        stamp = clamped(Stamp(given), present)
        if stamp == present:
            self.stamped = present
        return stamp

    def count_refusal(self, code: int) -> None:
        self.services.statistics.refused[code] += 1

    def audit(self, action: str, target: str) -> None:
        """Has it recorded that the user did this."""
        self.services.audit(action, who=self.eid, source=self.name, target=target)

    def wake(self) -> None:
        """There is work to do, or another deadline: see `pending` and `claims`."""
        raise NotImplementedError

    def head_of(self, partition: str) -> Offset | None:
        """The newest offset of the user's log; None: there is no such partition."""
        raise NotImplementedError

    def positions(self) -> Mapping[str, Offset]:
        """Up to where all that is owed was sent in turn, of each log that the device asked for."""
        raise NotImplementedError

    def acknowledge(self, partition: str, upto: Offset, ranges: Ranges) -> None:
        """The device holds these."""
        raise NotImplementedError

    def count_body_changes(self) -> int:
        """Counts of how many of the user's messages the content changed, as far as that was told: edited, or gone."""
        raise NotImplementedError

    def list_received(self) -> list[Received]:
        """Lists what the device was sent of late, acknowledged or not."""
        raise NotImplementedError

    def note_received(self, places: list[Received]) -> None:
        """The device is sent these: it may say that they were read before it acknowledges them, or without."""
        raise NotImplementedError

    def set_focus(self, focus: Focus) -> None:
        """Notes how far somebody is at the device."""
        raise NotImplementedError

    def note_status(self) -> None:
        """The user's status may be another one."""
        raise NotImplementedError

    def say_activity(self, activity: Activity) -> None:
        """Has it told to who may see it, if they are there."""
        raise NotImplementedError

    def shown_as(self, user: UserId) -> tuple[Status, Millis] | None:
        """How a user is shown to who may see them, and since when; None: they are not there."""
        raise NotImplementedError

    def close_after_answers(self, code: Close, reason: str) -> None:
        """Closes the way to the device once everything that is to be answered was sent."""
        raise NotImplementedError

    def list_online(self) -> Container[str]:
        """Lists the names of the user's devices that are connected."""
        raise NotImplementedError

    def tell_siblings(self, name: str, part: bytes) -> int:
        """Tells the user's other devices that are connected, or the one of this name, an element of Body that is stored
        nowhere. Returns how many.
        """
        raise NotImplementedError

    def close_removed(self, device: DeviceId) -> None:
        """Closes the way to a device of the user that is none any more."""
        raise NotImplementedError

    def close_revoked(self, jti: str) -> None:
        """Closes all other ways to the user's devices that were opened with a token."""
        raise NotImplementedError
