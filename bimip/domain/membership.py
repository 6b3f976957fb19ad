"""Who is in which conversation."""

from bimip.domain.ids import ConversationId, UserId
from bimip.domain.operations import Fault, Refused
from bimip.domain.records import Reader, Table


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
