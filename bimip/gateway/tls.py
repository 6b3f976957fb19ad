"""The certificate that the gateway shows, and its renewal while connections stand."""

import ssl
from pathlib import Path


class TlsError(Exception):
    """The files cannot be used; the sentence says which and why."""


class Certificate:
    """Connections keep the context that they began with; `reload` decides what the next ones get."""

    def __init__(self, certificate: str, key: str = "") -> None:
        """Paths of PEM files. Without `key`, the key stands in the certificate's file. Raises TlsError."""
        self._certificate = certificate
        self._key = key or None
        self.context = self._load()

    def reload(self) -> None:
        """Raises TlsError, and then everything is as it was: a context of its own is filled before it is used, since
        one that failed halfway would show the new certificate with the old key.
        """
        self.context = self._load()

    def adopt(self, other: "Certificate") -> None:
        """Shows another one, which was read already, to connections that begin from now on."""
        self.context = other.context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        for file in filter(None, (self._certificate, self._key)):
            _check_readable(file)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            files = self._certificate if self._key is None else f"{self._certificate} and {self._key}"
            raise TlsError(f"{files} are no certificate and its key, as PEM: {_why(error)}") from None
        return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal, and the whole server would wait."""
    raise ValueError("the key is encrypted; store it without a passphrase, readable by the server alone")


def _check_readable(file: str) -> None:
    try:
        with Path(file).open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise TlsError(f"{file} cannot be read: {error.strerror}") from None


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
