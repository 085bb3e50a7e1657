"""Engines and the unit of work.

SQLite has one writer at a time. The writing engine therefore holds a single connection, so that the threads of this
process queue in the pool instead of polling for SQLite's lock, and every transaction on it begins as `IMMEDIATE`, so
that a read-modify-write never starts from a snapshot that another process has outdated. Readers have an engine of
their own; in WAL mode they neither wait for the writer nor make it wait.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from weave_nn.shared.errors import InvalidInput, Unavailable, WeaveError

READER_CONNECTIONS = 16
LOCK_WAIT_SECONDS = 15
_SWITCH_AGAIN_SECONDS = 0.02


class DatabaseTooNew(WeaveError):
    """The database was written by a later version of the program; nothing was changed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "database_too_new"
    title = "Database from a newer version"


class DatabaseBusy(Unavailable):
    """Another process held the database's write lock for longer than `LOCK_WAIT_SECONDS`; nothing was written."""

    code = "database_busy"
    title = "Database busy"


class DatabaseUnusable(Unavailable):
    """The database cannot be opened, read or written (permissions, a full or broken disk, a damaged file)."""

    code = "database_unusable"
    title = "Database not usable"


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """One open transaction. What is done through `session` is committed together when the edge closes it."""

    session: Session


_writing: ContextVar[bool] = ContextVar("weave_writing", default=False)


class Database:
    """One database, reached through a writing and a reading engine.

    `url` is a SQLAlchemy URL, such as `sqlite:////path/to/weave.db`. Raises `InvalidInput` when it is not one that
    this installation can serve. Nothing is opened before the first transaction.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.writer = _sqlite_engine(self.url, read_only=False)
        self.reader = _sqlite_engine(self.url, read_only=True)
        self._commit_listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every committed write of this process; it must return at once and never fail."""
        self._commit_listeners.append(listener)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open the one transaction of a request or a message: committed on leaving, rolled back on any exception.

        The lock is taken by the first statement, not on entering: do slow work (parsing, staging a file) before it.
        Raises `DatabaseBusy` or `DatabaseUnusable`. Opening a second one inside the first is a defect.
        """
        if _writing.get():
            raise RuntimeError("a write transaction is open already: services meet by events, not by nested commands")
        token = _writing.set(True)
        try:
            with translated(self.url), Session(self.writer, expire_on_commit=False) as session:
                yield UnitOfWork(session)
                session.commit()
        finally:
            _writing.reset(token)
        for listener in self._commit_listeners:
            listener()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Open a read-only transaction on one consistent snapshot; writing in it fails."""
        with translated(self.url), Session(self.reader, expire_on_commit=False) as session:
            yield UnitOfWork(session)

    def close(self) -> None:
        """Close every connection; the database can be opened again afterwards."""
        self.writer.dispose()
        self.reader.dispose()


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raise what the driver says of a locked or unusable database as `DatabaseBusy` or `DatabaseUnusable`."""
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseBusy("The database is busy with other requests.", hint="Try again.") from error
    except OperationalError as error:
        reason = str(error.orig)
        if "locked" in reason:
            raise DatabaseBusy(
                f"The database {url.database} was locked by another program for {LOCK_WAIT_SECONDS} s.",
                hint="Close the program that has it open, then try again.",
            ) from error
        raise DatabaseUnusable(
            f"The database {url.database} cannot be used: {reason}.",
            hint="Check the folder's permissions and free space.",
        ) from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise InvalidInput(f"DATABASE_URL is not a database URL: {error}.", field="DATABASE_URL") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise InvalidInput(
            f"DATABASE_URL names {parsed.get_backend_name()!r}, which this version does not serve.",
            hint="Use sqlite:////absolute/path/to/weave.db, or leave it unset.",
            field="DATABASE_URL",
        )
    return parsed


def _sqlite_engine(url: URL, *, read_only: bool) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        pool_size=READER_CONNECTIONS if read_only else 1,
        max_overflow=READER_CONNECTIONS if read_only else 0,
        pool_timeout=LOCK_WAIT_SECONDS,
        connect_args={"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False},
    )
    pragmas = ["foreign_keys=ON", "query_only=ON" if read_only else "synchronous=FULL"]

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver's own transaction handling begins too late and loses updates; SQLAlchemy's "begin" takes over.
        connection.isolation_level = None
        _write_ahead(connection)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


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
