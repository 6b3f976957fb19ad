"""Floor 4: the SDK, for programs that are a device of a BIMIP user. Runs under trio and asyncio.

    from bimip.client import open_client
    from bimip.client.events import Received

    async with open_client("ws://localhost:8470", token=token, path="phone.db") as client:
        sent = await client.messages.send(to="bob@example.org", payload=b"Hello Bob")
        print("on disk as", sent.signal_id)
        async for event in client:
            match event:
                case Received(message=message, own=False):
                    print(message.from_.eid, message.payload.decode())
                    await client.messages.mark_read(message.conversation, message.conversation_offset)
                case Received(message=message):
                    print("written on another device of mine:", message.payload.decode())
                case _:
                    print(event)

What a program may rely on:

- A message that `send` returned is on the server's disk. One that it did not is in the file and is sent again, with
  the same id, until it is answered. Nobody sees it twice.
- Every message is an event once, in the order of its partition, while the process lives. An event that the program had
  not finished (it did not ask for the next one) when it died comes again.
- A program that takes no events costs nobody memory: what is not taken is not acknowledged, and the server stops.

The map, from what programs see down to the socket:

    client.py      open_client, and Client, which has the facets
    facets/        what programs can do, a file for each noun: client.messages, client.groups …
    blocking/      the same for programs without an event loop, as calls that block
    encryption/    messages that only the devices of who write with each other read (the extra bimip[e2ee])
    gossip/        what a device takes from another one of its user, and gives (the extra bimip[gossip])
    examples/      programs to begin with
    own_device.py  what programs ask of the client itself: identity, connection, token, logout; event_stream.py: the
                   events, one after the other
    events.py      every event that there is, on one screen; errors.py: everything that goes wrong
    connector.py   connecting again and again, and requests with their answers
    link.py        one connection: the tasks that carry frames and watch the clock
    core/          what each frame means: frames in, frames out, no I/O. Positions, the outbox, requests, the state
    tokens.py      what a token says of itself, and the function that makes the next one
    store.py       the SQLite file; schema.py: its tables, which outbox_tables.py, message_table.py and
                   encryption_tables.py read; public_keys.py: keys as others see them
    arguments.py   what programs pass, looked at first; environment.py: the machine, or a test's
    frames.py      payload <-> frame; wire/ is generated (betterproto2)
    transport.py   a WebSocket on anyio

It imports `domain`, `session` and its own `wire`, no floor of the server.
"""

from bimip.client import errors, events
from bimip.client.backoff import Backoff
from bimip.client.client import Client, Fetched, open_client
from bimip.client.core.kept import KeptMessage
from bimip.client.core.kinds.groups import KnownGroup
from bimip.client.errors import (
    ClientError,
    DuplicateId,
    InvalidArgument,
    NotConnected,
    Refused,
    StaleDevices,
    Stopped,
    StoreError,
    TimedOut,
)
from bimip.client.facets.conversations import InboxPage, InboxRow
from bimip.client.facets.devices import DeviceInfo, DeviceLog, KnownDevice, Synced
from bimip.client.facets.feeds import FeedInfo
from bimip.client.facets.groups import GroupInfo, GroupMember
from bimip.client.facets.keys import KeysLeft, KnownKey
from bimip.client.facets.messages import DeliveryState, MemberReceipts
from bimip.client.facets.push import PushOffer, PushSubscription
from bimip.client.facets.state import StatePage
from bimip.client.public_keys import PreKey, PublicKeys
from bimip.client.wire.bimip import (
    CallEnd,
    CallStep,
    Command,
    CommandKind,
    ErrorCode,
    FetchKind,
    GapReason,
    Message,
    Snapshot,
    Start,
)
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import ReceiptKind, Status
from bimip.domain.state.privacy_exceptions import ExceptionValue, PrivacyException
from bimip.domain.state.settings import Audience, PrivacySettings

__all__ = [
    "Audience",
    "Backoff",
    "CallEnd",
    "CallStep",
    "Client",
    "ClientError",
    "Command",
    "CommandKind",
    "DeliveryState",
    "DeviceInfo",
    "DeviceLog",
    "Doing",
    "DuplicateId",
    "ErrorCode",
    "ExceptionValue",
    "FeedInfo",
    "FetchKind",
    "Fetched",
    "GapReason",
    "GroupInfo",
    "GroupMember",
    "InboxPage",
    "InboxRow",
    "InvalidArgument",
    "KeptMessage",
    "KeysLeft",
    "KnownDevice",
    "KnownGroup",
    "KnownKey",
    "MemberReceipts",
    "Message",
    "NotConnected",
    "PreKey",
    "PrivacyException",
    "PrivacySettings",
    "PublicKeys",
    "PushOffer",
    "PushSubscription",
    "ReceiptKind",
    "Refused",
    "Snapshot",
    "StaleDevices",
    "Start",
    "StatePage",
    "Status",
    "Stopped",
    "StoreError",
    "Synced",
    "TimedOut",
    "errors",
    "events",
    "open_client",
]
