"""A share of this user's is an event when it begins, ends, or has another end."""

from bimip.client.core.kinds.location_shares import LOCATION_SHARES, KnownShare
from bimip.client.events import LocationShareChanged
from bimip.client.wire.bimip import Identity, LocationStream


def test_a_share_is_known_by_its_other_end() -> None:
    assert LOCATION_SHARES.key(LocationStream(to=Identity(eid="bob"))) == ("bob",)
    assert LOCATION_SHARES.key(LocationStream(conversation="c1")) == ("c1",)


def test_its_end_is_what_programs_are_told() -> None:
    first, later = KnownShare(1, 7), KnownShare(2, 9)

    assert LOCATION_SHARES.event(("bob",), None, first) == LocationShareChanged("bob", 7)
    assert LOCATION_SHARES.event(("bob",), first, later) == LocationShareChanged("bob", 9)
    assert LOCATION_SHARES.event(("bob",), later, None) == LocationShareChanged("bob", 0)
    assert LOCATION_SHARES.event(("bob",), first, KnownShare(3, 7)) is None
