"""SQLite.

It has one writer at a time. The writing engine therefore holds a single connection, so that the threads of this
process queue in the pool instead of polling for SQLite's lock, and every transaction on it begins as `IMMEDIATE`, so
that a read-modify-write never starts from a snapshot that another process has outdated. Readers have an engine of
their own; in WAL mode they neither wait for the writer nor make it wait.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from weave_nn.shared.db.errors import LOCK_WAIT_SECONDS, DatabaseBusy, DatabaseUnusable
from weave_nn.shared.db.limits import ServerLimits
from weave_nn.shared.db.signals import Heard, Telling
from weave_nn.shared.errors import InvalidInput, Unavailable

READER_CONNECTIONS = 16
_SWITCH_AGAIN_SECONDS = 0.02
_LOOK_AGAIN_SECONDS = 0.001


def checked(url: URL) -> URL:
    """The URL with the driver that is used; raises `InvalidInput`."""
    if not url.database:
        raise InvalidInput(
            "DATABASE_URL names no file.",
            hint="Use sqlite:////absolute/path/to/weave.db, or leave it unset.",
            field="DATABASE_URL",
        )
    return url.set(drivername="sqlite+pysqlite")


def engine(url: URL, *, read_only: bool, limits: ServerLimits) -> Engine:
    """The engine for writing, or the one for reading."""
    del limits
    made = create_engine(
        url,
        pool_size=READER_CONNECTIONS if read_only else 1,
        max_overflow=READER_CONNECTIONS if read_only else 0,
        pool_timeout=LOCK_WAIT_SECONDS,
        connect_args={"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False},
    )
    pragmas = ["foreign_keys=ON", "query_only=ON" if read_only else "synchronous=FULL"]

    @event.listens_for(made, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver's own transaction handling begins too late and loses updates; SQLAlchemy's "begin" takes over.
        connection.isolation_level = None
        _write_ahead(connection)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        if read_only:
            connection.exec_driver_sql("BEGIN")
        else:
            _synchronise(connection)
            _begin_writing(connection)

    return made


def expected(url: URL, error: DBAPIError) -> Unavailable | None:
    """What the driver's error means to a caller; None for a defect."""
    if not isinstance(error, OperationalError):
        return None
    reason = str(error.orig)
    if "locked" in reason:
        return DatabaseBusy(
            f"The database {url.database} was locked by another program for {LOCK_WAIT_SECONDS} s.",
            hint="Close the program that has it open, then try again.",
        )
    return DatabaseUnusable(
        f"The database {url.database} cannot be used: {reason}.",
        hint="Check the folder's permissions and free space.",
    )


def lock(session: Session, name: str) -> None:
    """See `weave_nn.shared.db.lock`: a transaction that writes has the whole database already."""
    del session, name


def notifier(engine: Callable[[], Engine], heard: Heard) -> Telling | None:
    """None: a file tells nobody; other processes find what they wait for by looking."""
    del engine, heard
    return None


def tend(engine: Engine, tables: Sequence[str]) -> None:
    """Nothing: its plans do not depend on how many rows there are."""
    del engine, tables


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """Prepare a connection for migrations.

    Batch mode copies a table and drops the old one; with foreign keys on, the drop would delete child rows. SQLite
    ignores the pragma inside a transaction, and a statement through SQLAlchemy would begin one.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        raw.execute("PRAGMA foreign_keys=ON")


def begin_immediate(raw: sqlite3.Connection, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
    """Begin a transaction that writes, soon after another process has left the lock.

    SQLite's own waiting looks ever more rarely, and hardly ever gets a lock that others ask for more often. Raises
    `sqlite3.OperationalError` when the lock is still held after `wait_seconds`.
    """
    raw.execute("PRAGMA busy_timeout=0")
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return
    finally:
        raw.execute(f"PRAGMA busy_timeout={LOCK_WAIT_SECONDS * 1000:.0f}")


def _begin_writing(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    try:
        begin_immediate(raw)
    except sqlite3.OperationalError:
        # What it says now is raised as all other errors are.
        raw.execute("PRAGMA busy_timeout=0")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            raw.execute(f"PRAGMA busy_timeout={LOCK_WAIT_SECONDS * 1000:.0f}")


def _synchronise(connection: Connection) -> None:
    """Have the commit that follows reach the disk, unless its transaction need not; it is part of a later one's."""
    level = "FULL" if connection.get_execution_options().get("durable", True) else "NORMAL"
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level


def _write_ahead(connection: Any) -> None:
    """Switch the file to write-ahead logging, once and for all connections."""
    # Of several who switch a new file at once SQLite refuses all but one without waiting; they find it switched.
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_SWITCH_AGAIN_SECONDS)
        else:
            return
