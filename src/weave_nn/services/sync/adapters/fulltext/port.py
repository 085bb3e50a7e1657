"""Full-text search as the rest of the service sees it: one port, one adapter for each database."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Select, Subquery
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext.terms import Terms
from weave_nn.services.sync.contract.query import Condition

WEIGHTS = {"title": 12.0, "names": 10.0, "headings": 5.0, "tags": 5.0, "body": 1.0}
"""How much a hit counts, by the part of the note that it is in. The order is that of the columns."""

COLUMNS = {"title": ("title", "names"), "heading": ("headings",)}
"""The parts that a query's `title:` and `heading:` look into."""


class FullText(Protocol):
    """The full-text index of one database.

    Conditions given to it consist of `Text`, `Not`, `And` and `Or` alone, and every `Text` has terms.
    """

    def create(self, connection: Connection) -> None:
        """Create the index, empty."""

    def drop(self, connection: Connection) -> None:
        """Drop the index with all that is in it."""

    def put(self, session: Session, notes: dict[int, Terms]) -> None:
        """Index notes by their ids; what was indexed of these notes before has been removed."""

    def remove(self, session: Session, note_ids: Sequence[int]) -> None:
        """Forget notes (a few hundred at most) while their `ContentRow` is still there; unknown ones are left out."""

    def matching(self, condition: Condition) -> Select[Any]:
        """Select the ids of the notes that fit; `condition` is no bare `Not`."""

    def more_than(self, session: Session, condition: Condition, notes: int) -> bool:
        """Whether more than so many notes fit; `condition` is no bare `Not`."""

    def fits(self, condition: Condition, note_id: Any) -> ColumnElement[bool]:
        """Whether the note with this id fits, as `note_id in matching(condition)`; quicker where few are asked for."""

    def document_counts(self, session: Session, terms: Sequence[str], most: int) -> dict[str, int]:
        """In how many notes each of these terms (as `index_terms` gives them) is; terms in none are left out.

        Where it is more than `most`, any number above that is given.
        """

    def ranked(self, condition: Condition) -> Subquery:
        """The notes that fit with their rank: columns `note_id` and `score` (positive, the highest is the best)."""
