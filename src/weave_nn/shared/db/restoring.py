"""Restoring a backup: verified whole before anything is touched."""

import sqlite3
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from weave_nn.shared.db.backups import (
    MOVE_TABLES,
    PIECE_BYTES,
    connection_string,
    programs,
    run_program,
    schema_name,
    verified_archive,
    verified_sqlite,
    verify_dump,
)
from weave_nn.shared.db.engine import Database
from weave_nn.shared.db.errors import DatabaseUnusable
from weave_nn.shared.db.schema import upgrade_to
from weave_nn.shared.db.tree import SchemaTree
from weave_nn.shared.errors import Conflict, InvalidInput


def restore(database: Database, trees: Sequence[SchemaTree], file: Path, *, replace: bool = False) -> dict[str, str]:
    """Put a backup in the place of the database; gives the schema's revisions that it holds.

    Nobody may be using the database; callers see to that. Raises `Conflict` when there is data already, unless it may
    be replaced: what is there is kept aside (SQLite) or dropped (PostgreSQL). `DatabaseUnusable` for a damaged backup,
    and `InvalidInput` for one of the other kind of database or of a newer version.
    """
    kind = {".db": "sqlite", ".dump": "postgresql", ".zip": "postgresql"}.get(file.suffix)
    if not file.is_file() or kind is None:
        raise InvalidInput(f"{file} is no backup.", hint="Name a file that `weave db backup` wrote.", field="file")
    url = database.home.url
    if kind != url.get_backend_name():
        raise InvalidInput(
            f"{file.name} is a backup of {kind}, and the database is {url.get_backend_name()}.",
            hint="Set DATABASE_URL to a database of that kind.",
            field="file",
        )
    if kind == "sqlite":
        return _restore_sqlite(url, trees, file, replace=replace)
    return _restore_postgres(database, trees, file, replace=replace)


def _restore_sqlite(url: URL, trees: Sequence[SchemaTree], file: Path, *, replace: bool) -> dict[str, str]:
    place = Path(url.database or "")
    if place.exists() and not replace:
        raise Conflict(f"There is a database already: {place}.", hint="Give --replace to put it aside.")
    draft = place.with_name(f".{place.name}.restoring")
    draft.unlink(missing_ok=True)
    source, copy = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True), sqlite3.connect(draft)
    try:
        source.backup(copy)
        verified_sqlite(copy, file)
        schema = _sqlite_versions(copy, trees)
        _refuse_newer(schema, trees)
    finally:
        copy.close()
        source.close()
    aside = place.with_name(f"{place.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        old = place.with_name(place.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
    draft.replace(place)
    return schema


def in_use(file: Path) -> bool:
    """Whether another program has a SQLite file open."""
    if not file.exists():
        return False
    connection = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        # In WAL mode the exclusive lock is had only where nobody else is connected.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


def _sqlite_versions(copy: sqlite3.Connection, trees: Sequence[SchemaTree]) -> dict[str, str]:
    found = {}
    for tree in trees:
        if copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (tree.version_table,)).fetchone():
            row = copy.execute(f"SELECT version_num FROM {tree.version_table}").fetchone()  # noqa: S608 - a constant
            if row:
                found[tree.name] = row[0]
    return found


def _refuse_newer(schema: dict[str, str], trees: Sequence[SchemaTree]) -> None:
    """Raise `InvalidInput` when a backup holds a schema that this program does not know."""
    heads = {tree.name: tree.head for tree in trees}
    if newer := [f"{name} {revision}" for name, revision in schema.items() if revision > heads.get(name, "")]:
        raise InvalidInput(
            f"The backup is of a newer version of weave-nn ({', '.join(newer)}).",
            hint="Upgrade weave-nn, or use an older backup.",
            field="file",
        )


def _restore_postgres(database: Database, trees: Sequence[SchemaTree], file: Path, *, replace: bool) -> dict[str, str]:
    manifest = verified_archive(file) if file.suffix == ".zip" else None
    if manifest is None:
        verify_dump(_pg_restore(), file)
    schema: dict[str, str] = _dumped_versions(file, trees) if manifest is None else manifest["schema"]
    _refuse_newer(schema, trees)
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
        _run_pg_restore(file, database.url)
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
            _rows_of(file, name) as rows,
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


def _rows_of(file: Path, table: str) -> IO[bytes]:
    """A table's rows in such an archive, to be given to COPY; closing it closes the archive."""
    archive = zipfile.ZipFile(file)
    return archive.open(f"{table}.copy")


def _run_pg_restore(file: Path, url: URL) -> None:
    """Restore a dump of `pg_dump`, all or nothing."""
    arguments = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    with connection_string(url) as place:
        run_program(_pg_restore(), [*arguments, f"--schema={schema_name(url)}", f"--dbname={place}", str(file)])


def _dumped_versions(file: Path, trees: Sequence[SchemaTree]) -> dict[str, str]:
    """The revision of each schema tree in a dump of `pg_dump`, without restoring anything."""
    found = {}
    for tree in trees:
        arguments = ["--data-only", f"--table={tree.version_table}", "--file=-", str(file)]
        lines = run_program(_pg_restore(), arguments).splitlines()
        begin = next((number for number, line in enumerate(lines) if line.startswith("COPY ")), None)
        if begin is not None and lines[begin + 1] != "\\.":
            found[tree.name] = lines[begin + 1]
    return found


def _pg_restore() -> Path:
    found = programs("pg_restore")
    if not found:
        raise DatabaseUnusable("There is no pg_restore here.", hint="Install PostgreSQL's client programs.")
    return found[0]
