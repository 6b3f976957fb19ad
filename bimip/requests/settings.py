"""Settings: a user says what others may know of them, in general and for single others, or asks what they have said."""

from collections.abc import Iterator
from functools import partial

from bimip.domain.contacts.changing_settings import (
    MAX_EXCEPTIONS,
    ChangeException,
    ChangeSettings,
    CurrentException,
    CurrentSettings,
)
from bimip.domain.core.ids import Version
from bimip.domain.core.operations import Refused, Result
from bimip.domain.state.privacy_exceptions import EXCEPTED, ExceptionValue, PrivacyException
from bimip.domain.state.settings import FIELDS, Audience, PrivacySettings, Setting
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_eid
from bimip.wire.errors import WireError

REQUESTS_FOR_A_RESTART = 500
"""What it costs that all of the user's devices are sent their whole state again."""
EXCEPTIONS_FOR_A_REQUEST = 4

NAMES = {setting: setting.name.lower() for setting in Setting}
"""The fields of Settings that are on or off, and those of PrivacyException."""

AUDIENCES = {setting: FIELDS[setting] for setting in EXCEPTED}
"""The fields of Settings that say for whom."""

TOLD: dict[Audience, pb.Audience] = {
    Audience.EVERYBODY: pb.EVERYBODY,
    Audience.CONTACTS: pb.CONTACTS,
    Audience.NOBODY: pb.NOBODY,
}
MEANT = {told: audience for audience, told in TOLD.items()}


def ask(asker: Asker, payload: pb.Settings, ref: int) -> None:
    values = tuple(_values(payload))
    exceptions = _exceptions(asker, payload)
    asker.receipts.clear()  # what is read from now on obeys what is set here
    asker.weigh(len(exceptions) // EXCEPTIONS_FOR_A_REQUEST)
    operation = ChangeSettings(asker.user, asker.number, values, asker.stamp_for(payload.stamp), exceptions)
    asker.services.queue.submit(operation, partial(_decided, asker, ref), owner=asker.user)


def _values(payload: pb.Settings) -> Iterator[tuple[Setting, int]]:
    """Reads each setting that is given: on or off, for whom, or both where they agree."""
    for setting, name in NAMES.items():
        field = AUDIENCES.get(setting, "")
        number = getattr(payload, field) if field else pb.AUDIENCE_UNSPECIFIED
        is_given = payload.HasField(name)
        if number == pb.AUDIENCE_UNSPECIFIED:
            if is_given:
                yield setting, int(getattr(payload, name))
            continue
        audience = MEANT.get(number)
        if audience is None:
            raise WireError(pb.INVALID, f"{field} is EVERYBODY, CONTACTS or NOBODY", field=field)
        if is_given and getattr(payload, name) is not bool(audience):
            sentence = f"{name} and {field} contradict each other: give one of them"
            raise WireError(pb.INVALID, sentence, field=field)
        yield setting, audience


def _exceptions(asker: Asker, payload: pb.Settings) -> tuple[ChangeException, ...]:
    if len(payload.exceptions) > MAX_EXCEPTIONS:
        sentence = f"{len(payload.exceptions)} exceptions at once are too many: at most {MAX_EXCEPTIONS}"
        raise WireError(pb.TOO_LARGE, sentence, field="exceptions")
    found: dict[str, ChangeException] = {}
    for one in payload.exceptions:
        eid = check_eid(one.eid, "exceptions.eid", asker.services.limits)
        if eid in found:
            raise WireError(pb.INVALID, f"{eid!r} is named twice", field="exceptions.eid")
        values = tuple((setting, value) for setting in EXCEPTED if (value := _exception(one, setting)) is not None)
        if not values:
            sentence = f"say of a setting what holds for {eid!r}: NONE, ALLOWED or DENIED"
            raise WireError(pb.INVALID, sentence, field="exceptions")
        found[eid] = ChangeException(eid, values, asker.stamp_for(one.stamp or payload.stamp))
    return tuple(found.values())


def _exception(given: pb.PrivacyException, setting: Setting) -> ExceptionValue | None:
    number = getattr(given, NAMES[setting])
    if number == pb.PrivacyException.UNCHANGED:
        return None
    try:
        return ExceptionValue(number)
    except ValueError:
        field = f"exceptions.{NAMES[setting]}"
        raise WireError(pb.INVALID, f"{field} is NONE, ALLOWED or DENIED", field=field) from None


def _decided(asker: Asker, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        refuse(asker, result, ref)
        return
    assert isinstance(result, CurrentSettings)
    if result.is_restarted:
        asker.weigh(REQUESTS_FOR_A_RESTART)
    answer = told(result.settings, result.version)
    answer.exceptions.extend(_current(asker, one) for one in result.exceptions)
    asker.weigh(len(result.exceptions) // EXCEPTIONS_FOR_A_REQUEST)
    asker.answer_alone(codec.encode(answer, ref))


def _current(asker: Asker, one: CurrentException) -> pb.PrivacyException:
    return exception_told(asker.services.eids.of(one.other), one.exception, one.version)


def told(settings: PrivacySettings, version: Version) -> pb.Settings:
    """Makes what a user's devices are told of their settings."""
    item = pb.Settings(stamp=settings.stamp, version=version, visible=settings.visible)
    for setting, field in AUDIENCES.items():
        audience: Audience = getattr(settings, field)
        setattr(item, field, TOLD[audience])
        setattr(item, NAMES[setting], bool(audience))
    return item


def exception_told(eid: str, exception: PrivacyException | None, version: Version) -> pb.PrivacyException:
    """Makes what a user's devices are told of what holds for one other user; None: nothing any more."""
    item = pb.PrivacyException(eid=eid, version=version)
    if exception is not None:
        item.stamp = exception.stamp
        for setting in EXCEPTED:
            value: ExceptionValue = getattr(exception, NAMES[setting])
            if value is not ExceptionValue.NONE:
                setattr(item, NAMES[setting], int(value))
    return item
