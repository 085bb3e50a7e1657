"""A client's own limit for waiting on PostgreSQL.

The server's timeouts bound what a server does that is alive. One that is frozen, or behind a network that takes bytes
and gives none, ends nothing; neither do TCP's timers while something in between acknowledges. The driver is therefore
told how long to wait for any answer, a little longer than the server needs to end a statement by itself.
"""

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from weave_nn.shared.db.limits import ServerLimits

if TYPE_CHECKING:
    from psycopg import Connection

GRACE_SECONDS = 5


def bound_waiting(engine: Engine, limits: ServerLimits) -> None:
    """Make `engine`'s connections give up on a silent server; looking whether one still works waits less long."""
    usual_seconds = limits.statement_timeout_seconds + GRACE_SECONDS
    ping = engine.dialect.do_ping

    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        return _patient_connection().connect(*arguments, **parameters)

    def configure(connection: Any, _record: object) -> None:
        connection.patience_seconds = usual_seconds

    def do_ping(connection: Any) -> bool:
        connection.patience_seconds = limits.connect_timeout_seconds
        try:
            return ping(connection)
        finally:
            connection.patience_seconds = usual_seconds

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", configure)
    engine.dialect.do_ping = do_ping  # type: ignore[assignment]  # there is no event for it


@functools.cache
def _patient_connection() -> "type[Connection[Any]]":
    import psycopg  # noqa: PLC0415 - the driver is an extra

    class PatientConnection(psycopg.Connection[Any]):
        """Waits `patience_seconds` for the server at each step, then closes itself; with None as long as it takes."""

        patience_seconds: float | None = None

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, self.patience_seconds if timeout is None else timeout)
            except psycopg.OperationalError:
                if timeout is None and self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    # An answer may still come, and would be taken for that to another question.
                    self.pgconn.finish()
                raise

    return PatientConnection
