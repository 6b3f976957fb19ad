"""The public halves of keys, as the directory has them and as people compare them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PreKey:
    """A key to begin a session with, under the signature of its device."""

    id: int  # from 1, higher with each one that its device makes
    key: bytes  # curve25519, 32 bytes
    signature: bytes  # ed25519, 64 bytes


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """A device's keys, as the server has them: nothing of it is checked."""

    eid: str
    name: str  # the device's
    identity: bytes  # curve25519, 32 bytes
    signing: bytes  # ed25519, 32 bytes
    signature: bytes  # of whose the two are; PROTOCOL.md, "DeviceKeys", has of what
    claimed: PreKey | None = None  # of `claim`
    is_fallback: bool = False  # of `claim`: others are given the same


def fingerprint(identity: bytes) -> str:
    """Returns a key as people compare it."""
    text = identity.hex()
    return " ".join(text[at : at + 8] for at in range(0, len(text), 8))
