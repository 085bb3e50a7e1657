"""Primary keys in the SQL of both databases: ranges of them, and sets."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import psycopg

from weave_nn.migration.capture import KEY_NAMES
from weave_nn.migration.tables import Kind, MovedTable

KEY_BATCH = 2_000


def delete_keys(target: "psycopg.Connection[Any]", table: MovedTable, keys: Sequence[Sequence[Any]]) -> None:
    """Delete the rows of these keys (of SQLite) from PostgreSQL."""
    given, same, arrays = _unnested(table, keys)
    target.execute(f"DELETE FROM {table.quoted} t USING {given} WHERE {same}", arrays)


def rows_in_postgres(
    target: "psycopg.Connection[Any]", table: MovedTable, keys: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """The rows of these keys (of SQLite) in PostgreSQL, those that are there."""
    given, same, arrays = _unnested(table, keys)
    columns = table.postgres_columns("t")
    return target.execute(f"SELECT {columns} FROM {given} JOIN {table.quoted} t ON {same}", arrays).fetchall()


def rows_in_sqlite(
    source: sqlite3.Connection, table: MovedTable, keys: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """The rows of these keys in SQLite, those that are there."""
    where = " AND ".join(f"{key.quoted} = ?" for key in table.keys)
    query = f"SELECT {table.column_list} FROM {table.quoted} WHERE {where}"
    found = (source.execute(query, key).fetchone() for key in keys)
    return [row for row in found if row is not None]


def _unnested(table: MovedTable, keys: Sequence[Sequence[Any]]) -> tuple[str, str, list[list[str]]]:
    arrays = [[str(value).replace("\x00", "\ufffd") for value in column] for column in zip(*keys, strict=True)]
    given = ",".join(f"%s::text[]::{key.cast}[]" for key in table.keys)
    names = ",".join(KEY_NAMES[: len(table.keys)])
    same = " AND ".join(f"t.{key.quoted} = k.{name}" for key, name in zip(table.keys, KEY_NAMES, strict=False))
    return f"unnest({given}) AS k({names})", same, arrays


def key_at(
    source: sqlite3.Connection, table: MovedTable, after: Sequence[Any] | None, rows: int
) -> tuple[Any, ...] | None:
    """The key of the `rows`th row after `after` in SQLite, None where there are not as many."""
    where, values = between(table, after, None, "?")
    query = f"SELECT {table.key_list} FROM {table.quoted}{where} ORDER BY {table.key_list} LIMIT 1 OFFSET ?"
    found: tuple[Any, ...] | None = source.execute(query, [*values, rows - 1]).fetchone()
    return found


def between(
    table: MovedTable, after: Sequence[Any] | None, bound: Sequence[Any] | None, mark: str
) -> tuple[str, list[Any]]:
    """The condition for keys above `after` and up to `bound`, and its values; either may be open."""
    conditions, values = [], []
    for end, comparison in ((after, ">"), (bound, "<=")):
        if end is not None:
            marks = ",".join(
                f"{mark}::{key.cast}" if mark == "%s" and key.kind is not Kind.TEXT else mark for key in table.keys
            )
            conditions.append(f"({table.key_list}) {comparison} ({marks})")
            values += [str(value) if mark == "%s" else value for value in end]
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


def chunks(rows: Iterable[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Some thousands of rows at a time."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, KEY_BATCH)):
        yield chunk
