"""Settings: a user says what others may know of them, or asks what they have said."""

from functools import partial

from bimip.domain.core.ids import Version
from bimip.domain.core.operations import Refused, Result
from bimip.domain.state.settings import ChangeSettings, CurrentSettings, PrivacySettings, Setting
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec

REQUESTS_FOR_A_RESTART = 500
"""What it costs that all of the user's devices are sent their whole state again."""

NAMES = {setting: setting.name.lower() for setting in Setting}
"""The fields of Settings, and of PrivacySettings."""


def ask(asker: Asker, payload: pb.Settings, ref: int) -> None:
    asker.receipts.clear()  # what is read from now on obeys what is set here
    values = tuple((setting, getattr(payload, name)) for setting, name in NAMES.items() if payload.HasField(name))
    operation = ChangeSettings(asker.user, asker.number, values, asker.stamp_for(payload.stamp))
    asker.services.queue.submit(operation, partial(_decided, asker, ref), owner=asker.user)


def _decided(asker: Asker, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        refuse(asker, result, ref)
        return
    assert isinstance(result, CurrentSettings)
    if result.is_restarted:
        asker.weigh(REQUESTS_FOR_A_RESTART)
    asker.answer_alone(codec.encode(told(result.settings, result.version), ref))


def told(settings: PrivacySettings, version: Version) -> pb.Settings:
    """Makes what a user's devices are told of their settings."""
    return pb.Settings(**settings._asdict(), version=version)
