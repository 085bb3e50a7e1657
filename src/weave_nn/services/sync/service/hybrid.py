"""Search by words and by meaning at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from weave_nn.services.sync.adapters.semantic.passages import passages
from weave_nn.services.sync.adapters.semantic.port import Near
from weave_nn.services.sync.contract.query import And, Condition, Or, Text, conjunction, disjunction
from weave_nn.services.sync.contract.results import FoundBy
from weave_nn.services.sync.repository.conditions import texts
from weave_nn.services.sync.repository.searching import Found, NoteFinder
from weave_nn.services.sync.repository.vectors import VectorStore
from weave_nn.services.sync.service.meaning import Meaning

POOL = 100
"""So many notes are looked for by words, and so many by meaning."""

# Reciprocal rank fusion needs no scores that could be compared; 60 is the usual damping of the first ranks.
_DAMPING = 60


@dataclass(frozen=True, slots=True)
class Fused:
    """A note, what found it, and the number of the `passage` that is nearest in meaning."""

    note: Found
    found_by: tuple[FoundBy, ...]
    passage: int | None = None


class HybridSearch:
    """Search in the index of one vault, in one transaction."""

    def __init__(self, finder: NoteFinder, store: VectorStore, meaning: Meaning) -> None:
        self._finder = finder
        self._store = store
        self._meaning = meaning

    def find(self, condition: Condition) -> list[Fused] | None:
        """The notes that fit, best first: `POOL` by words, `POOL` by meaning; None where words alone can answer.

        By meaning, a note need not hold the query's single words; phrases, filters and exclusions hold for all.
        """
        asked = " ".join(text.text for text in texts(condition))
        filters = loosened(condition)
        if not asked or filters == condition:
            return None
        among = None if filters is None else self._finder.ids(filters)
        near = self._meaning.near_text(self._store, asked, POOL, among)
        if near is None:
            return None
        return fused(self._finder.find(condition, limit=POOL, offset=0), near, self._finder)


def fused(words: Sequence[Found], near: Sequence[Near], finder: NoteFinder) -> list[Fused]:
    """Both lists as one, by reciprocal rank fusion."""
    by_words = {note.id: rank for rank, note in enumerate(words, start=1)}
    by_meaning = {each.note_id: rank for rank, each in enumerate(near, start=1)}
    passages_of = {each.note_id: each.passage for each in near}
    notes = finder.by_ids(by_meaning.keys() - by_words.keys()) | {note.id: note for note in words}
    merged: list[Fused] = []
    for note_id, note in notes.items():
        ranks: dict[FoundBy, int | None] = {"words": by_words.get(note_id), "meaning": by_meaning.get(note_id)}
        found = {by: rank for by, rank in ranks.items() if rank is not None}
        score = sum(1 / (_DAMPING + rank) for rank in found.values())
        merged.append(Fused(note._replace(score=score), tuple(found), passages_of.get(note_id)))
    return sorted(merged, key=lambda each: (-each.note.score, each.note.id))


def loosened(condition: Condition) -> Condition | None:
    """What must hold of a note that is found by meaning: all but the single words; None when that is nothing."""
    match condition:
        case Text(text, column=None) if len(text.split()) == 1:
            return None
        case And(operands):
            kept = [each for each in map(loosened, operands) if each is not None]
            return conjunction(kept) if kept else None
        case Or(operands):
            either = [each for each in map(loosened, operands) if each is not None]
            return disjunction(either) if len(either) == len(operands) else None
        case _:
            return condition


def passage_start(text: str, passage: int) -> int:
    """Where a passage of a text begins."""
    start, end = passages(text)[passage]
    return end - len(text[start:end].lstrip())
