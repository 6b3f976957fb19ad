"""Floor 2: what can be asked for. Plain code: nothing here waits.

A file a route, named as the schema names its payload: what may be said in one, and what it does. A request that changes
something becomes an operation, and is answered when that is on disk; all others are answered at once, or, where looking
takes long, in slices. Whatever is wrong with a request is a WireError, which is its answer. `message.py` has
`appends.py` beside it, where messages become operations; `signal.py` has `acks.py`, `receipts.py` and, of both,
`named.py`, and `forwards.py` and `calls.py`; `awareness.py` has `intents.py`, what users say of themselves,
`activities.py`, what they are doing, and `resume.py`.

    route.py      what a row of ROUTES says
    asker.py      who asks: a device of a user, whichever way its requests come
    replies.py    how answers go out, and how many are owed
    refusals.py   what several routes refuse
    cursors.py    where the next page of a Fetch begins, as its client keeps it; `state_items.py`: items of the state
    services.py   what requests need of the rest of the server; `rates.py`, how fast one may ask

No route knows a connection. Whoever has one is an `Asker`; it owes an answer from when it takes a payload, looks its
row up, charges for it and asks (users/intake.py).
"""

from bimip.requests import (
    awareness,
    awareness_visibility,
    body,
    command,
    contact,
    conversation,
    devices,
    fetch,
    keys,
    location_stream,
    logout,
    message,
    peer_signal,
    ping_pong,
    push_notification,
    settings,
    signal,
    snapshot,
    state_delta,
    token_authority,
)
from bimip.requests.route import Answer, Route

ROUTES: dict[str, Route] = {
    "awareness_visibility": Route(awareness_visibility.ask, Answer.ALONE),
    "awareness": Route(awareness.ask, Answer.ALONE),
    "body": Route(body.ask, Answer.TOGETHER, independent=True, count=body.count, refuse=body.refuse),
    "command": Route(command.ask, Answer.TOGETHER),
    "contact": Route(contact.ask, Answer.ALONE),
    "conversation": Route(conversation.ask, Answer.ALONE),
    "devices": Route(devices.ask, Answer.ALONE),
    "fetch": Route(fetch.ask, Answer.ALONE),
    "keys": Route(keys.ask, Answer.ALONE),
    "location_stream": Route(location_stream.ask, Answer.ALONE),
    "logout": Route(logout.ask, Answer.ALONE),
    "message": Route(message.ask, Answer.TOGETHER, independent=True),
    "peer_signal": Route(peer_signal.ask, Answer.ALONE),
    "ping_pong": Route(ping_pong.ask, Answer.ALONE),
    "push_notification": Route(push_notification.ask, Answer.ALONE),
    "settings": Route(settings.ask, Answer.ALONE),
    "signal": Route(signal.ask, Answer.ERRORS_ONLY, independent=True),
    "snapshot": Route(snapshot.ask, Answer.ALONE),
    "state_delta": Route(state_delta.ask, Answer.ALONE),
    "token_authority": Route(token_authority.ask, Answer.ALONE),
}
"""By the payload's name in MessageScheme."""
