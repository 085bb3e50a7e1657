"""Full-text search by SQLite's FTS5.

The index is contentless, since it holds terms and not text. Such an index forgets a row only when it is told again what
it was given (before SQLite 3.43 in every case), so what was given is kept beside it. Compressed with the note's own
text as the dictionary, that takes a sixth of the text.
"""

import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Subquery,
    bindparam,
    column,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext.analysis import phrase
from weave_nn.services.sync.adapters.fulltext.port import COLUMNS, WEIGHTS
from weave_nn.services.sync.adapters.fulltext.terms import PARTS, Terms, unpacked
from weave_nn.services.sync.contract.query import And, Condition, Not, Or, Text, TextColumn
from weave_nn.services.sync.models import text_of

_NAMES = ", ".join(PARTS)
_PARAMETERS = ", ".join(f":{name}" for name in PARTS)
_PLACES = ", ".join("?" for _ in PARTS)
_RANK = f"bm25(note_search, {', '.join(str(WEIGHTS[part]) for part in PARTS)})"
# The ASCII tokenizer takes every other character for a letter, so that terms come out as the analysis cut them.
_CREATE = (
    f"CREATE VIRTUAL TABLE note_search USING fts5({_NAMES}, content='', tokenize='ascii')",
    "CREATE TABLE note_search_source (note_id INTEGER PRIMARY KEY, terms BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE note_search_terms USING fts5vocab(note_search, row)",
)
_INSERT = f"INSERT INTO note_search (rowid, {_NAMES}) VALUES (?, {_PLACES})"  # noqa: S608 - constants
_FORGET = text(
    f"INSERT INTO note_search (note_search, rowid, {_NAMES}) VALUES ('delete', :note_id, {_PARAMETERS})"  # noqa: S608 - constants
)
_KEEP = "INSERT INTO note_search_source (note_id, terms) VALUES (?, ?)"
_KEPT = text(
    "SELECT note_search_source.note_id, terms, content FROM note_search_source"
    " JOIN note_content ON note_content.id = note_search_source.note_id WHERE note_search_source.note_id IN :note_ids"
).bindparams(bindparam("note_ids", expanding=True))
_DROP_KEPT = text("DELETE FROM note_search_source WHERE note_id IN :note_ids").bindparams(
    bindparam("note_ids", expanding=True)
)
# The vocabulary of FTS5 would read the list of every term to its end, and those of common words are long.
_COUNTS = text(
    "SELECT asked.value, (SELECT count(*) FROM (SELECT 1 FROM note_search"
    " WHERE note_search MATCH '\"' || asked.value || '\"' LIMIT :most)) AS notes"
    " FROM json_each(:terms) AS asked"
)
_MORE = text("SELECT 1 FROM note_search WHERE note_search MATCH :expression LIMIT 1 OFFSET :notes")
_SEARCH = table("note_search", column("rowid", Integer), column("note_search"))


class SqliteFullText:
    """The port on SQLite."""

    def create(self, connection: Connection) -> None:
        """See `FullText`."""
        for statement in _CREATE:
            connection.execute(text(statement))

    def drop(self, connection: Connection) -> None:
        """See `FullText`."""
        connection.execute(text("DROP TABLE note_search_terms"))
        connection.execute(text("DROP TABLE note_search"))
        connection.execute(text("DROP TABLE note_search_source"))

    def put(self, session: Session, notes: dict[int, Terms]) -> None:
        """See `FullText`."""
        if not notes:
            return
        # FTS5 gathers what it is given in memory only as long as the ids ascend.
        ordered = sorted(notes.items(), key=itemgetter(0))
        connection = session.connection()
        connection.exec_driver_sql(_INSERT, [(note_id, *terms.parts) for note_id, terms in ordered])
        connection.exec_driver_sql(_KEEP, [(note_id, terms.packed) for note_id, terms in ordered])

    def remove(self, session: Session, note_ids: Sequence[int]) -> None:
        """See `FullText`."""
        kept = session.execute(_KEPT, {"note_ids": note_ids}).all()
        if kept:
            rows = [
                {"note_id": row[0], **dict(zip(PARTS, unpacked(row[1], text_of(row[2])), strict=True))} for row in kept
            ]
            session.execute(_FORGET, rows)
            session.execute(_DROP_KEPT, {"note_ids": note_ids})

    def matching(self, condition: Condition) -> Select[Any]:
        """See `FullText`."""
        return select(_SEARCH.c.rowid).where(_SEARCH.c.note_search.op("MATCH")(_expression(condition)))

    def more_than(self, session: Session, condition: Condition, notes: int) -> bool:
        """See `FullText`."""
        asked = {"expression": _expression(condition), "notes": notes}
        return session.execute(_MORE, asked).one_or_none() is not None

    def fits(self, condition: Condition, note_id: Any) -> ColumnElement[bool]:
        """See `FullText`."""
        return self.matching(condition).where(_SEARCH.c.rowid == note_id).exists()

    def document_counts(self, session: Session, terms: Sequence[str], most: int) -> dict[str, int]:
        """See `FullText`."""
        counted = session.execute(_COUNTS, {"terms": json.dumps(terms), "most": most + 1})
        return {row[0]: row[1] for row in counted if row[1]}

    def ranked(self, condition: Condition) -> Subquery:
        """See `FullText`."""
        score = (-literal_column(_RANK, Float)).label("score")
        return (
            select(_SEARCH.c.rowid.label("note_id"), score)
            .where(_SEARCH.c.note_search.op("MATCH")(_expression(condition)))
            .subquery("ranked")
        )


def _expression(condition: Condition) -> str:
    """The condition in FTS5's own language; every term is quoted, and the analysis leaves no quotes in terms."""
    match condition:
        case Text():
            return _phrase(condition, [condition.column] if condition.column else [])
        case And(operands):
            wanted = " AND ".join(_expression(each) for each in operands if not isinstance(each, Not))
            unwanted = "".join(f" NOT {_expression(each.operand)}" for each in operands if isinstance(each, Not))
            return f"(({wanted}){unwanted})"
        case Or(operands):
            if (in_columns := _in_columns(operands)) is not None:
                return _phrase(*in_columns)
            return "(" + " OR ".join(_expression(each) for each in operands) + ")"
        case _:
            raise ValueError(f"{condition} is none of full-text search")


def _in_columns(operands: Sequence[Condition]) -> tuple[Text, list[TextColumn]] | None:
    """The text and the columns where the same text is wanted in each: looking into all of them at once is quicker."""
    texts = [each for each in operands if isinstance(each, Text)]
    columns = [each.column for each in texts if each.column is not None]
    same = {(each.text, each.prefix) for each in texts}
    return (texts[0], columns) if len(columns) == len(operands) and len(same) == 1 else None


def _phrase(wanted: Text, columns: Sequence[TextColumn]) -> str:
    asked = phrase(wanted.text, prefix=wanted.prefix)
    if asked is None:
        raise ValueError(f"{wanted} has no terms")
    within = f"{{{' '.join(name for column in columns for name in COLUMNS[column])}}} : " if columns else ""
    return f'{within}"{" ".join(asked.terms)}"{" *" if asked.prefix else ""}'
