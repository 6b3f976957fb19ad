"""Floor 0: what text may be a name, so that every part of the server, and the SDK, says the same of it.

    eids.py            people: `normal_eid`, the one form in which an eid is stored and compared
    conversations.py   conversations: the form of their ids, which no eid may have
    joiners.py         where the two invisible joiners may stand
    code_points.py     sets of code points, and what is printable
    unicode14.py       those sets, generated

The rule is that of PROTOCOL.md ("Names"), and of Unicode 14.0 whatever the interpreter's version is: a name that one
machine accepts must not be another one on the next. Normalisation (NFC) is stable for what that version assigned.
"""

from bimip.names.code_points import is_printable
from bimip.names.conversations import conversation_id, conversation_number, is_conversation_id
from bimip.names.eids import NameRefusedError, normal_eid

__all__ = [
    "NameRefusedError",
    "conversation_id",
    "conversation_number",
    "is_conversation_id",
    "is_printable",
    "normal_eid",
]
