"""Finding notes by a condition."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext import FullText
from weave_nn.services.sync.contract.query import Condition, Text, disjunction
from weave_nn.services.sync.models import FileRow, NoteRow
from weave_nn.services.sync.repository.batches import batches
from weave_nn.services.sync.repository.conditions import predicate, prominent, split, texts

RANKED_LIMIT = 2000
"""How many notes are ranked by their whole text.

A rank costs about a microsecond for each note that fits, and tells the less apart the more of them there are: of a word
that is in half of all notes it says nothing.
"""
LATELY_LIMIT = 150

_UNRANKED = literal(0.0).label("score")
# Made once: to make this statement takes longer than to execute it.
_SHOWN = (
    select(FileRow.id, FileRow.path, NoteRow.title, FileRow.etag, FileRow.mtime_ns)
    .join(NoteRow, NoteRow.id == FileRow.id)
    .where(FileRow.id.in_(bindparam("ids", expanding=True)))
)


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
        """The notes that fit: by rank if the condition holds a text, else the last modified first.

        Where more than `RANKED_LIMIT` fit, those come first that fit by title, aliases and headings, ranked by these;
        the others follow with the score 0, the last modified first.
        """
        searched, rest = split(condition)
        conditions = [FileRow.vault_id == self._vault_id, *(predicate(each, self._fulltext) for each in rest)]
        if searched is None:
            return self._page(self._filtered(texts(condition), conditions), limit, offset)
        # Nearly every database holds one vault, and notes of others that fit change nothing but the way of ranking.
        narrowing = conditions if rest else []
        if not self._is_crowded(searched, narrowing):
            return self._page(self._ranked(searched, conditions), limit, offset)
        return self._prominent_first(searched, conditions, narrowing, limit, offset)

    def ids(self, condition: Condition) -> list[int]:
        """The ids of all notes that fit."""
        query = select(FileRow.id).join(NoteRow, NoteRow.id == FileRow.id).where(FileRow.vault_id == self._vault_id)
        return list(self._session.scalars(query.where(predicate(condition, self._fulltext))))

    def some(self, condition: Condition, limit: int) -> list[int]:
        """The ids of at most `limit` notes that fit what full-text search can answer, whichever they are."""
        fitting = self._fulltext.matching(condition).distinct().limit(limit).subquery("fitting")
        mine = select(FileRow.id).join(fitting, fitting.c[0] == FileRow.id).where(FileRow.vault_id == self._vault_id)
        return list(self._session.scalars(mine))

    def by_ids(self, ids: Collection[int]) -> dict[int, Found]:
        """Notes by their ids, without a score."""
        found: dict[int, Found] = {}
        for part in batches(list(ids)):
            for note_id, path, title, etag, mtime_ns in self._session.execute(_SHOWN, {"ids": part}):
                found[note_id] = Found(note_id, path, title, etag or "", mtime_ns, 0.0)
        return found

    def document_counts(self, terms: Sequence[str], most: int) -> dict[str, int]:
        """In how many notes each of these terms of the index is; more than `most` are any number above that."""
        return self._fulltext.document_counts(self._session, terms, most)

    def _ranked(self, searched: Condition, conditions: Sequence[ColumnElement[bool]]) -> Select[int, float]:
        ranked = self._fulltext.ranked(searched)
        query = select(FileRow.id, ranked.c.score.label("score")).join(ranked, FileRow.id == ranked.c.note_id)
        return query.where(*conditions)

    def _filtered(self, wanted: Sequence[Condition], conditions: Sequence[ColumnElement[bool]]) -> Select[int, float]:
        query: Select[int, float]
        if wanted:
            ranked = self._fulltext.ranked(disjunction([*wanted]))
            score = func.coalesce(ranked.c.score, 0.0).label("score")
            query = select(FileRow.id, score).join(ranked, FileRow.id == ranked.c.note_id, isouter=True)
        else:
            query = select(FileRow.id, _UNRANKED)
        return query.join(NoteRow, NoteRow.id == FileRow.id).where(*conditions)

    def _prominent_first(
        self,
        searched: Condition,
        conditions: Sequence[ColumnElement[bool]],
        narrowing: Sequence[ColumnElement[bool]],
        limit: int,
        offset: int,
    ) -> list[Found]:
        narrowed = prominent(searched)
        found: list[Found] = []
        before = 0
        if not (crowded := self._is_crowded(narrowed, narrowing)):
            first = self._ranked(narrowed, conditions)
            found = self._page(first, limit, offset)
            if len(found) == limit:
                return found
            before = offset + len(found) if found or not offset else self._count(first)
        elif (
            isinstance(searched, Text)
            and not searched.prefix
            and (lately := self._lately(searched, conditions, limit, offset)) is not None
        ):
            return lately
        others = [*conditions, FileRow.id.in_(self._fulltext.matching(searched))]
        if not crowded:
            others.append(FileRow.id.not_in(self._fulltext.matching(narrowed)))
        return found + self._page(self._filtered([], others), limit - len(found), max(0, offset - before))

    def _lately(
        self, searched: Condition, conditions: Sequence[ColumnElement[bool]], limit: int, offset: int
    ) -> list[Found] | None:
        """A page of those that fit, the last modified first, if the first `LATELY_LIMIT` notes are enough to fill it.

        Where so many notes fit, it is quicker to ask of one after the other whether it does than to list them all; but
        not for prefixes, of which every word would be looked at each time.
        """
        if offset + limit > LATELY_LIMIT:
            return None
        newest = select(FileRow.mtime_ns).where(FileRow.vault_id == self._vault_id).order_by(FileRow.mtime_ns.desc())
        since = self._session.scalar(newest.limit(1).offset(LATELY_LIMIT)) or 0
        asked = [*conditions, FileRow.mtime_ns >= since, self._fulltext.fits(searched, FileRow.id)]
        page = select(FileRow.id).where(*asked).order_by(FileRow.mtime_ns.desc(), FileRow.id.desc())
        ids = list(self._session.scalars(page.limit(limit).offset(offset)))
        if len(ids) < limit:
            return None
        shown = self.by_ids(ids)
        return [shown[note_id] for note_id in ids]

    def _is_crowded(self, searched: Condition, conditions: Sequence[ColumnElement[bool]]) -> bool:
        """Whether too many notes fit to rank them; the `conditions` are looked at only if so many fit the text."""
        if not self._fulltext.more_than(self._session, searched, RANKED_LIMIT):
            return False
        ids = self._fulltext.matching(searched).distinct()
        return not conditions or self._has_more(select(FileRow.id).where(*conditions, FileRow.id.in_(ids)))

    def _has_more(self, query: Select[*tuple[Any, ...]]) -> bool:
        return self._session.scalar(query.limit(1).offset(RANKED_LIMIT)) is not None

    def _count(self, query: Select[*tuple[Any, ...]]) -> int:
        return self._session.scalar(select(func.count()).select_from(query.subquery())) or 0

    def _page(self, query: Select[int, float], limit: int, offset: int) -> list[Found]:
        # What is shown of a note is fetched for the page alone: sorting carries as little as it needs.
        by_score = query.selected_columns.score
        # An index gives the order of times only where nothing else, be it constant, comes before them.
        rank = [] if by_score is _UNRANKED else [by_score.desc()]
        page = query.order_by(*rank, FileRow.mtime_ns.desc(), FileRow.id.desc()).limit(limit).offset(offset)
        scores = {row[0]: row[1] for row in self._session.execute(page)}
        shown = self.by_ids(scores)
        return [shown[note_id]._replace(score=score) for note_id, score in scores.items()]
