"""RESUME: a device opens a conversation, and is sent what of it is pending before all else that is.

It goes the way of a Fetch (`fetch.py`): in slices by the device's fetcher, charged, one page after another, each when
the one before it is acknowledged or the grace period ends. What it goes through is each log behind the place up to
which this connection was sent it; what lies before that is on its way already. Meanwhile nothing is delivered in turn,
within bounds; what was acknowledged out of turn is not sent again then.
"""

from bimip.domain.core.ids import ConversationId
from bimip.names import conversation_id
from bimip.reading.fetches import scan_pending
from bimip.requests.asker import Asker
from bimip.requests.fetch import DEFAULT_LIMIT, Fetches, Kind, PendingFetch, Resumed
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames

PENDING = Kind(scan_pending, waits=True, is_remembered=False)


def begin(asker: Asker, conversation: ConversationId | None, ref: int) -> None:
    """Has what is pending of a conversation sent; None: there is none, and nothing is pending."""
    if conversation is None:
        tail = frames.resume_part(complete=True, ref=ref)
        asker.answer_alone(frames.body("", 0, 0, pb.TURN_RESUME, (), tail=tail))
        return
    name, partitions = conversation_id(conversation), asker.services.partitions
    limit = min(DEFAULT_LIMIT, asker.services.limits.max_held)  # else one ack could not name them all
    fetch = pb.Fetch(partition=partitions[0], conversation=name, limit=limit)
    Fetches.of(asker).begin(PendingFetch(fetch, PENDING, ref, resumed=Resumed(name, partitions)))
