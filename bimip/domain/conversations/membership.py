"""Who is in which conversation, and how far it goes."""

from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import Conversation, Reader, Table


def conversation_of(
    view: Reader, user: UserId, conversation: ConversationId | None, peer: str
) -> ConversationId | Refused:
    """The conversation that a user names, by its number or by its other member's eid. Somebody else's is answered like
    one that does not exist.
    """
    number = conversation
    if number is None:
        other = view.get(Table.USERS, (peer,))
        if other is not None:
            number = view.get(Table.DIRECT, (min(user, other.number), max(user, other.number)))
    known = None if number is None else view.get(Table.CONVERSATIONS, (number,))
    if number is None or known is None or user not in known.members:
        sentence = "you are in no such conversation; name one by the id that its messages carry, or its other member"
        return Refused(Fault.NOT_FOUND, sentence, "conversation")
    return number


def beyond_head(conversation: Conversation, offset: int, field: str) -> Refused | None:
    """Refuses an offset that was never given; None: it was."""
    if offset <= conversation.head:
        return None
    sentence = f"conversation offset {offset} was never given; the conversation ends at {conversation.head}"
    return Refused(Fault.OFFSET_BEYOND_HEAD, sentence, field)
