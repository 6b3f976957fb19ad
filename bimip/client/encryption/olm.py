"""vodozemac, the audited Olm of Matrix, in bytes: accounts, sessions and signatures. Nothing is kept here.

Pickles are encrypted by a key that is no secret: the file that they lie in is for its owner alone, and a key beside
them would protect nothing.
"""

from base64 import b64decode, b64encode
from typing import NamedTuple

from vodozemac import (
    Account,
    AnyOlmMessage,
    Curve25519PublicKey,
    Ed25519PublicKey,
    Ed25519Signature,
    Session,
)

_PICKLE_KEY = bytes(32)
PRE_KEY, NORMAL = 0, 1


class OlmError(Exception):
    """A message cannot be decrypted, or a key is none."""


class Prepared(NamedTuple):
    """A key as it is published."""

    id: int
    key: bytes


def new_account() -> str:
    return Account().pickle(_PICKLE_KEY)


class OwnAccount:
    """A device's identity, and the private halves of what it published."""

    def __init__(self, pickle: str) -> None:
        self._account = Account.from_pickle(pickle, _PICKLE_KEY)
        self.identity: bytes = self._account.curve25519_key.to_bytes()
        self.signing = _decoded(self._account.ed25519_key.to_base64())

    def pickle(self) -> str:
        return self._account.pickle(_PICKLE_KEY)

    def sign(self, text: bytes) -> bytes:
        return _decoded(self._account.sign(text).to_base64())

    def make_one_time_keys(self, count: int) -> list[Prepared]:
        """Makes keys to be published, ascending. They count as published from now on."""
        self._account.generate_one_time_keys(count)
        made = _prepared(self._account.one_time_keys)
        self._account.mark_keys_as_published()
        return made

    def make_fallback_key(self) -> Prepared:
        """Makes another fallback key. The one before is known still."""
        self._account.generate_fallback_key()  # type: ignore[attr-defined]  # its stub lacks it
        [made] = _prepared(self._account.fallback_key)  # type: ignore[attr-defined]  # as above
        self._account.mark_keys_as_published()
        return made

    def begin_session(self, identity: bytes, key: bytes) -> str:
        """Begins a session with a device, by a key of its. Returns its pickle. Raises OlmError."""
        try:
            session = self._account.create_outbound_session(
                Curve25519PublicKey.from_bytes(identity), Curve25519PublicKey.from_bytes(key)
            )
        except ValueError as problem:
            raise OlmError(str(problem)) from None
        return session.pickle(_PICKLE_KEY)

    def take_session(self, sender: bytes, ciphertext: bytes) -> tuple[str, bytes]:
        """Begins the session that a message begins. Returns its pickle and the text. Raises OlmError."""
        try:
            message = AnyOlmMessage.from_parts(PRE_KEY, ciphertext).to_pre_key()
            assert message is not None
            session, text = self._account.create_inbound_session(Curve25519PublicKey.from_bytes(sender), message)
        except ValueError as problem:
            raise OlmError(str(problem)) from None
        return session.pickle(_PICKLE_KEY), text


def session_id(pickle: str) -> str:
    return Session.from_pickle(pickle, _PICKLE_KEY).session_id


def session_begun_by(ciphertext: bytes) -> str:
    """Names the session that a message begins. Raises OlmError."""
    try:
        message = AnyOlmMessage.from_parts(PRE_KEY, ciphertext).to_pre_key()
    except ValueError as problem:
        raise OlmError(str(problem)) from None
    assert message is not None
    return message.session_id()


def encrypt(pickle: str, text: bytes) -> tuple[str, int, bytes]:
    """Encrypts by a session. Returns its pickle behind that, the kind of the message, and it."""
    session = Session.from_pickle(pickle, _PICKLE_KEY)
    kind, ciphertext = session.encrypt(text).to_parts()
    return session.pickle(_PICKLE_KEY), kind, ciphertext


def decrypt(pickle: str, kind: int, ciphertext: bytes) -> tuple[str, bytes]:
    """Decrypts by a session. Returns its pickle behind that, and the text. Raises OlmError."""
    session = Session.from_pickle(pickle, _PICKLE_KEY)
    try:
        text = session.decrypt(AnyOlmMessage.from_parts(kind, ciphertext))
    except ValueError as problem:
        raise OlmError(str(problem)) from None
    return session.pickle(_PICKLE_KEY), text


def is_signed(signing: bytes, text: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a key over a text."""
    try:
        key = Ed25519PublicKey.from_base64(_encoded(signing))
        key.verify_signature(text, Ed25519Signature.from_base64(_encoded(signature)))
    except ValueError:
        return False
    return True


def _prepared(keys: dict[str, Curve25519PublicKey]) -> list[Prepared]:
    """Numbers keys from 1; Olm does so from 0, in base64."""
    return sorted(Prepared(int.from_bytes(_decoded(name)) + 1, key.to_bytes()) for name, key in keys.items())


def _encoded(value: bytes) -> str:
    return b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
