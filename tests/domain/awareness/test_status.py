import pytest

from bimip.domain.awareness.status import Focus, status_of
from bimip.domain.core.ids import DeviceId, Millis, Stamp
from bimip.domain.core.records import Intent, Status
from bimip.domain.state.intents import NONE

ACTIVE, INACTIVE, ABSENT = Focus
NOW = Millis(1000)


def said(status: Status, until: int = 0) -> Intent:
    return Intent(status, Millis(until), Stamp(1), DeviceId(1))


@pytest.mark.parametrize(
    ("devices", "intent", "status"),
    [
        ([], NONE, Status.OFFLINE),
        ([], said(Status.DND), Status.OFFLINE),
        ([ABSENT], said(Status.DND), Status.OFFLINE),
        ([ACTIVE], NONE, Status.ONLINE),
        ([ACTIVE, INACTIVE, ABSENT], NONE, Status.ONLINE),
        ([INACTIVE, INACTIVE, ABSENT], NONE, Status.AWAY),
        ([INACTIVE], said(Status.DND), Status.DND),
        ([ACTIVE], said(Status.BUSY), Status.BUSY),
        ([ACTIVE], said(Status.AWAY, until=1001), Status.AWAY),
        ([ACTIVE], said(Status.AWAY, until=1000), Status.ONLINE),
        ([INACTIVE], said(Status.DND, until=999), Status.AWAY),
        ([ACTIVE], said(Status.ONLINE), Status.ONLINE),
    ],
)
def test_a_status_follows_from_devices_and_what_was_said(devices: list[Focus], intent: Intent, status: Status) -> None:
    assert status_of(devices, intent, NOW) is status
