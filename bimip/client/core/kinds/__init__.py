"""The kinds of state that a client keeps. One that is added is a file here, its row below, and its event."""

from bimip.client.core.kinds.contacts import CONTACTS
from bimip.client.core.kinds.conversations import CONVERSATIONS
from bimip.client.core.kinds.devices import DEVICES
from bimip.client.core.kinds.groups import GROUPS
from bimip.client.core.kinds.intents import INTENTS
from bimip.client.core.kinds.kind import AnyKind
from bimip.client.core.kinds.location_shares import LOCATION_SHARES
from bimip.client.core.kinds.messages import MESSAGES
from bimip.client.core.kinds.read_markers import READ_MARKERS
from bimip.client.core.kinds.receipts import PRIVATE_RECEIPTS, RECEIPTS
from bimip.client.core.kinds.settings import EXCEPTIONS, SETTINGS

CLIENT_KINDS: tuple[AnyKind, ...] = (
    RECEIPTS,
    READ_MARKERS,
    SETTINGS,
    EXCEPTIONS,
    PRIVATE_RECEIPTS,
    DEVICES,
    MESSAGES,
    CONVERSATIONS,
    GROUPS,
    LOCATION_SHARES,
    CONTACTS,
    INTENTS,
)
"""Items of others are left out: they are a later version's."""
