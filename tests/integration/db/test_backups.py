import sqlite3
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from weave_nn.services.files import models as files
from weave_nn.services.tasks import models as tasks
from weave_nn.shared import bus
from weave_nn.shared.db import Database, DatabaseUnusable, upgrade
from weave_nn.shared.db.backups import back_up
from weave_nn.shared.db.restoring import restore
from weave_nn.shared.errors import Conflict, InvalidInput

TREES = [bus.SCHEMA, files.SCHEMA, tasks.SCHEMA]
CHECKED = (
    "SELECT note, count(*) FROM (SELECT topic AS note FROM bus_binding ORDER BY topic) AS t GROUP BY note ORDER BY note"
)


def filled(url: str) -> Database:
    database = Database(url)
    upgrade(database, TREES)
    with database.write() as work:
        for path in ("a.md", "ä\t\\.md", "line\nbreak.md"):
            work.session.execute(text("INSERT INTO bus_binding (queue, topic) VALUES ('v', :path)"), {"path": path})
        queued = "INSERT INTO bus_outbox (event_id, type, body, announced_at) VALUES ('e', 't', '{}', :at)"
        work.session.execute(text(queued), {"at": "2026-01-01 00:00:00.000000"})
    return database


def notes(database: Database) -> list[str]:
    with database.read() as work:
        return [row[0] for row in work.session.execute(text(CHECKED))]


@pytest.mark.parametrize("plain", [False, True])
def test_what_was_backed_up_comes_back(
    tmp_path: Path,
    database_url: str,
    plain: bool,  # noqa: FBT001 - a parameter
) -> None:
    database = filled(database_url)
    dialect = database.url.get_backend_name()
    made = back_up(database, TREES, tmp_path, plain=plain)
    assert made.schema == {tree.name: tree.head for tree in TREES}
    assert made.rows >= 4
    assert made.file.stat().st_mode & 0o077 == 0
    before = notes(database)
    with database.write() as work:
        work.session.execute(text("DELETE FROM bus_binding"))
    with pytest.raises(Conflict, match="--replace"):
        restore(database, TREES, made.file)
    database.close()
    assert restore(database, TREES, made.file, replace=True) == made.schema
    database.close()
    restored = Database(database_url)
    assert notes(restored) == before
    upgrade(restored, TREES)
    with restored.write() as work:
        queued = "INSERT INTO bus_outbox (event_id, type, body, announced_at) VALUES ('f', 't', '{}', :at)"
        work.session.execute(text(queued), {"at": "2026-01-01 00:00:00.000000"})
        assert work.session.scalar(text("SELECT max(sequence) FROM bus_outbox")) == 2
    restored.close()
    assert not list(tmp_path.glob(".*")), dialect


def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path: Path, postgres_url: str) -> None:
    database = filled(postgres_url)
    made = back_up(database, TREES, tmp_path, plain=True)
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(made.file) as whole, zipfile.ZipFile(damaged, "w") as copy:
        for name in whole.namelist():
            copy.writestr(name, whole.read(name).replace(b"a.md", b"b.md"))
    with pytest.raises(DatabaseUnusable, match="damaged"):
        restore(database, TREES, damaged, replace=True)
    assert "a.md" in notes(database)
    database.close()


def test_a_dump_that_lost_its_end_is_refused_before_anything_is_touched(tmp_path: Path, postgres_url: str) -> None:
    database = filled(postgres_url)
    made = back_up(database, TREES, tmp_path)
    if made.made_by != "pg_dump":
        pytest.skip("no pg_dump that is as new as the server")
    damaged = tmp_path / "damaged.dump"
    damaged.write_bytes(made.file.read_bytes()[:-200])
    with pytest.raises(DatabaseUnusable, match="pg_restore"):
        restore(database, TREES, damaged, replace=True)
    assert "a.md" in notes(database)
    database.close()


def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    database = filled(f"sqlite:///{tmp_path}/weave.db")
    with database.write() as work:
        work.session.execute(text("UPDATE alembic_version_tasks SET version_num = 'tasks_9999'"))
    made = back_up(database, TREES, tmp_path / "backups")
    with pytest.raises(InvalidInput, match="tasks_9999"):
        restore(database, TREES, made.file, replace=True)
    database.close()


def test_a_backup_of_sqlite_takes_no_part_in_a_move(tmp_path: Path) -> None:
    database = filled(f"sqlite:///{tmp_path}/weave.db")
    with sqlite3.connect(tmp_path / "weave.db") as raw:
        raw.execute("CREATE TABLE move_log (seq INTEGER)")
        raw.execute(
            "CREATE TRIGGER move_insert_x AFTER INSERT ON bus_binding BEGIN INSERT INTO move_log VALUES (1); END"
        )
        raw.execute("PRAGMA user_version=1")
    raw.close()
    made = back_up(database, TREES, tmp_path / "backups")
    copy = sqlite3.connect(made.file)
    assert copy.execute("PRAGMA user_version").fetchone() == (0,)
    assert not copy.execute("SELECT name FROM sqlite_master WHERE name LIKE 'move%'").fetchall()
    copy.close()
    database.close()
