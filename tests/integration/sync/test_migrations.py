from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from weave_nn.services.sync.models import SCHEMA
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'weave.db'}")


def test_the_migrations_lead_to_the_models(database: Database) -> None:
    upgrade(database, [SCHEMA])
    with database.reader.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda _object, name, kind, *_: kind != "table" or name in SCHEMA.metadata.tables},
        )
        assert compare_metadata(context, SCHEMA.metadata) == []


def test_goes_down_and_up_again_with_data(database: Database) -> None:
    upgrade(database, [SCHEMA])
    with database.write() as work:
        work.session.execute(
            text(
                "INSERT INTO indexed_file (id, vault_id, path, folded_path, name_key, is_note, size, mtime_ns,"
                " created_ns, changed_ns) VALUES (1, 'v', 'A.md', 'a.md', 'a', 1, 1, 1, 1, 1)"
            )
        )
        work.session.execute(text("INSERT INTO note_search (rowid, title) VALUES (1, 'a')"))
    downgrade(database, [SCHEMA], "base")
    with database.read() as work:
        left = work.session.execute(text("SELECT name FROM sqlite_master WHERE name NOT LIKE 'alembic%'")).scalars()
        assert not [name for name in left if not name.startswith("sqlite_")]
    upgrade(database, [SCHEMA])
    with database.read() as work:
        assert work.session.execute(text("SELECT count(*) FROM indexed_file")).scalar() == 0
