"""The tables that move, and how their values look in each database."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

from weave_nn.migration.errors import MoveRefused

KEY_COLUMNS = 6
"""The most columns of a primary key; the log has that many."""

SEPARATOR, NULL = "\x1f", "\x1e"
LONG_TEXT_BYTES = 1000
"""Longer text goes into a row's text by its checksum, so that a range of rows takes little memory; counted in bytes,
which neither database has to look at every character for."""
_NUL, _REPLACEMENT = "\x00", "\ufffd"


class Kind(StrEnum):
    """What a column holds, as far as the two databases differ in writing it down."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    REAL = "real"
    TEXT = "text"
    BLOB = "blob"
    DATE = "date"
    DATETIME = "datetime"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class MovedColumn:
    """One column. `bits` is the size of an integer, `chars` the longest text; 0 where there is no limit."""

    name: str
    kind: Kind
    nullable: bool
    bits: int = 0
    chars: int = 0
    zoned: bool = False

    @property
    def quoted(self) -> str:
        """The name as it stands in SQL."""
        return quoted(self.name)

    @property
    def cast(self) -> str:
        """The type that PostgreSQL compares keys of this column in."""
        instant = "timestamptz" if self.zoned else "timestamp"
        return {Kind.INTEGER: "bigint", Kind.BOOLEAN: "boolean", Kind.DATE: "date", Kind.DATETIME: instant}.get(
            self.kind, "text"
        )

    def sqlite_text(self, name: str) -> str:
        """The value as text that is alike in both databases, where it is in SQLite."""
        match self.kind:
            case Kind.BOOLEAN:
                value = f"CASE {name} WHEN 0 THEN 'f' WHEN 1 THEN 't' ELSE {name} END"
            case Kind.REAL:
                value = f"real_text({name})"
            case Kind.BLOB:
                value = f"md5_hex({name})"
            case Kind.DATETIME:
                zone = "||'+00'" if self.zoned else ""
                value = f"CASE length({name}) WHEN 26 THEN rtrim(rtrim({name},'0'),'.') ELSE {name} END{zone}"
            case Kind.TEXT | Kind.JSON if not self.chars or self.chars > LONG_TEXT_BYTES:
                value = f"CASE WHEN length(CAST({name} AS BLOB))>{LONG_TEXT_BYTES} THEN md5_hex({name}) ELSE {name} END"
            case _:
                value = name
        return f"coalesce({value},char(30))" if self.nullable else value

    def postgres_text(self, name: str) -> str:
        """The same, where the value is in PostgreSQL."""
        match self.kind:
            case Kind.REAL:
                value = f"encode(float8send({name}),'hex')"
            case Kind.BLOB:
                value = f"md5({name})"
            case Kind.TEXT if not self.chars or self.chars > LONG_TEXT_BYTES:
                value = f"CASE WHEN octet_length({name})>{LONG_TEXT_BYTES} THEN md5({name}) ELSE {name} END"
            case Kind.JSON:
                text = f"{name}::text"
                value = f"CASE WHEN octet_length({text})>{LONG_TEXT_BYTES} THEN md5({text}) ELSE {text} END"
            case Kind.TEXT:
                value = name
            case _:
                value = f"{name}::text" if self.nullable else name
                if self.kind is Kind.BOOLEAN:
                    value = f"CASE {name} WHEN true THEN 't' WHEN false THEN 'f' END"
        return rf"coalesce({value},E'\x1e')" if self.nullable else value

    def to_sqlite(self, value: Any) -> Any:
        """A value that PostgreSQL's driver gave, as SQLAlchemy writes it into SQLite."""
        if value is None:
            return None
        match self.kind:
            case Kind.BOOLEAN:
                return int(value)
            case Kind.DATE:
                return value.isoformat()
            case Kind.DATETIME:
                utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
                return utc.isoformat(sep=" ", timespec="microseconds")
            case Kind.BLOB:
                return bytes(value)
            case _:
                return value

    def canonical(self, value: Any) -> Any:
        """A value of either driver as one that can be compared."""
        return value if value is None else _CANONICAL.get(self.kind, _as_it_is)(value)


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _as_it_is(value: Any) -> Any:
    return value


_CANONICAL: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: lambda value: {0: False, 1: True}.get(value, value),
    Kind.TEXT: lambda value: str(value).replace(_NUL, _REPLACEMENT),
    Kind.JSON: lambda value: str(value).replace(_NUL, _REPLACEMENT),
    Kind.BLOB: bytes,
    Kind.REAL: lambda value: repr(float(value)) if isinstance(value, int | float) else value,
    Kind.DATE: lambda value: value.isoformat() if isinstance(value, date) else value,
    Kind.DATETIME: _instant,
}


