"""Backups of the database while it is in use, each verified after it was written; `restoring` puts them back.

SQLite is copied page by page by its own online backup, into a file that is a database. PostgreSQL is dumped by
`pg_dump` where that is as new as the server, else by COPY from one snapshot into a zip archive, which needs no program
but this one. Either way the schema's version is inside, so that a program never takes up what it does not understand.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from weave_nn.shared.db.engine import Database
from weave_nn.shared.db.errors import DatabaseUnusable
from weave_nn.shared.db.tree import SchemaTree

MANIFEST = "manifest.json"
PIECE_BYTES = 1 << 20
DUMP_SECONDS = 6 * 3600
_PRIVATE_FILE = 0o600
MOVE_TABLES = ("move_log", "move_state", "database_home")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written and read back: how it was made, what schema it holds, how many rows."""

    file: Path
    made_by: str
    schema: dict[str, str]
    rows: int
    size_bytes: int


def back_up(database: Database, trees: Sequence[SchemaTree], folder: Path, *, plain: bool = False) -> Backup:
    """Write a backup of the database, wherever its home is, into `folder`.

    With `plain`, PostgreSQL is dumped by this program even where `pg_dump` is there. Raises `DatabaseUnusable` when the
    backup could not be written whole, and leaves none then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with database.read() as work:
        connection = work.session.connection()
        url = database.url
        schema = versions(connection, trees)
        stem = f"weave-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        if url.get_backend_name() == "sqlite":
            return _finish(folder / f"{stem}.db", lambda draft: _copy_sqlite(url, draft), "sqlite", schema)
        program = None if plain else _pg_dump(connection)
        if program is not None:
            return _finish(folder / f"{stem}.dump", lambda draft: _dump(program, url, draft), "pg_dump", schema)
        made = folder / f"{stem}.zip"
        return _finish(made, lambda draft: _copy_postgres(connection, draft, schema), "copy", schema)


def _finish(file: Path, write: Any, made_by: str, schema: dict[str, str]) -> Backup:
    """Write into a draft beside, verify, and only then give it its name."""
    draft = file.with_name(f".{file.name}.part")
    try:
        draft.touch(mode=_PRIVATE_FILE)
        rows = write(draft)
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(file)
    except (OSError, sqlite3.Error, subprocess.SubprocessError) as error:
        raise DatabaseUnusable(
            f"The backup {file} could not be written: {error}.", hint="Check the folder's free space and permissions."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return Backup(file, made_by, schema, rows, file.stat().st_size)


def versions(connection: Connection, trees: Sequence[SchemaTree]) -> dict[str, str]:
    """The revision of each schema tree, by its name; those that were never made are left out."""
    present = set(inspect(connection).get_table_names())
    found = {}
    for tree in trees:
        if tree.version_table in present:
            revision = connection.scalar(text(f"SELECT version_num FROM {tree.version_table}"))  # noqa: S608 - a constant
            if revision is not None:
                found[tree.name] = str(revision)
    return found


def _copy_sqlite(url: URL, draft: Path) -> int:
    source, copy = sqlite3.connect(url.database or ""), sqlite3.connect(draft)
    try:
        source.backup(copy, pages=2_000, sleep=0.001)
        # A backup is a database of its own; it takes no part in a move that was under way.
        triggers = copy.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'move\\_%' ESCAPE '\\'"
        )
        for (name,) in triggers.fetchall():
            copy.execute(f'DROP TRIGGER "{name}"')
        for name in MOVE_TABLES:
            copy.execute(f"DROP TABLE IF EXISTS {name}")
        copy.execute("PRAGMA user_version=0")
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.commit()
        return verified_sqlite(copy, draft)
    finally:
        copy.close()
        source.close()


def verified_sqlite(copy: sqlite3.Connection, file: Path) -> int:
    """How many rows a copy holds, if it is whole; raises `DatabaseUnusable`."""
    verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise DatabaseUnusable(f"{file} is damaged: {verdict}.", hint="Use another backup.")
    names = [
        row[0]
        for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'")
    ]
    return sum(copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names)  # noqa: S608 - its own names


def _pg_dump(connection: Connection) -> Path | None:
    """The newest `pg_dump` that is not older than the server, which it refuses to dump otherwise."""
    server = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
    for program in programs("pg_dump"):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - found on the PATH
        words = said.stdout.split()
        if said.returncode == 0 and words and int(words[2].partition(".")[0]) >= server:
            return program
    return None


def programs(name: str) -> list[Path]:
    """Where one of PostgreSQL's own programs is, the one on the PATH first."""
    found = [shutil.which(name)]
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return [Path(each) for each in [*found, *map(str, installed)] if each]


