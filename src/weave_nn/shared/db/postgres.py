"""PostgreSQL 12 or later, through psycopg.

Reading transactions see one snapshot (`REPEATABLE READ`, read only). Writing ones are `READ COMMITTED`, and those that
must not run beside each other say so by `lock` before they read: the rival, `SERIALIZABLE`, ends a transaction after
the fact, when the files that it was about are already changed and it cannot simply be repeated.

Text is compared by its code points (collation `C`), as SQLite does it: ranges of paths and the order of pages depend
on that, and a database's own collation may be another and change with the operating system.

No call waits for ever: the server ends what takes too long, and where the server itself has fallen silent (a frozen
host, a broken network that still acknowledges) the client ends it a little later.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, cast

from sqlalchemy import Column, Engine, String, create_engine, event, func, select, text
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from weave_nn.shared.db.errors import DatabaseBusy, DatabaseConflict, DatabaseUnusable
from weave_nn.shared.db.limits import ServerLimits
from weave_nn.shared.db.notify import Notifier
from weave_nn.shared.db.patience import bound_waiting
from weave_nn.shared.db.signals import Heard, Telling
from weave_nn.shared.errors import InvalidInput, Unavailable

_NAME_BYTES = 63
_KEEPALIVE: dict[str, object] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_MIGRATION = "schema"
_NOTICE_DEATH = (
    "SELECT set_config('client_connection_check_interval', '2s', false)"
    " WHERE current_setting('server_version_num')::int >= 140000"
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS = {"40001", "40P01"}
_BUSY = {"55P03", "57014", "25P03"}
_UNUSABLE_CLASSES = {"08", "25", "28", "3D", "42501", "53", "57", "58", "XX"}


def checked(url: URL) -> URL:
    """The URL with the driver that is used; raises `InvalidInput`, also when the driver is not installed."""
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise InvalidInput(
            "DATABASE_URL names PostgreSQL, whose driver is not installed.",
            hint="Install it with: pip install 'weave-nn[postgres]'",
            field="DATABASE_URL",
        ) from error
    return url.set(drivername="postgresql+psycopg")


def engine(url: URL, *, read_only: bool, limits: ServerLimits) -> Engine:
    """The engine for writing, or the one for reading."""
    settings = {
        "statement_timeout": f"{limits.statement_timeout_seconds}s",
        "lock_timeout": f"{limits.lock_timeout_seconds}s",
        "idle_in_transaction_session_timeout": f"{limits.idle_transaction_timeout_seconds}s",
        "default_transaction_isolation": "repeatable\\ read" if read_only else "read\\ committed",
        "default_transaction_read_only": "on" if read_only else "off",
        "timezone": "UTC",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    own = url.query.get("options", "")
    made = create_engine(
        # What the user gives comes last, and so goes first.
        url.update_query_dict({"options": f"{options} {own if isinstance(own, str) else ' '.join(own)}".strip()}),
        pool_size=limits.reader_connections if read_only else limits.writer_connections,
        max_overflow=0,
        pool_timeout=limits.lock_timeout_seconds,
        pool_pre_ping=True,
        # The connection that was used last is used next, so that a server that has fallen silent is met on few.
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": limits.connect_timeout_seconds,
            "application_name": limits.name.encode()[:_NAME_BYTES].decode(errors="ignore"),
            **_KEEPALIVE,
        },
    )
    made.dialect.ddl_compiler = _DdlCompiler
    bound_waiting(made, limits)
    event.listen(made, "connect", _accept_nul)
    event.listen(made, "begin", _synchronise)
    return made


def expected(url: URL, error: DBAPIError) -> Unavailable | None:
    """What the driver's error means to a caller; None for a defect."""
    state = getattr(error.orig, "sqlstate", None)
    reason = " ".join(str(error.orig).split()).rstrip(".?")
    if state in _CONFLICTS:
        return DatabaseConflict(f"Another transaction went first: {reason}.", hint="Try again.")
    if state in _BUSY:
        return DatabaseBusy(f"The database {url.database} is busy: {reason}.", hint="Try again.")
    lost = state is None and (error.connection_invalidated or isinstance(error, OperationalError))
    if lost or (state is not None and (state in _UNUSABLE_CLASSES or state[:2] in _UNUSABLE_CLASSES)):
        return DatabaseUnusable(
            f"The database {url.database} at {url.host or 'the local socket'} cannot be used: {reason}.",
            hint="Check that the server runs, has free space, and that DATABASE_URL names it rightly.",
        )
    return None


def lock(session: Session, name: str) -> None:
    """See `weave_nn.shared.db.lock`."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"weave:{name}", 0))))


def notifier(engine: Callable[[], Engine], heard: Heard) -> Telling | None:
    """What tells other processes of signals, and hears theirs."""
    return Notifier(engine, heard)


def tend(engine: Engine, tables: Sequence[str]) -> None:
    """Have the server look at tables now; by itself it plans for empty ones until it does so, a minute later."""
    quote = engine.dialect.identifier_preparer.quote
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {', '.join(quote(table) for table in tables)}")


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """Prepare a connection for migrations: one process at a time, however long it takes."""
    key = func.hashtextextended(f"weave:{_MIGRATION}", 0)
    cast("Any", connection.connection.dbapi_connection).patience_seconds = None
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET lock_timeout = 0"))
    # When this process is killed, its server must not finish a long statement first, while others wait for the lock.
    connection.execute(text(_NOTICE_DEATH))
    connection.execute(select(func.pg_advisory_lock(key)))
    connection.commit()
    try:
        yield
    finally:
        # The lock and the settings are the session's, so they go with it, whatever state the transaction is in.
        connection.invalidate()


class _DdlCompiler(PGDDLCompiler):
    """Gives every column of text the collation `C`, in whatever migration it stands."""

    def get_column_specification(self, column: Column[Any], **kwargs: Any) -> str:
        if isinstance(column.type, String) and column.type.collation is None:
            # The column that is given may belong to a model, and stays as it is.
            column = copy(column)
            collated: Any = column.type.copy()
            collated.collation = "C"
            column.type = collated
        specification: str = super().get_column_specification(column, **kwargs)  # type: ignore[no-untyped-call]  # so there
        return specification


def _synchronise(connection: Connection) -> None:
    if not connection.get_execution_options().get("durable", True):
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")


def _accept_nul(connection: Any, _record: object) -> None:
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - the driver is an extra

    class NulReplacing(StrDumperUnknown):
        r"""PostgreSQL's text holds no NUL, notes may; it becomes U+FFFD, as CommonMark has it."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\x00", "\ufffd"))

    connection.adapters.register_dumper(str, NulReplacing)
