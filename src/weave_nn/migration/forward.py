"""From SQLite to PostgreSQL: applying the log, and the backfill of what was there before.

Both are a transaction on PostgreSQL that locks the state, then takes a snapshot of SQLite, and makes some rows over
there what they are in the snapshot. Rows are deleted and copied in anew rather than updated one by one: COPY is several
times as quick, and rows that exchange the values of a unique index do not get into each other's way. A transaction of
the log's head alone may still meet a row that is outdated and has such a value; then the whole log goes into one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from weave_nn.migration.capture import KEY_NAMES
from weave_nn.migration.comparing import Difference, compare_keys
from weave_nn.migration.ends import Ends
from weave_nn.migration.errors import MoveRefused
from weave_nn.migration.keys import between, chunks, delete_keys, key_at, rows_in_sqlite
from weave_nn.migration.state import LOG_TABLE, State, lock_state, write_postgres
from weave_nn.migration.tables import Derived, MovedTable, quoted

LOG_BATCH = 5_000
_BATCH = "temp.move_batch"
_KEYS = ",".join(KEY_NAMES)
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class Applied:
    """What one transaction did: the entries of the log it covered, the keys that were in them, and what still waits."""

    entries: int = 0
    keys: int = 0
    waiting: int = 0
    differences: tuple[Difference, ...] = ()


class Forward:
    """Fills PostgreSQL from SQLite. `cleaning` replaces what PostgreSQL's text cannot hold, at the price of speed."""

    def __init__(self, ends: Ends, tables: Sequence[MovedTable], derived: Sequence[Derived]) -> None:
        self._ends = ends
        self.tables = tables
        self._derived = derived
        self._cleaning = False

    def apply(self, *, limit: int = LOG_BATCH) -> Applied:
        """Apply the head of the log, in one transaction. Raises `TargetAway`, or `MoveRefused` for a row."""
        return self._tried(lambda: self._apply(limit))

    def _tried(self, attempt: Callable[[], _Done]) -> _Done:
        """Once more in the way that costs more, where PostgreSQL refuses what it need not."""
        try:
            try:
                return attempt()
            except errors.UniqueViolation:
                # A row over there is outdated and has the value; the log knows of it, so all of it goes first.
                self._apply(None)
            except errors.DataError:
                if self._cleaning:
                    raise
                self._cleaning = True
            return attempt()
        except (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded) as error:
            reason = " ".join(str(error).split())
            raise MoveRefused(
                f"PostgreSQL refuses a row: {reason}.", hint="`weave db precheck` tells which, and how to mend it."
            ) from error

    def _apply(self, limit: int | None) -> Applied:
        with self._ends.postgres() as target:
            state = lock_state(target)
            state = self.without_foreign_keys(target, state)
            with self._ends.snapshot() as source:
                state, applied = self.bring_up(target, source, state, limit)
            write_postgres(target, state)
        return applied

    def bring_up(
        self, target: "psycopg.Connection[Any]", source: sqlite3.Connection, state: State, limit: int | None = None
    ) -> tuple[State, Applied]:
        """Apply the log (`limit` entries of it) as it is in `source`; the state is locked, and returned to be kept."""
        last, entries, waiting = self._mark(source, state.applied, limit)
        if not entries:
            return state, Applied()
        count = self._gather(source, state.applied, last)
        changed = [name for (name,) in source.execute(f"SELECT DISTINCT tbl FROM {_BATCH}")]
        tables = [table for table in self.tables if table.name in changed]
        for table in reversed(tables):
            for keys in self._batches(source, table):
                self._forget(table, keys)
                delete_keys(target, table, keys)
        for table in tables:
            self._copy(target, table, source.execute(_rows_of_batch(table), (table.name,)))
        self._derive(source, tables)
        differences = self._compare(source, target, tables) if state.verified_at is not None else []
        state = replace(state, applied=last, diverged=state.diverged + len(differences))
        return state, Applied(entries, count, waiting, tuple(differences))

    def _derive(self, source: sqlite3.Connection, tables: Sequence[MovedTable]) -> None:
        for derived in self._derived:
            for table in (each for each in tables if each.name == derived.table):
                for keys in self._batches(source, table):
                    derived.make(self._ends.target, [key[0] for key in keys])

    def _compare(
        self, source: sqlite3.Connection, target: "psycopg.Connection[Any]", tables: Sequence[MovedTable]
    ) -> list[Difference]:
        return [
            difference
            for table in tables
            for keys in self._batches(source, table)
            for difference in compare_keys(source, target, table, keys)
        ]

    def backfill(self, rows: int) -> tuple[State, int]:
        """Copy the next `rows` rows, in one transaction; gives the state and how many they were, 0 at the end."""
        return self._tried(lambda: self._backfill(rows))

    def _backfill(self, rows: int) -> tuple[State, int]:
        with self._ends.postgres() as target:
            # What a crash of the server takes of this, it takes with the progress that is kept beside it.
            target.execute("SET LOCAL synchronous_commit = off")
            state = self.without_foreign_keys(target, lock_state(target))
            table = next((each for each in self.tables if state.progress.get(each.name, []) is not None), None)
            if table is None:
                return state, 0
            after = state.progress.get(table.name) or None
            with self._ends.snapshot() as source:
                bound = key_at(source, table, after, rows)
                count = self._fill_range(target, source, table, after, bound)
            progress = {**state.progress, table.name: None if bound is None else list(bound)}
            state = replace(state, progress=progress, rows=state.rows + count)
            write_postgres(target, state)
            return state, max(count, 1)

    def _fill_range(
        self,
        target: "psycopg.Connection[Any]",
        source: sqlite3.Connection,
        table: MovedTable,
        after: Sequence[Any] | None,
        bound: Sequence[Any] | None,
    ) -> int:
        where, values = between(table, after, bound, "?")
        theirs, parameters = between(table, after, bound, "%s")
        kept = [each for each in self._derived if each.table == table.name]
        if kept:
            for keys in chunks(target.execute(f"SELECT {table.key_list} FROM {table.quoted}{theirs}", parameters)):
                self._forget(table, keys)
        target.execute(f"DELETE FROM {table.quoted}{theirs}", parameters)
        query = f"SELECT {table.column_list} FROM {table.quoted}{where} ORDER BY {table.key_list}"
        count = self._copy(target, table, source.execute(query, values))
        for derived in kept:
            query = f"SELECT {table.key_list} FROM {table.quoted}{where}"
            for keys in chunks(source.execute(query, values)):
                derived.make(self._ends.target, [key[0] for key in keys])
        return count

    def repair(
        self, target: "psycopg.Connection[Any]", source: sqlite3.Connection, differences: list[Difference]
    ) -> None:
        """Make these rows over there what they are in `source`."""
        for table in self.tables:
            keys = sorted({each.key for each in differences if each.table == table.name}, key=repr)
            if not keys:
                continue
            self._forget(table, keys)
            delete_keys(target, table, keys)
            self._copy(target, table, iter(rows_in_sqlite(source, table, keys)))
            for derived in self._derived:
                if derived.table == table.name:
                    derived.make(self._ends.target, [key[0] for key in keys])

    def empty(self, target: "psycopg.Connection[Any]") -> None:
        """Remove every row over there, of an earlier move."""
        present = [
            table
            for table in self.tables
            if (target.execute("SELECT to_regclass(%s)", (table.quoted,)).fetchone() or (None,))[0]
        ]
        for table in present:
            if any(each.table == table.name for each in self._derived):
                for keys in chunks(target.execute(f"SELECT {table.key_list} FROM {table.quoted}")):
                    self._forget(table, keys)
        if present:
            target.execute(f"TRUNCATE {','.join(table.quoted for table in present)}")

    def without_foreign_keys(self, target: "psycopg.Connection[Any]", state: State) -> State:
        """Take PostgreSQL's foreign keys off: rows come in any order, and nothing may cascade a second time."""
        names = [table.name for table in self.tables]
        found = target.execute(
            "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
            " AND connamespace = current_schema()::regnamespace AND confrelid IN"
            " (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s))",
            (names,),
        ).fetchall()
        for name, table, _ in found:
            target.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted(name)}")
        if not found:
            return state
        kept = {(name, table): definition for name, table, definition in state.foreign_keys}
        kept.update({(name, table): definition.removesuffix(" NOT VALID") for name, table, definition in found})
        return replace(state, foreign_keys=tuple((*key, definition) for key, definition in sorted(kept.items())))

    def _forget(self, table: MovedTable, keys: Sequence[Sequence[Any]]) -> None:
        for derived in self._derived:
            if derived.table == table.name:
                derived.forget(self._ends.target, [key[0] for key in keys])

    def _mark(self, source: sqlite3.Connection, after: int, limit: int | None) -> tuple[int, int, int]:
        """The last entry of the transaction, how many entries it covers, and how many wait behind it."""
        ends = f"SELECT (SELECT max(seq) FROM {LOG_TABLE}), (SELECT min(seq) FROM {LOG_TABLE})"
        newest, oldest = source.execute(ends).fetchone()
        if newest is None or newest <= after:
            return after, 0, 0
        first = max(oldest, after + 1)
        # Numbers of the log are without gaps but for the transactions that were rolled back, which leave none.
        last = newest if limit is None else min(newest, first + limit - 1)
        return last, last - first + 1, newest - last

    def _gather(self, source: sqlite3.Connection, after: int, last: int) -> int:
        source.execute(f"CREATE TEMP TABLE IF NOT EXISTS move_batch (tbl,{_KEYS})")
        source.execute(f"DELETE FROM {_BATCH}")
        gathered = source.execute(
            f"INSERT INTO {_BATCH} SELECT DISTINCT tbl,{_KEYS} FROM {LOG_TABLE} WHERE seq > ? AND seq <= ?",
            (after, last),
        )
        return gathered.rowcount

    def _batches(self, source: sqlite3.Connection, table: MovedTable) -> Iterator[list[tuple[Any, ...]]]:
        names = ",".join(KEY_NAMES[: len(table.keys)])
        yield from chunks(source.execute(f"SELECT {names} FROM {_BATCH} WHERE tbl = ?", (table.name,)))

    def _copy(self, target: "psycopg.Connection[Any]", table: MovedTable, rows: Iterator[Any]) -> int:
        count = 0
        with target.cursor() as cursor:
            first = next(rows, None)
            if first is None:
                return 0
            with cursor.copy(f"COPY {table.quoted} ({table.column_list}) FROM STDIN") as copy:
                for row in chain((first,), rows):
                    copy.write_row(self._clean(row) if self._cleaning else row)
                    count += 1
        return count

    @staticmethod
    def _clean(row: Sequence[Any]) -> list[Any]:
        return [value.replace("\x00", "\ufffd") if isinstance(value, str) else value for value in row]


def _rows_of_batch(table: MovedTable) -> str:
    columns = ",".join(f"t.{column.quoted}" for column in table.columns)
    same = " AND ".join(f"t.{key.quoted} = b.{name}" for key, name in zip(table.keys, KEY_NAMES, strict=False))
    return f"SELECT {columns} FROM {_BATCH} b CROSS JOIN {table.quoted} t ON {same} WHERE b.tbl = ?"
