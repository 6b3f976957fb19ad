"""Whether this device's copy of its logs is whole: the chain of what it took, kept beside its positions.

    links       of each entry above the oldest chain that is kept what the chain needs of it
    chains      the chain at some offsets: where the server last told it, and every STEP entries from there

Nothing is computed when a message arrives. On connecting, the chain is made anew from the links as they are in the
file, and said at each place; the server names the newest one at which it has the same. What lies behind that is read
again: events bring it, and the program puts it in the place of what it has. After that, and wherever entries are
missing that nobody lost (a gap), the chain begins anew with the server's own.

A stretch that is to be read again stays in the file until the last of it is queued for the program.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bimip.client.core.chain import LINK_BYTES, digest_of, extended, link, unlink
from bimip.client.events import LogDiverged
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, Hello, LogState, Message
from bimip.client.wire.bimip import Snapshot as WireSnapshot

STEP = 128
KEPT = 8
"""Chains of one log, and so STEP * KEPT entries, or a little more, of which damage is found."""
MOST_SAID = 128
"""Places in one Hello."""
NO_CHAIN = b"?" * 16
"""Said where entries are missing that should be there: no log has it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries that are to be read again."""

    partition: str
    first: int
    last: int


class Copies:
    def __init__(self, store: Store, partitions: Iterable[str], *, keeps_links: bool = False) -> None:
        """`keeps_links`: of all entries, for who may be asked for them."""
        self._store = store
        self._partitions = tuple(partitions)
        self._keeps_links = keeps_links
        self._said: dict[str, int] = {}  # in the last Hello, by partition the newest place

    # What arrives.

    def note(self, partition: str, offset: int, message: Message) -> None:
        """Note an entry of the log."""
        if partition in self._partitions and offset:
            self._store.set_links(partition, [(offset, _link_of(message, partition))])

    def note_batch(self, body: Body) -> None:
        """Note what a batch of the log tells, also of entries that are for other devices."""
        partition = body.partition
        links = [(message.user_offset or 0, _link_of(message, partition)) for message in body.messages]
        links += [(passed.offset, link(passed.signal_offset, passed.digest)) for passed in body.passed]
        if links and partition in self._partitions:
            self._store.set_links(partition, links)

    def pass_unseen(self, partition: str, offsets: Iterable[int]) -> None:
        """Pass what the program has by other means, of which no copy came here: as a gap."""
        unseen = [offset for offset in offsets if not self._store.links(partition, offset - 1, offset)]
        if unseen:
            self.pass_gap(partition, max(unseen))

    def pass_gap(self, partition: str, last: int) -> None:
        """Begin anew behind entries that nobody has: Hello tells the chain there, this one or the next."""
        self._store.drop_copy(partition, last, keep_chain=True)

    def took(self, partition: str, before: int, upto: int) -> None:
        """Keep the chain at the next places, now that the position has passed them, and drop the oldest."""
        if before // STEP == upto // STEP:
            return
        chains = self._store.chains(partition)
        if not chains:
            self._store.drop_copy(partition, upto)
            return
        at, chain = chains[-1]
        for offset, packed in self._store.links(partition, at, upto - upto % STEP):
            if offset != at + 1:
                break
            at, chain = offset, extended(chain, *unlink(packed))
            if not at % STEP:
                self._store.set_chain(partition, at, chain)
                chains.append((at, chain))
        if len(chains) > KEPT:
            self._store.drop_copy(partition, chains[-KEPT][0], keep_chain=True, keep_links=self._keeps_links)

    # Connecting.

    def claims(self, positions: dict[str, int]) -> list[WireSnapshot]:
        """Returns what Hello says of each log: the newest place is the position."""
        self._said = {}
        claims: list[WireSnapshot] = []
        most = max(1, MOST_SAID // max(1, len(self._partitions)))
        for partition in self._partitions:
            upto = positions.get(partition)
            chains = [] if upto is None else [one for one in self._store.chains(partition) if one[0] <= upto]
            if upto is None or not chains:
                claims.append(WireSnapshot(partition=partition))
                continue
            self._said[partition] = upto
            made = sorted(self._made(partition, dict(chains), upto).items())[-most:]
            claims += [WireSnapshot(partition=partition, offset=at, checksum=chain) for at, chain in made if at]
        return claims

    def _made(self, partition: str, chains: dict[int, bytes], upto: int) -> dict[int, bytes]:
        """Computes the chain, from the oldest place that is kept, at each further one and at the position."""
        at = min(chains)
        chain = chains[at]
        made = {at: chain}
        for offset, packed in self._store.links(partition, at, upto):
            if offset != at + 1 or len(packed) != LINK_BYTES:
                break
            at, chain = offset, extended(chain, *unlink(packed))
            if at in chains:
                made[at] = chain
        made[upto] = chain if at == upto else NO_CHAIN
        return made

    def welcome(self, hello: Hello) -> list[LogDiverged]:
        """Take in what the server says of the copies. Returns what is to be read again."""
        logs = {log.partition: log for log in hello.logs}
        diverged: list[LogDiverged] = []
        for verdict in hello.snapshots:
            upto = self._said.get(verdict.partition)
            if upto is None or verdict.matches:
                continue
            after = verdict.offset
            oldest = self._store.chains(verdict.partition)
            after = after or (oldest[0][0] if oldest else upto)
            if not verdict.unknown and after < upto:
                diverged.append(LogDiverged(verdict.partition, after + 1, upto))
                self._store.add_stretch(verdict.partition, after + 1, upto)
            self._store.drop_copy(verdict.partition, upto)
        for log in logs.values():
            self._anchor(log)
        self._said = {}
        return diverged

    def _anchor(self, log: LogState) -> None:
        if log.partition in self._partitions and log.chain and not self._store.chains(log.partition):
            self._store.drop_copy(log.partition, log.position)
            self._store.set_chain(log.partition, log.position, log.chain)

    def forget(self) -> None:
        """Begin all anew: another epoch's offsets are others."""
        for partition in self._partitions:
            self._store.drop_copy(partition, None)
            self._store.drop_stretches(partition)

    # Reading again.

    def stretches(self) -> list[Stretch]:
        return [Stretch(*row) for row in self._store.stretches()]

    def read_again(self, stretch: Stretch, body: Body) -> Stretch | None:
        """Take in the answer for a stretch. Returns what is left of it."""
        self._store.drop_stretch(stretch.partition, stretch.first)
        left = Stretch(stretch.partition, body.next_offset, stretch.last)
        if body.complete or not stretch.first < left.first <= left.last:
            return None
        self._store.add_stretch(left.partition, left.first, left.last)
        return left


def _link_of(message: Message, partition: str) -> bytes:
    return link(message.signal_offset, digest_of(message, partition))
