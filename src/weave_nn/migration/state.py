"""Where a move stands, kept in both databases.

What the applier and the backfill rely on stands in PostgreSQL, in one row that is locked by each of their transactions
and written in it. SQLite holds a copy for people, which tells the phase also while PostgreSQL is away.
"""

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Json

from weave_nn.migration.errors import MoveRefused
from weave_nn.shared.db.home import HOME_TABLE

STATE_TABLE = "move_state"
LOG_TABLE = "move_log"
OWN_TABLES = frozenset({STATE_TABLE, LOG_TABLE, HOME_TABLE})


class Phase(StrEnum):
    """Where a move stands; each of them can be gone back from until `RETIRED`."""

    NONE = "none"
    CAPTURING = "capturing"
    BACKFILLING = "backfilling"
    COPIED = "copied"
    VERIFIED = "verified"
    REVERSIBLE = "reversible"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class State:
    """A move's state. `applied` is the last entry of SQLite's log that is in PostgreSQL.

    `progress` maps each table to the last key that was backfilled (None once all of it is there), `rows` counts them.
    `foreign_keys` are the constraints of PostgreSQL that are taken off while it is filled. `verified_at`, ISO 8601, is
    when both databases were compared whole for the last time; from then on every change is compared when it is applied.
    """

    phase: Phase = Phase.NONE
    started_at: str = ""
    sqlite_path: str = ""
    target: str = ""
    applied: int = 0
    progress: dict[str, list[Any] | None] = field(default_factory=dict)
    rows: int = 0
    total: int = 0
    foreign_keys: tuple[tuple[str, str, str], ...] = ()
    verified_at: str | None = None
    verified_rows: int = 0
    diverged: int = 0
    switched_at: str | None = None
    pause_milliseconds: float | None = None
    trouble: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "State":
        """What `to_json` gave."""
        keys = tuple((str(name), str(table), str(definition)) for name, table, definition in value["foreign_keys"])
        return cls(**{**value, "phase": Phase(value["phase"]), "foreign_keys": keys})


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def create_in_postgres(target: "psycopg.Connection[Any]", state: State, epoch: int) -> None:
    """Begin a move there: PostgreSQL is not the home from now on, whoever starts on it."""
    target.execute(f"CREATE TABLE IF NOT EXISTS {STATE_TABLE} (id int PRIMARY KEY, state json NOT NULL)")
    target.execute(
        f"CREATE TABLE IF NOT EXISTS {HOME_TABLE}"
        " (id int PRIMARY KEY, epoch int NOT NULL, final boolean NOT NULL, sqlite_path text NOT NULL)"
    )
    target.execute(
        f"INSERT INTO {HOME_TABLE} VALUES (1, %s, false, %s)"
        " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, final = false, sqlite_path = excluded.sqlite_path",
        (epoch, state.sqlite_path),
    )
    target.execute(
        f"INSERT INTO {STATE_TABLE} VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
        (Json(state.to_json()),),
    )


def lock_state(target: "psycopg.Connection[Any]") -> State:
    """The state, and nobody else has it until this transaction ends. Raises `MoveRefused` where there is no move."""
    state = read_postgres(target, lock=True)
    if state is None:
        raise MoveRefused("PostgreSQL knows nothing of a move.", hint="Begin one: `weave db migrate --to URL`.")
    return state


def read_postgres(target: "psycopg.Connection[Any]", *, lock: bool = False) -> State | None:
    """The state as PostgreSQL has it, None where there is no move."""
    found = target.execute(f"SELECT to_regclass('{STATE_TABLE}')").fetchone()
    if found is None or found[0] is None:
        return None
    row = target.execute(f"SELECT state FROM {STATE_TABLE} WHERE id = 1{' FOR UPDATE' if lock else ''}").fetchone()
    return State.from_json(row[0]) if row else None


def write_postgres(target: "psycopg.Connection[Any]", state: State) -> None:
    """Keep the state, in the transaction that has it locked."""
    target.execute(f"UPDATE {STATE_TABLE} SET state = %s WHERE id = 1", (Json(state.to_json()),))


def create_in_sqlite(source: sqlite3.Connection) -> None:
    """Where the copy of the state is kept."""
    source.execute(f"CREATE TABLE IF NOT EXISTS {STATE_TABLE} (id INTEGER PRIMARY KEY, state TEXT NOT NULL)")


def read_sqlite(source: sqlite3.Connection) -> State:
    """The copy in SQLite; the phase `NONE` where there is no move."""
    if not source.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (STATE_TABLE,)).fetchone():
        return State()
    row = source.execute(f"SELECT state FROM {STATE_TABLE} WHERE id = 1").fetchone()
    return State.from_json(json.loads(row[0])) if row else State()


def write_sqlite(source: sqlite3.Connection, state: State) -> None:
    """Keep the copy, in a writing transaction."""
    source.execute(
        f"INSERT INTO {STATE_TABLE} VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
        (json.dumps(state.to_json()),),
    )


def epoch_of(source: sqlite3.Connection) -> int:
    """How often the home has changed, as far as SQLite knows."""
    version: int = source.execute("PRAGMA user_version").fetchone()[0]
    return version >> 1


def set_epoch(source: sqlite3.Connection, epoch: int, *, moving: bool) -> None:
    """Write the epoch into SQLite's header, in a writing transaction."""
    source.execute(f"PRAGMA user_version={epoch << 1 | moving}")


def peek(sqlite_path: Path) -> tuple[State, int]:
    """What a SQLite file says of its move, and its epoch; makes nothing, and asks nobody else."""
    if not sqlite_path.exists():
        return State(), 0
    source = sqlite3.connect(f"{sqlite_path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return read_sqlite(source), epoch_of(source)
    finally:
        source.close()


def begun(sqlite_path: Path, target: str, total: int) -> State:
    """The state of a move that begins now."""
    return State(Phase.CAPTURING, now(), str(sqlite_path), target, total=total)
