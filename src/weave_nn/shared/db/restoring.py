"""Restoring a backup into PostgreSQL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from weave_nn.shared.db.backups import (
    MOVE_TABLES,
    PIECE_BYTES,
    dumped_versions,
    read_manifest,
    refuse_newer,
    rows_of,
    run_pg_restore,
)
from weave_nn.shared.db.engine import Database
from weave_nn.shared.db.schema import upgrade_to
from weave_nn.shared.db.tree import SchemaTree
from weave_nn.shared.errors import Conflict


def restore_postgres(database: Database, trees: Sequence[SchemaTree], file: Path, *, replace: bool) -> dict[str, str]:
    """See `backups.restore`."""
    manifest = read_manifest(file) if file.suffix == ".zip" else None
    schema: dict[str, str] = dumped_versions(file, database.url, trees) if manifest is None else manifest["schema"]
    refuse_newer(schema, trees)
    with database.write() as work:
        connection = work.session.connection()
        present = inspect(connection).get_table_names()
        if present and not replace:
            raise Conflict(
                f"There are tables already in {database.url.database}.", hint="Give --replace to drop them first."
            )
        for name in present:
            connection.execute(text(f'DROP TABLE IF EXISTS "{name}" CASCADE'))
    if manifest is None:
        run_pg_restore(file, database.url)
        with database.write() as work:
            _leave_move(work.session.connection())
    else:
        upgrade_to(database, trees, schema)
        with database.write() as work:
            _fill(work.session.connection(), file, manifest)
    return schema


def _leave_move(connection: Connection) -> None:
    """What was restored is a database of its own; it takes no part in a move that was under way."""
    functions = "SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'move\\_capture%' AND pronamespace ="
    for function in connection.scalars(text(f"{functions} current_schema()::regnamespace")).all():
        connection.execute(text(f"DROP FUNCTION {function} CASCADE"))
    for name in MOVE_TABLES:
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def _fill(connection: Connection, file: Path, manifest: dict[str, Any]) -> None:
    """Every table of the archive, parents before children."""
    names = [table for table in _parents_first(connection) if table in manifest["tables"]]
    raw: Any = connection.connection.driver_connection
    for name in names:
        columns = ",".join(f'"{column}"' for column in manifest["tables"][name]["columns"])
        connection.execute(text(f'DELETE FROM "{name}"'))  # noqa: S608 - the archive's own names
        with (
            raw.cursor() as cursor,
            rows_of(file, name) as rows,
            cursor.copy(f'COPY "{name}" ({columns}) FROM STDIN') as copy,
        ):
            while piece := rows.read(PIECE_BYTES):
                copy.write(piece)
        _set_sequences(connection, name)


def _parents_first(connection: Connection) -> list[str]:
    ordered = inspect(connection).get_sorted_table_and_fkc_names()
    return [name for name, _ in ordered if name]


def _set_sequences(connection: Connection, table: str) -> None:
    for column in inspect(connection).get_columns(table):
        sequence = connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": f'"{table}"', "column": column["name"]}
        )
        if sequence:
            highest = f'SELECT max("{column["name"]}") FROM "{table}"'  # noqa: S608 - its own names
            connection.execute(text(f"SELECT setval('{sequence}', greatest(1, ({highest})), ({highest}) IS NOT NULL)"))
