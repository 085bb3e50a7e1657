"""From PostgreSQL back to SQLite, once PostgreSQL is the home: so that going back loses nothing.

Numbers of PostgreSQL's log are not in the order of its commits, so what was applied is not a mark but the very entries
that a snapshot shows; they are deleted once SQLite has committed what they led to. A crash in between repeats it.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from weave_nn.migration.capture import KEY_NAMES
from weave_nn.migration.comparing import Difference, differences
from weave_nn.migration.ends import Ends
from weave_nn.migration.forward import LOG_BATCH, Applied
from weave_nn.migration.keys import KEY_BATCH, rows_in_postgres, rows_in_sqlite
from weave_nn.migration.state import LOG_TABLE, lock_state, write_postgres
from weave_nn.migration.tables import Derived, Kind, MovedTable

_KEYS = ",".join(KEY_NAMES)
_SQLITE_INSTANT_CHARS = 26


class Backward:
    """Fills SQLite from PostgreSQL."""

    def __init__(self, ends: Ends, tables: Sequence[MovedTable], derived: Sequence[Derived]) -> None:
        self._ends = ends
        self.tables = tables
        self._derived = derived

    def apply(self, *, limit: int = LOG_BATCH) -> Applied:
        """Apply some of PostgreSQL's log, in one transaction of SQLite."""
        with self._ends.postgres(snapshot=True) as target:
            applied = self.bring_back(target, limit)
            self.keep_differences(target, applied)
        return applied

    def keep_differences(self, target: "psycopg.Connection[Any]", applied: Applied) -> None:
        """Have the state know of what was not applied rightly."""
        if applied.differences:
            state = lock_state(target)
            write_postgres(target, replace(state, diverged=state.diverged + len(applied.differences)))

    def bring_back(self, target: "psycopg.Connection[Any]", limit: int | None = None) -> Applied:
        """Put what the log names into SQLite, and take it from the log. SQLite commits before `target` does."""
        bound = "" if limit is None else f" LIMIT {limit}"
        entries = target.execute(f"SELECT seq,tbl,{_KEYS} FROM {LOG_TABLE} ORDER BY seq{bound}").fetchall()
        if not entries:
            return Applied()
        keys: dict[str, dict[tuple[str, ...], None]] = defaultdict(dict)
        width = {table.name: len(table.keys) for table in self.tables}
        for _, name, *values in entries:
            keys[name][tuple(values[: width[name]])] = None
        found: list[Difference] = []
        with self._ends.writing() as file:
            self.put(file, target, keys)
            for table, batch in self._batches(keys):
                there = rows_in_postgres(target, table, batch)
                found += differences(table, rows_in_sqlite(file, table, _sqlite_keys(table, batch)), there)
            # What the triggers of the way there have just logged is PostgreSQL's already.
            file.execute(f"DELETE FROM {LOG_TABLE}")
        target.execute(f"DELETE FROM {LOG_TABLE} WHERE seq = ANY(%s)", ([entry[0] for entry in entries],))
        waiting = target.execute(f"SELECT count(*) FROM {LOG_TABLE}").fetchone()
        return Applied(len(entries), sum(map(len, keys.values())), waiting[0] if waiting else 0, tuple(found))

    def put(
        self,
        file: sqlite3.Connection,
        target: "psycopg.Connection[Any]",
        keys: dict[str, dict[tuple[str, ...], None]],
    ) -> None:
        """Make the rows of these keys (as text) in SQLite what they are in PostgreSQL."""
        for derived, values in self._derived_of(keys):
            derived.forget(self._ends.file, values)
        for table, batch in self._batches(keys):
            where = " AND ".join(f"{key.quoted} = ?" for key in table.keys)
            file.executemany(f"DELETE FROM {table.quoted} WHERE {where}", _sqlite_keys(table, batch))
        for table, batch in self._batches(keys):
            insert = f"INSERT INTO {table.quoted} ({table.column_list}) VALUES ({','.join('?' * len(table.columns))})"
            file.executemany(insert, (sqlite_row(table, row) for row in rows_in_postgres(target, table, batch)))
        for derived, values in self._derived_of(keys):
            derived.make(self._ends.file, values)

    def repair(self, target: "psycopg.Connection[Any]", found: Sequence[Difference]) -> None:
        """Make these rows in SQLite what they are in PostgreSQL."""
        keys: dict[str, dict[tuple[str, ...], None]] = defaultdict(dict)
        for each in found:
            keys[each.table][tuple(str(value) for value in each.key)] = None
        with self._ends.writing() as file:
            self.put(file, target, keys)
            file.execute(f"DELETE FROM {LOG_TABLE}")

    def _batches(
        self, keys: dict[str, dict[tuple[str, ...], None]]
    ) -> Iterable[tuple[MovedTable, Sequence[tuple[str, ...]]]]:
        for table in self.tables:
            chosen = list(keys.get(table.name, ()))
            for start in range(0, len(chosen), KEY_BATCH):
                yield table, chosen[start : start + KEY_BATCH]

    def _derived_of(self, keys: dict[str, dict[tuple[str, ...], None]]) -> Iterable[tuple[Derived, list[Any]]]:
        for derived in self._derived:
            for table, batch in self._batches(keys):
                if table.name == derived.table:
                    yield derived, [key[0] for key in _sqlite_keys(table, batch)]


def sqlite_row(table: MovedTable, row: Sequence[Any]) -> tuple[Any, ...]:
    """A row as PostgreSQL's driver gave it, as SQLite keeps it."""
    return tuple(column.to_sqlite(value) for column, value in zip(table.columns, row, strict=True))


def _sqlite_keys(table: MovedTable, keys: Sequence[Sequence[str]]) -> list[tuple[Any, ...]]:
    """Keys that were logged as text, as SQLite keeps them."""
    return [
        tuple(_from_text(column.kind, value) for column, value in zip(table.keys, key, strict=True)) for key in keys
    ]


def _from_text(kind: Kind, text: str) -> Any:
    match kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.BOOLEAN:
            return int(text in {"true", "t", "1"})
        case Kind.DATETIME:
            return text if len(text) == _SQLITE_INSTANT_CHARS else _instant(text)
        case _:
            return text


def _instant(text: str) -> str:
    value = datetime.fromisoformat(text)
    utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return utc.isoformat(sep=" ", timespec="microseconds")
