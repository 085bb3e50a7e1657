"""Writing the index: what is put and removed here leaves it as a fresh rebuild of the same files would make it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext import FullText
from weave_nn.services.sync.adapters.fulltext.analysis import fold
from weave_nn.services.sync.models import (
    BlockRow,
    ContentRow,
    FileRow,
    HeadingRow,
    IndexRow,
    LinkRow,
    NoteRow,
    PropertyRow,
    TagRow,
)
from weave_nn.services.sync.repository.batches import batches
from weave_nn.services.sync.repository.linking import Unresolved, relink, resolve
from weave_nn.services.sync.repository.records import FileRecord, NoteRecord, fold_key, name_key
from weave_nn.shared.db import insert_rows, lock
from weave_nn.vault.paths import is_note

_OWNERS: dict[Any, Any] = {
    NoteRow: NoteRow.id,
    ContentRow: ContentRow.id,
    LinkRow: LinkRow.source_id,
    TagRow: TagRow.note_id,
    HeadingRow: HeadingRow.note_id,
    BlockRow: BlockRow.note_id,
    PropertyRow: PropertyRow.note_id,
}
_COLUMNS: dict[Table, tuple[str, ...]] = {
    table: tuple(column.name for column in table.columns)
    for table in (cast("Table", model.__table__) for model in _OWNERS)
}
"""What is written of a note: its tables in the order of `_OWNERS`, each with all its columns."""


class Known(NamedTuple):
    """What is known of a file: the marks by which a change is noticed; a note that was never read has no `etag`."""

    size: int
    mtime_ns: int
    changed_ns: int
    etag: str | None


class IndexWriter:
    """The index of one vault, in one transaction. Whoever uses it commits often: the database has one writer."""

    def __init__(self, session: Session, vault_id: str, fulltext: FullText) -> None:
        self._session = session
        self._vault_id = vault_id
        self._fulltext = fulltext

    def lock(self) -> int | None:
        """Keep other writers of this index out until the end of the transaction; gives the index's version, if any."""
        lock(self._session, f"sync:{self._vault_id}")
        query = select(IndexRow.version).where(IndexRow.vault_id == self._vault_id).with_for_update()
        return self._session.scalar(query)

    def set_version(self, version: int) -> None:
        """Remember the version that the index is made by."""
        self._session.merge(IndexRow(vault_id=self._vault_id, version=version))

    def known(self, paths: Sequence[str] | None = None) -> dict[str, Known]:
        """What is known of these files, or of all of them."""
        columns = (FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.changed_ns, FileRow.etag)
        everything = select(*columns).where(FileRow.vault_id == self._vault_id)
        found: dict[str, Known] = {}
        for query in (
            [everything] if paths is None else [everything.where(FileRow.path.in_(part)) for part in batches(paths)]
        ):
            found.update({row[0]: Known(*row[1:]) for row in self._session.execute(query)})
        return found

    def put(self, records: Sequence[FileRecord]) -> None:
        """Write what was found. Where there is no note in a record, what is known of the file's content stays."""
        ids = self._ids([record.stat.path for record in records])
        new = [record for record in records if record.stat.path not in ids]
        ids.update(self._add(new))
        present = [record for record in records if record not in new]
        if present:
            marks = [{"id": ids[record.stat.path], **_marks(record)} for record in present]
            self._session.execute(update(FileRow), marks)
        notes = {ids[record.stat.path]: record.note for record in records if record.note is not None}
        self._put_notes(notes, {ids[record.stat.path]: record.stat.path for record in records})
        relink(self._session, self._vault_id, {name_key(record.stat.path) for record in new})

    def remove(self, paths: Sequence[str]) -> None:
        """Forget files, and all that is known of them; unknown ones are left out silently."""
        ids = self._ids(paths)
        if not ids:
            return
        for part in batches(list(ids.values())):
            self._fulltext.remove(self._session, part)
            self._session.execute(delete(FileRow).where(FileRow.id.in_(part)))
        relink(self._session, self._vault_id, {name_key(path) for path in ids})

    def forget_content(self) -> None:
        """Have every note read again: what was made by another version of indexing cannot be compared."""
        self._session.execute(update(FileRow).where(FileRow.vault_id == self._vault_id).values(etag=None))

    def _ids(self, paths: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for part in batches(paths):
            query = select(FileRow.path, FileRow.id).where(FileRow.vault_id == self._vault_id, FileRow.path.in_(part))
            found.update(self._session.execute(query).all())
        return found

    def _add(self, records: Sequence[FileRecord]) -> dict[str, int]:
        added: dict[str, int] = {}
        for part in batches(records):
            rows = [
                {
                    "vault_id": self._vault_id,
                    "path": record.stat.path,
                    "folded_path": fold(record.stat.path),
                    "name_key": name_key(record.stat.path),
                    "is_note": is_note(record.stat.path),
                    **_marks(record),
                }
                for record in part
            ]
            added.update(self._session.execute(insert(FileRow).returning(FileRow.path, FileRow.id), rows).all())
        return added

    def _put_notes(self, notes: dict[int, NoteRecord], paths: dict[int, str]) -> None:
        held = [
            note_id
            for part in batches(list(notes))
            for note_id in self._session.scalars(select(NoteRow.id).where(NoteRow.id.in_(part)))
        ]
        for part in batches(held):
            self._fulltext.remove(self._session, part)
            for model, owner in _OWNERS.items():
                self._session.execute(delete(model.__table__).where(owner.in_(part)))
        links = [
            Unresolved(paths[note_id], link.target, link.target_key)
            for note_id in notes
            for link in notes[note_id].links
        ]
        targets = iter(resolve(self._session, self._vault_id, links))
        for table, rows in _rows(notes, targets).items():
            insert_rows(self._session, table, _COLUMNS[table], rows)
        self._fulltext.put(self._session, {note_id: note.terms for note_id, note in notes.items()})


def _marks(record: FileRecord) -> dict[str, Any]:
    stat = record.stat
    return {
        "size": stat.size,
        "mtime_ns": stat.mtime_ns,
        "created_ns": stat.created_ns,
        "changed_ns": stat.changed_ns,
        "etag": record.etag,
    }


def _rows(notes: dict[int, NoteRecord], targets: Iterator[int | None]) -> dict[Table, list[tuple[Any, ...]]]:
    """The rows of notes, by table, with their values in the order of its columns; `targets` are of all links."""
    rows: dict[Table, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
    note_rows, contents, links, tags, headings, blocks, properties = rows.values()
    for note_id, note in notes.items():
        note_rows.append((note_id, note.title, list(note.aliases), note.frontmatter, note.tasks, note.open_tasks))
        contents.append((note_id, note.content))
        links += [(note_id, position, next(targets), *link) for position, link in enumerate(note.links)]
        keys = {fold_key(tag): tag for tag in reversed(note.tags)}
        tags += [(note_id, key, tag) for key, tag in keys.items()]
        headings += [(note_id, position, *heading) for position, heading in enumerate(note.headings)]
        blocks += [(note_id, position, *block) for position, block in enumerate(note.blocks)]
        properties += [(note_id, position, *value) for position, value in enumerate(note.properties)]
    return rows
