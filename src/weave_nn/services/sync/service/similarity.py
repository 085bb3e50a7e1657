"""Notes that resemble a note, found out from its meaning, its links, its tags and its rare words."""

import heapq
import math
import re
from collections import Counter, defaultdict

from weave_nn.services.sync.adapters.fulltext.analysis import index_terms
from weave_nn.services.sync.contract.query import Text
from weave_nn.services.sync.contract.results import Similar, SimilarNote
from weave_nn.services.sync.repository.graph import GraphReader
from weave_nn.services.sync.repository.notes import NoteReader
from weave_nn.services.sync.repository.records import fold_key
from weave_nn.services.sync.repository.searching import NoteFinder
from weave_nn.services.sync.repository.vectors import VectorStore
from weave_nn.services.sync.service.meaning import Meaning

METHOD = "links, tags and rare words"
METHOD_WITH_MEANING = f"meaning, {METHOD}"
_CANDIDATE_TERMS = 300
_RARE_TERMS = 12
_CANDIDATES = 100
# A tag that so many notes have, and a tenth of all, says nothing.
_COMMON_TAG_NOTES = 100
_MEANING_WEIGHT, _LINK_WEIGHT, _TAG_WEIGHT, _WORD_WEIGHT = 1.5, 1.0, 0.7, 0.8
_REASONS = 4
# Words of three letters and more, and the pairs that unspaced scripts are cut into; numbers say little.
_TELLING = re.compile(r"[^\W\d]{3,}|[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]{2}")


class Similarity:
    """What resembles a note of one vault, in one transaction."""

    def __init__(
        self, notes: NoteReader, graph: GraphReader, finder: NoteFinder, store: VectorStore, meaning: Meaning | None
    ) -> None:
        self._notes = notes
        self._graph = graph
        self._finder = finder
        self._store = store
        self._meaning = meaning

    def find(self, path: str, limit: int) -> Similar:
        """See `SyncContract.find_similar`."""
        note = self._notes.note(path)
        total = self._notes.count()
        near = self._meaning.near_note(self._store, note.id, _CANDIDATES) if self._meaning else None
        reasons: dict[int, dict[str, float]] = defaultdict(dict)
        for weight, found in (
            (_MEANING_WEIGHT, {each.note_id: {"meaning": each.similarity} for each in near or ()}),
            (_LINK_WEIGHT, self._by_links(note.id)),
            (_TAG_WEIGHT, self._by_tags(note.id, total)),
            (_WORD_WEIGHT, self._by_words(note.id, total)),
        ):
            best = max((sum(parts.values()) for parts in found.values()), default=0.0)
            for other, parts in found.items():
                for reason, value in parts.items():
                    reasons[other][reason] = weight * value / best
        reasons.pop(note.id, None)
        scored = ((sum(parts.values()), other) for other, parts in reasons.items())
        # A tag may be in thousands of notes, and only those that may be shown are looked up.
        best_scored = heapq.nlargest(_CANDIDATES + limit, scored)
        nodes = self._graph.nodes([other for _, other in best_scored])
        ranked = sorted(
            ((score, nodes[other], reasons[other]) for score, other in best_scored if other in nodes),
            key=lambda each: (-each[0], each[1].path),
        )
        return Similar(
            METHOD if near is None else METHOD_WITH_MEANING,
            tuple(
                SimilarNote(
                    node.path, node.title, round(score, 4), tuple(sorted(parts, key=lambda one: -parts[one])[:_REASONS])
                )
                for score, node, parts in ranked[:limit]
            ),
        )

    def _by_links(self, note_id: int) -> dict[int, dict[str, float]]:
        """Notes that link to the same files or are linked from the same notes, and those that are linked directly."""
        near = {end for edge in self._graph.edges_at([note_id]) for end in edge} - {note_id}
        shared = self._graph.edges_at(near)
        degree = Counter(end for edge in shared for end in edge)
        found: dict[int, dict[str, float]] = defaultdict(lambda: {"links": 0.0})
        for source, target in shared:
            for middle, other in ((source, target), (target, source)):
                if middle in near and other != note_id:
                    # A link to what everything links to says little.
                    found[other]["links"] += 1 / math.log(2 + degree[middle])
        for other in near:
            found[other]["links"] += 1.0
        notes = self._graph.notes_among(found)
        return {other: parts for other, parts in found.items() if other in notes}

    def _by_tags(self, note_id: int, total: int) -> dict[int, dict[str, float]]:
        own = {fold_key(tag): tag for tag in self._notes.tags(note_id)}
        if not own:
            return {}
        having: dict[str, list[int]] = defaultdict(list)
        for other, key in self._notes.having(own, max(_COMMON_TAG_NOTES, total // 10)):
            having[key].append(other)
        found: dict[int, dict[str, float]] = defaultdict(dict)
        for key, others in having.items():
            for other in others:
                found[other][f"tag {own[key]}"] = math.log(1 + total / len(others))
        found.pop(note_id, None)
        return found

    def _by_words(self, note_id: int, total: int) -> dict[int, dict[str, float]]:
        counts = Counter(index_terms(self._notes.texts([note_id])[note_id]).split())
        telling = [term for term, _ in counts.most_common() if _TELLING.fullmatch(term)][:_CANDIDATE_TERMS]
        # In one note only, a word connects nothing; in a tenth of them, it says nothing.
        most = max(3, total // 10)
        counted = self._finder.document_counts(telling, most)
        spread = {term: notes for term, notes in counted.items() if 2 <= notes <= most}
        rare = sorted(spread, key=lambda term: (-math.sqrt(counts[term]) * math.log(1 + total / spread[term]), term))
        found: dict[int, dict[str, float]] = defaultdict(dict)
        for term in rare[:_RARE_TERMS]:
            for other in self._finder.some(Text(term), _CANDIDATES):
                found[other][f"word {term}"] = math.log(1 + total / spread[term])
        found.pop(note_id, None)
        return found
