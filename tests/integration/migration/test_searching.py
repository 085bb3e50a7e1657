"""The whole of the services' schema moves, and search answers on either side at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from weave_nn.entrypoints.moving import trees
from weave_nn.migration import Mover, moved_tables
from weave_nn.services.files import models as files
from weave_nn.services.git import models as git
from weave_nn.services.sync import models as sync
from weave_nn.services.sync.adapters.fulltext import adapter_for
from weave_nn.services.sync.contract.query import Text
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.services.sync.service.refilling import FullTextRefill
from weave_nn.services.tasks import models as tasks
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.dialects import parse_url
from weave_nn.vault.store import Vault

TREES = [*trees([]), files.SCHEMA, sync.SCHEMA, tasks.SCHEMA, git.SCHEMA]


class Library:
    """A vault with its index, on SQLite, and an empty PostgreSQL."""

    def __init__(self, folder: Path, postgres_url: str) -> None:
        self.notes = folder / "vault"
        self.notes.mkdir()
        self.database = Database(f"sqlite:///{folder}/weave.db")
        upgrade(self.database, TREES)
        self.indexer = Indexer(self.database, Vault(self.notes), "v")
        self.mover = Mover(
            folder / "weave.db",
            parse_url(postgres_url),
            moved_tables(tree.metadata for tree in TREES),
            derived=[FullTextRefill()],
            create_target=lambda: self._create(postgres_url),
        )

    def _create(self, url: str) -> None:
        target = Database(url, follow=False)
        upgrade(target, TREES)
        target.close()

    def write(self, name: str, content: str) -> None:
        (self.notes / name).write_text(content, encoding="utf-8")
        with self.database.write() as work:
            self.indexer.look_at(work, [name])

    def remove(self, name: str) -> None:
        (self.notes / name).unlink()
        with self.database.write() as work:
            self.indexer.look_at(work, [name])

    def find(self, word: str) -> set[str]:
        with self.database.read() as work:
            found = adapter_for(work.session.get_bind().dialect.name).matching(Text(word))
            return set(work.session.scalars(select(sync.FileRow.path).where(sync.FileRow.id.in_(found))))

    @property
    def dialect(self) -> str:
        with self.database.read() as work:
            return work.session.get_bind().dialect.name


@pytest.fixture
def library(tmp_path: Path, postgres_url: str) -> Iterator[Library]:
    made = Library(tmp_path, postgres_url)
    yield made
    made.mover.close()
    made.database.close()


def test_search_answers_at_once_wherever_the_home_is(library: Library) -> None:
    library.write("old.md", "# Old\n\nzebra 日本語 [[new]]")
    library.write("changed.md", "walrus")
    library.write("gone.md", "zebra too")
    library.mover.begin()
    library.write("new.md", "# New\n\nzebra again")
    library.mover.backfill()
    library.write("changed.md", "zebra now")
    library.remove("gone.md")
    assert library.mover.verify().differences == ()
    library.mover.cut_over()
    assert library.dialect == "postgresql"
    assert library.find("zebra") == {"old.md", "new.md", "changed.md"}
    assert library.find("walrus") == set()
    assert library.find("日本") == {"old.md"}

    library.write("changed.md", "okapi")
    library.write("latest.md", "# Latest\n\nokapi [[old]]")
    library.remove("new.md")
    assert library.mover.verify().differences == ()
    library.mover.roll_back()
    assert library.dialect == "sqlite"
    assert library.find("okapi") == {"changed.md", "latest.md"}
    assert library.find("zebra") == {"old.md"}
    library.write("old.md", "nothing of the kind")
    assert library.find("zebra") == set()
    assert library.mover.verify().differences == ()


def test_what_is_retired_leaves_a_backup_and_a_signpost(library: Library, tmp_path: Path) -> None:
    library.write("note.md", "zebra")
    library.mover.begin()
    library.mover.backfill()
    library.mover.verify()
    library.mover.cut_over()
    library.write("later.md", "zebra")
    kept = library.mover.retire(tmp_path / "backups")
    library.write("last.md", "zebra")
    assert library.find("zebra") == {"note.md", "later.md", "last.md"}
    late = Database(f"sqlite:///{tmp_path}/weave.db")
    with late.read() as work:
        assert work.session.get_bind().dialect.name == "postgresql"
        assert work.session.scalar(select(func.count()).select_from(bus.models.outbox)) == 0
    late.close()
    old = Database(f"sqlite:///{kept}")
    with old.write() as work:
        assert work.session.get_bind().dialect.name == "sqlite"
        assert set(work.session.scalars(select(sync.FileRow.path))) == {"note.md", "later.md"}
        found = adapter_for("sqlite").matching(Text("zebra"))
        assert len(work.session.scalars(found).all()) == 2
    old.close()
