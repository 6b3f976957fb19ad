"""Protobuf's variable-length numbers: seven bits a byte, the lowest first, the top bit says that more follow."""


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = [_encoded(number) for number in range(1 << 14)]
"""Of one or two bytes: lengths and offsets, several for each frame."""


def varint(number: int) -> bytes:
    """A number from 0 to 2**64 - 1, encoded."""
    return _SHORT[number] if number < 16384 else _encoded(number)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next thing begins. IndexError where the bytes end too early."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise IndexError(at)
