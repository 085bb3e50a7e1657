"""Capture: triggers that log the primary key of every changed row, in the writer's own transaction.

In SQLite three things need more than a trigger per operation. A key that changes is a deletion and an insertion.
`REPLACE` deletes rows that stand in the way of a unique index without firing their triggers, so the rows that would
stand in the way are logged before. Keys are logged as the values that they are, in columns without a type.

In PostgreSQL keys are logged as text, since they are of different types. What the mover itself writes there is not
logged: its sessions say so by the setting `weave.mover`. In SQLite nobody else writes while the mover does, and what it
logged itself is removed before it commits.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from weave_nn.migration.state import LOG_TABLE
from weave_nn.migration.tables import KEY_COLUMNS, MovedTable, quoted

_FUNCTION = "move_capture"
KEY_NAMES = tuple(f"k{number}" for number in range(KEY_COLUMNS))
_KEYS = ",".join(KEY_NAMES)


def install_in_sqlite(source: sqlite3.Connection, tables: Sequence[MovedTable]) -> None:
    """Create the log and the triggers, in a writing transaction; those that are there are made anew."""
    source.execute(
        f"CREATE TABLE IF NOT EXISTS {LOG_TABLE} (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
        f" tbl TEXT NOT NULL, {_KEYS})"
    )
    for table in tables:
        for name, statement in _sqlite_triggers(table):
            source.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
            source.execute(f"CREATE TRIGGER {quoted(name)} {statement}")


def remove_from_sqlite(source: sqlite3.Connection) -> None:
    """Drop the triggers and the log, in a writing transaction."""
    names = source.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'move\\_%' ESCAPE '\\'")
    for (name,) in names.fetchall():
        source.execute(f"DROP TRIGGER {quoted(name)}")
    source.execute(f"DROP TABLE IF EXISTS {LOG_TABLE}")


def _sqlite_triggers(table: MovedTable) -> Iterator[tuple[str, str]]:
    on = f"ON {table.quoted}"
    yield f"move_insert_{table.name}", f"AFTER INSERT {on} BEGIN {_log(table, 'NEW')} END"
    yield f"move_delete_{table.name}", f"AFTER DELETE {on} BEGIN {_log(table, 'OLD')} END"
    yield f"move_update_{table.name}", f"AFTER UPDATE {on} BEGIN {_log(table, 'NEW')} END"
    changed = " OR ".join(f"OLD.{key.quoted} IS NOT NEW.{key.quoted}" for key in table.keys)
    yield f"move_rekey_{table.name}", f"AFTER UPDATE {on} WHEN {changed} BEGIN {_log(table, 'OLD')} END"
    for number, unique in enumerate(table.uniques):
        same = " AND ".join(f"t.{quoted(name)} = NEW.{quoted(name)}" for name in unique)
        in_the_way = f"{_log_select(table, 't')} FROM {table.quoted} t WHERE {same};"
        yield f"move_replace_insert_{number}_{table.name}", f"BEFORE INSERT {on} BEGIN {in_the_way} END"
        columns = ",".join(quoted(name) for name in unique)
        yield f"move_replace_update_{number}_{table.name}", f"BEFORE UPDATE OF {columns} {on} BEGIN {in_the_way} END"


def _log(table: MovedTable, row: str) -> str:
    return f"{_log_select(table, row)};"


def _log_select(table: MovedTable, row: str) -> str:
    names = ",".join(KEY_NAMES[: len(table.keys)])
    values = ",".join(f"{row}.{key.quoted}" for key in table.keys)
    now = "CAST(strftime('%s','now') AS INTEGER)"
    name = "'" + table.name.replace("'", "''") + "'"
    return f"INSERT INTO {LOG_TABLE} (at,tbl,{names}) SELECT {now},{name},{values}"


def install_in_postgres(target: "psycopg.Connection[Any]", tables: Sequence[MovedTable]) -> None:
    """Create the log and the triggers; nobody may be writing there yet."""
    columns = ",".join(f'{name} text COLLATE "C"' for name in KEY_NAMES)
    target.execute(
        f"CREATE TABLE IF NOT EXISTS {LOG_TABLE}"
        f" (seq bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), tbl text NOT NULL, {columns})"
    )
    for number, table in enumerate(tables):
        function = f"{_FUNCTION}_{number}"
        target.execute(_postgres_function(function, table))
        name = quoted(f"move_{table.name}"[:60])
        target.execute(f"DROP TRIGGER IF EXISTS {name} ON {table.quoted}")
        target.execute(
            f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table.quoted}"
            f" FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        name = quoted(f"move_truncate_{table.name}"[:60])
        target.execute(f"DROP TRIGGER IF EXISTS {name} ON {table.quoted}")
        target.execute(
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table.quoted} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def remove_from_postgres(target: "psycopg.Connection[Any]") -> None:
    """Drop the triggers, their functions and the log."""
    found = target.execute(
        "SELECT tgname, tgrelid::regclass::text, tgfoid::regproc::text"
        " FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE"
        " p.proname LIKE 'move\\_capture\\_%' AND p.pronamespace = current_schema()::regnamespace"
    )
    for name, table, function in found.fetchall():
        target.execute(f"DROP TRIGGER IF EXISTS {quoted(name)} ON {table}")
        target.execute(f"DROP FUNCTION IF EXISTS {function}() CASCADE")
    target.execute(f"DROP TABLE IF EXISTS {LOG_TABLE}")


def _postgres_function(name: str, table: MovedTable) -> str:
    names = ",".join(KEY_NAMES[: len(table.keys)])
    label = "'" + table.name.replace("'", "''") + "'"

    def log(row: str) -> str:
        values = ",".join(f"{row}.{key.quoted}::text" for key in table.keys)
        return f"INSERT INTO {LOG_TABLE} (tbl,{names}) VALUES ({label},{values});"

    every = ",".join(f"t.{key.quoted}::text" for key in table.keys)
    changed = " OR ".join(f"OLD.{key.quoted} IS DISTINCT FROM NEW.{key.quoted}" for key in table.keys)
    return f"""
        CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $capture$
        BEGIN
          IF current_setting('weave.mover', true) = 'on' THEN RETURN NULL; END IF;
          IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO {LOG_TABLE} (tbl,{names}) SELECT {label},{every} FROM {table.quoted} t;
            RETURN NULL;
          END IF;
          IF TG_OP = 'DELETE' THEN {log("OLD")} RETURN NULL; END IF;
          IF TG_OP = 'UPDATE' THEN IF {changed} THEN {log("OLD")} END IF; END IF;
          {log("NEW")}
          RETURN NULL;
        END $capture$"""
