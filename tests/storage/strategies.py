"""Random keys and records, for the tests that compare."""

from typing import Any

from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import (
    DIGEST_BYTES,
    Addressed,
    Checkpoint,
    CommandRecord,
    Conflict,
    Contact,
    Conversation,
    ConversationSettings,
    Cursor,
    Device,
    DeviceKeys,
    DeviceOwner,
    Entry,
    Erasure,
    Event,
    Expiring,
    Group,
    HistoryEntry,
    Inbox,
    Index,
    Intent,
    Key,
    Label,
    LocationShare,
    Log,
    LogTable,
    Member,
    MessageRecord,
    OneTimeKey,
    OwnMessage,
    PushShown,
    PushSubscription,
    Reaction,
    ReceiptKey,
    ReceiptKind,
    ReceiptRun,
    Role,
    Roster,
    SentRecord,
    Seq,
    Standing,
    State,
    Status,
    Table,
    User,
)
from bimip.domain.state import contacts, groups, intents, private_reads, read_markers, settings
from bimip.domain.state.receipts import KEY, PART, pack_key

u8 = st.integers(0, 2**8 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
text = st.text(st.characters(codec="utf-8"), max_size=20) | st.text("\0\1\2a", max_size=5)
flag = st.booleans()
keys, signatures = (st.binary(min_size=size, max_size=size) for size in (32, 64))
digests = st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES)
receipt_keys = st.builds(ReceiptKey, u32, u32, st.sampled_from(ReceiptKind), u32)
conversations = u32.map(ConversationId)
members = st.lists(st.integers(1, 2**32 - 1), max_size=5).map(tuple)  # no user has the number 0
state_keys = (
    receipt_keys.map(pack_key)
    | receipt_keys.map(lambda key: KEY.pack(private_reads.TAG, *key))
    | conversations.map(read_markers.pack_key)
    | conversations.map(groups.pack_key)
    | u32.map(UserId).map(contacts.pack_key)
    | st.just(settings.KEY)
    | st.just(intents.KEY)
)
pairs = st.tuples(u64, u64)
flags = st.builds(LastWrite, flag, u64, u32)

KEYS: dict[Table | LogTable | Index, st.SearchStrategy[Key]] = {
    Table.META: st.tuples(text),
    Table.USERS: st.tuples(text),
    Table.EIDS: st.tuples(u32),
    Table.ERASING: st.tuples(u32),
    Table.DEVICES: st.tuples(u32, text),
    Table.DEVICE_OWNERS: st.tuples(u32),
    Table.LABELS: st.tuples(u32),
    Table.DIRECT: st.tuples(u32, u32),
    Table.CONVERSATIONS: st.tuples(u32),
    Table.GROUPS: st.tuples(u32),
    Table.MEMBERS: st.tuples(u32, u32),
    Table.LOGS: st.tuples(u32, text),
    Table.BODIES: st.tuples(u64),
    Table.REMOVALS: st.tuples(u32, u64),
    Table.EXPIRING: st.tuples(u64, u64),
    Table.LOCATION_SHARES: st.tuples(u32, u8, u32),
    Table.LOCATION_ENDS: st.tuples(u64, u32, u8, u32),
    Table.REFERENCES: st.tuples(u64),
    Table.ADDRESSED: st.tuples(u64, u32),
    Table.SEEN: st.tuples(u32, text),
    Table.CURSORS: st.tuples(u32, text),
    Table.STATES: st.tuples(u32),
    Table.CHANGES: st.tuples(u32, u64),
    Table.VERSIONS: st.tuples(u32, state_keys),
    Table.RECEIPTS: receipt_keys.map(tuple),
    Table.READ_MARKERS: st.tuples(u32, u32),
    Table.DEVICE_KEYS: st.tuples(u32, u32),
    Table.ONE_TIME_KEYS: st.tuples(u32, u32, u64),
    Table.PUSH_SUBSCRIPTIONS: st.tuples(u32, u32, text),
    Table.PUSH_CURSORS: st.tuples(u32, u64, text),
    Table.PUSH_SHOWN: st.tuples(u32, u64, u32, text),
    Table.SETTINGS: st.tuples(u32, u8),
    Table.PRIVACY_EXCEPTIONS: st.tuples(u32, u32, u8),
    Table.PRIVATE_READS: receipt_keys.map(tuple),
    Table.INTENTS: st.tuples(u32),
    Table.MESSAGE_STATES: st.tuples(u32, u64),
    Table.REACTIONS: st.tuples(u32, u64, u32),
    Table.OWN_MESSAGES: st.tuples(u32, u32, u64),
    Table.CONVERSATION_SETTINGS: st.tuples(u32, u32),
    Table.COMMANDS: st.tuples(u32, text),
    Table.CONTACTS: st.tuples(u32, u32),
    Table.ROSTERS: st.tuples(u32),
    Table.UNHEARD: st.tuples(u32, u32, u64),
    Table.CONFLICTS: st.tuples(u64),
    Table.INBOXES: st.tuples(u32),
    Table.RECENT: st.tuples(u32, u64),
    Table.RISEN: st.tuples(u32, u32),
    Table.MENTIONS: st.tuples(u32, u32, u64),
    Table.THREADS: st.tuples(u32, u64, u64),
    Table.USAGE: st.tuples(u32),
    Table.REVOKED: st.tuples(u32, text),
    Table.EVENTS: st.tuples(u64),
    Table.EVENT_POSITIONS: st.tuples(text),
    Table.CHECKPOINTS: st.tuples(u32, text),
    LogTable.ENTRIES: st.tuples(u32, text),
    LogTable.HISTORY: st.tuples(u32),
    LogTable.CHAINS: st.tuples(u32, text),
    Index.SEQS: st.tuples(u32, text),
}