@dataclass(frozen=True, slots=True)
class MovedTable:
    """One table that moves, by the names of its columns.

    `uniques` are the columns of its other unique indexes, `indexed` those of any index but the primary key's.
    """

    name: str
    columns: tuple[MovedColumn, ...]
    keys: tuple[MovedColumn, ...]
    uniques: tuple[tuple[str, ...], ...]
    indexed: frozenset[str] = frozenset()

    @property
    def quoted(self) -> str:
        """The name as it stands in SQL."""
        return quoted(self.name)

    @property
    def column_list(self) -> str:
        """All columns, for SELECT and INSERT."""
        return ",".join(column.quoted for column in self.columns)

    @property
    def key_list(self) -> str:
        """The columns of the primary key, for ORDER BY."""
        return ",".join(key.quoted for key in self.keys)

    def postgres_columns(self, of: str = "") -> str:
        """All columns as PostgreSQL's driver should give them: JSON as the text that it is."""
        before = f"{of}." if of else ""
        return ",".join(
            f"{before}{column.quoted}{'::text' if column.kind is Kind.JSON else ''}" for column in self.columns
        )

    def key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """The primary key of a row of all columns."""
        return tuple(row[self.columns.index(key)] for key in self.keys)

    def sqlite_line(self) -> str:
        """The row as one text that is alike in both databases."""
        parts = [column.sqlite_text(f"t.{column.quoted}") for column in self.columns]
        # The function takes 127 arguments, and is quicker than concatenating.
        groups = [parts[start : start + 100] for start in range(0, len(parts), 100)]
        return f"||'{SEPARATOR}'||".join(f"printf('{SEPARATOR.join(['%s'] * len(g))}',{','.join(g)})" for g in groups)

    def postgres_line(self) -> str:
        """The same in PostgreSQL."""
        parts = [column.postgres_text(f"t.{column.quoted}") for column in self.columns]
        groups = [parts[start : start + 100] for start in range(0, len(parts), 100)]
        return r"||E'\x1f'||".join(rf"concat_ws(E'\x1f',{','.join(group)})" for group in groups)


class Derived(Protocol):
    """What one database makes of a table in its own way, such as a full-text index: not copied but made anew.

    `forget` is called before rows of `table` change at `connection`, with the keys that may change, `make` afterwards
    with those that are there then; both in the transaction that changes them.
    """

    table: str

    def forget(self, connection: Connection, keys: Sequence[Any]) -> None:
        """Remove what was made of these rows."""

    def make(self, connection: Connection, keys: Sequence[Any]) -> None:
        """Make it of these rows anew."""


def moved_tables(metadatas: Iterable[MetaData]) -> tuple[MovedTable, ...]:
    """The tables of these metadata, parents before children; raises `MoveRefused` for what cannot move."""
    tables = [table for metadata in metadatas for table in metadata.sorted_tables]
    return tuple(_moved(table) for table in tables)


def _moved(table: Table) -> MovedTable:
    keys = list(table.primary_key.columns)
    if not keys or len(keys) > KEY_COLUMNS:
        raise MoveRefused(f"The table {table.name} has {len(keys)} key columns; from 1 to {KEY_COLUMNS} can move.")
    # What a database computes by itself is computed in both, and cannot be written.
    columns = {column.name: _column(table, column) for column in table.columns if column.computed is None}
    if computed := [key.name for key in keys if key.name not in columns]:
        raise MoveRefused(f"The key {table.name}.{computed[0]} is computed, and cannot move.")
    for index in table.indexes:
        if index.unique and not all(isinstance(each, Column) for each in index.expressions):
            raise MoveRefused(
                f"The unique index {index.name} is on an expression; what it replaces cannot be captured."
            )
    unique_indexes = [tuple(column.name for column in index.columns) for index in table.indexes if index.unique]
    constraints = [
        tuple(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    moved_keys = tuple(columns[key.name] for key in keys)
    if bad := [key.name for key in moved_keys if key.kind in {Kind.BLOB, Kind.REAL, Kind.JSON}]:
        raise MoveRefused(f"The key {table.name}.{bad[0]} is of a kind that does not compare alike in both databases.")
    uniques = tuple(sorted({*unique_indexes, *constraints}))
    indexed = frozenset(column.name for index in table.indexes for column in index.columns)
    return MovedTable(table.name, tuple(columns.values()), moved_keys, uniques, indexed.union(*uniques))


_KINDS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], tuple[Kind, int, int]]], ...] = (
    (Boolean, lambda _: (Kind.BOOLEAN, 0, 0)),
    (SmallInteger, lambda _: (Kind.INTEGER, 16, 0)),
    (BigInteger, lambda _: (Kind.INTEGER, 64, 0)),
    (Integer, lambda _: (Kind.INTEGER, 32, 0)),
    (Float, lambda _: (Kind.REAL, 0, 0)),
    (JSON, lambda _: (Kind.JSON, 0, 0)),
    (LargeBinary, lambda _: (Kind.BLOB, 0, 0)),
    (DateTime, lambda _: (Kind.DATETIME, 0, 0)),
    (Date, lambda _: (Kind.DATE, 0, 0)),
    (String, lambda given: (Kind.TEXT, 0, given.length or 0)),
)


def _column(table: Table, column: Column[Any]) -> MovedColumn:
    given: Any = column.type
    while isinstance(given, TypeDecorator):
        given = given.impl_instance
    if not isinstance(given, Uuid):
        for type_, kind_of in _KINDS:
            if isinstance(given, type_):
                kind, bits, chars = kind_of(given)
                return MovedColumn(
                    column.name,
                    kind,
                    bool(column.nullable),
                    bits,
                    chars,
                    zoned=bool(getattr(given, "timezone", False)),
                )
    shown = given.compile(dialect=sqlite.dialect())
    raise MoveRefused(f"The column {table.name}.{column.name} is of the type {shown}, which cannot move.")


def quoted(name: str) -> str:
    """A name as it stands in the SQL of both databases."""
    return '"' + name.replace('"', '""') + '"'
