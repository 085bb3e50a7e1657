"""Which of two databases is the home of the data, told to every process in its next transaction.

While data moves from a SQLite file to PostgreSQL and perhaps back, every process has to write where the others do. Each
of the two databases keeps a number, the epoch: how often the home has changed, as far as it knows. SQLite is the home
at even epochs, PostgreSQL at odd ones. The database that gives the home up commits the next epoch first; that commit
is the one moment at which the home changes, and whoever finds it carries the epoch over to the other. So there is no
moment at which both say that they are the home, wherever a process is killed.

The number is read inside of every writing transaction, after its lock is held: in SQLite it is the header's
`user_version` (3 microseconds), in PostgreSQL a row that the transaction keeps share-locked, so that whoever changes
the home waits for it. A PostgreSQL database that never took part in a move, or whose move is over, is asked once.

Rivals: a setting, which needs a restart of everything; a file or a lease, which can change between being read and the
commit that relied on it.
"""

import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from weave_nn.shared.db.dialects import dialect_of, parse_url
from weave_nn.shared.db.errors import DatabaseUnusable
from weave_nn.shared.db.limits import ServerLimits

HOME_TABLE = "database_home"
"""PostgreSQL's word: one row with the epoch, the path of the SQLite file, and whether the move is `final`."""

ATTEMPTS = 6
Purpose = Literal["write", "undurable", "read"]

_PRIVATE_FILE = 0o600
_EXISTS = f"SELECT to_regclass('{HOME_TABLE}')"
_ASK = f"SELECT epoch, final, sqlite_path FROM {HOME_TABLE}"  # noqa: S608 - a constant
_RAISE = f"UPDATE {HOME_TABLE} SET epoch = %s WHERE epoch < %s"  # noqa: S608 - a constant

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Word:
    """What a database says: whether it is the home, the epoch it knows, and where the other database is, if it says so.

    `moving` is whether a move is under way, so that the other one may be the home soon.
    """

    home: bool
    epoch: int = 0
    other: str | None = None
    moving: bool = False


class Side:
    """One database with its engines, and its word. Nothing is opened before it is used."""

    def __init__(self, url: URL, limits: ServerLimits) -> None:
        self.url = url
        self.writer = dialect_of(url).engine(url, read_only=False, limits=limits)
        self.reader = dialect_of(url).engine(url, read_only=True, limits=limits)
        self._undurable = self.writer.execution_options(durable=False)
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._asked = False
        self._settled = False

    def engine(self, purpose: Purpose) -> Engine:
        """The engine for a purpose."""
        match purpose:
            case "write":
                return self.writer
            case "undurable":
                return self._undurable
            case "read":
                return self.reader

    def word(self, connection: Connection, *, writing: bool) -> Word:
        """What this database says, in a transaction of it; it stays so until a writing transaction ends."""
        if self._is_sqlite:
            version = _user_version(connection)
            return (
                _HOME
                if version == 0
                else Word(home=version >> 1 & 1 == 0, epoch=version >> 1, moving=bool(version & 1))
            )
        if self._settled:
            return _HOME
        if not self._asked:
            self._settled = connection.exec_driver_sql(_EXISTS).scalar_one() is None
            self._asked = True
            if self._settled:
                return _HOME
        row = connection.exec_driver_sql(_ASK + (" FOR SHARE" if writing else "")).first()
        if row is None:
            return Word(home=False)
        self._settled = row[1]
        return Word(home=row[0] & 1 == 1, epoch=row[0], other=row[2], moving=not row[1])

    def raise_epoch(self, epoch: int) -> None:
        """Carry over what the other database has committed; never back."""
        with self.writer.begin() as connection:
            if not self._is_sqlite:
                connection.exec_driver_sql(_RAISE, (epoch, epoch))
            elif _user_version(connection) >> 1 < epoch:
                connection.exec_driver_sql(f"PRAGMA user_version={epoch << 1 | 1}")

    def warm(self) -> None:
        """Connect once for each purpose, so that the first transaction here need not."""
        for engine in (self.writer, self.reader):
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")

    def close(self) -> None:
        """Close what nobody uses at this moment; the rest closes when it is given back."""
        self.writer.dispose()
        self.reader.dispose()


_HOME = Word(home=True)