place = st.integers(1, PART)
runs = st.builds(
    lambda part, runs: tuple(ReceiptRun(first + PART * part, last + PART * part, time) for first, last, time in runs),
    st.integers(0, 2**40),
    st.lists(st.tuples(place, place, u64), max_size=4),
)
"""All of one part, as receipts are kept."""

RECORDS: dict[Table | LogTable | Index, st.SearchStrategy[Any]] = {
    Table.META: st.integers(-(2**70), 2**70),
    Table.USERS: st.builds(User, u32, u64, u32),
    Table.EIDS: text,
    Table.ERASING: st.builds(Erasure, text, u64),
    Table.DEVICES: st.builds(Device, u32, u64, u64),
    Table.DEVICE_OWNERS: st.builds(DeviceOwner, u32, text),
    Table.LABELS: st.builds(Label, u64, text),
    Table.DIRECT: u32,
    Table.CONVERSATIONS: st.builds(Conversation, u64, u64, st.lists(u32, max_size=5).map(tuple)),
    Table.GROUPS: st.builds(Group, text, members, u64, members),
    Table.MEMBERS: st.builds(Member, st.sampled_from(Role), u64, u64, u64),
    Table.LOGS: st.builds(Log, u64, u64, st.binary(min_size=16, max_size=16)),
    Table.BODIES: st.binary(max_size=30) | st.integers(0, 9000).map(bytes),  # also beyond a page
    Table.ADDRESSED: st.lists(st.builds(Addressed, u32, st.none() | st.binary(max_size=5)), max_size=4).map(tuple),
    Table.SEEN: st.builds(SentRecord, digests, u64, st.just("chat") | text, u32 | u64, u32, u32 | u64),
    Table.CURSORS: st.builds(Cursor, u64, st.lists(pairs, max_size=4).map(tuple)),
    Table.STATES: st.builds(State, u64, u64),
    Table.CHANGES: state_keys,
    Table.VERSIONS: u64,
    Table.RECEIPTS: runs,
    Table.READ_MARKERS: u64,
    Table.DEVICE_KEYS: st.builds(DeviceKeys, keys, keys, signatures, u64, keys, signatures, u64, u64),
    Table.ONE_TIME_KEYS: st.builds(OneTimeKey, keys, signatures),
    Table.PUSH_SUBSCRIPTIONS: st.builds(
        PushSubscription, u64, u64, text, text, st.binary(max_size=65), st.binary(max_size=16)
    ),
    Table.PUSH_CURSORS: u64,
    Table.EVENTS: st.builds(Event, u8, u64, u32, u32, u64, u64, u64),
    Table.EVENT_POSITIONS: u64,
    Table.PUSH_SHOWN: st.builds(PushShown, u64, u32, u64),
    Table.SETTINGS: st.builds(LastWrite, u8, u64, u32),
    Table.PRIVACY_EXCEPTIONS: st.builds(LastWrite, u8, u64, u32),
    Table.PRIVATE_READS: runs,
    Table.INTENTS: st.builds(Intent, st.sampled_from(Status), u64, u64, u32),
    Table.MESSAGE_STATES: st.builds(MessageRecord, u64, u64, u32, digests, u64, u32, u32, u64),
    Table.REACTIONS: st.lists(st.builds(Reaction, text, u64, u32, flag), max_size=4).map(tuple),
    Table.OWN_MESSAGES: st.builds(OwnMessage, u64, flag, flag, u64, u32),
    Table.CONVERSATION_SETTINGS: st.builds(
        ConversationSettings,
        flags,
        flags,
        flags,
        st.builds(LastWrite, u64, u64, u32),
        st.builds(LastWrite, st.binary(max_size=9), u64, u32),
    ),
    Table.COMMANDS: st.builds(CommandRecord, digests, u64, u32, u64, u64, u64, flag),
    Table.CONTACTS: st.builds(
        Contact,
        st.sampled_from(Standing),
        flag,
        flag,
        flag,
        flag,
        u64,
        text,
        st.builds(LastWrite, text, u64, u32),
        u64,
    ),
    Table.ROSTERS: st.builds(Roster, u32, u32, u32, u32),
    Table.UNHEARD: u64,
    Table.CONFLICTS: st.builds(Conflict, u64, u32, u32, u64, u32, u64, u32, u64, u32),
    Table.REMOVALS: u64,
    Table.EXPIRING: st.builds(Expiring, u32, u64, u32),
    Table.LOCATION_SHARES: st.builds(LocationShare, u64, u64),
    Table.LOCATION_ENDS: u64,
    Table.REFERENCES: u32,
    Table.INBOXES: st.builds(Inbox, u32, flag),
    Table.RECENT: u32,
    Table.RISEN: u64,
    Table.MENTIONS: u64,
    Table.THREADS: u64,
    Table.USAGE: u64,
    Table.REVOKED: u64,
    Table.CHECKPOINTS: st.lists(
        st.builds(Checkpoint, u64, st.binary(min_size=16, max_size=16), u64, u64), max_size=4
    ).map(tuple),
    LogTable.ENTRIES: st.builds(Entry, u64, u32, u32 | u64, u32, u32, flag, digests),
    LogTable.HISTORY: st.builds(HistoryEntry, u64, u32, u32, flag),
    LogTable.CHAINS: st.binary(min_size=16, max_size=16),
    Index.SEQS: st.builds(Seq, u64, u32, u32, u64),
}
