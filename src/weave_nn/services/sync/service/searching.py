"""Search: from the text of a query to a page of hits."""

from collections.abc import Callable, Sequence
from datetime import datetime

from weave_nn.services.sync.contract.errors import SemanticSearchMissing
from weave_nn.services.sync.contract.parser import QUERY_LIMIT_CHARS, parse
from weave_nn.services.sync.contract.query import Condition, QueryRefused, Text, conjunction
from weave_nn.services.sync.contract.results import Hit, PlainHit, PlainMatch, SearchPage
from weave_nn.services.sync.repository.conditions import searchable, texts
from weave_nn.services.sync.repository.notes import NoteReader
from weave_nn.services.sync.repository.searching import NoteFinder
from weave_nn.services.sync.service.hybrid import Fused, HybridSearch, passage_start
from weave_nn.services.sync.service.paging import checked_limit, cursor_at, offset_of
from weave_nn.services.sync.service.snippets import MATCH_LIMIT, matches, phrases_of, places, snippet
from weave_nn.services.sync.service.times import instant
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.paths import name_of

PAGE_LIMIT = 100
PLAIN_LIMIT = 2000
SNIPPET_LIMIT_CHARS = 2000
_MATCHES_IN_A_HIT = 20


class Search:
    """Search in one vault's index, in one transaction."""

    def __init__(
        self, finder: NoteFinder, notes: NoteReader, hybrid: HybridSearch | None, now: Callable[[], datetime]
    ) -> None:
        self._finder = finder
        self._notes = notes
        self._hybrid = hybrid
        self._now = now

    def page(self, q: str, *, limit: int, cursor: str | None, snippet_chars: int, semantic: bool) -> SearchPage:
        """See `SyncContract.search`."""
        checked_limit(limit, PAGE_LIMIT)
        if not 0 <= snippet_chars <= SNIPPET_LIMIT_CHARS:
            raise InvalidInput(f"snippet_chars is from 0 to {SNIPPET_LIMIT_CHARS}.", field="snippet_chars")
        if semantic and self._hybrid is None:
            raise SemanticSearchMissing
        question = ("search", q, "semantic") if semantic else ("search", q)
        offset = offset_of(cursor, *question)
        condition = searchable(parse(q, self._now()))
        if condition is None:
            raise QueryRefused(
                q, 0, len(q), "The query holds only punctuation", hint="Give letters, digits or emoji to look for."
            )
        both = self._hybrid.find(condition) if semantic and self._hybrid else None
        if both is None:
            words = self._finder.find(condition, limit=limit + 1, offset=offset)
            found = [Fused(note, ("words",)) for note in words]
        else:
            found = both[offset : offset + limit + 1]
        return SearchPage(
            self._hits(found[:limit], condition, snippet_chars),
            cursor_at(offset + limit, *question) if len(found) > limit else None,
            "words" if both is None else "words and meaning",
        )

    def _hits(self, found: Sequence[Fused], condition: Condition, snippet_chars: int) -> tuple[Hit, ...]:
        contents = self._notes.texts([each.note.id for each in found])
        wanted = phrases_of(texts(condition))
        # Of several phrases the best piece is where they stand together, which may be further on.
        looked_at = _MATCHES_IN_A_HIT if len(wanted) == 1 else MATCH_LIMIT
        hits: list[Hit] = []
        for each in found:
            note, content = each.note, contents[each.note.id]
            spots = places(content, wanted, looked_at)
            if each.passage and "words" not in each.found_by:
                start = passage_start(content, each.passage)
                piece = content[start : start + snippet_chars].rstrip()
            else:
                start, piece = snippet(content, spots, snippet_chars)
            hits.append(
                Hit(
                    path=note.path,
                    title=note.title,
                    score=round(note.score, 4),
                    snippet=piece,
                    snippet_start=start,
                    matches=matches(content, spots[:_MATCHES_IN_A_HIT]),
                    etag=note.etag,
                    modified=instant(note.mtime_ns),
                    found_by=each.found_by,
                )
            )
        return tuple(hits)

    def plain(self, text: str, *, context_chars: int, limit: int) -> tuple[PlainHit, ...]:
        """See `SyncContract.search_plain`."""
        checked_limit(limit, PLAIN_LIMIT)
        if len(text) > QUERY_LIMIT_CHARS or not 0 <= context_chars <= SNIPPET_LIMIT_CHARS:
            raise InvalidInput(
                f"At most {QUERY_LIMIT_CHARS} characters can be looked for, with at most {SNIPPET_LIMIT_CHARS} around."
            )
        words: list[Condition] = [Text(word, prefix=True) for word in text.split()]
        condition = searchable(conjunction(words)) if words else None
        if condition is None:
            return ()
        wanted = phrases_of(texts(condition))
        found = self._finder.find(condition, limit=limit, offset=0)
        hits: list[PlainHit] = []
        for note in found:
            content = self._notes.texts([note.id])[note.id]
            name = name_of(note.path).rpartition(".")[0]
            spots = [PlainMatch(start, end, "filename", name) for start, end, _ in places(name, wanted)]
            for start, end, _ in places(content, wanted):
                around = content[max(0, start - context_chars) : end + context_chars]
                spots.append(PlainMatch(start, end, "content", around))
            hits.append(PlainHit(note.path, round(note.score, 4), tuple(spots)))
        return tuple(hits)
