"""How fast a device, and all devices of a user together, may ask: see `concurrency/buckets.py`."""

from typing import Self

from bimip.concurrency.buckets import Bucket, Rate, Remembered
from bimip.domain.accounts.keys import KeyOwner
from bimip.domain.core.ids import DeviceId, UserId
from bimip.wire.limits import RateSettings

LOGIN_BURST_SECONDS = 20.0
"""All devices of a user come back at once, and some of them twice."""
KEY_CLAIMS = Rate(requests_per_second=0.1, burst_seconds=50.0)
"""One-time keys of one device for one user: six at once, and six a minute. Beyond it, the fallback key."""
MAX_CLAIMS = 16_384
MAX_USERS = 4096
MAX_DEVICES = 256
"""Whose buckets are remembered when they leave: connecting again must not pay what one owes."""


class Buckets:
    """The buckets that one device takes from: its own, and its user's."""

    __slots__ = ("_device", "_user")

    def __init__(self, device: Bucket, user: Bucket) -> None:
        self._device = device
        self._user = user

    def take(self, requests: int, size: int, now: float) -> float:
        """0: taken. Else the seconds until something may be taken, and nothing was."""
        device, user = self._device, self._user
        if (
            device.requests_until > now
            or device.bytes_until > now
            or user.requests_until > now
            or user.bytes_until > now
        ):
            return self.wait(now)
        for bucket in (device, user):  # as Bucket.take does, without two calls and four of max() for each frame
            begin = now - bucket.burst
            if bucket.requests_until < begin:  # noqa: PLR1730
                bucket.requests_until = begin
            if bucket.bytes_until < begin:  # noqa: PLR1730
                bucket.bytes_until = begin
            bucket.requests_until += requests * bucket.request_cost
            bucket.bytes_until += size * bucket.byte_cost
        return 0

    def charge(self, requests: float, now: float, size: int = 0) -> None:
        """Take for work that was done already, however much is owed then."""
        self._device.take(requests, size, now)
        self._user.take(requests, size, now)

    def wait(self, now: float) -> float:
        """Seconds until nothing is owed; 0 or less: now."""
        return max(self._device.wait(now), self._user.wait(now))


class UserRates:
    __slots__ = ("_bucket", "_devices", "_per_device")

    def __init__(self, per_device: Rate, per_user: Rate) -> None:
        self._per_device = per_device
        self._bucket = Bucket(per_user)
        self._devices = Remembered[DeviceId, Bucket](MAX_DEVICES)

    def of(self, device: DeviceId) -> Buckets:
        return Buckets(self._devices.get(device) or self._devices.put(device, Bucket(self._per_device)), self._bucket)


class RateLimiter:
    """All users' buckets. A session keeps its user's for as long as it lives, whoever is forgotten here."""

    @classmethod
    def configured(cls, settings: RateSettings) -> Self:
        return cls(*_rates_of(settings))

    def __init__(
        self, per_device: Rate | None = None, per_user: Rate | None = None, logins: Rate | None = None
    ) -> None:
        self._rates = (per_device or Rate(), per_user or Rate())
        self._users = Remembered[UserId, UserRates](MAX_USERS)
        self._login_rate = logins or Rate()
        self._logins = Remembered[str, Bucket](MAX_USERS)

    def configure(self, settings: RateSettings) -> None:
        """Has other rates hold for users who connect from now on; who is connected keeps theirs. What is owed by who is
        not is forgotten.
        """
        per_device, per_user, self._login_rate = _rates_of(settings)
        self._rates = (per_device, per_user)
        self._users = Remembered[UserId, UserRates](MAX_USERS)
        self._logins = Remembered[str, Bucket](MAX_USERS)

    def log_in(self, eid: str, now: float) -> float:
        """One of a user's devices connects. 0: it may. Else the seconds until one may, and nothing was taken."""
        bucket = self._logins.get(eid) or self._logins.put(eid, Bucket(self._login_rate))
        wait = bucket.wait(now)
        if wait > 0:
            return wait
        bucket.take(1, 0, now)
        return 0

    def of(self, user: UserId) -> UserRates:
        return self._users.get(user) or self._users.put(user, UserRates(*self._rates))


class KeyClaims:
    """How often each user takes one-time keys of each device, so that nobody uses up another's."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets = Remembered[tuple[UserId, KeyOwner], Bucket](MAX_CLAIMS)

    def take(self, user: UserId, owner: KeyOwner, now: float) -> bool:
        """Whether one may be taken; then it counts as taken."""
        bucket = self._buckets.get((user, owner)) or self._buckets.put((user, owner), Bucket(KEY_CLAIMS))
        if bucket.wait(now) > 0:
            return False
        bucket.take(1, 0, now)
        return True


def _rates_of(settings: RateSettings) -> tuple[Rate, Rate, Rate]:
    """The rates of a device, of a user, and of a user's logins."""
    burst = settings.rate_burst_seconds
    return (
        Rate(settings.device_requests_per_second, settings.device_bytes_per_second, burst),
        Rate(settings.user_requests_per_second, settings.user_bytes_per_second, burst),
        Rate(settings.user_logins_per_second, 0, LOGIN_BURST_SECONDS),
    )
