"""How many may be connected at once, and how fast an address may come: by user, by address, and those who have not said
who they are. Only counting.

A peer that is not known yet costs a task, a buffer and a file descriptor, and has proved nothing: so there is a most of
them in all, and a most for each address. Who is turned away is told when to come again. An opening costs about a
millisecond, one that comes to nothing buys nothing with it: so an address has a rate, and what ends without a valid
token (none, a false one, bytes that mean nothing, a flood of pings) is charged several times. A login and its end cost
more than that, so who was let in and closed for a fault of theirs is charged most: they come again for the same.

Addresses behind which many peers stand that cannot be told apart (a proxy on this machine) are not counted. One of them
could hold all places of the unknown, so when these are taken the oldest is given up: an honest peer needs its place for
much less than the time that it has.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from types import TracebackType
from typing import Self

import trio
import trio.abc

from bimip.concurrency.buckets import Bucket, Rate, Remembered
from bimip.domain.core.identity import Claims
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.tls_stream import transport_of

PLACE_SECONDS = 60
"""Nobody knows when somebody leaves: who found no place may look again after this."""
IPV6_PREFIX = 64
"""What one customer of a network has to themselves: within it, addresses cost nothing."""
REMEMBERED_ADDRESSES = 1024
ADDRESS_BURST_SECONDS = 10.0
FAILED_OPENINGS = 4
"""What an opening counts in addition that ended without a valid token."""
FAULTS = 15
"""What one counts in addition that had a valid token and was closed for a fault of its peer."""
SHUT_OUT_SECONDS = 2.0
"""An address that goes on although it was told to wait is not answered any more once it owes so much."""
MOST_OWED_SECONDS = 10.0
"""So long after its last try an address is heard again, whatever it did."""
PATIENCE = 0.2
"""The part of the handshake's time in which nobody is given up for others."""


class AdmissionRefusedError(Exception):
    def __init__(self, status: int, sentence: str, retry_after: int) -> None:
        super().__init__(sentence)
        self.status = status  # of an answer by HTTP
        self.sentence = f"{sentence} Try again in {retry_after} seconds."
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    unauthenticated: int
    users: int
    addresses: int
    no_place: int  # how often somebody was turned away
    given_up: int  # unknown peers whose place others got


