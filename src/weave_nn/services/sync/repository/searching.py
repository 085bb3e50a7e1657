"""Finding notes by a condition."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext import FullText
from weave_nn.services.sync.contract.query import Condition, disjunction
from weave_nn.services.sync.models import FileRow, NoteRow
from weave_nn.services.sync.repository.batches import batches
from weave_nn.services.sync.repository.conditions import predicate, split, texts


class Found(NamedTuple):
    """A note that fits."""

    id: int
    path: str
    title: str
    etag: str
    mtime_ns: int
    score: float


class NoteFinder:
    """Search in the index of one vault."""

    def __init__(self, session: Session, vault_id: str, fulltext: FullText) -> None:
        self._session = session
        self._vault_id = vault_id
        self._fulltext = fulltext

    def find(self, condition: Condition, *, limit: int, offset: int) -> list[Found]:
        """The notes that fit: by rank if the condition holds a text, else the last modified first."""
        query, order = self._query(condition)
        rows = self._session.execute(query.order_by(*order, FileRow.id).limit(limit).offset(offset))
        return [Found(*row) for row in rows]

    def ids(self, condition: Condition) -> list[int]:
        """The ids of all notes that fit."""
        query = select(FileRow.id).join(NoteRow, NoteRow.id == FileRow.id).where(FileRow.vault_id == self._vault_id)
        return list(self._session.scalars(query.where(predicate(condition, self._fulltext))))

    def by_ids(self, ids: Collection[int]) -> dict[int, Found]:
        """Notes by their ids, without a score."""
        found: dict[int, Found] = {}
        for part in batches(list(ids)):
            query = (
                select(FileRow.id, FileRow.path, NoteRow.title, FileRow.etag, FileRow.mtime_ns)
                .join(NoteRow, NoteRow.id == FileRow.id)
                .where(FileRow.id.in_(part))
            )
            for note_id, path, title, etag, mtime_ns in self._session.execute(query):
                found[note_id] = Found(note_id, path, title, etag or "", mtime_ns, 0.0)
        return found

    def document_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many notes each of these terms of the index is."""
        return self._fulltext.document_counts(self._session, terms)

    def _query(self, condition: Condition) -> tuple[Select[int, str, str, str, int, float], list[ColumnElement[Any]]]:
        columns = (FileRow.id, FileRow.path, NoteRow.title, FileRow.etag, FileRow.mtime_ns)
        searched, rest = split(condition)
        conditions = [FileRow.vault_id == self._vault_id, *(predicate(each, self._fulltext) for each in rest)]
        wanted = texts(condition)
        if searched is not None:
            ranked = self._fulltext.ranked(searched)
            query = select(*columns, ranked.c.score).select_from(ranked).join(FileRow, FileRow.id == ranked.c.note_id)
            order: list[ColumnElement[Any]] = [ranked.c.score.desc()]
        elif wanted:
            ranked = self._fulltext.ranked(disjunction([*wanted]))
            score = func.coalesce(ranked.c.score, 0.0)
            query = select(*columns, score).join(ranked, FileRow.id == ranked.c.note_id, isouter=True)
            order = [score.desc()]
        else:
            query = select(*columns, literal(0.0))
            order = [FileRow.mtime_ns.desc()]
        return query.join(NoteRow, NoteRow.id == FileRow.id).where(*conditions), order
