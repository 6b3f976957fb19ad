"""TYPING, RECORDING, PAUSED, CANCELLED and RESUME: who may see what a user is doing is told so, if they are there."""

from bimip.domain.awareness.activities import Activity, Doing, lasts_ms
from bimip.domain.conversations.membership import NOBODY, conversation_of, direct_with
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import Table, User
from bimip.names import conversation_number, is_conversation_id
from bimip.requests.asker import Asker
from bimip.requests.refusals import no_conversation
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


def say(asker: Asker, doing: Doing, conversation: str, peer: str, ttl_ms: int) -> Activity:
    """Has an activity told. Raises WireError for a conversation that the user is not in; whether there is such a peer,
    and whether they may see it, nobody learns.
    """
    activity = _named(asker, doing, conversation, peer, lasts_ms(doing, ttl_ms))
    asker.say_activity(activity)
    return activity


def _named(asker: Asker, doing: Doing, conversation: str, peer: str, ttl_ms: int) -> Activity:
    with asker.services.store.snapshot() as view:
        if conversation or is_conversation_id(peer):
            named, field = (conversation, "conversation") if conversation else (peer, "to.eid")
            number = conversation_number(named)
            if number is None:
                raise no_conversation(named, field)
            found = conversation_of(view, asker.user, ConversationId(number), "")
            if isinstance(found, Refused):
                raise WireError(pb.NOT_FOUND, found.sentence, field=field)
            return Activity(asker.user, found, NOBODY, doing, ttl_ms)
        known: User | None = view.get(Table.USERS, (peer,))
        other = NOBODY if known is None else known.number
        return Activity(asker.user, direct_with(view, asker.user, peer), other, doing, ttl_ms)
