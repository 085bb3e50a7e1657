"""The end of a move: PostgreSQL alone is left, and a backup of the SQLite file as it was at that moment."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from weave_nn.migration import capture
from weave_nn.migration.backward import Backward
from weave_nn.migration.ends import Ends, sqlite_of
from weave_nn.migration.errors import Diverged, MoveRefused
from weave_nn.migration.state import STATE_TABLE, epoch_of, set_epoch
from weave_nn.migration.tables import MovedTable, quoted
from weave_nn.shared.db.home import HOME_TABLE

_PRIVATE_FILE = 0o600


def retire(ends: Ends, backward: Backward, folder: Path) -> Path:
    """See `Mover.retire`. Interrupted anywhere, it can be run again."""
    if epoch_of(sqlite_of(ends.source)) & 1 == 0:
        raise MoveRefused("SQLite is the home.", hint="Cut over first, or call the move off with `weave db rollback`.")
    folder.mkdir(parents=True, exist_ok=True)
    backup = folder / f"{ends.sqlite_path.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    draft = folder / f".{backup.name}.part"
    with ends.postgres(snapshot=True) as target:
        final = target.execute(f"SELECT final FROM {HOME_TABLE}").fetchone()
        if final and not final[0]:
            backward.bring_back(target)
            try:
                _back_up(ends, draft)
                _compare_counts(draft, target, backward.tables)
                draft.replace(backup)
            finally:
                draft.unlink(missing_ok=True)
        else:
            # An earlier attempt was interrupted after it had made the backup.
            kept = folder.glob(f"{ends.sqlite_path.stem}-*.db")
            backup = max(kept, key=lambda file: file.stat().st_mtime, default=backup)
    with ends.postgres() as target:
        target.execute("SET LOCAL lock_timeout = '10s'")
        capture.remove_from_postgres(target)
        target.execute(f"DROP TABLE IF EXISTS {STATE_TABLE}")
        target.execute(f"UPDATE {HOME_TABLE} SET final = true")
    _leave_signpost(ends)
    return backup


def _compare_counts(backup: Path, target: "psycopg.Connection[Any]", tables: Sequence[MovedTable]) -> None:
    with closing(sqlite3.connect(backup)) as copy:
        for table in tables:
            count = f"SELECT count(*) FROM {table.quoted}"
            here, there = copy.execute(count).fetchone()[0], (target.execute(count).fetchone() or (None,))[0]
            if here != there:
                raise Diverged(f"{table.name} has {here} rows in SQLite and {there} in PostgreSQL.")


def _back_up(ends: Ends, backup: Path) -> None:
    backup.touch(mode=_PRIVATE_FILE)
    copy = sqlite3.connect(backup)
    try:
        sqlite_of(ends.source).backup(copy)
        capture.remove_from_sqlite(copy)
        copy.execute(f"DROP TABLE IF EXISTS {STATE_TABLE}")
        copy.execute("PRAGMA user_version=0")
        copy.commit()
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise Diverged(f"The backup {backup} is damaged: {verdict}.", hint="Check the disk.")
    finally:
        copy.close()


def _leave_signpost(ends: Ends) -> None:
    """Empty the old file, but for its header: whoever is still started with it is sent to PostgreSQL."""
    with ends.writing() as file:
        capture.remove_from_sqlite(file)
        names = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        virtual = [name for name, sql in names if sql and sql.upper().startswith("CREATE VIRTUAL")]
        for name in virtual:
            file.execute(f"DROP TABLE {quoted(name)}")
        for name, _ in names:
            if not name.startswith("sqlite_") and name not in virtual:
                file.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        set_epoch(file, epoch_of(file), moving=False)
    sqlite_of(ends.file).execute("VACUUM")
