"""Where a note's text fits a query, and the piece of it that shows this best."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from weave_nn.services.sync.adapters.fulltext.analysis import Phrase, fold, fold_with_origins, pattern, phrase
from weave_nn.services.sync.contract.query import Text
from weave_nn.services.sync.contract.results import Match

MATCH_LIMIT = 50
_WHOLE_TEXT_LIMIT_CHARS = 200_000
_FRONTMATTER = re.compile(r"\ufeff?---[ \t]*\r?\n.*?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)


class Place(NamedTuple):
    """A place in a text: characters `start` up to `end`, found by the phrase of this `number`."""

    start: int
    end: int
    number: int


def phrases_of(texts: Iterable[Text]) -> tuple[Phrase, ...]:
    """What to look for in the text of a note that was found by these."""
    found = (phrase(text.text, prefix=text.prefix) for text in texts)
    return tuple(dict.fromkeys(each for each in found if each is not None))


def places(text: str, phrases: Sequence[Phrase], limit: int = MATCH_LIMIT) -> list[Place]:
    """The first places that fit any of the phrases, in order, without overlaps."""
    found: list[Place] = []
    for number, wanted in enumerate(phrases):
        found += [Place(start, end, number) for start, end in islice(_spans(text, wanted), limit)]
    if len(phrases) == 1:
        return found
    apart: list[Place] = []
    for place in sorted(found):
        if not apart or place.start >= apart[-1].end:
            apart.append(place)
    return apart[:limit]


def matches(text: str, found: Sequence[Place]) -> tuple[Match, ...]:
    """The places with their lines."""
    listed: list[Match] = []
    line, counted = 1, 0
    for place in found:
        line += text.count("\n", counted, place.start)
        counted = place.start
        listed.append(Match(place.start, place.end, line))
    return tuple(listed)


def snippet(text: str, found: Sequence[Place], length: int) -> tuple[int, str]:
    """The piece of at most `length` characters that shows the most different phrases, and where it starts."""
    if not found:
        head = _FRONTMATTER.match(text)
        start = head.end() if head else 0
        start += len(text[start:]) - len(text[start:].lstrip())
        return start, text[start : start + length].rstrip()
    best, stop_at = _best(found, length)
    inside = found[best:stop_at]
    end = inside[-1].end if inside else found[best].start + length
    start = max(0, found[best].start - (length - (end - found[best].start)) // 2)
    stop = min(len(text), start + length)
    if start and (blank := re.compile(r"\s").search(text, start, found[best].start)):
        start = blank.end()
    return start, text[start:stop].rstrip()


def _best(found: Sequence[Place], length: int) -> tuple[int, int]:
    """Which of the places, from one up to before another, fit into `length` with the most phrases, then places."""
    best = (0, 0)
    most = (0, 0)
    numbers: Counter[int] = Counter()
    stop = 0
    for first, place in enumerate(found):
        while stop < len(found) and found[stop].end <= place.start + length:
            numbers[found[stop].number] += 1
            stop += 1
        shown = (len(numbers), stop - first)
        if shown > most:
            best, most = (first, stop), shown
        if stop == first:
            stop += 1
        elif numbers[place.number] == 1:
            del numbers[place.number]
        else:
            numbers[place.number] -= 1
    return best


def _spans(text: str, wanted: Phrase) -> Iterable[tuple[int, int]]:
    compiled = _compiled(wanted)
    if text.isascii():
        return (match.span() for match in compiled.finditer(fold(text)))
    return _spans_by_line(text, compiled) if len(wanted.runs) == 1 else _spans_across_lines(text, compiled)


def _spans_by_line(text: str, compiled: re.Pattern[str]) -> Iterable[tuple[int, int]]:
    offset = 0
    for line in text.splitlines(keepends=True):
        folded = fold(line)
        if compiled.search(folded):
            # What is ASCII has as many characters folded as it had before.
            found = (match.span() for match in compiled.finditer(folded)) if line.isascii() else _mapped(line, compiled)
            for start, end in found:
                yield offset + start, offset + end
        offset += len(line)


def _spans_across_lines(text: str, compiled: re.Pattern[str]) -> Iterable[tuple[int, int]]:
    if len(text) > _WHOLE_TEXT_LIMIT_CHARS:
        return _spans_by_line(text, compiled)
    return _mapped(text, compiled) if compiled.search(fold(text)) else ()


def _mapped(text: str, compiled: re.Pattern[str]) -> Iterable[tuple[int, int]]:
    folded = fold_with_origins(text)
    for match in compiled.finditer(folded.text):
        yield folded.starts[match.start()], folded.ends[match.end() - 1]


@lru_cache(maxsize=256)
def _compiled(wanted: Phrase) -> re.Pattern[str]:
    return pattern(wanted)
