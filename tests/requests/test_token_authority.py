"""A device may show a newer token of its own; a user may revoke what is theirs and can be shown."""

import pytest

from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Done, Revoke
from bimip.domain.core.records import Changes, Table
from bimip.session.close import Close
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import LATER, Peer


def refresh(token: str) -> pb.TokenAuthority:
    return pb.TokenAuthority(action=pb.TokenAuthority.REFRESH, token=token)


def revoke(token: str = "", jti: str = "") -> pb.TokenAuthority:
    return pb.TokenAuthority(action=pb.TokenAuthority.REVOKE, token=token, jti=jti)


def test_a_newer_token_of_this_device_takes_the_place_of_the_old_one() -> None:
    peer = Peer()
    peer.take("token_authority", refresh("newer"))

    assert (peer.claims.jti, peer.wakes) == ("newer", 1)


def test_a_revoked_one_does_not() -> None:
    store = MemoryStore()
    store.begin()
    store.apply(Changes({Table.REVOKED: {(1, "newer"): LATER}}))
    store.commit()
    peer = Peer(store)
    peer.take("token_authority", refresh("newer"))

    assert peer.claims.jti == "first"
    assert [error.code for error in peer.together().errors] == [pb.UNAUTHENTICATED]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (refresh("no token"), pb.UNAUTHENTICATED),
        (refresh("laptop's"), pb.FORBIDDEN),
        (refresh("bob's"), pb.FORBIDDEN),
        (revoke("no token"), pb.UNAUTHENTICATED),
        (revoke("bob's"), pb.FORBIDDEN),
        (revoke(jti="laptop's"), pb.FORBIDDEN),
        (pb.TokenAuthority(), pb.INVALID),
    ],
)
def test_what_is_not_ones_own_is_refused(asked: pb.TokenAuthority, code: int) -> None:
    peer = Peer()
    peer.take("token_authority", asked)

    assert [error.code for error in peer.together().errors] == [code]
    assert (peer.claims.jti, peer.operations()) == ("first", [])


@pytest.mark.parametrize(("token", "jti", "closes"), [("", "first", 1), ("laptop's", "laptop's", 0)])
def test_revoking_closes_what_was_opened_with_the_token_and_this_way_only_if_it_was(
    token: str, jti: str, closes: int
) -> None:
    peer = Peer()
    peer.take("token_authority", revoke(token))
    asked = peer.operations()
    before = list(peer.revoked)
    peer.decide(Done())

    assert asked == [Revoke(peer.user, jti, Millis(LATER + 2000))]
    assert (before, peer.revoked) == ([], [jti])
    assert [code for code, _ in peer.closed] == [Close.TOKEN_REVOKED] * closes
