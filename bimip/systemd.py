"""What a service manager is told of the server: that it is ready, reloads, stops, and that its event loop still turns.

The protocol is that of sd_notify(3): a datagram of lines to the socket that NOTIFY_SOCKET names. Nobody is told where
nothing names one, and nothing that goes wrong with it ends or delays anything.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

MICROSECONDS = 1_000_000


class ServiceManager:
    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """`address`: of its socket, a path or an abstract name that begins with @; "": there is none."""
        self.watchdog_seconds = watchdog_seconds
        """It ends a server of which it hears nothing for so long; 0: it waits for nothing."""
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ServiceManager":
        """The one that started this process, if one did and wants to be told."""
        watchdog, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_ours = watchdog.isdecimal() and whose in {"", str(os.getpid())}
        return cls(environ.get("NOTIFY_SOCKET", ""), int(watchdog) / MICROSECONDS if is_ours else 0.0)

    def tell_ready(self, status: str) -> None:
        self._tell("READY=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Says that the settings are read again. To be followed by `tell_ready`."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self, within_seconds: float = 0.0) -> None:
        """Says that the server stops, and how long that may take: where TimeoutStopSec is less, this counts."""
        longer = [f"EXTEND_TIMEOUT_USEC={int(within_seconds * MICROSECONDS)}"] if within_seconds else []
        self._tell("STOPPING=1", "STATUS=stopping", *longer)

    def tell_alive(self) -> None:
        if self.watchdog_seconds:
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto("\n".join(lines).encode(), self._address)
