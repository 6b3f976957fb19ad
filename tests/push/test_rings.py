"""Each subscription is owed each call that rings once, and nothing is kept of those that can be told no more."""

import pytest
import trio
from trio.testing import MockClock

from bimip.concurrency import Timers
from bimip.domain.core.ids import Millis, Stamp, UserId
from bimip.domain.push.ringing import Ring
from bimip.push.rings import KEPT_SECONDS, Rings
from bimip.push.subscribers import Subscribers

BOB = UserId(2)
PHONE, TABLET = Stamp(10), Stamp(11)


@pytest.fixture
def rings() -> Rings:
    return Rings(Subscribers(Timers(), lambda _user: True, 1.0))


@pytest.fixture
def ring() -> Ring:
    return Ring(BOB, UserId(1), "ann", "x", Millis(0), Millis(60_000))


async def test_a_subscription_that_was_told_is_owed_nothing_until_it_rings_no_more(rings: Rings, ring: Ring) -> None:
    rings.begun(ring)
    (ringing,) = rings.ringing(BOB, PHONE)
    rings.sending(ringing, PHONE)
    rings.sent(ringing, PHONE, was_over=False)
    assert (rings.owes(BOB, PHONE), rings.owes(BOB, TABLET)) == (False, True)
    rings.ended(ring)
    assert (rings.owes(BOB, PHONE), rings.owes(BOB, TABLET)) == (True, False)
    rings.sent(ringing, PHONE, was_over=True)

    assert (rings.owes(BOB, PHONE), len(rings)) == (False, 0)


async def test_what_can_be_told_to_nobody_is_forgotten(rings: Rings, ring: Ring, autojump_clock: MockClock) -> None:
    rings.begun(ring)
    rings.sending(rings.ringing(BOB, PHONE)[0], PHONE)
    rings.ended(ring)
    await trio.sleep(KEPT_SECONDS - 1)
    rings.forget_old()
    assert len(rings) == 1
    await trio.sleep(1)
    rings.forget_old()

    assert (len(rings), rings.is_to_clear(BOB)) == (0, False)
