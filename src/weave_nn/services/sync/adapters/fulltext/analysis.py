"""From text to search terms, alike for what is indexed and for what is asked.

Compatibility forms, case and the marks of letters do not matter (`Straße` is `STRASSE`, `Müller` is `Muller`). Scripts
without spaces between words are cut into overlapping pairs of characters (`日本語` gives `日本 本語 語`): the last
character stands alone too, so that every single one begins a term. Emoji are terms. All else separates.

The rival, FTS5's own `unicode61`, finds nothing inside Chinese or Japanese text and splits at Arabic vowel marks; its
`trigram` misses words of two characters and makes the index three times as large.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NOT_ALPHANUMERIC = {code: " " for code in range(128) if not chr(code).isalnum()}
# Accents of Latin, Greek and Cyrillic, Hebrew points, Arabic vowels and the stretching mark, joiners, soft hyphens.
_IGNORED = (
    "\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u2060\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
    "\ufeff\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
)
# Han, kana, Hangul, Thai, Lao, Myanmar, Khmer.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d\u309e"
    "\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_EMOJI = (
    "\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
)
# Vowel signs and the like of the scripts of India are no letters to Python, but parts of their words.
_SIGNS = (
    "\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d"
    "\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0d4d"
)

_FOLDED_AWAY = re.compile(f"[{_IGNORED}]+")
_RUN = re.compile(f"(?P<unspaced>[{_UNSPACED}]+)|(?P<emoji>[{_EMOJI}])|(?P<word>(?:[^\\W_{_UNSPACED}]|[{_SIGNS}])+)")
# The same without names, for whole notes: repetitions that never give back are several times as fast.
_RUNS = re.compile(f"[{_UNSPACED}]++|[{_EMOJI}]|(?:[^\\W_{_UNSPACED}]++|[{_SIGNS}]++)++")
_PLAIN_WORDS = re.compile(f"(?:[^\\W_]++|[{_SIGNS}]++)++")
_CUT = re.compile(f"[{_UNSPACED}]")
_SPECIAL = re.compile(f"[{_UNSPACED}{_EMOJI}]")
_JOINED = f"{_IGNORED}\u3099\u309a\u1160-\u11ff"
_CLUSTER = re.compile(f"[\\x00-\\x7f]+(?![{_JOINED}])|.[{_JOINED}]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms that stand beside each other; with `prefix` the last one is a beginning of a term.

    `runs` are the unbroken pieces of the text that the terms were cut from, for `pattern`.
    """

    terms: tuple[str, ...]
    runs: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text, and for each of its characters where it comes from: `starts[i]:ends[i]` in the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def fold(text: str) -> str:
    """`text` without the differences that search ignores; words and separators stay where they are."""
    if text.isascii():
        return text.lower()
    decomposed = _FOLDED_AWAY.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", _FOLDED_AWAY.sub("", unicodedata.normalize("NFKD", decomposed.casefold())))


def fold_with_origins(text: str) -> Folded:
    """As `fold`, character by character, with the place that each comes from."""
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in _CLUSTER.finditer(text):
        piece, start, end = cluster[0], cluster.start(), cluster.end()
        part = fold(piece)
        folded.append(part)
        if piece.isascii():
            starts += range(start, end)
            ends += range(start + 1, end + 1)
        else:
            starts += [start] * len(part)
            ends += [end] * len(part)
    return Folded("".join(folded), tuple(starts), tuple(ends))


def index_terms(text: str) -> str:
    """The terms of a text in its order, with blanks between them: what is given to the full-text index."""
    if text.isascii():
        return text.lower().translate(_NOT_ALPHANUMERIC)
    # No term reaches over the end of a line, and most lines of most notes are ASCII, which is ten times as fast.
    lines = text.split("\n")
    return " ".join([line.lower().translate(_NOT_ALPHANUMERIC) if line.isascii() else _cut(line) for line in lines])


def phrase(text: str, *, prefix: bool = False) -> Phrase | None:
    """What to look for where `text` is asked for; None when it has no terms (only punctuation)."""
    terms: list[str] = []
    runs = list(_RUN.finditer(fold(text)))
    for number, run in enumerate(runs, start=1):
        if run["unspaced"] is None:
            terms.append(run[0])
        elif number < len(runs):
            terms += _pairs(run[0])
        else:
            # More may follow in the text, so the last character must not stand alone.
            terms += list(_pairs(run[0]))[:-1] or [run[0]]
            prefix = prefix or len(run[0]) == 1
    return Phrase(tuple(terms), tuple(run[0] for run in runs), prefix) if terms else None


def pattern(asked: Phrase) -> re.Pattern[str]:
    """What finds in folded text what the index finds in its terms: whole words, whatever stands between them."""
    between = f"(?:(?![{_SIGNS}{_UNSPACED}{_EMOJI}])[\\W_])*"
    first, *others = (re.escape(run) for run in asked.runs)
    # What must not stand before the first run is asked after it, so that the search is for a plain string.
    before = "" if _SPECIAL.match(asked.runs[0]) else f"(?<![^\\W_{_UNSPACED}]{first})(?<![{_SIGNS}]{first})"
    after = "" if asked.prefix or _SPECIAL.match(asked.runs[-1]) else f"(?![^\\W_{_UNSPACED}]|[{_SIGNS}])"
    return re.compile(between.join([first + before, *others]) + after)


def _cut(text: str) -> str:
    folded = fold(text)
    if not _SPECIAL.search(folded):
        return " ".join(_PLAIN_WORDS.findall(folded))
    runs = _RUNS.findall(folded)
    return " ".join(_terms(runs) if _CUT.search(folded) else runs)


def _terms(runs: Iterable[str]) -> Iterator[str]:
    for run in runs:
        if _CUT.match(run):
            yield from _pairs(run)
        else:
            yield run


def _pairs(run: str) -> Iterator[str]:
    for position in range(len(run) - 1):
        yield run[position : position + 2]
    yield run[-1]
