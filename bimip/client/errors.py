"""What can go wrong, and whose fault it is.

ClientError
├── Refused             the server said no to this request: `code` says why, the sentence what to do
│   └── StaleDevices        the message was not for all devices that there are: which are missing, and which are gone
├── Stopped             the client gave up: the server closed with a code that asks for somebody to act
├── NotConnected        there is no connection, or it was cut before the answer came
├── TimedOut            no answer within the request timeout
├── InvalidArgument     a method was given what no field holds, or what cannot be: nothing was done
├── DuplicateId         this message id waits in the outbox with other content
├── StoreError          the file cannot be used: it is open elsewhere, or belongs to somebody else
└── TransportError      (below the client: they end a connection, and it reconnects)
    ├── ConnectFailed       no connection came to be
    ├── ConnectionClosed    the connection is gone, whoever closed it
    └── ProtocolViolation   the server sent what no server may send
"""
# ruff: noqa: N818 - they read as what happened, and `Refused` is one half of the pair Sent and Refused

from collections.abc import Iterable
from typing import TypeVar

from bimip.client.wire.bimip import ErrorCode, ErrorMessage


class ClientError(Exception):
    """The base of all errors of the SDK."""


class Refused(ClientError):
    """The server answered with an error. Nothing was stored, except where `code` is UNKNOWN_OUTCOME."""

    def __init__(self, code: ErrorCode, message: str, *, field: str = "", retry_after: float = 0.0) -> None:
        super().__init__(f"{code.name or int(code)}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after  # seconds

    @classmethod
    def by(cls, error: ErrorMessage) -> "Refused":
        return cls(error.code, error.message, field=error.field, retry_after=error.retry_after_ms / 1000)


class StaleDevices(Refused):
    """The devices that a message was addressed to are not all that there are. Nothing was stored.

    Encrypt for those that are `missing`, leave out those that are `extra`, and send it again, as (eid, device).
    """

    def __init__(
        self, code: ErrorCode, message: str, *, missing: Iterable[tuple[str, str]], extra: Iterable[tuple[str, str]]
    ) -> None:
        super().__init__(code, message, field="devices")
        self.missing = tuple(missing)
        self.extra = tuple(extra)


class Stopped(ClientError):
    """The client does not reconnect by itself. What is in the outbox stays there for the next `open_client`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"stopped: {int(code)} {reason}".rstrip())
        self.code = int(code)  # a close code (bimip.session.close), or an HTTP status where the handshake was refused
        self.reason = reason


class NotConnected(ClientError):
    """There is no connection, or it was cut before the answer came: whether the request had an effect is unknown."""


class TimedOut(ClientError):
    """No answer came in time: whether the request had an effect is unknown."""


class InvalidArgument(ClientError, ValueError):
    """A method was given a value that cannot be sent or stored: nothing was done."""


class DuplicateId(ClientError):
    """Another message with this id is in the outbox."""


class StoreError(ClientError):
    """The client's file cannot be used."""


class TransportError(ClientError):
    """A connection ended."""


class ConnectFailed(TransportError):
    """No connection came to be.

    `status` is the HTTP status when the server refused the handshake, else 0; `code` the close code that the server
    named with it, else 0; `retry_after` how many seconds it asked to wait. `final` says that no server was asked,
    since the URL is none.
    """

    def __init__(
        self, reason: str, *, status: int = 0, code: int = 0, retry_after: float = 0.0, final: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.final = final


class ConnectionClosed(TransportError):
    """The connection is gone. Code 1006: it was cut without a close frame."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"connection closed: {int(code)} {reason}".rstrip())
        self.code = int(code)
        self.reason = reason


class ProtocolViolation(TransportError):
    """The server sent what none may: a frame that is none, a range that does not join, no Hello at first."""


_Error = TypeVar("_Error", bound=Exception)


def flatten(group: ExceptionGroup[_Error]) -> list[_Error]:
    """Lists the exceptions of a group and of the groups in it."""
    found: list[_Error] = []
    for error in group.exceptions:
        found += flatten(error) if isinstance(error, ExceptionGroup) else [error]
    return found
