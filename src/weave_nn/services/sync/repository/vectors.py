"""The vectors of notes: which are missing, writing them, reading them all."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.semantic.port import Embedded
from weave_nn.services.sync.models import ContentRow, FileRow, IndexRow, NoteRow, VectorIndexRow, VectorRow, text_of
from weave_nn.services.sync.repository.batches import batches
from weave_nn.shared.db import lock


class VectorIndex(NamedTuple):
    """What the vectors of a vault are: made by this `model`, as of this `revision`."""

    model: str
    revision: int


class Source(NamedTuple):
    """What the vectors of a note are made from."""

    note_id: int
    etag: str
    title: str
    text: str


class Vectors(NamedTuple):
    """The vectors of a note, made from the content of this `etag`."""

    note_id: int
    etag: str
    vectors: bytes


class VectorStore:
    """The vectors of one vault."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def index(self) -> VectorIndex | None:
        """What the vectors are; None if there never were any."""
        query = select(VectorIndexRow.model, VectorIndexRow.revision).where(VectorIndexRow.vault_id == self._vault_id)
        row = self._session.execute(query).one_or_none()
        return None if row is None else VectorIndex(*row)

    def pending(self, model: str) -> list[int]:
        """The notes that have no vectors of this model and of their present content."""
        query = (
            select(FileRow.id)
            .join(NoteRow, NoteRow.id == FileRow.id)
            .where(FileRow.vault_id == self._vault_id, FileRow.etag.is_not(None))
            .order_by(FileRow.id)
        )
        index = self.index()
        if index is not None and index.model == model:
            query = query.join(VectorRow, VectorRow.note_id == FileRow.id, isouter=True)
            query = query.where(or_(VectorRow.etag.is_(None), VectorRow.etag != FileRow.etag))
        return list(self._session.scalars(query))

    def sources(self, note_ids: Sequence[int]) -> list[Source]:
        """What the vectors of these notes are to be made from; notes that are gone are left out."""
        query = (
            select(FileRow.id, FileRow.etag, NoteRow.title, ContentRow.content)
            .join(NoteRow, NoteRow.id == FileRow.id)
            .join(ContentRow, ContentRow.id == FileRow.id)
            .where(FileRow.id.in_(note_ids), FileRow.etag.is_not(None))
        )
        return [Source(row[0], row[1] or "", row[2], text_of(row[3])) for row in self._session.execute(query)]

    def put(self, model: str, made: Sequence[Vectors]) -> None:
        """Write vectors, as far as their notes are still as they were; those of another model are all forgotten."""
        # Who writes the index holds these, so no note changes or vanishes meanwhile.
        lock(self._session, f"sync:{self._vault_id}")
        self._session.scalar(select(IndexRow.version).where(IndexRow.vault_id == self._vault_id).with_for_update())
        index = self.index()
        if index is not None and index.model != model:
            notes = select(FileRow.id).where(FileRow.vault_id == self._vault_id)
            self._session.execute(delete(VectorRow).where(VectorRow.note_id.in_(notes)))
        revision = 1 if index is None else index.revision + 1
        self._session.merge(VectorIndexRow(vault_id=self._vault_id, model=model, revision=revision))
        for part in batches(made):
            ids = [each.note_id for each in part]
            present = dict(self._session.execute(select(FileRow.id, FileRow.etag).where(FileRow.id.in_(ids))).all())
            rows = [{**each._asdict(), "revision": revision} for each in part if present.get(each.note_id) == each.etag]
            self._session.execute(delete(VectorRow).where(VectorRow.note_id.in_(ids)))
            if rows:
                self._session.execute(insert(VectorRow), rows)

    def all(self) -> Iterator[Embedded]:
        """The vectors of every note."""
        query = (
            select(VectorRow.note_id, VectorRow.revision, VectorRow.vectors)
            .join(FileRow, FileRow.id == VectorRow.note_id)
            .where(FileRow.vault_id == self._vault_id)
        )
        for row in self._session.execute(query):
            yield Embedded(row[0], row[1], row[2])

    def revisions(self, note_ids: Sequence[int]) -> dict[int, int]:
        """For each of these notes that has vectors the revision that they are of."""
        found: dict[int, int] = {}
        for part in batches(note_ids):
            query = select(VectorRow.note_id, VectorRow.revision).where(VectorRow.note_id.in_(part))
            found.update(self._session.execute(query).all())
        return found
