"""Search: from the text of a query to a page of hits."""

from collections.abc import Callable
from datetime import datetime

from weave_nn.services.sync.contract.parser import QUERY_LIMIT_CHARS, parse
from weave_nn.services.sync.contract.query import Condition, QueryRefused, Text, conjunction
from weave_nn.services.sync.contract.results import Hit, PlainHit, PlainMatch, SearchPage
from weave_nn.services.sync.repository.conditions import searchable, texts
from weave_nn.services.sync.repository.notes import NoteReader
from weave_nn.services.sync.repository.searching import NoteFinder
from weave_nn.services.sync.service.paging import checked_limit, cursor_at, offset_of
from weave_nn.services.sync.service.snippets import matches, phrases_of, places, snippet
from weave_nn.services.sync.service.times import instant
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.paths import name_of

PAGE_LIMIT = 100
PLAIN_LIMIT = 2000
SNIPPET_LIMIT_CHARS = 2000
_MATCHES_IN_A_HIT = 20


class Search:
    """Search in one vault's index, in one transaction."""

    def __init__(self, finder: NoteFinder, notes: NoteReader, now: Callable[[], datetime]) -> None:
        self._finder = finder
        self._notes = notes
        self._now = now

    def page(self, q: str, *, limit: int, cursor: str | None, snippet_chars: int) -> SearchPage:
        """See `SyncContract.search`."""
        checked_limit(limit, PAGE_LIMIT)
        if not 0 <= snippet_chars <= SNIPPET_LIMIT_CHARS:
            raise InvalidInput(f"snippet_chars is from 0 to {SNIPPET_LIMIT_CHARS}.", field="snippet_chars")
        offset = offset_of(cursor, "search", q)
        condition = searchable(parse(q, self._now()))
        if condition is None:
            raise QueryRefused(
                q, 0, len(q), "The query holds only punctuation", hint="Give letters, digits or emoji to look for."
            )
        found = self._finder.find(condition, limit=limit + 1, offset=offset)
        contents = self._notes.texts([note.id for note in found[:limit]])
        wanted = phrases_of(texts(condition))
        hits: list[Hit] = []
        for note in found[:limit]:
            spots = places(contents[note.id], wanted)
            start, piece = snippet(contents[note.id], spots, snippet_chars)
            hits.append(
                Hit(
                    path=note.path,
                    title=note.title,
                    score=round(note.score, 4),
                    snippet=piece,
                    snippet_start=start,
                    matches=matches(contents[note.id], spots[:_MATCHES_IN_A_HIT]),
                    etag=note.etag,
                    modified=instant(note.mtime_ns),
                )
            )
        return SearchPage(tuple(hits), cursor_at(offset + limit, "search", q) if len(found) > limit else None)

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
