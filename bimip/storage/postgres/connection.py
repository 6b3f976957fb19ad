"""One connection to PostgreSQL: statements in pipelines, each wait with an end, and nothing that is ever cancelled.

It stands on psycopg's libpq and not on its connections, which cancel a query where the program is interrupted: a commit
that waits for its standby and is cancelled counts as made, and is on one machine alone. Here whoever waits for too
long, or is interrupted, closes the connection and knows nothing of what became of it.

A *pipeline* is sent in one go and answered in one: what a question costs is the way to the server and back. Where one
of its statements fails, those behind it are skipped, a COMMIT too.
"""

import select
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.errors import Error as PsycopgError
from psycopg.pq.abc import PGconn, PGresult

from bimip.storage.postgres.statements import Statement

CONNECT_SECONDS: Final = 5.0
_BINARY: Final = 1
_KEEPALIVE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""A machine that went without a word is noticed by the system too, unless the operator says otherwise."""
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)

Call = tuple[Statement, Sequence[bytes]]
"""A statement and its parameters, in PostgreSQL's binary form."""


class LostConnectionError(Exception):
    """The server did not answer, or the way to it broke: what was sent may have been done or not."""


class SilentError(LostConnectionError):
    """The server did not answer in time."""


class Failure(NamedTuple):
    """The server's refusal of a statement. It did nothing of it, nor of what stood behind it in the pipeline."""

    place: int  # of the statement in the pipeline
    state: str  # SQLSTATE
    message: str


class FailedStatementError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.message} ({failure.state})")
        self.failure = failure


class Connection:
    def __init__(self, dsn: str, *, seconds: float = CONNECT_SECONDS, name: str = "bimip") -> None:
        """Raises LostConnectionError where there is none within that time."""
        self.warnings: list[str] = []
        """What the server warned of since the connection was made."""
        self.is_closed = False
        self.opening = 0
        """By which opening of the store it was made, of those that read."""
        self._prepared: set[str] = set()
        self._due = 0  # pipelines that were sent, and whose results were not read
        deadline = time.monotonic() + seconds
        try:
            asked = make_conninfo(dsn, **_unless_said(dsn, application_name=name))
            self._pg: PGconn = pq.PGconn.connect_start(asked.encode())
        except PsycopgError as error:
            raise LostConnectionError(str(error)) from error
        self._connect(deadline)
        self._pg.notice_handler = self._note
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()

    def _connect(self, deadline: float) -> None:
        ways = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
        while (status := self._pg.connect_poll()) != pq.PollingStatus.OK:
            if status not in ways:
                sentence = self._sentence()
                self.close()
                raise LostConnectionError(sentence)
            self._wait(ways[pq.PollingStatus(status)], deadline)

    def run(self, calls: Sequence[Call], seconds: float) -> list[PGresult]:
        """Sends statements and returns their results. Raises FailedStatementError, LostConnectionError; after the
        latter it is closed.
        """
        deadline = time.monotonic() + seconds
        try:
            self._send(calls)
            results, failure = self._receive(deadline)
            if failure is not None:
                self._begin_anew(deadline)
        except PsycopgError as error:
            sentence = self._sentence() or str(error)
            self.close()
            raise LostConnectionError(sentence) from error
        except BaseException:  # also who is interrupted leaves no half of an answer to the next
            self.close()
            raise
        if failure is not None:
            raise FailedStatementError(failure)
        return results

    def send(self, calls: Sequence[Call]) -> None:
        """Sends statements whose results nobody wants: the next `run` reads past them. Raises nothing."""
        try:
            self._send(calls)
        except (PsycopgError, LostConnectionError):
            self.close()

    def _send(self, calls: Sequence[Call]) -> None:
        if self.is_closed:
            raise LostConnectionError("the connection is closed")
        for statement, values in calls:
            name = statement.name.encode()
            if statement.name not in self._prepared:
                self._pg.send_prepare(name, statement.sql.encode())
                self._prepared.add(statement.name)
            self._pg.send_query_prepared(name, values, [_BINARY] * len(values), _BINARY)
        self._pg.pipeline_sync()
        self._due += 1
        self._pg.flush()

    def _begin_anew(self, deadline: float) -> None:
        """Forgets what a failed pipeline left: its transaction, and what it may have prepared."""
        for sql in [b"ROLLBACK"] * (self._pg.transaction_status != pq.TransactionStatus.IDLE) + [b"DEALLOCATE ALL"]:
            self._pg.send_query_params(sql, None)
            self._pg.pipeline_sync()
            self._due += 1
        self._prepared.clear()
        self._receive(deadline)

    def _receive(self, deadline: float) -> tuple[list[PGresult], Failure | None]:
        """Reads all that was sent. Returns the last pipeline's results, but for those of preparing."""
        results: list[PGresult] = []
        failure: Failure | None = None
        while self._due:
            result = self._next(deadline)
            if result is None:  # the end of one statement's
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                self._due -= 1
                if self._due:
                    results, failure = [], None
            elif result.status in _FAILED and failure is None:
                failure = self._failure(result, len(results))
            elif result.nfields or result.command_status:
                results.append(result)
        return results, failure

    def _next(self, deadline: float) -> PGresult | None:
        while True:
            unsent = self._pg.flush()
            if not unsent and not self._pg.is_busy():
                result = self._pg.get_result()
                if self._pg.status == pq.ConnStatus.BAD:
                    raise LostConnectionError(self._sentence())
                return result
            self._wait(select.POLLIN | (select.POLLOUT if unsent else 0), deadline)
            self._pg.consume_input()

    def _wait(self, events: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        poller = select.poll()
        poller.register(self._pg.socket, events)
        if left <= 0 or not poller.poll(left * 1000):
            self.close()
            raise SilentError("the database does not answer")

    def _failure(self, result: PGresult, place: int) -> Failure:
        state, message = (
            (result.error_field(field) or b"").decode(errors="replace")
            for field in (pq.DiagnosticField.SQLSTATE, pq.DiagnosticField.MESSAGE_PRIMARY)
        )
        return Failure(place, state, message or self._sentence())

    def _note(self, result: PGresult) -> None:
        severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        if severity == b"WARNING":
            self.warnings.append((result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode())

    def _sentence(self) -> str:
        message = "" if self.is_closed else self._pg.error_message.decode(errors="replace")
        return " ".join(message.split()) or "the connection broke"

    def close(self) -> None:
        """Ends the connection, without waiting for the server. A second call does nothing."""
        self.is_closed = True
        self._pg.finish()


def _unless_said(dsn: str, **more: str) -> dict[str, str | int]:
    said = pq.Conninfo.parse(dsn.encode())
    given = {option.keyword.decode() for option in said if option.val is not None}
    return {name: value for name, value in (_KEEPALIVE | more).items() if name not in given}
