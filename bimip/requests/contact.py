"""Contact: a user asks to see another, answers, removes, blocks, names them, and lists whom they have."""

from functools import partial
from hashlib import blake2b

from bimip.domain.contacts.access import STRANGER
from bimip.domain.contacts.roster import ChangeContact, ContactAction, ContactChanged
from bimip.domain.core.operations import Barrier, Refused, Result
from bimip.domain.core.records import DIGEST_BYTES
from bimip.names import is_printable
from bimip.reading.contacts import read_contacts
from bimip.requests.asker import Asker
from bimip.requests.refusals import error_of
from bimip.requests.settings import REQUESTS_FOR_A_RESTART
from bimip.requests.state_items import contact_told
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_eid, check_id, check_length
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

CONTACTS_FOR_A_REQUEST = 4
"""What a list costs."""


ACTIONS = {int(action) for action in ContactAction}


def ask(asker: Asker, payload: pb.Contact, ref: int) -> None:
    if payload.id:
        check_id(payload.id, "id", asker.services.limits)
    try:
        if payload.action == pb.Contact.LIST:
            _list(asker, payload, ref)
        else:
            _change(asker, payload, ref)
    except WireError as error:
        error.id = payload.id
        raise


def _change(asker: Asker, payload: pb.Contact, ref: int) -> None:
    if payload.action not in ACTIONS:
        raise WireError(pb.INVALID, "name an action: 1 is REQUEST, 8 is NAME", field="action")
    limits = asker.services.limits
    payload.eid = check_eid(payload.eid, "eid", limits)
    if payload.eid == asker.eid:
        raise WireError(pb.INVALID, "nobody is a contact of themselves: name another user", field="eid")
    operation = ChangeContact(
        asker.user,
        asker.number,
        payload.id or asker.services.new_id(),
        _digest(payload),
        ContactAction(payload.action),
        payload.eid,
        payload.mutual,
        _name(payload.name, limits) if payload.action == pb.Contact.NAME else "",
        asker.stamp_for(payload.stamp),
    )
    asker.receipts.clear()  # what is read from now on obeys it
    asker.services.queue.submit(operation, partial(_changed, asker, operation, ref), owner=asker.user)


def _name(name: str, limits: Limits) -> str:
    """Checks what the user calls them, perhaps nothing. Invisible joiners are allowed: of words and pictographs."""
    most = limits.max_eid_bytes
    check_length(len(name), "name", most)
    check_length(len(name.encode()), "name", most)
    if not is_printable(name.replace("\u200c", "").replace("\u200d", "")):
        raise WireError(pb.INVALID, "name holds unprintable characters: leave them out.", field="name")
    return name


def _digest(payload: pb.Contact) -> bytes:
    """Tells apart two requests with one id: by what they ask for, in its normal form."""
    said = pb.Contact(action=payload.action, eid=payload.eid, name=payload.name, mutual=payload.mutual)
    return blake2b(b"contact" + said.SerializeToString(deterministic=True), digest_size=DIGEST_BYTES).digest()


def _changed(asker: Asker, operation: ChangeContact, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        asker.answer_error(error_of(result, ref, operation.id))
        return
    assert isinstance(result, ContactChanged)
    if result.is_restarted:
        asker.weigh(REQUESTS_FOR_A_RESTART)
    answer = pb.Contact(eid=operation.eid)
    if result.contact != STRANGER:
        answer = contact_told(operation.eid, result.contact, result.version)
    answer.action = operation.action  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    answer.id = operation.id
    answer.duplicate = result.duplicate
    asker.answer_alone(codec.encode(answer, ref))


def _list(asker: Asker, payload: pb.Contact, ref: int) -> None:
    """Looks when everything that the device sent before is decided."""
    services = asker.services
    after = check_eid(payload.after, "after", services.limits) if payload.after else ""
    limit = min(payload.limit or services.limits.max_fetch, services.limits.max_fetch)

    def decided(result: Result) -> None:
        if isinstance(result, Refused):
            asker.answer_error(error_of(result, ref, payload.id))
            return
        page = read_contacts(services.store, asker.user, after, limit)
        if page is None:
            sentence = "there is no such user, or no longer: begin with the first, without after"
            asker.fail(WireError(pb.NOT_FOUND, sentence, field="after", id=payload.id), ref)
            return
        asker.rates.charge(len(page.contacts) / CONTACTS_FOR_A_REQUEST, asker.heard_at)
        answer = pb.Contact(action=pb.Contact.LIST, id=payload.id, complete=page.complete)
        for peer, contact, version in page.contacts:
            answer.contacts.append(contact_told(services.eids.of(peer), contact, version))
        asker.answer_alone(codec.encode(answer, ref))

    services.queue.submit(Barrier(), decided, owner=asker.user)
