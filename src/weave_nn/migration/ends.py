"""The two databases of a move, each with connections that are kept."""

import hashlib
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from weave_nn.migration.errors import MoveRefused, TargetAway
from weave_nn.shared.db.sqlite import begin_immediate

LOCK_SECONDS = 30.0
CONNECT_SECONDS = 5
_SESSION = "-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c weave.mover=on"


class Ends:
    """Both databases. `source` reads SQLite, `file` writes it, `target` is PostgreSQL; opened when first used."""

    def __init__(self, sqlite_path: Path, postgres_url: URL) -> None:
        self.sqlite_path = sqlite_path
        self.postgres_url = postgres_url.set(drivername="postgresql+psycopg")
        self._sqlite = _sqlite_engine(sqlite_path)
        self._postgres = _postgres_engine(self.postgres_url)
        self._open: dict[str, Connection] = {}
        self._lock_seconds = LOCK_SECONDS

    @property
    def source(self) -> Connection:
        """The connection that reads SQLite."""
        return self._connection("source", self._sqlite)

    @property
    def file(self) -> Connection:
        """The connection that writes SQLite, with foreign keys off: what it writes was consistent elsewhere."""
        return self._connection("file", self._sqlite)

    @property
    def target(self) -> Connection:
        """The connection to PostgreSQL; raises `TargetAway`."""
        with reaching(self.postgres_url):
            return self._connection("target", self._postgres)

    def close(self) -> None:
        """Close what is open; it opens again by itself. What was not committed is rolled back."""
        while self._open:
            _, connection = self._open.popitem()
            connection.invalidate()
            connection.close()

    def _connection(self, name: str, engine: Engine) -> Connection:
        if name not in self._open:
            self._open[name] = engine.connect()
        return self._open[name]

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """SQLite as it is now, until the end of the block."""
        raw = sqlite_of(self.source)
        raw.execute("BEGIN")
        try:
            yield raw
        finally:
            raw.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes SQLite: nobody else writes it meanwhile. Sessions on `file` take part in it."""
        connection = self.file
        raw = sqlite_of(connection)
        with connection.begin():
            try:
                begin_immediate(raw, wait_seconds=self._lock_seconds)
            except sqlite3.OperationalError as error:
                raise MoveRefused(
                    f"{self.sqlite_path} cannot be written ({error}) for {self._lock_seconds} s.",
                    hint="Close the program that has it open, and see that there is space; then run it again.",
                ) from error
            yield raw
            if not raw.in_transaction:
                raise RuntimeError("a part of the move has ended the transaction that all of it is made in")

    @contextmanager
    def locking_within(self, seconds: float) -> Iterator[None]:
        """Wait no longer than this for the lock of a writing transaction on SQLite, in this block."""
        self._lock_seconds = seconds
        try:
            yield
        finally:
            self._lock_seconds = LOCK_SECONDS

    def answer_within(self, target: "psycopg.Connection[Any]", seconds: float) -> None:
        """Give PostgreSQL so long from now on for the rest of this transaction; then it is ended, as `TargetAway`."""
        # Its own limit is for each statement; the client's is for all of them, and holds for a server that is frozen.
        target.answers_until = time.monotonic() + seconds  # type: ignore[attr-defined]  # of a `PunctualConnection`
        target.execute("SELECT set_config('statement_timeout', %s, true)", (f"{int(seconds * 1000)}ms",))

    def lock_seconds(self, *, at_most: float) -> float:
        """How long a writer of SQLite waits for the lock now; `at_most` is also said of all that takes longer."""
        raw = sqlite_of(self.file)
        began = time.monotonic()
        try:
            begin_immediate(raw, wait_seconds=at_most)
        except sqlite3.OperationalError:
            return at_most
        raw.execute("ROLLBACK")
        return time.monotonic() - began

    @contextmanager
    def postgres(self, *, snapshot: bool = False) -> Iterator["psycopg.Connection[Any]"]:
        """A transaction on PostgreSQL; with `snapshot` all of it sees the same state. Raises `TargetAway`."""
        connection = self.target
        with reaching(self.postgres_url):
            try:
                raw = postgres_of(connection)
                raw.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ if snapshot else None
                with connection.begin():
                    try:
                        yield raw
                    finally:
                        raw.answers_until = None  # type: ignore[attr-defined]  # of a `PunctualConnection`
            except (psycopg.OperationalError, DBAPIError):
                self._forget_target()
                raise
            except BaseException:
                if postgres_of(connection).closed:
                    self._forget_target()
                raise

    def look_at_target(self, tables: Sequence[str]) -> None:
        """Have PostgreSQL plan by what is in these tables now, before users come."""
        with reaching(self.postgres_url), self._postgres.connect() as fresh, fresh.begin():
            fresh.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def _forget_target(self) -> None:
        connection = self._open.pop("target", None)
        if connection is not None:
            connection.invalidate()
            connection.close()


@contextmanager
def reaching(url: URL) -> Iterator[None]:
    """Raise what says that PostgreSQL is away as `TargetAway`."""
    try:
        yield
    except (psycopg.OperationalError, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, psycopg.OperationalError) or isinstance(cause, psycopg.errors.ProgramLimitExceeded):
            raise
        reason = " ".join(str(cause).split()).rstrip(".")
        raise TargetAway(
            f"PostgreSQL ({url.render_as_string()}) cannot be used: {reason}.",
            hint="The changes wait in the log; what you did is done again once it answers.",
        ) from error


def sqlite_of(connection: Connection) -> sqlite3.Connection:
    """The driver's connection."""
    raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # it is that engine's
    return raw


def postgres_of(connection: Connection) -> "psycopg.Connection[Any]":
    """The driver's connection."""
    raw: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # as above
    return raw


def _sqlite_engine(path: Path) -> Engine:
    made = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(made, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF", "recursive_triggers=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("md5_hex", 1, _md5_hex, deterministic=True)
        connection.create_function("real_text", 1, _real_text, deterministic=True)

    return made


def _postgres_engine(url: URL) -> Engine:
    own = url.query.get("options", "")
    options = f"{_SESSION} {own if isinstance(own, str) else ' '.join(own)}".strip()
    made = create_engine(
        url.update_query_dict({"options": options}),
        poolclass=NullPool,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "weave-move",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
    )

    @event.listens_for(made, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        return PunctualConnection.connect(*arguments, **parameters)

    return made


class PunctualConnection(psycopg.Connection[Any]):
    """Ends itself when the server has not answered by `answers_until`, a time of the monotonic clock."""

    answers_until: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server, as the driver does."""
        if timeout is None and self.answers_until is not None:
            left = self.answers_until - time.monotonic()
            try:
                return super().wait(gen, interval, max(left, 0.001))
            except psycopg.OperationalError:
                if time.monotonic() >= self.answers_until:
                    # An answer may still come, and would be taken for that to another question.
                    self.pgconn.finish()
                raise
        return super().wait(gen, interval, timeout)


def _md5_hex(value: str | bytes | None) -> str | None:
    if value is None:
        return None
    return hashlib.md5(value.encode() if isinstance(value, str) else value, usedforsecurity=False).hexdigest()


def _real_text(value: float | str | bytes | None) -> str | None:
    return struct.pack(">d", value).hex() if isinstance(value, int | float) else None
