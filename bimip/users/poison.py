"""Entries of logs that cannot be delivered, because looking at them crashes whoever does."""

from collections import OrderedDict
from collections.abc import Collection

from bimip.domain.core.ids import UserId
from bimip.storage.errors import is_passing

MAX_REMEMBERED = 4096


class PoisonEntries:
    """How often an entry crashed a fetcher: after the second time it is delivered as a gap. Outlives the devices."""

    def __init__(self) -> None:
        self._crashes: OrderedDict[tuple[UserId, str, int], int] = OrderedDict()

    def note(self, place: tuple[UserId, str, int], error: Exception) -> None:
        if is_passing(error):
            return  # it crashes whoever looks at anything
        self._crashes[place] = self._crashes.pop(place, 0) + 1
        if len(self._crashes) > MAX_REMEMBERED:
            self._crashes.popitem(last=False)

    def of(self, user: UserId, partition: str) -> Collection[int]:
        """The damaged offsets of a log. Asked for each frame, when mostly there is none anywhere."""
        if not self._crashes:
            return ()
        return {at for (one, log, at), times in self._crashes.items() if one == user and log == partition and times > 1}
