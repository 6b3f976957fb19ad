"""Keys: a device publishes with which keys others encrypt for it, and asks for those of others' devices."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from bimip.domain.accounts.keys import (
    AT_ONCE,
    MAX_ONE_TIME,
    Claimed,
    ClaimKeys,
    FoundKeys,
    KeyOwner,
    KeysPage,
    Published,
    PublishKeys,
    Signed,
    WithdrawKeys,
)
from bimip.domain.core.operations import Operation, Refused, Result
from bimip.reading.keys import OwnKeys, read_keys, read_own_keys
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_id, check_identity
from bimip.wire.errors import WireError

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
HIGHEST_ID: Final = 2**63 - 1
DEVICES_FOR_A_REQUEST: Final = 2
"""What keys cost: of each device several records are read, and one is written."""


def ask(asker: Asker, payload: pb.Keys, ref: int) -> None:
    take = ACTIONS.get(payload.action)
    if take is None:
        sentence = "name an action: COUNT, PUBLISH, QUERY, CLAIM or WITHDRAW"
        raise WireError(pb.INVALID, sentence, field="action")
    take(asker, payload, ref)


def _count(asker: Asker, payload: pb.Keys, ref: int) -> None:
    _answer(asker, payload.action, ref, _own(asker))


def _own(asker: Asker) -> OwnKeys:
    return read_own_keys(asker.services.store, asker.user, asker.number)


def _publish(asker: Asker, payload: pb.Keys, ref: int) -> None:
    keys = payload.keys
    for name, value, size in (
        ("identity", keys.identity, KEY_BYTES),
        ("signing", keys.signing, KEY_BYTES),
        ("signature", keys.signature, SIGNATURE_BYTES),
    ):
        _check_size(value, f"keys.{name}", size)
    fallback = _signed(keys.fallback, "keys.fallback")
    if len(payload.one_time) > MAX_ONE_TIME:
        raise WireError(pb.TOO_LARGE, f"a device has at most {MAX_ONE_TIME} one-time keys.", field="one_time")
    one_time = tuple([_signed(one, "one_time") for one in payload.one_time])
    if any(one.id >= other.id for one, other in pairwise(one_time)):
        raise WireError(pb.INVALID, "ids of one-time keys ascend: give each key the next one.", field="one_time.id")
    asker.weigh(len(one_time) // DEVICES_FOR_A_REQUEST)

    def told(result: Result) -> None:
        assert isinstance(result, Published)
        if result.is_new:
            asker.audit("device keys published", asker.name)
        _answer(asker, payload.action, ref, OwnKeys(result.left, result.last))

    operation = PublishKeys(asker.user, asker.number, keys.identity, keys.signing, keys.signature, fallback, one_time)
    _submit(asker, operation, ref, told)


def _withdraw(asker: Asker, payload: pb.Keys, ref: int) -> None:
    def told(_result: Result) -> None:
        asker.audit("device keys withdrawn", asker.name)
        _answer(asker, payload.action, ref, OwnKeys(0, 0))

    _submit(asker, WithdrawKeys(asker.user, asker.number), ref, told)


def _query(asker: Asker, payload: pb.Keys, ref: int) -> None:
    services = asker.services
    owners = _owners(asker, payload)
    page = read_keys(services.store, asker.user, owners, payload.after, services.device_names)
    _tell(asker, payload.action, ref, page, [_described(one) for one in page.found])


def _claim(asker: Asker, payload: pb.Keys, ref: int) -> None:
    owners = _owners(asker, payload)
    claims = asker.services.claims
    sparing = frozenset(owner for owner in owners if not claims.take(asker.user, owner, asker.heard_at))

    def told(result: Result) -> None:
        assert isinstance(result, Claimed)
        found = [
            _described(one, key or _fallback(one), is_fallback=key is None)
            for one, key in zip(result.page.found, result.one_time, strict=True)
        ]
        statistics = asker.services.statistics
        statistics.one_time_keys += sum(not one.is_fallback for one in found)
        statistics.fallback_keys += sum(one.is_fallback for one in found)
        _tell(asker, payload.action, ref, result.page, found)

    _submit(asker, ClaimKeys(asker.user, owners, payload.after, sparing), ref, told)


def _submit(asker: Asker, operation: Operation, ref: int, told: Callable[[Result], None]) -> None:
    def done(result: Result) -> None:
        if isinstance(result, Refused):
            refuse(asker, result, ref)
            return
        told(result)

    asker.services.queue.submit(operation, done, owner=asker.user)


def _owners(asker: Asker, payload: pb.Keys) -> tuple[KeyOwner, ...]:
    limits = asker.services.limits
    if not 0 < len(payload.of) <= AT_ONCE:
        raise WireError(pb.INVALID, f"name 1 to {AT_ONCE} users, or devices of users.", field="of")
    for one in payload.of:
        check_identity(one, "of", limits)
    owners = tuple([KeyOwner(one.eid, one.connection_resource_id) for one in payload.of])
    users = {owner.eid for owner in owners if not owner.device}
    if len(set(owners)) < len(owners) or any(owner.device and owner.eid in users for owner in owners):
        sentence = "each device is named once: leave out those of users who are named without one."
        raise WireError(pb.INVALID, sentence, field="of")
    if payload.after:
        check_id(payload.after, "after", limits)
        if owners[0].device:
            raise WireError(pb.INVALID, "after goes with a user: the first of `of` names a device.", field="after")
    return owners


def _described(one: FoundKeys, key: Signed | None = None, *, is_fallback: bool = False) -> pb.DeviceKeys:
    claimed = None if key is None else pb.PreKey(id=key.id, key=key.key, signature=key.signature)
    return pb.DeviceKeys(
        device=pb.Identity(eid=one.owner.eid, connection_resource_id=one.owner.device),
        identity=one.keys.identity,
        signing=one.keys.signing,
        signature=one.keys.signature,
        claimed=claimed,
        is_fallback=is_fallback,
        published=one.keys.published,
    )


def _fallback(one: FoundKeys) -> Signed:
    return Signed(one.keys.fallback_id, one.keys.fallback, one.keys.fallback_signature)


def _tell(asker: Asker, action: int, ref: int, page: KeysPage, found: list[pb.DeviceKeys]) -> None:
    asker.weigh(len(found) // DEVICES_FOR_A_REQUEST)
    left = [pb.Identity(eid=one.eid, connection_resource_id=one.device or None) for one in page.left]
    own = _own(asker)
    answer = pb.Keys(
        action=action,  # type: ignore[arg-type]  # an enum's number
        devices=found,
        of=left,
        after=page.after,
        complete=not left,
        one_time_left=own.left,
        last_id=own.last,
    )
    asker.answer_alone(codec.encode(answer, ref))


def _answer(asker: Asker, action: int, ref: int, own: OwnKeys) -> None:
    answer = pb.Keys(action=action, one_time_left=own.left, last_id=own.last)  # type: ignore[arg-type]  # as above
    asker.answer_alone(codec.encode(answer, ref))


def _signed(key: pb.PreKey, what: str) -> Signed:
    if not 0 < key.id <= HIGHEST_ID:
        raise WireError(pb.INVALID, f"{what}.id counts from 1, up to 2^63 - 1.", field=f"{what}.id")
    _check_size(key.key, f"{what}.key", KEY_BYTES)
    _check_size(key.signature, f"{what}.signature", SIGNATURE_BYTES)
    return Signed(key.id, key.key, key.signature)


def _check_size(value: bytes, what: str, size: int) -> None:
    if len(value) != size:
        raise WireError(pb.INVALID, f"{what} has {len(value)} bytes: give {size}.", field=what)


ACTIONS: dict[int, Callable[[Asker, pb.Keys, int], None]] = {
    pb.Keys.COUNT: _count,
    pb.Keys.PUBLISH: _publish,
    pb.Keys.QUERY: _query,
    pb.Keys.CLAIM: _claim,
    pb.Keys.WITHDRAW: _withdraw,
}
