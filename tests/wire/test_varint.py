import pytest
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]  # the stub knows none
from hypothesis import given
from hypothesis import strategies as st

from bimip.wire.varint import read_varint, varint


@given(st.integers(0, 2**64 - 1) | st.sampled_from([0, 127, 128, 16383, 16384, 2**63, 2**64 - 1]))
def test_varints_are_those_of_protobuf_and_are_read_back(number: int) -> None:
    encoded = varint(number)

    assert _VarintBytes(number) == encoded
    assert read_varint(b"?" + encoded + b"?", 1) == (number, 1 + len(encoded))


@pytest.mark.parametrize("cut", [b"", b"\x80", b"\xff" * 9, b"\xff" * 20])
def test_a_varint_that_does_not_end_is_an_index_error(cut: bytes) -> None:
    with pytest.raises(IndexError):
        read_varint(cut, 0)
