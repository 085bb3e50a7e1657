"""The two moments at which the home changes: the cut-over to PostgreSQL, and the rollback to SQLite.

Both fence the writers by a lock that they wait for in any case (SQLite's one write lock; the row of the home that every
writing transaction on PostgreSQL shares), bring the other database up to the last commit, compare what they brought,
and give the home up by one commit. Until that commit everything is undone by ending the transaction, which is also what
happens when this process is killed: the fence opens by itself.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from weave_nn.migration.backward import Backward
from weave_nn.migration.capture import install_in_postgres
from weave_nn.migration.ends import Ends, sqlite_of
from weave_nn.migration.errors import Diverged, MoveRefused, TargetAway
from weave_nn.migration.forward import Applied, Forward
from weave_nn.migration.state import (
    LOG_TABLE,
    Phase,
    State,
    epoch_of,
    lock_state,
    now,
    read_postgres,
    set_epoch,
    write_postgres,
    write_sqlite,
)
from weave_nn.migration.tables import Kind, MovedTable, quoted
from weave_nn.shared.db.home import HOME_TABLE
from weave_nn.shared.db.sqlite import begin_immediate

SHORT_LOG = 200
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Switched:
    """How it went: for how long writers waited, and how many rows changed hands meanwhile."""

    pause_milliseconds: float
    rows: int


def cut_over(ends: Ends, forward: Forward, *, limit_seconds: float) -> Switched:
    """Make PostgreSQL the home. Raises `MoveRefused` when it would take longer, `Diverged`, `TargetAway`."""
    with ends.postgres() as target:
        target.execute("SELECT set_config('lock_timeout', %s, true)", (f"{int(limit_seconds * 1000)}ms",))
        try:
            install_in_postgres(target, forward.tables)
            target.execute(f"TRUNCATE {LOG_TABLE}")
        except psycopg.errors.LockNotAvailable as error:
            raise MoveRefused(
                f"Another program holds PostgreSQL's tables for longer than {limit_seconds} s; SQLite stays the home.",
                hint="Look for it in pg_stat_activity.",
            ) from error
        state = lock_state(target)
        if state.verified_at is None:
            raise MoveRefused("The databases were not compared yet.", hint="Run `weave db verify` first.")
        _refuse_diverged(state)
    _shorten(forward.apply, "SQLite")
    with ends.postgres() as target:
        state = lock_state(target)
        file = sqlite_of(ends.file)
        _begin(file, limit_seconds)
        fenced = time.monotonic()
        # Whatever PostgreSQL waits for, or if it answers no more at all: the fence must not stay closed.
        ends.answer_within(target, limit_seconds)
        try:
            state, applied = forward.bring_up(target, file, state)
            _refuse_differences(applied)
            _restore_foreign_keys(target, state)
            _set_sequences(target, file, forward.tables)
            state = replace(state, phase=Phase.REVERSIBLE, switched_at=now())
            write_postgres(target, state)
            _refuse_late(fenced, limit_seconds)
            target.commit()
            epoch = epoch_of(file) + 1
            set_epoch(file, epoch, moving=True)
            write_sqlite(file, state)
            file.execute("COMMIT")
        finally:
            if file.in_transaction:
                file.execute("ROLLBACK")
        pause = (time.monotonic() - fenced) * 1000
    # The home has changed. What is left can be done later, by writers, `Mover.settle` and `Mover.retire`.
    with suppress(TargetAway):
        finish_cut_over(ends, pause)
    return Switched(pause, applied.keys)


def finish_cut_over(ends: Ends, pause_milliseconds: float | None = None) -> None:
    """What follows the moment, and may follow later: PostgreSQL is told, and checks its foreign keys beside users."""
    epoch = epoch_of(sqlite_of(ends.source))
    with ends.postgres() as target:
        target.execute(f"UPDATE {HOME_TABLE} SET epoch = %s WHERE epoch < %s", (epoch, epoch))
    with ends.postgres() as target:
        state = lock_state(target)
        write_postgres(
            target, replace(state, pause_milliseconds=pause_milliseconds or state.pause_milliseconds, trouble=None)
        )
    validate_foreign_keys(ends)


def validate_foreign_keys(ends: Ends) -> None:
    """Have PostgreSQL look at the rows that it did not look at in the cut-over; nobody has to wait for it."""
    with ends.postgres() as target:
        state = lock_state(target)
    for name, table, _ in state.foreign_keys:
        try:
            with ends.postgres() as target:
                target.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(name)}")
        except psycopg.errors.ForeignKeyViolation as error:
            reason = " ".join(str(error).split())
            with ends.postgres() as target:
                write_postgres(target, replace(lock_state(target), trouble=f"{name} does not hold: {reason}"))


def roll_back(ends: Ends, backward: Backward, *, limit_seconds: float) -> Switched:
    """Make SQLite the home again. Raises as `cut_over` does."""
    with ends.postgres() as target:
        _refuse_diverged(lock_state(target))
    _shorten(backward.apply, "PostgreSQL")
    with ends.postgres() as target, ends.locking_within(limit_seconds):
        target.execute("SELECT set_config('lock_timeout', %s, true)", (f"{int(limit_seconds * 1000)}ms",))
        began = time.monotonic()
        try:
            target.execute(f"SELECT epoch FROM {HOME_TABLE} FOR UPDATE")
        except psycopg.errors.LockNotAvailable as error:
            raise MoveRefused(
                f"A transaction on PostgreSQL did not end within {limit_seconds} s; it stays the home.",
                hint="Try again, or look for it in pg_stat_activity.",
            ) from error
        applied = backward.bring_back(target)
        _refuse_differences(applied)
        epoch = epoch_of(sqlite_of(ends.source)) + 1
        with ends.writing() as file:
            _set_sqlite_sequences(file, target, backward.tables)
        state = lock_state(target)
        write_postgres(target, replace(state, phase=Phase.VERIFIED, switched_at=now()))
        target.execute(f"UPDATE {HOME_TABLE} SET epoch = %s", (epoch,))
        _refuse_late(began, limit_seconds)
    with ends.writing() as file:
        set_epoch(file, max(epoch, epoch_of(file)), moving=True)
        pause = (time.monotonic() - began) * 1000
        write_sqlite(file, replace(state, phase=Phase.VERIFIED, switched_at=now(), pause_milliseconds=pause))
    return Switched(pause, applied.keys)


def _shorten(apply: Any, where: str) -> None:
    """Apply until hardly anything waits, so that the fence is short."""
    for _ in range(ROUNDS):
        applied: Applied = apply()
        _refuse_differences(applied)
        if applied.waiting == 0 and applied.entries <= SHORT_LOG:
            return
    raise MoveRefused(
        f"{where} is written faster than its log can be applied.", hint="Try again when less is going on."
    )


def _begin(file: sqlite3.Connection, limit_seconds: float) -> None:
    try:
        begin_immediate(file, wait_seconds=limit_seconds)
    except sqlite3.OperationalError as error:
        raise MoveRefused(
            f"A transaction on SQLite did not end within {limit_seconds} s; it stays the home.", hint="Try again."
        ) from error


def _refuse_differences(applied: Applied) -> None:
    if applied.differences:
        raise Diverged(f"{applied.differences[0]}.", hint="Run `weave db verify --repair`, and tell of it.")


def _refuse_diverged(state: State) -> None:
    """What was found when it was applied, before, stays different until it is mended."""
    if state.diverged:
        raise Diverged(
            f"{state.diverged} differences were found before.", hint="Run `weave db verify --repair`, and tell of it."
        )


def _refuse_late(since: float, limit_seconds: float) -> None:
    if time.monotonic() - since > limit_seconds:
        raise MoveRefused(
            f"It took longer than {limit_seconds} s, so nothing was switched, and writing goes on.", hint="Try again."
        )


def _restore_foreign_keys(target: "psycopg.Connection[Any]", state: State) -> None:
    """Without looking at the rows that are there, which takes as long as they are many; that is done afterwards."""
    for name, table, definition in state.foreign_keys:
        target.execute(f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {definition} NOT VALID")


def _set_sequences(target: "psycopg.Connection[Any]", file: sqlite3.Connection, tables: Sequence[MovedTable]) -> None:
    """Have PostgreSQL count on where SQLite would: no number is given twice, not even one of a row that is gone."""
    counted = _counted(file)
    for table in tables:
        if len(table.keys) != 1 or table.keys[0].kind is not Kind.INTEGER:
            continue
        key = table.keys[0]
        found = target.execute("SELECT pg_get_serial_sequence(%s, %s)", (table.quoted, key.name)).fetchone()
        if found is None or found[0] is None:
            continue
        highest = file.execute(f"SELECT max({key.quoted}) FROM {table.quoted}").fetchone()[0] or 0
        highest = max(highest, counted.get(table.name, 0))
        target.execute("SELECT setval(%s, %s, %s)", (found[0], max(highest, 1), highest > 0))


def _set_sqlite_sequences(
    file: sqlite3.Connection, target: "psycopg.Connection[Any]", tables: Sequence[MovedTable]
) -> None:
    for table in tables:
        if len(table.keys) != 1 or table.name not in _counted(file):
            continue
        found = target.execute("SELECT pg_get_serial_sequence(%s, %s)", (table.quoted, table.keys[0].name)).fetchone()
        if found and found[0]:
            (last,) = target.execute(f"SELECT last_value FROM {found[0]}").fetchone() or (0,)
            file.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, table.name))


def _counted(file: sqlite3.Connection) -> dict[str, int]:
    if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        return {}
    return dict(file.execute("SELECT name, seq FROM sqlite_sequence").fetchall())


def state_of(ends: Ends) -> State:
    """The state as PostgreSQL has it. Raises `MoveRefused` where there is no move."""
    with ends.postgres() as target:
        state = read_postgres(target)
    if state is None:
        raise MoveRefused("PostgreSQL knows nothing of a move.", hint="Begin one: `weave db migrate --to URL`.")
    return state
