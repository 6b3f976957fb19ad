"""The server's codec (upb) and the SDK's (betterproto2) read each other's bytes as the same content."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.client.wire import bimip as sdk
from bimip.wire import bimip_pb2 as pb

F = FieldDescriptor
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_BYTES: st.binary(max_size=200),
    F.TYPE_STRING: st.text(max_size=50),
    F.TYPE_DOUBLE: st.floats(allow_nan=False).map(lambda value: value + 0.0),
    F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    F.TYPE_UINT64: st.integers(0, 2**64 - 1),
    F.TYPE_FIXED64: st.integers(0, 2**64 - 1),
}
TYPES = sorted(pb.DESCRIPTOR.message_types_by_name)


def is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fill(message: Any, draw: Any) -> None:
    """Give up to six fields of a message a value."""
    fields = {field.name: field for field in message.DESCRIPTOR.fields}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=6)):
        field = fields[name]
        if is_map(field):
            getattr(message, name).update(
                draw(st.dictionaries(SCALARS[F.TYPE_STRING], SCALARS[F.TYPE_STRING], max_size=3))
            )
        elif field.message_type and field.is_repeated:
            for _ in range(draw(st.integers(1, 3))):
                fill(getattr(message, name).add(), draw)
        elif field.message_type:
            getattr(message, name).SetInParent()
            fill(getattr(message, name), draw)
        elif field.is_repeated:
            getattr(message, name).extend(draw(st.lists(value_of(field), min_size=1, max_size=5)))
        else:
            setattr(message, name, draw(value_of(field)))


def value_of(field: Any) -> st.SearchStrategy[Any]:
    if field.enum_type:
        return st.sampled_from(sorted(value.number for value in field.enum_type.values))
    return SCALARS[field.type]


def assert_same(ours: Any, theirs: Any) -> None:
    names = type(theirs)._betterproto.field_name_by_number
    for field in ours.DESCRIPTOR.fields:
        value = getattr(theirs, names[field.number])
        if field.has_presence and not ours.HasField(field.name):
            assert value is None, field.full_name
            continue
        expected = getattr(ours, field.name)
        if is_map(field):
            assert dict(expected) == value, field.full_name
        elif field.message_type and field.is_repeated:
            assert len(expected) == len(value), field.full_name
            for one, other in zip(expected, value, strict=True):
                assert_same(one, other)
        elif field.message_type:
            assert_same(expected, value)
        else:
            assert (list(expected) if field.is_repeated else expected) == value, field.full_name


@pytest.mark.parametrize("name", TYPES)
def test_each_reads_what_the_other_wrote(name: str) -> None:
    server_type: type[Message] = getattr(pb, name)
    sdk_type = getattr(sdk, name)

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        ours = server_type()
        fill(ours, data.draw)
        theirs = sdk_type.parse(ours.SerializeToString())

        assert_same(ours, theirs)
        assert server_type.FromString(bytes(theirs)) == ours

    check()


@pytest.mark.parametrize("name", TYPES)
def test_both_leave_what_is_empty_away(name: str) -> None:
    assert getattr(pb, name)().SerializeToString() == b"" == bytes(getattr(sdk, name)())


def test_both_know_the_same_types() -> None:
    missing = [name for name in TYPES if not hasattr(sdk, name)]

    assert missing == []