class Admission:
    def __init__(self, settings: GatewaySettings, now: Callable[[], float] = trio.current_time) -> None:
        self._settings = settings
        self.now = now
        uncounted = [ip_network(network) for network in (*settings.uncounted_addresses, *settings.proxies)]
        self._counted = lru_cache(REMEMBERED_ADDRESSES)(partial(_counted, uncounted))
        self._unknown: dict[Slot, None] = {}  # the oldest first
        self._rate = Rate(settings.address_openings_per_second, burst_seconds=ADDRESS_BURST_SECONDS)
        self._openings = Remembered[str, Bucket](REMEMBERED_ADDRESSES)
        self._connected_from: Counter[str] = Counter()
        self._unauthenticated_from: Counter[str] = Counter()
        self._http_from: Counter[str] = Counter()
        self._devices: dict[str, list[str]] = {}  # of users; a device is there as often as it has connections
        self._all = 0  # connections
        self._no_place = self._given_up = 0

    def counted(self, address: str | None) -> str:
        """The name that an address is counted under; "" where it is not."""
        return self._counted(address) if address is not None else ""

    def enter(self, address: str | None, abort: Callable[[], None] = lambda: None) -> "Slot":
        """Counts a socket that was accepted, which may have no address. Raises AdmissionRefusedError.

        `abort` closes it at once.
        """
        settings, soon = self._settings, ceil(self._settings.handshake_seconds)
        counted = self.counted(address)
        if counted:
            self._charge(counted)
        if _is_full(self._all, settings.max_connections):
            raise self._turned_away(503, "This server has no room for more connections right now.", PLACE_SECONDS)
        self._check_address(counted)
        if _is_full(len(self._unknown), settings.max_unauthenticated) and not self._gives_one_up():
            raise self._turned_away(503, "Too many are connecting to this server right now.", soon)
        return Slot(self, counted, abort)

    def _check_address(self, counted: str) -> None:
        settings = self._settings
        if counted and _is_full(self._unauthenticated_from[counted], settings.max_unauthenticated_per_address):
            soon = ceil(settings.handshake_seconds)
            raise self._turned_away(429, "Too many are connecting from your address right now.", soon)
        if counted and _is_full(self._connected_from[counted], settings.max_connections_per_address):
            raise self._turned_away(429, "Too many are connected from your address.", PLACE_SECONDS)

    def shuts_out(self, address: str | None) -> bool:
        """Whether an address is not even to be answered. Each try is counted."""
        counted = self.counted(address)
        bucket = self._openings.get(counted) if counted else None
        if bucket is None:
            return False
        now = self.now()
        owed = bucket.wait(now)
        if 0 < owed < MOST_OWED_SECONDS:
            bucket.take(1, 0, now)  # else it is taken where it is let in
        return owed > SHUT_OUT_SECONDS

    def statistics(self) -> AdmissionStatistics:
        return AdmissionStatistics(
            len(self._unknown), len(self._devices), len(self._connected_from), self._no_place, self._given_up
        )

    def _charge(self, counted: str) -> None:
        now = self.now()
        bucket = self._openings_of(counted)
        wait = bucket.wait(now)
        if wait > 0:
            raise self._turned_away(429, "Too many connections were opened from your address.", ceil(wait))
        bucket.take(1, 0, now)

    def _openings_of(self, counted: str) -> Bucket:
        return self._openings.get(counted) or self._openings.put(counted, Bucket(self._rate))

    def _gives_one_up(self) -> bool:
        oldest = next(iter(self._unknown))
        if self.now() < oldest.since + PATIENCE * self._settings.handshake_seconds:
            return False
        self._given_up += 1
        oldest.give_up()
        return True

    def _turned_away(self, status: int, sentence: str, retry_after: int) -> AdmissionRefusedError:
        self._no_place += 1
        return AdmissionRefusedError(status, sentence, retry_after)

    def _begin(self, slot: "Slot", counted: str) -> None:
        self._unknown[slot] = None
        self._all += 1
        if counted:
            self._connected_from[counted] += 1
            self._unauthenticated_from[counted] += 1

    def _move(self, slot: "Slot", counted: str, to: str) -> None:
        """Counts a slot under another address, from which it was opened: a proxy's peer is told of by its head."""
        if to:
            self._charge(to)
            self._check_address(to)
            self._connected_from[to] += 1
        if counted:
            _count_down(self._connected_from, counted)
        if slot in self._unknown:
            if to:
                self._unauthenticated_from[to] += 1
            if counted:
                _count_down(self._unauthenticated_from, counted)

    def _begin_http(self, counted: str) -> None:
        if counted and _is_full(self._http_from[counted], self._settings.connections_per_address):
            raise self._turned_away(429, "Too many connections by HTTP are kept from your address.", PLACE_SECONDS)
        self._http_from[counted] += 1

    def _end_http(self, counted: str) -> None:
        _count_down(self._http_from, counted)

    def _known(self, slot: "Slot", counted: str) -> None:
        del self._unknown[slot]
        if counted:
            _count_down(self._unauthenticated_from, counted)

    def _name(self, claims: Claims) -> None:
        """Another connection of a device that is connected already takes its place, and needs none of its own."""
        most = self._settings.max_devices_per_user
        devices = self._devices.get(claims.eid, [])
        room = most if claims.device not in devices else 2 * most
        if _is_full(len(devices), room):
            raise self._turned_away(429, f"This user has {most} devices connected.", PLACE_SECONDS)
        self._devices[claims.eid] = [*devices, claims.device]

    def _end(self, counted: str, claims: Claims | None, more: int) -> None:
        """`more`: what its opening counts in addition."""
        self._all -= 1
        if counted:
            _count_down(self._connected_from, counted)
            if more:
                self._openings_of(counted).take(more, 0, self.now())
        if claims is not None:
            devices = self._devices[claims.eid]
            devices.remove(claims.device)
            if not devices:
                del self._devices[claims.eid]