class Home:
    """The home of the data that `url` names, wherever it is by now.

    With `follow=False` it is the very database that is named: for those who move the data.
    """

    def __init__(self, url: URL, limits: ServerLimits, *, follow: bool = True) -> None:
        self._limits = limits
        self._follows = follow
        self._sides = {url: Side(url, limits)}
        self._side = self._sides[url]
        self._changing = threading.Lock()
        self._warming: threading.Thread | None = None

    @property
    def url(self) -> URL:
        """The URL of the home, as far as this process has seen."""
        return self._side.url

    def settled(self) -> Side:
        """The home at this moment."""
        self.begin("read").close()
        return self._side

    def moving(self) -> bool:
        """Whether a move is under way, during which the tables must not change."""
        side = self.settled()
        with side.reader.connect() as connection:
            return self._follows and side.word(connection, writing=False).moving

    def begin(self, purpose: Purpose) -> Connection:
        """Begin a transaction at the home; whoever takes it closes the connection.

        Raises what the driver raises, and `DatabaseUnusable` when the home cannot be told.
        """
        for _ in range(ATTEMPTS):
            side = self._side
            connection = side.engine(purpose).connect()
            try:
                connection.begin()
                word = side.word(connection, writing=purpose != "read") if self._follows else _HOME
            except BaseException:
                connection.close()
                raise
            if word.home:
                if word.moving and self._warming is None:
                    self._warm_other(side, word)
                return connection
            connection.close()
            self._leave(side, word)
        raise DatabaseUnusable(
            "Neither of the two databases of the move says that it is the home.",
            hint="See `weave db status`; `weave db migrate` goes on where the move was.",
        )

    def close(self) -> None:
        """Close every connection; it can be used again afterwards."""
        if self._warming is not None:
            self._warming.join()
        for side in list(self._sides.values()):
            side.close()

    def _leave(self, left: Side, word: Word) -> None:
        with self._changing:
            if self._side is not left:
                return
            other = self._other(left, word)
            other.raise_epoch(word.epoch)
            self._side = other
        left.close()
        told = log.info if word.moving else log.warning
        hint = None if word.moving else "Set DATABASE_URL to the new home; the move is over."
        told("database.home_is_elsewhere", home=other.url.render_as_string(), epoch=word.epoch, hint=hint)

    def _other(self, side: Side, word: Word) -> Side:
        if side.url.get_backend_name() == "sqlite":
            url = read_target(Path(side.url.database or ""))
        else:
            if word.other is None or not Path(word.other).exists():
                raise DatabaseUnusable(
                    f"The database {side.url.database} is filled from {word.other}, which is not on this machine.",
                    hint="Finish the move on the machine where that file is: `weave db status`.",
                )
            url = parse_url(f"sqlite:///{word.other}")
        if url not in self._sides:
            self._sides[url] = Side(url, self._limits)
        return self._sides[url]

    def _warm_other(self, side: Side, word: Word) -> None:
        def warm() -> None:
            try:
                with self._changing:
                    other = self._other(side, word)
                other.warm()
            except (DBAPIError, DatabaseUnusable) as error:
                # It is the mover's part to see that the other database can be used before anyone has to.
                log.info("database.other_not_reached", reason=type(error).__name__)

        with self._changing:
            if self._warming is None:
                self._warming = threading.Thread(target=warm, name="database-warming", daemon=True)
                self._warming.start()


def _user_version(connection: Connection) -> int:
    raw: Any = connection.connection.dbapi_connection
    try:
        version: int = raw.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        # Ten times slower, and raised as all other errors are.
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return version


def target_file(sqlite_path: Path) -> Path:
    """Where the URL of the PostgreSQL database stands that a SQLite file moves to; it may hold a password."""
    return sqlite_path.with_name(sqlite_path.name + ".target")


def read_target(sqlite_path: Path) -> URL:
    """The URL of the PostgreSQL database; raises `DatabaseUnusable` when nobody wrote it down."""
    file = target_file(sqlite_path)
    try:
        return parse_url(file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise DatabaseUnusable(
            f"The data of {sqlite_path} has moved to PostgreSQL, and {file} cannot tell where: {error.strerror}.",
            hint="Set DATABASE_URL to the PostgreSQL database.",
        ) from error


def write_target(sqlite_path: Path, url: URL) -> None:
    """Write down, readable for the owner alone, where the data moves to."""
    file = target_file(sqlite_path)
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(url.render_as_string(hide_password=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
