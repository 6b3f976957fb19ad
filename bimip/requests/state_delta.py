"""StateDelta: a device asks for what changed in its user's state behind a version, or for all of it, page by page.

It moves nothing: what is sent by itself goes on beside it. A page behind a version needs no memory. A whole state does:
what its pages do not hold is to be dropped at its end, so they must all be of one state. When the state's floor rises
between two of them (a removal is forgotten, or what the user may know changed), it begins anew.
"""

from bimip.reading.state import read_changes, read_standing
from bimip.requests.asker import Asker
from bimip.requests.route import Rest
from bimip.requests.state_items import PAGE_BYTES, encode_page
from bimip.wire import bimip_pb2 as pb
from bimip.wire import state
from bimip.wire.errors import WireError

MOST_ITEMS = 256
"""In one answer."""
SLICE = 32
"""Values that are read in one turn."""
REQUESTS_FOR_AN_ITEM = 0.5
"""What an item is charged as: to read and to write it takes half as long as a message."""


def ask(asker: Asker, payload: pb.StateDelta, ref: int) -> Rest:
    head, floor = read_standing(asker.services.store, asker.user)
    if payload.after > head:
        sentence = f"version {payload.after} was never given; the state is at {head}"
        raise WireError(pb.OFFSET_BEYOND_HEAD, sentence, field="after")
    goes_on = payload.reset and asker.whole_state == (payload.after, floor)
    whole = payload.reset or payload.after < max(floor, 1)
    return _answer(asker, payload.after if goes_on or not whole else 0, floor, ref, whole=whole)


def _answer(asker: Asker, after: int, floor: int, ref: int, *, whole: bool) -> Rest:
    """Reads one page, a slice at a time, and sends it."""
    services = asker.services
    items: list[bytes] = []
    upto, room, looked = after, PAGE_BYTES, 0
    while True:
        changes = read_changes(services.store, asker.user, upto, SLICE)
        if changes.floor != floor and (whole or after < changes.floor):
            floor, whole, after, upto, room = changes.floor, True, 0, 0, PAGE_BYTES
            items.clear()
            continue
        page = encode_page(services.eids, changes, whole=whole, most_bytes=room)
        items += page.items
        upto, room, looked = page.upto, room - sum(map(len, page.items)), looked + len(changes.changes)
        asker.rates.charge(len(changes.changes) * REQUESTS_FOR_AN_ITEM, asker.heard_at)
        if page.complete or page.upto != changes.upto or looked >= MOST_ITEMS:
            break
        yield
    if whole:
        asker.whole_state = (upto, floor)
    part = state.delta_part(after, upto, items, reset=whole and after == 0, complete=page.complete)
    asker.answer_alone(state.delta_frame(part, ref))