class Slot:
    """One connection's, from its first byte to its last."""

    __slots__ = (
        "_abort",
        "_admission",
        "_claims",
        "_counted",
        "_is_faulty",
        "_is_http",
        "_is_known",
        "_is_valid",
        "since",
    )

    def __init__(self, admission: Admission, counted: str, abort: Callable[[], None]) -> None:
        self.since = admission.now()
        self._admission = admission
        self._counted = counted
        self._abort = abort
        self._claims: Claims | None = None
        self._is_known = False
        self._is_valid = False  # somebody showed a valid token
        self._is_http = False
        self._is_faulty = False

    def __enter__(self) -> Self:
        self._admission._begin(self, self._counted)  # noqa: SLF001 - a part of it
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.leave_http()
        self._admit()
        more = (FAULTS if self._is_faulty else 0) if self._is_valid else FAILED_OPENINGS
        self._admission._end(self._counted, self._claims, more)  # noqa: SLF001 - a part of it

    @property
    def account(self) -> Hashable:
        """The account that a connection is served on: its address, or, where that says nothing, its user; one of its
        own as long as it has said nothing.
        """
        return self._counted or (self._claims.eid if self._claims is not None else id(self))

    def identify(self, claims: Claims) -> None:
        """It is known now whose connection this is. Raises AdmissionRefusedError."""
        self._admission._name(claims)  # noqa: SLF001 - a part of it
        self._claims = claims
        self.admit()

    @property
    def is_admitted(self) -> bool:
        return self._is_valid

    def admit(self) -> None:
        """Somebody showed a valid token. By HTTP that is another user each time, whose device is not connected."""
        self._is_valid = True
        self._admit()

    def blame(self) -> None:
        """It is closed for a fault of its peer."""
        self._is_faulty = True

    def move(self, address: str | None) -> None:
        """The peer is at another address than the one that was counted. Raises AdmissionRefusedError."""
        counted = self._admission.counted(address)
        if counted != self._counted:
            self.leave_http()
            self._admission._move(self, self._counted, counted)  # noqa: SLF001 - a part of it
            self._counted = counted

    def serve_http(self) -> None:
        """Counts it as one that is kept for HTTP. Raises AdmissionRefusedError."""
        self.leave_http()
        self._admission._begin_http(self._counted)  # noqa: SLF001 - a part of it
        self._is_http = True

    def leave_http(self) -> None:
        """It is no connection by HTTP any more: it ends, becomes a WebSocket, or is another address's."""
        if self._is_http:
            self._is_http = False
            self._admission._end_http(self._counted)  # noqa: SLF001 - a part of it

    def give_up(self) -> None:
        """Another peer gets this place."""
        self._admit()
        self._abort()

    def _admit(self) -> None:
        if not self._is_known:
            self._is_known = True
            self._admission._known(self, self._counted)  # noqa: SLF001 - a part of it


def address_of(stream: trio.abc.Stream) -> str | None:
    transport = transport_of(stream)
    if not isinstance(transport, trio.SocketStream):
        return None
    try:
        peer = transport.socket.getpeername()
    except OSError:
        return None  # it has left already
    return peer[0] if isinstance(peer, tuple) else None


def end_stream(stream: trio.abc.Stream) -> None:
    """Whoever reads from it finds its end, in whatever state it is."""
    transport = transport_of(stream)
    if isinstance(transport, trio.SocketStream):
        with suppress(OSError):
            transport.socket.shutdown(trio.socket.SHUT_RDWR)


def _counted(uncounted: Sequence[IPv4Network | IPv6Network], address: str) -> str:
    """The name that an address is counted under; "" where it is not."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if any(parsed in network for network in uncounted):
        return ""
    return str(parsed if parsed.version == 4 else ip_network((parsed, IPV6_PREFIX), strict=False))


def _is_full(count: int, most: int) -> bool:
    return 0 < most <= count


def _count_down(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
