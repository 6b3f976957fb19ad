"""What was sent, accepted and delivered, counted by the client that did it. Times are seconds on its clock."""

import time
from array import array
from collections.abc import Iterable, Sequence

now = time.perf_counter


class Ledger:
    """Each message is known by its sender's number and its own, from 0."""

    def __init__(self, senders: int, copies: int) -> None:
        self.copies = copies
        """How many devices get each message."""
        self.sent = self.accepted = self.delivered = self.whole = self.duplicates = 0
        """`whole`: messages that all of their devices have."""
        self.recording = False
        self.until_accepted = array("d")
        self.until_last = array("d")
        """Seconds to SENT, and to the last of the devices."""
        self._times: list[array[float]] = [array("d") for _ in range(senders)]
        self._delivered = [array("H") for _ in range(senders)]  # a group has more than a byte counts
        self._accepted = [0] * senders

    def send(self, sender: int, count: int, at: float | None = None) -> int:
        """Count messages that are about to leave; returns the first one's number."""
        times = self._times[sender]
        first = len(times)
        times.extend([now() if at is None else at] * count)
        self._delivered[sender].extend([0] * count)
        self.sent += count
        return first

    def accept(self, sender: int, count: int) -> None:
        """The sender's next `count` messages are on disk: the server answers in order."""
        if self.recording:
            at, first = now(), self._accepted[sender]
            self.until_accepted.extend([at - sent for sent in self._times[sender][first : first + count]])
        self._accepted[sender] += count
        self.accepted += count

    def deliver(self, marks: Iterable[tuple[bytes, bytes]]) -> None:
        """A device got these."""
        at, recording, copies = now(), self.recording, self.copies
        for sender_digits, digits in marks:
            sender, number = int(sender_digits), int(digits)
            of_sender = self._delivered[sender]
            count = of_sender[number] = of_sender[number] + 1
            self.delivered += 1
            if count == copies:
                self.whole += 1
                if recording:
                    self.until_last.append(at - self._times[sender][number])
            elif count > copies:
                self.duplicates += 1

    @property
    def is_settled(self) -> bool:
        return self.whole >= self.sent and self.accepted >= self.sent


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = len(ordered) - 1
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(1000 * ordered[min(last, int(len(ordered) * part))], 3) for name, part in at.items()}
