"""AwarenessVisibility: a user switches whether they are seen at all, for all their devices, present and future.

It is the setting `visible`, by a route of its own.
"""

from functools import partial

from bimip.domain.contacts.changing_settings import ChangeSettings, CurrentSettings
from bimip.domain.core.operations import Refused, Result
from bimip.domain.state.settings import VISIBLE
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_author, check_id


def ask(asker: Asker, payload: pb.AwarenessVisibility, ref: int) -> None:
    if payload.id:
        check_id(payload.id, "id", asker.services.limits)
    if payload.HasField("from"):
        check_author(payload, asker.eid)
    operation = ChangeSettings(
        asker.user, asker.number, ((VISIBLE, int(payload.visible)),), asker.stamp_for(payload.stamp)
    )
    asker.services.queue.submit(operation, partial(_decided, asker, payload.id, ref), owner=asker.user)


def _decided(asker: Asker, request: str, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        refuse(asker, result, ref)
        return
    assert isinstance(result, CurrentSettings)
    answer = pb.AwarenessVisibility(
        visible=result.settings.visible,
        timestamp=asker.services.wall_clock(),
        id=request,
        stamp=result.settings.stamp,
        version=result.version,
    )
    getattr(answer, "from").eid = asker.eid
    asker.answer_alone(codec.encode(answer, ref))
