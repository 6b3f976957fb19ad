"""A proxy in front of PostgreSQL, in threads of its own: it keeps back what the server answers, and cuts."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BUFFER_BYTES = 65536


class PostgresProxy:
    """Listens in a folder of its own, as PostgreSQL does."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._server = server / ".s.PGSQL.5432"
        self._folder = folder
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.is_silent = False
        """Nothing that the server says is passed on."""
        self.cut_at = b""
        """All connections are cut where the server says this, which is not passed on; empty: nowhere."""
        self.was_said = threading.Event()
        """The server said it."""
        self._start(self._accept)

    def dsn(self, dsn: str) -> str:
        """The way to a database through the proxy."""
        return dsn.replace(f"host={self._server.parent}", f"host={self._folder}")

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                self._sockets += (client, server)
                self._start(self._pass_on, client, server)
                self._start(self._pass_back, server, client)

    @staticmethod
    def _pass_on(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(BUFFER_BYTES):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(BUFFER_BYTES):
                if self.cut_at and self.cut_at in data:
                    self.was_said.set()
                    self.cut_all()
                    return
                if not self.is_silent:
                    client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def cut_all(self) -> None:
        for one in list(self._sockets):  # not those that come meanwhile
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()


@contextmanager
def open_proxy(folder: Path, server: Path) -> Iterator[PostgresProxy]:
    proxy = PostgresProxy(folder, server)
    try:
        yield proxy
    finally:
        proxy.close()