@contextmanager
def connection_string(url: URL) -> Iterator[str]:
    """For PostgreSQL's own programs; the password is in a private file, as others may read their arguments."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - the driver is an extra

    given = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
    given |= {name: value for name, value in url.query.items() if isinstance(value, str)}
    with tempfile.TemporaryDirectory(prefix="weave-dump-") as folder:
        if url.password is not None:
            file = Path(folder) / "password"
            file.touch(mode=_PRIVATE_FILE)
            file.write_text(
                "*:*:*:*:" + url.password.replace("\\", "\\\\").replace(":", "\\:") + "\n", encoding="utf-8"
            )
            given["passfile"] = str(file)
        yield make_conninfo("", **given)


def run_program(program: Path, arguments: Sequence[str]) -> str:
    """What one of PostgreSQL's own programs prints; raises `DatabaseUnusable` with what it complains of."""
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [program, *arguments], capture_output=True, text=True, check=False, timeout=DUMP_SECONDS
    )
    if done.returncode:
        reason = " ".join(done.stderr.split())[:500]
        raise DatabaseUnusable(f"{program.name} failed: {reason}.", hint="See the reason; nothing was left half done.")
    return done.stdout


def _dump(program: Path, url: URL, draft: Path) -> int:
    arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--schema={schema_name(url)}", f"--file={draft}"]
    with connection_string(url) as place:
        run_program(program, [*arguments, f"--dbname={place}"])
    verify_dump(program.with_name("pg_restore"), draft)
    return _count_rows(url)


def verify_dump(pg_restore: Path, file: Path) -> None:
    """Read a dump of `pg_dump` to its end; raises `DatabaseUnusable`. Its list of contents alone stands at the head."""
    listed = run_program(pg_restore, ["--list", str(file)])
    if " TABLE DATA " not in listed:
        raise DatabaseUnusable("The dump holds no table.", hint="Does DATABASE_URL name the right schema?")
    run_program(pg_restore, [f"--file={os.devnull}", str(file)])


def _count_rows(url: URL) -> int:
    database = Database(url.render_as_string(hide_password=False), follow=False)
    try:
        with database.read() as work:
            connection = work.session.connection()
            names = [name for name in inspect(connection).get_table_names() if name not in MOVE_TABLES]
            return sum(connection.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0 for name in names)  # noqa: S608 - its own names
    finally:
        database.close()


def schema_name(url: URL) -> str:
    """The schema of PostgreSQL that the URL leads to."""
    database = Database(url.render_as_string(hide_password=False), follow=False)
    try:
        with database.read() as work:
            return str(work.session.scalar(text("SELECT current_schema()")))
    finally:
        database.close()


def _copy_postgres(connection: Connection, draft: Path, schema: dict[str, str]) -> int:
    """Every table's rows from the snapshot of this transaction, each with a checksum, and read back at the end."""
    raw: Any = connection.connection.driver_connection
    names = sorted(name for name in inspect(connection).get_table_names() if name not in MOVE_TABLES)
    manifest: dict[str, Any] = {"schema": schema, "made_at": datetime.now(UTC).isoformat(), "tables": {}}
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name in names:
            columns = [column["name"] for column in inspect(connection).get_columns(name)]
            listed = ",".join(f'"{column}"' for column in columns)
            digest, size = hashlib.sha256(), 0
            with (
                archive.open(f"{name}.copy", "w", force_zip64=True) as member,
                raw.cursor() as cursor,
                cursor.copy(f'COPY "{name}" ({listed}) TO STDOUT') as copy,
            ):
                for piece in copy:
                    member.write(piece)
                    digest.update(piece)
                    size += 1
            manifest["tables"][name] = {"columns": columns, "rows": size, "sha256": digest.hexdigest()}
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
    return sum(each["rows"] for each in verified_archive(draft)["tables"].values())


def verified_archive(file: Path) -> dict[str, Any]:
    """The manifest, after every table in the archive was read and compared with it."""
    try:
        with zipfile.ZipFile(file) as archive:
            manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
            for name, table in manifest["tables"].items():
                with archive.open(f"{name}.copy") as member:
                    digest = hashlib.sha256()
                    while piece := member.read(PIECE_BYTES):
                        digest.update(piece)
                if digest.hexdigest() != table["sha256"]:
                    raise DatabaseUnusable(
                        f"{file} is damaged: {name} is not what was written.", hint="Use another backup."
                    )
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DatabaseUnusable(f"{file} is no backup, or a damaged one: {error}.", hint="Use another.") from error
    return manifest
