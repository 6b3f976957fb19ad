"""What may be said of keys, what it costs, and how often somebody is given another's one-time keys."""

from typing import Any

import pytest

from bimip.domain.accounts.keys import ClaimKeys, KeyOwner
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.records import Changes, DeviceKeys, OneTimeKey, Table
from bimip.requests.rates import KEY_CLAIMS, KeyClaims
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer, with_a_laptop

ANN, PHONE = UserId(1), DeviceId(11)
PRE_KEY = pb.PreKey(id=1, key=bytes(32), signature=bytes(64))


def device_keys(**fields: Any) -> pb.DeviceKeys:
    whole: dict[str, Any] = {"identity": bytes(32), "signing": bytes(32), "signature": bytes(64), "fallback": PRE_KEY}
    return pb.DeviceKeys(**whole | fields)


def test_a_device_learns_how_many_are_left_and_where_its_ids_go_on() -> None:
    store = with_a_laptop()
    store.begin()
    keys = DeviceKeys(bytes(32), bytes(32), bytes(64), 1, bytes(32), bytes(64), 9, 0)  # type: ignore[arg-type]
    one_time: dict[Any, Any] = {(ANN, PHONE, number): OneTimeKey(bytes(32), bytes(64)) for number in (7, 9)}
    store.apply(Changes(puts={Table.DEVICE_KEYS: {(ANN, PHONE): keys}, Table.ONE_TIME_KEYS: one_time}))
    store.commit()
    peer = Peer(store)
    peer.take("keys", pb.Keys())

    assert peer.alone()[0][1] == pb.Keys(one_time_left=2, last_id=9)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("action", pb.Keys(action=99)),  # type: ignore[arg-type]
        ("keys.identity", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(identity=b"short"))),
        ("keys.signing", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(signing=bytes(33)))),
        ("keys.signature", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(signature=b""))),
        ("keys.fallback.id", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(fallback=None))),
        ("one_time", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(), one_time=[PRE_KEY] * 101)),
        ("one_time.id", pb.Keys(action=pb.Keys.PUBLISH, keys=device_keys(), one_time=[PRE_KEY] * 2)),
        ("of", pb.Keys(action=pb.Keys.CLAIM)),
        ("of", pb.Keys(action=pb.Keys.QUERY, of=[pb.Identity(eid=f"u{number}") for number in range(65)])),
        ("of", pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob")] * 2)),
        (
            "of",
            pb.Keys(
                action=pb.Keys.CLAIM,
                of=[pb.Identity(eid="bob"), pb.Identity(eid="bob", connection_resource_id="phone")],
            ),
        ),
        (
            "after",
            pb.Keys(action=pb.Keys.QUERY, of=[pb.Identity(eid="bob", connection_resource_id="d")], after="c"),
        ),
    ],
)
def test_what_may_not_be_said_is_refused_with_its_field(field: str, asked: pb.Keys) -> None:
    peer = Peer()
    peer.take("keys", asked)

    assert [error.field for error in peer.together().errors] == [field]
    assert not peer.queue.tickets


def test_one_who_claims_the_keys_of_a_device_often_is_to_be_given_its_fallback_key() -> None:
    peer = Peer()
    for _ in range(8):
        peer.take("keys", pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob"), pb.Identity(eid="cleo")]))
    peer.take("keys", pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="dan")]))
    spared = [len(ticket.operation.sparing) for ticket in peer.queue.tickets if isinstance(ticket.operation, ClaimKeys)]

    assert spared == [0] * 6 + [2] * 2 + [0]


def test_more_are_given_with_time_and_of_each_device_for_itself() -> None:
    claims, owner = KeyClaims(), KeyOwner("bob", "phone")
    taken = [claims.take(ANN, owner, 0.0) for _ in range(9)]
    every = 1 / KEY_CLAIMS.requests_per_second

    assert taken == [True] * 6 + [False] * 3
    assert claims.take(ANN, KeyOwner("bob", "laptop"), 0.0)
    assert claims.take(UserId(2), owner, 0.0)
    assert not claims.take(ANN, owner, every / 2)
    assert [claims.take(ANN, owner, 1.5 * every) for _ in range(2)] == [True, False]
