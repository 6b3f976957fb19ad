"""The number of a store's format: which stores this program reads, and which it writes.

A store of an earlier format in EARLIER is opened and read as it is. The first transaction that this program writes into
it raises its number, together with what else that transaction holds: from then on an earlier program refuses the store,
which has kinds of records that it does not know. Who only looks at it (`bimip store check`, `stats`, `backup`) leaves
the number as it was.
"""

from bimip.storage.errors import StoreDamagedError

FORMAT = 8
EARLIER = frozenset({6, 7})
"""Those that are opened as well. They have fewer tables and kinds of state; the bytes of those that they have are the
same."""


def read_format(found: bytes, where: object) -> int:
    """Tells which format a store says that it has. Raises StoreDamagedError if it is none that this program reads."""
    number = int(found) if found.isdigit() else -1
    if number in EARLIER or number == FORMAT:
        return number
    known = ", ".join(str(known) for known in sorted({FORMAT, *EARLIER}))
    said = f"{where} has format {found.decode(errors='replace')!r}, this program reads {known}"
    if number > FORMAT:
        said += ": a later bimip wrote it; run that one, or restore a backup that was made before it ran"
    elif number > 0:
        said += ": it is too old; run the bimip that wrote it"
    raise StoreDamagedError(said)
