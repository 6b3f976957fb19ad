"""The switch is the setting `visible`, and its answer says how that stands."""

import pytest

from bimip.domain.contacts.changing_settings import ChangeSettings, CurrentSettings
from bimip.domain.core.ids import Stamp, Version
from bimip.domain.state.settings import PrivacySettings, Setting
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


@pytest.mark.parametrize("visible", [True, False])
def test_it_sets_what_is_visible_and_nothing_else(*, visible: bool) -> None:
    peer = Peer()
    peer.take("awareness_visibility", pb.AwarenessVisibility(visible=visible, stamp=7))
    (asked,) = peer.operations()

    assert isinstance(asked, ChangeSettings)
    assert (asked.values, asked.stamp, asked.exceptions) == (((Setting.VISIBLE, visible),), 7, ())


def test_a_later_word_of_another_device_is_what_the_answer_says() -> None:
    peer = Peer()
    peer.take("awareness_visibility", pb.AwarenessVisibility(visible=True, id="v", stamp=7))
    peer.decide(CurrentSettings(PrivacySettings(visible=False, stamp=Stamp(9)), Version(3)))
    ((name, answer),) = peer.alone()

    assert (name, answer.visible, answer.id, answer.stamp, answer.version) == ("awareness_visibility", False, "v", 9, 3)
    assert getattr(answer, "from").eid == peer.eid


def test_nobody_switches_for_somebody_else() -> None:
    peer = Peer()
    said = pb.AwarenessVisibility()
    getattr(said, "from").eid = "mallory"
    peer.take("awareness_visibility", said)
    (error,) = peer.together().errors

    assert (error.code, error.field) == (pb.FORBIDDEN, "from.eid")
