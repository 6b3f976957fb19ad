"""What the answer to a message that was posted by HTTP says, as an event of the history."""

import httpx

from tests.kit.history import Answered, Ids, Name, Refused


def told_by(answer: httpx.Response, device: Name, key: str) -> Answered | Refused:
    """Reads the answer to the message that a device posted under a key."""
    said = answer.json()
    if answer.status_code in {200, 201}:
        stamp, offset, place = (int(said[name]) for name in ("signal_offset", "user_offset", "conversation_offset"))
        return Answered(device, key, Ids(stamp, offset, said["conversation"], place), answer.status_code == 200)
    code = said.get("code", "")
    return Refused(device, key, code, unknown=code == "UNKNOWN_OUTCOME")
