"""The move as a whole: its phases, in the order in which they are gone through, and the ways back."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from weave_nn.migration import capture, retiring, switching
from weave_nn.migration.backward import Backward
from weave_nn.migration.comparing import Comparison, Difference, compare_again, now_plus
from weave_nn.migration.ends import Ends, sqlite_of
from weave_nn.migration.errors import Diverged, MoveRefused
from weave_nn.migration.forward import LOG_BATCH, Applied, Forward
from weave_nn.migration.holding import holding
from weave_nn.migration.state import (
    LOG_TABLE,
    Phase,
    State,
    begun,
    create_in_postgres,
    create_in_sqlite,
    epoch_of,
    lock_state,
    now,
    read_postgres,
    read_sqlite,
    set_epoch,
    write_postgres,
    write_sqlite,
)
from weave_nn.migration.tables import Derived, MovedTable
from weave_nn.migration.throttle import Throttle
from weave_nn.shared.db.home import HOME_TABLE, write_target

FENCE_SECONDS = 5.0
SLICE_SECONDS = 1.0
WAIT_SECONDS = 30.0
PRUNE_ROWS = 2_000
PRUNE_SECONDS = 2.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a comparison found; it is complete unless it was `stopped`."""

    rows: int
    differences: tuple[Difference, ...]
    repaired: bool
    seconds: float


