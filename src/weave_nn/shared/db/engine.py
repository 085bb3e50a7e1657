"""The database and the unit of work, whatever the dialect: what differs is in the modules that are named after one."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, cast

from sqlalchemy import Engine
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from weave_nn.shared.db.errors import DatabaseBusy
from weave_nn.shared.db.limits import DEFAULT_LIMITS, ServerLimits
from weave_nn.shared.errors import InvalidInput, Unavailable


class Dialect(Protocol):
    """What one kind of database does in its own way; see the functions of `sqlite` and `postgres`."""

    def checked(self, url: URL) -> URL: ...  # noqa: D102 - said there
    def engine(self, url: URL, *, read_only: bool, limits: ServerLimits) -> Engine: ...  # noqa: D102 - said there
    def expected(self, url: URL, error: DBAPIError) -> Unavailable | None: ...  # noqa: D102 - said there
    def lock(self, session: Session, name: str) -> None: ...  # noqa: D102 - said there
    def migrating(self, connection: Connection) -> AbstractContextManager[None]: ...  # noqa: D102 - said there


_DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres"}
"""The modules by SQLAlchemy's names of the dialects; only the one that is used is imported, and costs a start time."""


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """One open transaction. What is done through `session` is committed together when the edge closes it."""

    session: Session


_writing: ContextVar[bool] = ContextVar("weave_writing", default=False)


class Database:
    """One database, reached through a writing and a reading engine.

    `url` is a SQLAlchemy URL, such as `sqlite:////path/to/weave.db` or `postgresql://user:password@host/name`. Raises
    `InvalidInput` when it is not one that this installation can serve. Nothing is opened before the first transaction.
    """

    def __init__(self, url: str, *, limits: ServerLimits = DEFAULT_LIMITS) -> None:
        self.url = _parse(url)
        self.writer = dialect_of(self.url).engine(self.url, read_only=False, limits=limits)
        self.reader = dialect_of(self.url).engine(self.url, read_only=True, limits=limits)
        self._undurable_writer = self.writer.execution_options(durable=False)
        self._commit_listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every committed write of this process; it must return at once and never fail."""
        self._commit_listeners.append(listener)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[UnitOfWork]:
        """Open the one transaction of a request or a message: committed on leaving, rolled back on any exception.

        The lock is taken by the first statement, not on entering: do slow work (parsing, staging a file) before it.
        With `durable=False` it does not wait for the disk, and a loss of power (no crash of the process) may undo it,
        though never while a later transaction stands: for what does no harm when it is done again.
        Raises `DatabaseBusy` or `DatabaseUnusable`. Opening a second one inside the first is a defect.
        """
        if _writing.get():
            raise RuntimeError("a write transaction is open already: services meet by events, not by nested commands")
        token = _writing.set(True)
        try:
            engine = self.writer if durable else self._undurable_writer
            with translated(self.url), Session(engine, expire_on_commit=False) as session:
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


def lock(session: Session, name: str) -> None:
    """Wait until no other writing transaction has locked `name`, and keep it locked until this one ends.

    For what is read, decided upon and then written: call it before the first such read. It costs nothing where a
    writing transaction has the whole database anyway.
    """
    _dialect(session.get_bind().dialect.name).lock(session, name)


def dialect_of(url: URL) -> Dialect:
    """The dialect of a URL that was accepted."""
    return _dialect(url.get_backend_name())


def _dialect(name: str) -> Dialect:
    return cast("Dialect", importlib.import_module(f"weave_nn.shared.db.{_DIALECTS[name]}"))


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raise what the driver says of a busy or unusable database as `DatabaseBusy` or `DatabaseUnusable`."""
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseBusy("The database is busy with other requests.", hint="Try again.") from error
    except DBAPIError as error:
        known = dialect_of(url).expected(url, error)
        if known is None:
            raise
        raise known from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise InvalidInput(f"DATABASE_URL is not a database URL: {error}.", field="DATABASE_URL") from error
    if parsed.get_backend_name() == "postgres":
        # A spelling that many hosts give, and SQLAlchemy does not take.
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in _DIALECTS:
        raise InvalidInput(
            f"DATABASE_URL names {parsed.get_backend_name()!r}, which this version does not serve.",
            hint="Use sqlite:////absolute/path/to/weave.db or postgresql://user:password@host/name, or leave it unset.",
            field="DATABASE_URL",
        )
    return dialect_of(parsed).checked(parsed)
