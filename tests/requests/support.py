"""One who asks, without a connection: what is answered is looked at, and operations are decided when a test says so."""

from collections.abc import Container
from typing import Any, cast

from bimip.concurrency.buckets import Rate
from bimip.domain.awareness.activities import Activity
from bimip.domain.awareness.calls import Said
from bimip.domain.awareness.locations import Position
from bimip.domain.awareness.status import Focus
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.operations import Operation, Received, Result
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Changes, Device, LocationShare, Status, Table
from bimip.domain.push.subscribing import PushOffer
from bimip.domain.state.location_shares import OtherEnd
from bimip.journal.queue import OperationQueue, Owner, Reply, Ticket
from bimip.reading.people import Eids
from bimip.requests import ROUTES
from bimip.requests.asker import Asker
from bimip.requests.rates import RateLimiter
from bimip.requests.services import RequestServices
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LATER = Millis(1 << 42)
TOKENS = {
    "newer": Claims("ann", "phone", LATER, "newer"),
    "laptop's": Claims("ann", "laptop", LATER, "laptop's"),
    "bob's": Claims("bob", "phone", LATER, "bob's"),
}


def verify(token: str) -> Claims:
    try:
        return TOKENS[token]
    except KeyError:
        raise TokenError("it is nobody's") from None


def with_a_laptop() -> MemoryStore:
    store = MemoryStore()
    store.begin()
    devices = {
        (UserId(1), "phone"): Device(DeviceId(11), Millis(0), Millis(900)),
        (UserId(1), "laptop"): Device(DeviceId(12), Millis(0), Millis(800)),
    }
    store.apply(Changes(puts={Table.DEVICES: dict(devices)}))
    store.commit()
    return store


class Queue:
    """Keeps operations until a test decides them."""

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []

    def submit(self, operation: Operation, reply: Reply, *, owner: Owner) -> Ticket:
        assert owner == UserId(1)
        ticket = Ticket(operation, reply, owner=owner)
        self.tickets.append(ticket)
        return ticket


class Peer(Asker):
    """Ann's phone. Her log of `chat` ends at 9. She has a laptop as well, which is connected."""

    __slots__ = (
        "activities",
        "audited",
        "body_changes",
        "closed",
        "focus",
        "held",
        "noted",
        "positions_seen",
        "published",
        "queue",
        "received",
        "removed",
        "revoked",
        "said",
        "scheduled",
        "shares",
        "shown",
        "subscribed",
        "wakes",
    )

    def __init__(self, store: MemoryStore | None = None, *, rate: Rate | None = None) -> None:
        self.queue = Queue()
        self.scheduled = self.wakes = self.body_changes = 0
        self.held: list[tuple[str, int, Ranges]] = []
        self.received: list[Received] = []
        self.closed: list[tuple[Close, str]] = []
        self.revoked: list[str] = []
        self.said: list[Said] = []
        self.published: list[tuple[UserId, Position]] = []
        self.positions_seen: dict[tuple[UserId, UserId], Position] = {}
        self.shares: list[tuple[UserId, OtherEnd, LocationShare | None]] = []
        self.removed: list[DeviceId] = []
        self.audited: list[tuple[str, str, str, str]] = []
        self.subscribed: list[UserId] = []
        self.focus = Focus.ACTIVE
        self.noted = 0
        self.activities: list[Activity] = []
        self.shown: dict[UserId, tuple[Status, Millis]] = {}
        store = store or with_a_laptop()
        services = RequestServices(
            store=store,
            eids=Eids(store),
            queue=cast("OperationQueue", self.queue),
            limits=Limits(),
            partitions=("chat", "feed"),
            wall_clock=lambda: Millis(1000),
            verify=verify,
            new_id=lambda: "new",
            calls=self,
            locations=self,
            report=lambda _what, _error: None,
            push=PushOffer(("fcm", "webpush"), "the server's key"),
            subscribed=self.subscribed.append,
            token_leeway_seconds=2,
            monotonic=lambda: 0.5,
            audit=lambda action, **more: self.audited.append((action, more["who"], more["source"], more["target"])),
        )
        rates = RateLimiter(rate or Rate()).of(UserId(1)).of(DeviceId(11))
        super().__init__(services, UserId(1), "ann", DeviceId(11), Claims("ann", "phone", LATER, "first"), rates)

    def say(self, said: Said) -> int:
        """Notes what is said of calls, of which 16 devices are told."""
        self.said.append(said)
        return 16

    def publish(self, user: UserId, position: Position) -> int | None:
        """Notes positions, which 16 are shown."""
        self.published.append((user, position))
        return 16 if user == UserId(1) and position.latitude else None

    def share_changed(self, user: UserId, other: OtherEnd, share: LocationShare | None) -> None:
        self.shares.append((user, other, share))

    def position_of(self, owner: UserId, viewer: UserId) -> Position | None:
        return self.positions_seen.get((owner, viewer))

    def schedule_send(self) -> None:
        self.scheduled += 1

    def notify_room(self) -> None:
        pass

    def wake(self) -> None:
        self.wakes += 1

    def head_of(self, partition: str) -> Offset | None:
        return {"chat": Offset(9), "feed": Offset(0)}.get(partition)

    def positions(self) -> dict[str, Offset]:
        return {"chat": Offset(0)}

    def acknowledge(self, partition: str, upto: Offset, ranges: Ranges) -> None:
        self.held.append((partition, upto, ranges))

    def count_body_changes(self) -> int:
        return self.body_changes

    def list_received(self) -> list[Received]:
        return self.received

    def note_received(self, places: list[Received]) -> None:
        self.received += places

    def close_after_answers(self, code: Close, reason: str) -> None:
        self.closed.append((code, reason))

    def tell_siblings(self, name: str, part: bytes) -> int:
        return 0

    def list_online(self) -> Container[str]:
        return {"phone", "laptop"}

    def close_removed(self, device: DeviceId) -> None:
        self.removed.append(device)

    def close_revoked(self, jti: str) -> None:
        self.revoked.append(jti)

    def set_focus(self, focus: Focus) -> None:
        self.focus = focus

    def note_status(self) -> None:
        self.noted += 1

    def say_activity(self, activity: Activity) -> None:
        self.activities.append(activity)

    def shown_as(self, user: UserId) -> tuple[Status, Millis] | None:
        return self.shown.get(user)

    def operations(self) -> list[Operation]:
        """Lists those that wait to be decided."""
        return [ticket.operation for ticket in self.queue.tickets]

    def decide(self, result: Result) -> None:
        """Answers all that wait, alike."""
        tickets, self.queue.tickets = self.queue.tickets, []
        for ticket in tickets:
            ticket.taken = True
            ticket.reply(result)

    def take(self, name: str, payload: Any, ref: int = 5) -> None:
        """Takes a payload as a connection does: it owes an answer from then on."""
        self.owed += 1
        try:
            rest = ROUTES[name].ask(self, payload, ref)
            for _ in rest or ():
                pass
        except WireError as error:
            self.fail(error, ref)

    def together(self) -> pb.Body:
        """Reads what was answered together."""
        return pb.Body.FromString(b"".join(self.parts))

    def alone(self) -> list[Any]:
        """Reads what was answered alone."""
        return [codec.payload_of(codec.decode(frame)) for frame in self.frames]

    def send(self) -> None:
        """The connection takes all that was answered."""
        body = self.together()
        sent = len(body.errors) + len(body.signals) + len(body.commands) + len(self.frames)
        self.parts.clear()
        self.frames.clear()
        self.pay(sent)
