"""The kinds of database, each in a module that is named after it, and the URLs that name one."""

import importlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, cast

from sqlalchemy import Engine
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from weave_nn.shared.db.errors import DatabaseBusy
from weave_nn.shared.db.limits import ServerLimits
from weave_nn.shared.db.signals import Heard, Telling
from weave_nn.shared.errors import InvalidInput, Unavailable


class Dialect(Protocol):
    """What one kind of database does in its own way; see the functions of `sqlite` and `postgres`."""

    def checked(self, url: URL) -> URL: ...  # noqa: D102 - said there
    def engine(self, url: URL, *, read_only: bool, limits: ServerLimits) -> Engine: ...  # noqa: D102 - said there
    def expected(self, url: URL, error: DBAPIError) -> Unavailable | None: ...  # noqa: D102 - said there
    def lock(self, session: Session, name: str) -> None: ...  # noqa: D102 - said there
    def notifier(self, engine: Callable[[], Engine], heard: Heard) -> Telling | None: ...  # noqa: D102 - said there
    def tend(self, engine: Engine, tables: Sequence[str]) -> None: ...  # noqa: D102 - said there
    def migrating(self, connection: Connection) -> AbstractContextManager[None]: ...  # noqa: D102 - said there


_DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres"}
"""The modules by SQLAlchemy's names of the dialects; only the one that is used is imported, and costs a start time."""


def dialect_of(url: URL) -> Dialect:
    """The dialect of a URL that was accepted."""
    return dialect_named(url.get_backend_name())


def dialect_named(name: str) -> Dialect:
    """The dialect by SQLAlchemy's name of it."""
    return cast("Dialect", importlib.import_module(f"weave_nn.shared.db.{_DIALECTS[name]}"))


@contextmanager
def translated(where: Callable[[], URL]) -> Iterator[None]:
    """Raise what the driver says of a busy or unusable database as `DatabaseBusy` or `DatabaseUnusable`.

    `where` tells which database it is; asked only when something failed.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseBusy("The database is busy with other requests.", hint="Try again.") from error
    except DBAPIError as error:
        # The home of the data may have moved since, so it is the error that tells which kind of database it is from.
        dialect = dialect_named("sqlite" if isinstance(error.orig, sqlite3.Error) else "postgresql")
        known = dialect.expected(where(), error)
        if known is None:
            raise
        raise known from error


def parse_url(url: str, variable: str = "DATABASE_URL") -> URL:
    """The URL as it is used, with its driver; raises `InvalidInput`, which names the setting that it comes from."""
    try:
        parsed = make_url(url)
    except Exception as error:
        raise InvalidInput(f"{variable} is not a database URL: {error}.", field=variable) from error
    if parsed.get_backend_name() == "postgres":
        # A spelling that many hosts give, and SQLAlchemy does not take.
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in _DIALECTS:
        raise InvalidInput(
            f"{variable} names {parsed.get_backend_name()!r}, which this version does not serve.",
            hint="Use sqlite:////absolute/path/to/weave.db or postgresql://user:password@host/name, or leave it unset.",
            field=variable,
        )
    return dialect_of(parsed).checked(parsed)