class Mover:
    """Moves the data of `sqlite_path` to the PostgreSQL at `target_url`, and back.

    `create_target` makes the tables there, empty, if they are not there yet. Every method holds the move while it
    works, and raises `MoveBusy` when another process holds it; `TargetAway` when PostgreSQL cannot be reached.
    """

    def __init__(
        self,
        sqlite_path: Path,
        target_url: URL,
        tables: Sequence[MovedTable],
        *,
        derived: Sequence[Derived] = (),
        create_target: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = sqlite_path.absolute()
        self.url = target_url
        self.tables = tables
        self.ends = Ends(self.path, target_url)
        self.forward = Forward(self.ends, tables, derived)
        self.backward = Backward(self.ends, tables, derived)
        self._create_target = create_target
        self._prune_due = 0.0

    def close(self) -> None:
        """Close every connection."""
        self.ends.close()

    @contextmanager
    def held(self, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
        """Keep other processes off the move for several steps."""
        with holding(self.path, wait_seconds=wait_seconds):
            yield

    def begin(self) -> State:
        """Begin to capture, or find that it was begun. Raises `MoveRefused` when the target is not free."""
        state = read_sqlite(sqlite_of(self.ends.source))
        if state.phase is not Phase.NONE:
            return self.settle()
        epoch = epoch_of(sqlite_of(self.ends.source))
        if epoch & 1:
            raise MoveRefused("This SQLite file was retired; its data is in PostgreSQL.")
        state = begun(self.path, self.url.set(drivername="postgresql").render_as_string(), self._count())
        state = self._create_target_tables(state, epoch)
        write_target(self.path, self.url)
        with self.ends.writing() as file:
            create_in_sqlite(file)
            capture.install_in_sqlite(file, self.tables)
            set_epoch(file, epoch, moving=True)
            write_sqlite(file, state)
        return state

    def _create_target_tables(self, state: State, epoch: int) -> State:
        """Make PostgreSQL ours, unless it has rows or belongs to another move; killed anywhere, it is done again."""
        with self.ends.postgres() as target:
            old = self._own_move(target)
            if old is None:
                self._refuse_rows(target)
            else:
                state = replace(state, foreign_keys=old.foreign_keys)
                state = self.forward.without_foreign_keys(target, state)
                # Nothing was captured since, so that what is left there would stand in the way of newer rows.
                self.forward.empty(target)
            create_in_postgres(target, state, epoch)
        self._create_target()
        return state

    def _own_move(self, target: "psycopg.Connection[Any]") -> State | None:
        """What is left there of a move of this file that was begun before."""
        there = target.execute(f"SELECT to_regclass('{HOME_TABLE}')").fetchone()
        if there is None or there[0] is None:
            return None
        row = target.execute(f"SELECT sqlite_path, final, epoch FROM {HOME_TABLE}").fetchone()
        if row and (row[0] != str(self.path) or row[1] or row[2] & 1):
            raise MoveRefused(f"The PostgreSQL database belongs to a move of {row[0]}.", hint="Name an empty database.")
        return read_postgres(target)

    def _refuse_rows(self, target: "psycopg.Connection[Any]") -> None:
        for table in self.tables:
            there = target.execute("SELECT to_regclass(%s)", (table.quoted,)).fetchone()
            if there and there[0] and target.execute(f"SELECT 1 FROM {table.quoted} LIMIT 1").fetchone():
                raise MoveRefused(
                    f"The PostgreSQL database is not empty: its table {table.name} has rows.",
                    hint="Name an empty database.",
                )

    def _count(self) -> int:
        source = sqlite_of(self.ends.source)
        return sum(source.execute(f"SELECT count(*) FROM {table.quoted}").fetchone()[0] for table in self.tables)

    def settle(self) -> State:
        """Finish what a killed process left half done, and give the state."""
        with self.ends.postgres() as target:
            state = read_postgres(target)
            row = target.execute(f"SELECT epoch, final FROM {HOME_TABLE}").fetchone() if state else None
            source = sqlite_of(self.ends.source)
            if state is None or row is None:
                raise MoveRefused("PostgreSQL knows nothing of this move.", hint="Is it the right database?")
            epoch = max(row[0], epoch_of(source))
            at_home = epoch & 1 == 1
            if row[0] < epoch:
                target.execute(f"UPDATE {HOME_TABLE} SET epoch = %s", (epoch,))
            if (state.phase is Phase.REVERSIBLE) is not at_home:
                state = replace(lock_state(target), phase=Phase.REVERSIBLE if at_home else Phase.VERIFIED)
                write_postgres(target, state)
        if epoch_of(source) < epoch or read_sqlite(source).phase is not state.phase:
            with self.ends.writing() as file:
                set_epoch(file, max(epoch, epoch_of(file)), moving=True)
                write_sqlite(file, state)
        return state

    @property
    def postgres_is_home(self) -> bool:
        """Whether PostgreSQL is the home, as far as SQLite knows."""
        return epoch_of(sqlite_of(self.ends.source)) & 1 == 1

    def apply(self, *, limit: int = LOG_BATCH) -> Applied:
        """One step of bringing the other database up to the home, in the direction that holds now."""
        if self.postgres_is_home:
            return self.backward.apply(limit=limit)
        applied = self.forward.apply(limit=limit)
        if applied.entries >= limit or time.monotonic() >= self._prune_due:
            self._prune()
        return applied

    def _prune(self) -> None:
        """Forget what was applied, a little at a time, and tell SQLite's copy of the state."""
        self._prune_due = time.monotonic() + PRUNE_SECONDS
        with self.ends.postgres() as target:
            state = read_postgres(target)
        if state is None:
            return
        last = sqlite_of(self.ends.source).execute(f"SELECT min(seq) FROM {LOG_TABLE}").fetchone()[0]
        while last is not None and last <= state.applied:
            last += PRUNE_ROWS
            with self.ends.writing() as file:
                write_sqlite(file, state)
                file.execute(f"DELETE FROM {LOG_TABLE} WHERE seq <= ?", (min(last, state.applied),))

    def catch_up(self, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Apply until nothing waits."""
        while not stop() and self.apply().waiting:
            pass

    def backfill(
        self, progress: Progress = lambda _done, _total: None, *, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Copy what was there before the capture, going on where it was; applies the log in between."""
        state = self.settle()
        if state.phase in {Phase.VERIFIED, Phase.REVERSIBLE, Phase.COPIED}:
            return
        self._enter(Phase.BACKFILLING)
        throttle = Throttle(self.ends)
        while not stop():
            began = time.monotonic()
            state, rows = self.forward.backfill(throttle.rows)
            progress(state.rows, max(state.total, state.rows))
            if not rows:
                self.ends.look_at_target([table.quoted for table in self.tables])
                self._enter(Phase.COPIED)
                return
            throttle.copied(rows, time.monotonic() - began)
            while not stop() and self.apply().waiting:
                pass
            throttle.give_way()

    def verify(
        self,
        progress: Progress = lambda _done, _total: None,
        *,
        repair: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Verified:
        """Compare every row, while writing goes on. With `repair`, what differs is made what it is at the home."""
        state = self.settle()
        if state.phase in {Phase.CAPTURING, Phase.BACKFILLING}:
            raise MoveRefused("Not everything is copied yet.", hint="Run `weave db migrate` first.")
        began = time.monotonic()
        # From here on every change is compared when it is applied, so that what was compared stays so.
        self._write(verified_at=state.verified_at or now())
        comparison = Comparison(self.tables)
        while not comparison.done and not stop():
            self.catch_up(stop=stop)
            self._compare_slice(comparison, repair=repair)
            progress(comparison.rows, max(state.total, comparison.rows))
        found = tuple(comparison.differences)
        if comparison.done:
            # What was applied wrongly meanwhile may be in rows that were compared already.
            meanwhile = self.settle().diverged - state.diverged
            equal = (not found or repair) and not meanwhile
            self._write(
                verified_at=now() if equal else None,
                verified_rows=comparison.rows,
                diverged=0 if equal else meanwhile + len(found),
            )
            if self.settle().phase in {Phase.COPIED, Phase.VERIFIED}:
                self._enter(Phase.VERIFIED if equal else Phase.COPIED)
        return Verified(comparison.rows, found, repair and bool(found), time.monotonic() - began)

    def _compare_slice(self, comparison: Comparison, *, repair: bool) -> None:
        until = now_plus(SLICE_SECONDS)
        if self.postgres_is_home:
            with self.ends.postgres(snapshot=True) as target:
                self.backward.keep_differences(target, self.backward.bring_back(target))
                with self.ends.snapshot() as source:
                    found = comparison.go_on(source, target, until)
                if repair and found:
                    self.backward.repair(target, found)
                    with self.ends.snapshot() as source:
                        _refuse_unmended(compare_again(source, target, self.tables, found))
            return
        with self.ends.postgres() as target:
            state = self.forward.without_foreign_keys(target, lock_state(target))
            with self.ends.snapshot() as source:
                state, _ = self.forward.bring_up(target, source, state)
                found = comparison.go_on(source, target, until)
                if repair and found:
                    self.forward.repair(target, source, found)
                    _refuse_unmended(compare_again(source, target, self.tables, found))
            write_postgres(target, state)

    def cut_over(self, *, limit_seconds: float = FENCE_SECONDS) -> switching.Switched:
        """Make PostgreSQL the home of every process. Nothing happened if it raises."""
        state = self.settle()
        if state.phase is not Phase.VERIFIED:
            raise MoveRefused(
                f"The move is {state.phase}; it has to be verified before the cut-over.",
                hint="Run `weave db migrate`, which goes on where the move is.",
            )
        return switching.cut_over(self.ends, self.forward, limit_seconds=limit_seconds)

    def roll_back(self, *, limit_seconds: float = FENCE_SECONDS) -> switching.Switched:
        """Make SQLite the home again, with every write made since; before the cut-over there is nothing to do."""
        if self.settle().phase is not Phase.REVERSIBLE:
            raise MoveRefused("SQLite is the home already.", hint="`weave db status` shows where the move is.")
        return switching.roll_back(self.ends, self.backward, limit_seconds=limit_seconds)

    def call_off(self) -> None:
        """End the move while SQLite is the home: it is as it was before. PostgreSQL is not needed for it."""
        if self.postgres_is_home:
            raise MoveRefused("PostgreSQL is the home.", hint="Run `weave db rollback` first.")
        with self.ends.writing() as file:
            capture.remove_from_sqlite(file)
            file.execute("DROP TABLE IF EXISTS move_state")
            set_epoch(file, epoch_of(file), moving=False)

    def retire(self, folder: Path) -> Path:
        """End the move while PostgreSQL is the home; gives the backup of the SQLite file that is kept in `folder`."""
        with self.ends.postgres() as target:
            under_way = read_postgres(target) is not None
        # A retirement that was interrupted has nothing to bring back any more.
        if under_way and self.settle().phase is Phase.REVERSIBLE:
            self.catch_up()
            switching.validate_foreign_keys(self.ends)
        return retiring.retire(self.ends, self.backward, folder)

    def _enter(self, phase: Phase) -> None:
        self._write(phase=phase)

    def _write(self, **changes: object) -> None:
        with self.ends.postgres() as target:
            state = replace(lock_state(target), **changes)  # type: ignore[arg-type]  # fields of State, by name
            write_postgres(target, state)
        with self.ends.writing() as file:
            write_sqlite(file, state)

    def waiting(self) -> tuple[int, float]:
        """How many entries wait in SQLite's log, and for how many seconds the oldest has."""
        source = sqlite_of(self.ends.source)
        return lag(source, read_sqlite(source).applied)


def _refuse_unmended(still: Sequence[Difference]) -> None:
    if still:
        raise Diverged(f"{still[0]}, also after it was written anew.", hint="Look for triggers on that table.")


def lag(source: sqlite3.Connection, applied: int) -> tuple[int, float]:
    """How many entries of SQLite's log wait beyond `applied`, and for how many seconds the oldest has."""
    count, oldest = source.execute(
        f"SELECT count(*), min(at) FROM {LOG_TABLE} WHERE seq > ?",
        (applied,),
    ).fetchone()
    return count, max(0.0, time.time() - oldest) if oldest else 0.0
