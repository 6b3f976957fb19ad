"""What of every table belongs to a user: what is exported when they ask what is held about them, and what goes when
they are erased. Whoever adds a table says it here; a test holds that all of the schema is named.
"""

from dataclasses import dataclass
from enum import Enum

from bimip.domain.core.records import Index, Kind, LogTable, Table


class Whose(Enum):
    """How a record is found to be a user's."""

    OWN = "its key begins with the user's number: it goes as a whole"
    DEVICE = "its key begins with the number of one of their devices: it goes with that"
    SHARED = "it belongs to others as well: what is theirs in it goes, the rest stays"
    NOBODY = "it tells of nobody"


@dataclass(frozen=True, slots=True)
class Belonging:
    """A table's row."""

    whose: Whose
    erased: str
    """What becomes of it when the user is erased."""
    exported: str = ""
    """The `kind` of its lines in an export; empty: it has none."""
    left_out: str = ""
    """Why it has none."""


def _own(exported: str = "", left_out: str = "") -> Belonging:
    return Belonging(Whose.OWN, "gone", exported, left_out)


_DERIVED = "it is made of what is exported"

BELONGINGS: dict[Kind, Belonging] = {
    Table.META: Belonging(Whose.NOBODY, "stays", left_out="counters and clocks of the server"),
    Table.USERS: Belonging(Whose.SHARED, "gone, first of all: the name is free", "user"),
    Table.EIDS: Belonging(Whose.SHARED, "empty: the number is nobody's, and is not given again", left_out=_DERIVED),
    Table.ERASING: Belonging(Whose.SHARED, "gone, last of all", left_out="who is being erased is not exported"),
    Table.DEVICES: _own("device"),
    Table.DEVICE_OWNERS: Belonging(Whose.DEVICE, "gone, behind the device's other records", "removed_device"),
    Table.LABELS: Belonging(Whose.DEVICE, "gone", left_out="it stands in `device`"),
    Table.DIRECT: Belonging(Whose.SHARED, "gone: the two do not find each other any more", left_out=_DERIVED),
    Table.CONVERSATIONS: Belonging(Whose.SHARED, "the user is no member any more; it stays for who is", "conversation"),
    Table.GROUPS: Belonging(Whose.SHARED, "the user is no member; the title goes where nobody is", left_out=_DERIVED),
    Table.MEMBERS: Belonging(
        Whose.SHARED, "gone, when they have left and what they wrote is erased", left_out=_DERIVED
    ),
    Table.LOGS: _own("log"),
    LogTable.ENTRIES: _own("entry"),
    LogTable.CHAINS: _own(left_out=_DERIVED),
    Index.SEQS: _own(left_out=_DERIVED),
    LogTable.HISTORY: Belonging(Whose.SHARED, "stays: the number of its author is nobody's", left_out=_DERIVED),
    Table.BODIES: Belonging(
        Whose.SHARED, "what they wrote has no content and no author; elsewhere they are not named", "message"
    ),
    Table.ADDRESSED: Belonging(Whose.SHARED, "what was for their devices, and what they wrote, is gone", "addressed"),
    Table.EXPIRING: Belonging(Whose.SHARED, "goes when it is due", left_out="it stands in `message`"),
    Table.LOCATION_SHARES: _own("location_share"),
    Table.LOCATION_ENDS: Belonging(Whose.SHARED, "goes when it is due", left_out="it stands in `location_share`"),
    Table.REFERENCES: Belonging(Whose.NOBODY, "counts one log less", left_out="how many logs have a message"),
    Table.SEEN: Belonging(Whose.DEVICE, "gone", "message_id"),
    Table.COMMANDS: Belonging(Whose.DEVICE, "gone", "command_id"),
    Table.CURSORS: Belonging(Whose.DEVICE, "gone", "cursor"),
    Table.STATES: _own("state"),
    Table.CHANGES: _own(left_out="the versions of what is exported"),
    Table.VERSIONS: _own(left_out="the versions of what is exported"),
    Table.REMOVALS: _own(left_out="when something was removed that is there no more"),
    Table.RECEIPTS: Belonging(Whose.SHARED, "theirs are gone; others' stay", "receipt"),
    Table.PRIVATE_READS: Belonging(Whose.SHARED, "theirs are gone; others' stay", "private_receipt"),
    Table.READ_MARKERS: _own("read_marker"),
    Table.SETTINGS: _own("setting"),
    Table.PRIVACY_EXCEPTIONS: _own("privacy_exception"),
    Table.INTENTS: _own("intent"),
    Table.MESSAGE_STATES: Belonging(Whose.SHARED, "what they wrote is deleted", "message_state"),
    Table.REACTIONS: Belonging(Whose.SHARED, "theirs are gone, and those to what they wrote", "reaction"),
    Table.OWN_MESSAGES: _own("own_message"),
    Table.CONVERSATION_SETTINGS: _own("conversation_settings"),
    Table.CONTACTS: Belonging(Whose.OWN, "gone, and what others have of them", "contact"),
    Table.ROSTERS: _own(left_out=_DERIVED),
    Table.UNHEARD: _own(left_out="places of what they have not"),
    Table.CONFLICTS: Belonging(Whose.SHARED, "theirs are gone", "conflict"),
    Table.INBOXES: _own(left_out=_DERIVED),
    Table.RECENT: _own(left_out=_DERIVED),
    Table.RISEN: _own(left_out=_DERIVED),
    Table.MENTIONS: _own("mention"),
    Table.THREADS: Belonging(Whose.NOBODY, "stays, for who sees the conversation", left_out="it stands in `message`"),
    Table.USAGE: _own("usage"),
    Table.REVOKED: _own("revoked_token"),
    Table.DEVICE_KEYS: _own("device_keys"),
    Table.ONE_TIME_KEYS: _own(left_out="numbers drawn by the device; `device_keys` tells how many are left"),
    Table.PUSH_SUBSCRIPTIONS: _own("push_subscription"),
    Table.PUSH_CURSORS: _own(left_out="how far something was pushed"),
    Table.PUSH_SHOWN: _own(left_out="how much of what is exported was pushed"),
    Table.EVENTS: Belonging(
        Whose.SHARED, "goes when it is told: who was erased is not named in it", left_out="a note of what is exported"
    ),
    Table.EVENT_POSITIONS: Belonging(Whose.NOBODY, "stays", left_out="how far the operator's back ends were told"),
    Table.CHECKPOINTS: _own(left_out=_DERIVED),
}

_VERSIONED = (Table.CHANGES, Table.VERSIONS, Table.REMOVALS, Table.STATES)

OWN_TABLES: tuple[Table, ...] = (
    *(
        table
        for table, row in BELONGINGS.items()
        if row.whose is Whose.OWN and isinstance(table, Table) and table not in (Table.LOGS, *_VERSIONED)
    ),
    *_VERSIONED,
)
"""In the order in which a user's records go; LOGS goes with its entries, before all of them."""

DEVICE_TABLES: tuple[Table, ...] = tuple(
    table
    for table, row in BELONGINGS.items()
    if row.whose is Whose.DEVICE and isinstance(table, Table) and table is not Table.DEVICE_OWNERS
)
