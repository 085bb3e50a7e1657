"""Comparing the two databases at one pair of snapshots that must be equal.

Ranges of rows are compared by a checksum of their text, which each database makes of its own values in a form that is
alike in both; so hardly anything passes through Python. A range that differs is halved until it is small, and then read
whole: whether two rows differ is decided by their values, so that a form that is not quite alike costs time, not truth.
"""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import Any

import psycopg

from weave_nn.migration.keys import KEY_BATCH, between, key_at, rows_in_postgres, rows_in_sqlite
from weave_nn.migration.tables import MovedTable

RANGE_ROWS = 5_000
SMALL_ROWS = 50
AHEAD_RANGES = 4
SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs: `column` is None where the row is missing in one of them, which `what` tells."""

    table: str
    key: tuple[Any, ...]
    column: str | None
    what: str

    def __str__(self) -> str:
        place = f"{self.table} {', '.join(map(str, self.key))}"
        return f"{place}: {self.what}" if self.column is None else f"{place}, column {self.column}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Range:
    after: tuple[Any, ...] | None
    bound: tuple[Any, ...] | None
    rows: int
    digest: str


class Comparison:
    """Compares tables piece by piece, each piece at a pair of snapshots that the caller has made equal."""

    def __init__(self, tables: Sequence[MovedTable], range_rows: int = RANGE_ROWS) -> None:
        self._tables = list(tables)
        self._range_rows = range_rows
        self._table = 0
        self._after: tuple[Any, ...] | None = None
        self.rows = 0
        self.differences: list[Difference] = []

    @property
    def done(self) -> bool:
        """Whether every table was compared to its end."""
        return self._table >= len(self._tables)

    def go_on(
        self,
        source: sqlite3.Connection,
        target: "psycopg.Connection[Any]",
        until: Callable[[], bool],
    ) -> list[Difference]:
        """Compare ranges until `until` says so, or the end; gives what was found just now."""
        found: list[Difference] = []
        while not self.done:
            table = self._tables[self._table]
            for each in _read_ahead(source, table, self._after, self._range_rows, until):
                found += _compare(source, target, table, each)
                self.rows += each.rows
                self._after = each.bound
                if each.bound is None:
                    self._table += 1
            if until() and not self.done:
                break
        self.differences += found
        return found


def _read_ahead(
    source: sqlite3.Connection,
    table: MovedTable,
    after: tuple[Any, ...] | None,
    rows: int,
    until: Callable[[], bool],
) -> Iterator[_Range]:
    """The ranges of a table with the checksums of SQLite, made in a thread while PostgreSQL makes its own."""
    queue: Queue[_Range | BaseException | None] = Queue(AHEAD_RANGES)
    ended = threading.Event()

    def read() -> None:
        start = after
        try:
            while not ended.is_set():
                made = _digest(source, table, start, key_at(source, table, start, rows))
                queue.put(made)
                start = made.bound
                if start is None or until():
                    break
            queue.put(None)
        except BaseException as error:  # noqa: BLE001 - raised where the ranges are taken
            queue.put(error)

    thread = threading.Thread(target=read, name="compare-sqlite")
    thread.start()
    try:
        while (made := queue.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made
    finally:
        ended.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get()
            thread.join(0.01)


def _digest(
    source: sqlite3.Connection, table: MovedTable, after: tuple[Any, ...] | None, bound: tuple[Any, ...] | None
) -> _Range:
    where, values = between(table, after, bound, "?")
    lines = f"SELECT {table.sqlite_line()} AS line FROM {table.quoted} t{where} ORDER BY {table.key_list}"
    text, count = source.execute(
        f"SELECT CAST(group_concat(line,char(10)) AS BLOB),count(*) FROM ({lines})", values
    ).fetchone()
    return _Range(after, bound, count, hashlib.md5(text or b"", usedforsecurity=False).hexdigest())


def _compare(
    source: sqlite3.Connection, target: "psycopg.Connection[Any]", table: MovedTable, each: _Range
) -> list[Difference]:
    where, values = between(table, each.after, each.bound, "%s")
    lines = f"SELECT {table.postgres_line()} AS line FROM {table.quoted} t{where} ORDER BY {table.key_list}"
    found = target.execute(
        f"SELECT md5(coalesce(string_agg(line,E'\\n'),'')),count(*) FROM ({lines}) AS l", values
    ).fetchone()
    if found == (each.digest, each.rows):
        return []
    if each.rows <= SMALL_ROWS:
        return _compare_rows(source, target, table, each)
    middle = key_at(source, table, each.after, each.rows // 2)
    halves = ((each.after, middle), (middle, each.bound))
    return [
        difference
        for after, bound in halves
        for difference in _compare(source, target, table, _digest(source, table, after, bound))
    ]


def _compare_rows(
    source: sqlite3.Connection, target: "psycopg.Connection[Any]", table: MovedTable, each: _Range
) -> list[Difference]:
    where, values = between(table, each.after, each.bound, "?")
    ours = source.execute(f"SELECT {table.column_list} FROM {table.quoted}{where}", values).fetchall()
    where, values = between(table, each.after, each.bound, "%s")
    theirs = target.execute(f"SELECT {table.postgres_columns()} FROM {table.quoted}{where}", values).fetchall()
    return list(differences(table, ours, theirs))


def compare_keys(
    source: sqlite3.Connection, target: "psycopg.Connection[Any]", table: MovedTable, keys: Sequence[Sequence[Any]]
) -> list[Difference]:
    """How the rows of these keys differ."""
    return list(differences(table, rows_in_sqlite(source, table, keys), rows_in_postgres(target, table, keys)))


def compare_again(
    source: sqlite3.Connection, target: "psycopg.Connection[Any]", tables: Sequence[MovedTable], found: list[Difference]
) -> list[Difference]:
    """How the rows differ now that differed before."""
    still: list[Difference] = []
    for table in tables:
        keys = list({each.key for each in found if each.table == table.name})
        for start in range(0, len(keys), KEY_BATCH):
            still += compare_keys(source, target, table, keys[start : start + KEY_BATCH])
    return still


def differences(
    table: MovedTable, ours: Sequence[tuple[Any, ...]], theirs: Sequence[tuple[Any, ...]]
) -> Iterator[Difference]:
    """How rows of SQLite and of PostgreSQL differ, which should be the same."""
    places = [table.columns.index(key) for key in table.keys]

    def key_of(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(table.columns[place].canonical(row[place]) for place in places)

    there = {key_of(row): row for row in theirs}
    for row in ours:
        other = there.pop(key_of(row), None)
        key = table.key_of(row)
        if other is None:
            yield Difference(table.name, key, None, "is not in PostgreSQL")
            continue
        for column, mine, other_value in zip(table.columns, row, other, strict=True):
            if mine != other_value and column.canonical(mine) != column.canonical(other_value):
                yield Difference(
                    table.name, key, column.name, f"{_shown(mine)} in SQLite, {_shown(other_value)} in PostgreSQL"
                )
    for row in there.values():
        key = tuple(table.columns[place].to_sqlite(row[place]) for place in places)
        yield Difference(table.name, key, None, "is not in SQLite")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def now_plus(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() >= deadline
