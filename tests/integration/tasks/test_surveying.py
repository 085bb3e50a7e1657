"""Which notes a start reads: those whose marks differ, whatever they look like otherwise."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from weave_nn.services.tasks import models
from weave_nn.services.tasks.repository import UNKNOWN, NoteVersion, TaskRepository
from weave_nn.services.tasks.service import TaskRules
from weave_nn.services.tasks.service.scanning import ScannedNote, scan_note, survey
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade
from weave_nn.vault.store import Vault

RULES = TaskRules()
LONG_AGO_NS = 1_000_000_000 * 10**9


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'weave.db'}")
    upgrade(made, [bus.SCHEMA, models.SCHEMA])
    yield made
    made.close()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    root = tmp_path / "vault"
    root.mkdir()
    (root / "One.md").write_text("- [ ] first\n")
    (root / "Two.md").write_text("- [ ] second\n")
    return Vault(root)


def read(vault: Vault, path: str) -> ScannedNote:
    note = scan_note(vault, path, RULES)
    assert note is not None
    return note


def known_as_long_unchanged(vault: Vault) -> dict[str, NoteVersion]:
    """What is known of the notes when their marks could be trusted at once."""
    return {
        path: NoteVersion(read(vault, path).etag, (stat.size, stat.mtime_ns, stat.changed_ns))
        for path, stat in vault.scan().files.items()
    }


def test_notes_with_the_known_marks_are_not_opened(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    known = known_as_long_unchanged(vault)
    monkeypatch.setattr(Vault, "_descriptor", None)
    found = survey(vault, known, RULES)
    assert (found.changed, found.gone, found.same) == ((), (), {})


def test_a_touched_note_is_the_same_and_is_known_by_its_new_marks(vault: Vault) -> None:
    known = known_as_long_unchanged(vault)
    os.utime(vault.root / "One.md", ns=(LONG_AGO_NS, LONG_AGO_NS))
    found = survey(vault, known, RULES)
    assert found.changed == ()
    assert {path: version.etag for path, version in found.same.items()} == {"One.md": known["One.md"].etag}
    assert found.same["One.md"].marks[1] == LONG_AGO_NS


def test_a_change_that_keeps_size_and_time_is_noticed(vault: Vault) -> None:
    known = known_as_long_unchanged(vault)
    before = (vault.root / "One.md").stat().st_mtime_ns
    (vault.root / "One.md").write_text("- [x] first\n")
    os.utime(vault.root / "One.md", ns=(before, before))
    assert [note.path for note in survey(vault, known, RULES).changed] == ["One.md"]


def test_marks_of_a_note_that_has_just_changed_are_not_trusted(vault: Vault) -> None:
    assert read(vault, "One.md").version.marks[2] == 0


def test_versions_are_remembered_with_their_marks(vault: Vault, database: Database) -> None:
    known = known_as_long_unchanged(vault)
    with database.write() as work:
        TaskRepository(work.session, "test").remember_notes({**known, "Gone.md": UNKNOWN})
    with database.read() as work:
        assert TaskRepository(work.session, "test").note_versions() == {**known, "Gone.md": UNKNOWN}


def test_the_migrations_lead_to_the_models_and_go_down_and_up_with_data(vault: Vault, database: Database) -> None:
    def differences() -> object:
        with database.reader.connect() as connection:
            tables = models.SCHEMA.metadata.tables
            options = {"include_object": lambda _object, name, kind, *_: kind != "table" or name in tables}
            return compare_metadata(MigrationContext.configure(connection, opts=options), models.SCHEMA.metadata)

    assert differences() == []
    known = known_as_long_unchanged(vault)
    with database.write() as work:
        TaskRepository(work.session, "test").remember_notes(known)
    downgrade(database, [models.SCHEMA], "tasks_0001")
    upgrade(database, [models.SCHEMA])
    assert differences() == []
    with database.read() as work:
        kept = TaskRepository(work.session, "test").note_versions()
    assert {path: version.etag for path, version in kept.items()} == {path: known[path].etag for path in known}
