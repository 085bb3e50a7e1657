"""A small schema with what is hard to move, and a stand with both databases."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from weave_nn.migration import Mover, moved_tables
from weave_nn.migration.comparing import Comparison, Difference
from weave_nn.migration.ends import Ends
from weave_nn.shared.db import Database, UtcDateTime, metadata
from weave_nn.shared.db.dialects import parse_url

METADATA = metadata()
_ID = BigInteger().with_variant(Integer, "sqlite")

folder = Table(
    "folder",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("open", Boolean, nullable=False),
    Column("weight", Float),
    sqlite_autoincrement=True,
)
page = Table(
    "page",
    METADATA,
    Column("folder_id", _ID, ForeignKey(folder.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("body", LargeBinary),
    Column("made", UtcDateTime),
    sqlite_with_rowid=False,
)
label = Table(
    "label",
    METADATA,
    Column("key", String(40), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("day", Date),
    Column("more", JSON),
    Column("half", Integer, Computed("place / 2", persisted=True)),
    UniqueConstraint("place"),
)
TABLES = moved_tables([METADATA])


def connect_postgres(postgres_url: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """A foreign program's connection to the PostgreSQL of a URL of SQLAlchemy."""
    url = parse_url(postgres_url)
    return psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        dbname=url.database,
        options=str(url.query.get("options", "")),
        autocommit=autocommit,
    )


class Stand:
    """A SQLite file with the schema, an empty PostgreSQL, and a mover between them."""

    def __init__(self, path: Path, postgres_url: str) -> None:
        self.path = path
        self.postgres_url = postgres_url
        self.source = Database(f"sqlite:///{path}")
        with self.source.write() as work:
            METADATA.create_all(work.session.connection())
        self.mover = self.new_mover()

    def new_mover(self) -> Mover:
        return Mover(self.path, parse_url(self.postgres_url), TABLES, create_target=self.create_target)

    def create_target(self) -> None:
        target = Database(self.postgres_url, follow=False)
        with target.write() as work:
            METADATA.create_all(work.session.connection())
        target.close()

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """A foreign program on the SQLite file."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys=ON")
            yield connection

    def sqlite_rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.raw() as connection:
            return connection.execute(query).fetchall()

    def postgres_rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.mover.ends.postgres() as target:
            return target.execute(query).fetchall()

    def differences(self) -> Sequence[Difference]:
        """Both databases as they are now, compared whole and row by row."""
        ends = Ends(self.path, parse_url(self.postgres_url))
        try:
            comparison = Comparison(TABLES, range_rows=3)
            with ends.postgres() as target, ends.snapshot() as source:
                return comparison.go_on(source, target, lambda: False)
        finally:
            ends.close()

    def clear_target(self) -> None:
        """Drop what another stand has left in the same database."""
        with self.connect_postgres(autocommit=True) as target:
            (schema,) = target.execute("SELECT current_schema()").fetchone() or ("",)
            target.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")

    def change_postgres(self, statements: Sequence[tuple[str, tuple[object, ...]]], *, commit: bool) -> None:
        """A foreign program on PostgreSQL; what a constraint refuses is left out."""
        with self.connect_postgres() as target:
            for statement, values in statements:
                with suppress(psycopg.IntegrityError), target.transaction():
                    target.execute(statement, values)
            if not commit:
                target.rollback()

    def connect_postgres(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """A foreign program's connection to PostgreSQL."""
        return connect_postgres(self.postgres_url, autocommit=autocommit)

    def move(self, until: Callable[[Mover], object] = lambda mover: mover.verify()) -> None:
        self.mover.begin()
        self.mover.backfill()
        until(self.mover)

    def close(self) -> None:
        self.mover.close()
        self.source.close()
