"""What notes say of themselves: metadata, tags, headings; and lists of notes."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext.analysis import fold
from weave_nn.services.sync.models import BlockRow, ContentRow, FileRow, HeadingRow, LinkRow, NoteRow, TagRow, text_of
from weave_nn.services.sync.repository.batches import batches
from weave_nn.services.sync.repository.conditions import tag_or_below
from weave_nn.services.sync.repository.records import fold_key
from weave_nn.vault.errors import NoteNotFound

_ROWS_AT_ONCE = 200
# Made once: to make this statement takes longer than to execute it.
_CONTENTS = select(ContentRow.id, ContentRow.content).where(ContentRow.id.in_(bindparam("ids", expanding=True)))


class StoredNote(NamedTuple):
    """A note's row and its file's."""

    id: int
    path: str
    title: str
    etag: str
    size: int
    created_ns: int
    mtime_ns: int
    aliases: list[str]
    frontmatter: dict[str, Any]
    tasks: int
    open_tasks: int


class NoteReader:
    """The notes of one vault."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def note(self, path: str) -> StoredNote:
        """One note; raises `NoteNotFound`."""
        row = self._session.execute(self._notes().where(FileRow.path == path)).one_or_none()
        if row is None:
            raise NoteNotFound(path)
        return StoredNote(*row)

    def each(self) -> Iterator[StoredNote]:
        """Every note, by path, without holding them all."""
        query = self._notes().order_by(FileRow.path).execution_options(yield_per=_ROWS_AT_ONCE)
        for row in self._session.execute(query):
            yield StoredNote(*row)

    def texts(self, note_ids: Collection[int]) -> dict[int, str]:
        """The texts of notes, as they were when they were indexed."""
        found: dict[int, str] = {}
        for part in batches(list(note_ids)):
            found.update({row[0]: text_of(row[1]) for row in self._session.execute(_CONTENTS, {"ids": part})})
        return found

    def count(self) -> int:
        """How many notes there are."""
        query = select(func.count()).select_from(NoteRow).join(FileRow, FileRow.id == NoteRow.id)
        return self._session.scalar(query.where(FileRow.vault_id == self._vault_id)) or 0

    def recent(self, *, limit: int, offset: int) -> list[tuple[str, str, int]]:
        """Path, title and time of modification, the latest first."""
        query = self._summaries().order_by(FileRow.mtime_ns.desc(), FileRow.path)
        return [(row[0], row[1], row[2]) for row in self._session.execute(query.limit(limit).offset(offset))]

    def orphans(self, *, limit: int, offset: int) -> list[tuple[str, str, int]]:
        """Notes that no link leads to from elsewhere, and from which none leads to another file."""
        elsewhere = (LinkRow.target_id.is_not(None), LinkRow.target_id != LinkRow.source_id)
        query = self._summaries().where(
            FileRow.id.not_in(select(LinkRow.source_id).where(*elsewhere)),
            FileRow.id.not_in(select(LinkRow.target_id).where(*elsewhere)),
        )
        ordered = query.order_by(FileRow.path).limit(limit).offset(offset)
        return [(row[0], row[1], row[2]) for row in self._session.execute(ordered)]

    def tags(self, note_id: int) -> list[str]:
        """The tags of a note."""
        query = select(TagRow.tag).where(TagRow.note_id == note_id).order_by(TagRow.tag_key)
        return list(self._session.scalars(query))

    def tags_of_all(self) -> dict[int, list[str]]:
        """The tags of every note that has some."""
        found: dict[int, list[str]] = {}
        for note_id, tag in self._session.execute(self._tags(TagRow.note_id, TagRow.tag).order_by(TagRow.tag_key)):
            found.setdefault(note_id, []).append(tag)
        return found

    def tagged(self) -> Iterator[tuple[int, str, str]]:
        """Every tag of every note: the note's id, the tag's key, its spelling."""
        for row in self._session.execute(self._tags(TagRow.note_id, TagRow.tag_key, TagRow.tag)):
            yield row[0], row[1], row[2]

    def having(self, keys: Collection[str], most: int) -> Iterator[tuple[int, str]]:
        """The notes that have one of these tags (as `fold_key` gives them), each with the tag.

        Left out are tags that more than `most` notes have.
        """
        for part in batches(sorted(keys)):
            counts = select(TagRow.tag_key).where(TagRow.tag_key.in_(part)).group_by(TagRow.tag_key)
            telling = list(self._session.scalars(counts.having(func.count() <= most)))
            found = self._tags(TagRow.note_id, TagRow.tag_key).where(TagRow.tag_key.in_(telling))
            for row in self._session.execute(found):
                yield row[0], row[1]

    def related_tags(self, tag: str, limit: int) -> list[tuple[str, int]]:
        """Other tags of the notes that have a tag or one below it, and how many of these notes have them."""
        having = select(TagRow.note_id).where(tag_or_below(tag))
        notes = func.count(TagRow.note_id)
        query = (
            self._tags(func.min(TagRow.tag), notes)
            .where(TagRow.note_id.in_(having), ~tag_or_below(tag))
            .group_by(TagRow.tag_key)
            .order_by(notes.desc(), TagRow.tag_key)
            .limit(limit)
        )
        return [(row[0], row[1]) for row in self._session.execute(query)]

    def headings(self, note_id: int) -> list[tuple[int, str, int]]:
        """Level, text and line of each heading of a note."""
        query = select(HeadingRow.level, HeadingRow.text, HeadingRow.line).where(HeadingRow.note_id == note_id)
        return [(row[0], row[1], row[2]) for row in self._session.execute(query.order_by(HeadingRow.position))]

    def blocks(self, note_id: int) -> list[str]:
        """The ids of the named blocks of a note."""
        query = select(BlockRow.block_id).where(BlockRow.note_id == note_id).order_by(BlockRow.position)
        return list(self._session.scalars(query))

    def complete_paths(self, prefix: str, limit: int) -> list[str]:
        """Paths of notes, first those whose name begins with the prefix."""
        wanted = or_(
            FileRow.folded_path.contains(fold(prefix), autoescape=True),
            FileRow.name_key.startswith(fold_key(prefix), autoescape=True),
        )
        begins = FileRow.name_key.startswith(fold_key(prefix), autoescape=True)
        query = select(FileRow.path).where(FileRow.vault_id == self._vault_id, FileRow.is_note, wanted)
        return list(self._session.scalars(query.order_by(begins.desc(), FileRow.path).limit(limit)))

    def complete_tags(self, prefix: str, limit: int) -> list[str]:
        """Tags, first those that begin with the prefix."""
        key = fold_key(prefix.removeprefix("#"))
        begins = TagRow.tag_key.startswith(key, autoescape=True)
        query = (
            self._tags(func.min(TagRow.tag))
            .where(TagRow.tag_key.contains(key, autoescape=True))
            .group_by(TagRow.tag_key)
            .order_by(begins.desc(), TagRow.tag_key)
        )
        return list(self._session.scalars(query.limit(limit)))

    def complete_headings(self, prefix: str, limit: int) -> list[str]:
        """Headings, first those that begin with the prefix."""
        folded = func.lower(HeadingRow.text)
        begins = func.max(case((folded.startswith(prefix.lower(), autoescape=True), 1), else_=0))
        query = (
            select(HeadingRow.text)
            .join(FileRow, FileRow.id == HeadingRow.note_id)
            .where(FileRow.vault_id == self._vault_id, folded.contains(prefix.lower(), autoescape=True))
            .group_by(HeadingRow.text)
            .order_by(begins.desc(), HeadingRow.text)
        )
        return list(self._session.scalars(query.limit(limit)))

    def _notes(self) -> Select[Any]:
        columns: Sequence[Any] = (
            FileRow.id,
            FileRow.path,
            NoteRow.title,
            FileRow.etag,
            FileRow.size,
            FileRow.created_ns,
            FileRow.mtime_ns,
            NoteRow.aliases,
            NoteRow.frontmatter,
            NoteRow.tasks,
            NoteRow.open_tasks,
        )
        query = select(*columns).join(NoteRow, NoteRow.id == FileRow.id)
        return query.where(FileRow.vault_id == self._vault_id)

    def _summaries(self) -> Select[str, str, int]:
        query = select(FileRow.path, NoteRow.title, FileRow.mtime_ns).join(NoteRow, NoteRow.id == FileRow.id)
        return query.where(FileRow.vault_id == self._vault_id)

    def _tags(self, *columns: ColumnElement[Any] | Any) -> Select[Any]:
        query = select(*columns).join(FileRow, FileRow.id == TagRow.note_id)
        return query.where(FileRow.vault_id == self._vault_id)
