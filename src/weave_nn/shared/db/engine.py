"""The database and the unit of work, whatever the dialect: what differs is in the modules that are named after one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from weave_nn.shared.db.dialects import dialect_named, dialect_of, parse_url, translated
from weave_nn.shared.db.home import Home, Purpose
from weave_nn.shared.db.limits import DEFAULT_LIMITS, ServerLimits
from weave_nn.shared.db.signals import Heard, Signals, Telling, signalled
from weave_nn.shared.errors import Unavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """One open transaction. What is done through `session` is committed together when the edge closes it."""

    session: Session


_writing: ContextVar[bool] = ContextVar("weave_writing", default=False)


class Database:
    """One database, reached through a writing and a reading engine.

    `url` is a SQLAlchemy URL, such as `sqlite:////path/to/weave.db` or `postgresql://user:password@host/name`. Raises
    `InvalidInput` when it is not one that this installation can serve. Nothing is opened before the first transaction.
    Every transaction is at the home of the data (see `home`), unless with `follow=False` this very database is meant.
    """

    def __init__(self, url: str, *, limits: ServerLimits = DEFAULT_LIMITS, follow: bool = True) -> None:
        self.home = Home(parse_url(url), limits, follow=follow)
        self._commit_listeners: list[Callable[[], None]] = []
        self.signals = Signals(lambda: self.home.url, self._notifier)

    @property
    def url(self) -> URL:
        """The URL of the database in use; another than was given when its data has moved."""
        return self.home.url

    @property
    def writer(self) -> Engine:
        """The engine for writing, for what needs more than a unit of work: the schema."""
        return self.home.settled().writer

    @property
    def reader(self) -> Engine:
        """The engine for reading."""
        return self.home.settled().reader

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
            with self._session("write" if durable else "undurable") as session:
                yield UnitOfWork(session)
                session.commit()
                signals = signalled(session)
        finally:
            _writing.reset(token)
        for listener in self._commit_listeners:
            listener()
        self.signals.give(signals)

    def tend(self, tables: Sequence[str]) -> None:
        """Tell the database that much has been written to these tables, so that it plans by what is there now.

        That is an advice: what stands in its way is logged, and nothing fails for it.
        """
        try:
            with translated(lambda: self.url):
                dialect_of(self.url).tend(self.writer, tables)
        except (Unavailable, DBAPIError) as error:
            log.warning("database.not_tended", reason=str(error))

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Open a read-only transaction on one consistent snapshot; writing in it fails."""
        with self._session("read") as session:
            yield UnitOfWork(session)

    @contextmanager
    def _session(self, purpose: Purpose) -> Iterator[Session]:
        self.signals.begin()
        with translated(lambda: self.url), _HomeSession(lambda: self.home.begin(purpose)) as session:
            yield session

    def close(self) -> None:
        """Close every connection; the database can be opened again afterwards."""
        self.signals.close()
        self.home.close()

    def _notifier(self, heard: Heard) -> Telling | None:
        return dialect_of(self.url).notifier(lambda: self.home.settled().writer, heard)


class _HomeSession(Session):
    """A session whose transaction begins with its first statement, at whatever is the home at that moment."""

    def __init__(self, begin: Callable[[], Connection]) -> None:
        super().__init__(expire_on_commit=False, join_transaction_mode="control_fully")
        self._begin_at_home = begin
        self._at_home: Connection | None = None

    def get_bind(self, *_arguments: Any, **_options: Any) -> Connection:
        """The connection, with the transaction begun."""
        if self._at_home is not None and not self._at_home.in_transaction():
            # It was rolled back, and the home may be another one by now.
            self._at_home.close()
            self._at_home = None
        if self._at_home is None:
            self._at_home = self._begin_at_home()
        return self._at_home

    def close(self) -> None:
        """Roll back what is not committed, and give the connection back."""
        super().close()
        if self._at_home is not None:
            self._at_home.close()
            self._at_home = None


def lock(session: Session, name: str) -> None:
    """Wait until no other writing transaction has locked `name`, and keep it locked until this one ends.

    For what is read, decided upon and then written: call it before the first such read. It costs nothing where a
    writing transaction has the whole database anyway.
    """
    dialect_named(session.get_bind().dialect.name).lock(session, name)
