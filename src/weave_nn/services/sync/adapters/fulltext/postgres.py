"""Full-text search by PostgreSQL's tsvector, fed with the terms that our own analysis cuts.

A tsvector keeps no more than 256 places of a term, and none beyond the 16383rd; it knows no text of a megabyte. A note
is therefore cut into pieces of 256 places, so that none of these limits is ever met. Pieces overlap, so that a phrase
is whole in one of them; a longer phrase is asked for in overlapping parts. Which notes fit is decided note by note:
what is asked for may stand in different pieces.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    MetaData,
    Select,
    Subquery,
    Table,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union,
    values,
)
from sqlalchemy import Text as TextType
from sqlalchemy.dialects.postgresql import ARRAY, REAL, TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext.analysis import phrase
from weave_nn.services.sync.adapters.fulltext.port import COLUMNS, WEIGHTS
from weave_nn.services.sync.adapters.fulltext.terms import PARTS, Terms
from weave_nn.services.sync.contract.query import And, Condition, Not, Or, Text

PIECE_PLACES = 256
OVERLAP_PLACES = 15
TERM_LIMIT_CHARS = 500
"""Terms are cut here when indexed and when asked for, alike; a lexeme holds 2046 bytes."""

# There are four labels, so a note's names count as its title does.
_LABELS = {"title": "A", "names": "A", "headings": "B", "tags": "C", "body": "D"}
_BY_LABEL = {label: name for name, label in reversed(_LABELS.items())}
_RANK_WEIGHTS = [WEIGHTS[_BY_LABEL[label]] / WEIGHTS["title"] for label in "DCBA"]
_CREATE = (
    """CREATE TABLE note_search (
        note_id BIGINT NOT NULL REFERENCES indexed_file (id) ON DELETE CASCADE,
        piece INTEGER NOT NULL,
        terms TSVECTOR NOT NULL,
        PRIMARY KEY (note_id, piece)
    )""",
    "CREATE INDEX ix_note_search_terms ON note_search USING gin (terms)",
)
_SEARCH = Table(
    "note_search",
    MetaData(),
    Column("note_id", BigInteger, primary_key=True),
    Column("piece", Integer, primary_key=True),
    Column("terms", TSVECTOR),
)


class PostgresFullText:
    """The port on PostgreSQL."""

    def create(self, connection: Connection) -> None:
        """See `FullText`."""
        for statement in _CREATE:
            connection.execute(text(statement))

    def drop(self, connection: Connection) -> None:
        """See `FullText`."""
        connection.execute(text("DROP TABLE note_search"))

    def put(self, session: Session, notes: dict[int, Terms]) -> None:
        """See `FullText`."""
        rows = [
            {"note_id": note_id, "piece": number, "terms": piece}
            for note_id, terms in notes.items()
            for number, piece in enumerate(_pieces(terms))
        ]
        if rows:
            session.execute(insert(_SEARCH), rows)

    def remove(self, session: Session, note_ids: Sequence[int]) -> None:
        """See `FullText`."""
        session.execute(delete(_SEARCH).where(_SEARCH.c.note_id.in_(note_ids)))

    def matching(self, condition: Condition) -> Select[Any]:
        """See `FullText`."""
        return _notes(condition)

    def more_than(self, session: Session, condition: Condition, notes: int) -> bool:
        """See `FullText`."""
        return session.scalar(self.matching(condition).distinct().limit(1).offset(notes)) is not None

    def fits(self, condition: Condition, note_id: Any) -> ColumnElement[bool]:
        """See `FullText`: the planner decides which side is looked at first."""
        looked_up: ColumnElement[bool] = note_id.in_(self.matching(condition))
        return looked_up

    def document_counts(self, session: Session, terms: Sequence[str], most: int) -> dict[str, int]:
        """See `FullText`."""
        del most
        if not terms:
            return {}
        asked = values(Column("term", TextType), name="asked").data([(term,) for term in terms])
        query = cast(func.concat("'", func.left(asked.c.term, TERM_LIMIT_CHARS), "'"), TSQUERY)
        count = func.count(_SEARCH.c.note_id.distinct())
        found = select(asked.c.term, count).join_from(asked, _SEARCH, _SEARCH.c.terms.bool_op("@@")(query))
        return {row[0]: row[1] for row in session.execute(found.group_by(asked.c.term))}

    def ranked(self, condition: Condition) -> Subquery:
        """See `FullText`.

        Each text that is asked for counts by its best labels, the more so the fewer notes hold it.
        """
        weights = cast(_RANK_WEIGHTS, ARRAY(REAL))
        parts: list[CTE] = []
        for wanted in _texts(condition):
            query, *_ = _queries(wanted)
            rank = func.sum(func.ts_rank(weights, _SEARCH.c.terms, cast(query, TSQUERY)), type_=Float).label("rank")
            ranks = select(_SEARCH.c.note_id, rank).where(_holds(query)).group_by(_SEARCH.c.note_id)
            parts.append(ranks.cte(f"text_{len(parts)}"))
        fits = _notes(condition).distinct().subquery("fits")
        score: ColumnElement[float] = literal(0.0)
        joined: Any = fits
        for part in parts:
            notes = select(func.count()).select_from(part).scalar_subquery()
            score += func.coalesce(part.c.rank, 0.0) / func.ln(2 + notes)
            joined = joined.outerjoin(part, part.c.note_id == fits.c.note_id)
        return select(fits.c.note_id, score.label("score")).select_from(joined).subquery("ranked")


def _pieces(terms: Terms) -> Iterator[str]:
    """The terms of a note with their places and labels, in the text form of a tsvector, piece by piece."""
    labelled: list[tuple[str, str]] = []
    for name, part in zip(PARTS, terms.parts, strict=True):
        label = _LABELS[name]
        labelled += [(term[:TERM_LIMIT_CHARS], label) for term in part.split()]
        # A place that stays empty, so that no phrase reaches from one part into the next.
        labelled.append(("", label))
    step = PIECE_PLACES - OVERLAP_PLACES
    for start in range(0, max(1, len(labelled) - OVERLAP_PLACES), step):
        places: dict[str, list[str]] = defaultdict(list)
        for place, (term, label) in enumerate(labelled[start : start + PIECE_PLACES], start=1):
            if term:
                places[term].append(f"{place}{label}")
        yield " ".join(f"'{term}':{','.join(found)}" for term, found in places.items())


def _notes(condition: Condition) -> Select[Any]:
    """The ids of the notes that fit; a note with several pieces may come several times."""
    match condition:
        case Text():
            first, *others = [select(_SEARCH.c.note_id).where(_holds(query)) for query in _queries(condition)]
            return _all_of([first, *others], []) if others else first
        case And(operands):
            wanted = [_notes(each) for each in operands if not isinstance(each, Not)]
            return _all_of(wanted, [_notes(each.operand) for each in operands if isinstance(each, Not)])
        case Or(operands):
            return select(union(*(_notes(each) for each in operands)).subquery().c.note_id)
        case _:
            raise ValueError(f"{condition} is none of full-text search")


def _all_of(wanted: Sequence[Select[Any]], unwanted: Sequence[Select[Any]]) -> Select[Any]:
    # Every note has a first piece, so each is looked at once.
    fits = [_SEARCH.c.piece == 0, *(_SEARCH.c.note_id.in_(each) for each in wanted)]
    return select(_SEARCH.c.note_id).where(*fits, *(_SEARCH.c.note_id.not_in(each) for each in unwanted))


def _texts(condition: Condition) -> list[Text]:
    """Every text that is wanted, in the order of the query."""
    match condition:
        case Text():
            return [condition]
        case And(operands) | Or(operands):
            return [each for operand in operands for each in _texts(operand)]
        case _:
            return []


def _holds(query: str) -> ColumnElement[bool]:
    return _SEARCH.c.terms.bool_op("@@")(cast(query, TSQUERY))


def _queries(condition: Text) -> list[str]:
    """What is asked for in the language of tsquery, each of which some piece of the note has to hold.

    Every term is quoted, and the analysis leaves no quotes in terms.
    """
    asked = phrase(condition.text, prefix=condition.prefix)
    if asked is None:
        raise ValueError(f"{condition} has no terms")
    labels = "".join(sorted({_LABELS[name] for name in COLUMNS[condition.column]})) if condition.column else ""
    terms = [f"'{term[:TERM_LIMIT_CHARS]}':{labels}" for term in asked.terms]
    terms[-1] += "*" if asked.prefix else ""
    terms = [term.removesuffix(":") for term in terms]
    starts = range(max(1, len(terms) - OVERLAP_PLACES))
    return [" <-> ".join(terms[start : start + OVERLAP_PLACES + 1]) for start in starts]
