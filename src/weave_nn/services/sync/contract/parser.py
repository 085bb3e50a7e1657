"""From the text of a query to its meaning.

Written by hand and not generated from a grammar: nearly every text is a valid query, so what matters is how leniently
punctuation is read and how exactly a real mistake is pointed at, and a generator helps with neither.
"""

import re
from datetime import datetime
from typing import Literal, get_args

from weave_nn.services.sync.contract.query import (
    And,
    Condition,
    Feature,
    FileIs,
    Has,
    Literally,
    Not,
    Operator,
    Or,
    PathIs,
    Property,
    QueryRefused,
    Stat,
    Tagged,
    Text,
    conjunction,
    disjunction,
)
from weave_nn.services.sync.contract.values import instants, iso_date, literal, size_bytes, split_operator

QUERY_LIMIT_CHARS = 1000
CONDITION_LIMIT = 64
NESTING_LIMIT = 16

_HALF = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r'[^\s()"]+')
_FIELD = re.compile(r"([^\W\d_][\w.-]*):")
_QUOTES = {'"': '"', "“": "”", "„": "“”", "«": "»"}
_KNOWN_FIELDS = ("path", "file", "tag", "has", "modified", "created", "size", "title", "heading")


def parse(query: str, now: datetime) -> Condition:
    """Understand a query; `now`, with the zone of whoever asks, gives a meaning to dates.

    - `word`, `"a phrase"`, `begin*`; several must all be found; `one OR other`; `-not`; `( )` group, OR binds loosest;
    - `title:word`, `heading:"two words"`: in that part of the note alone;
    - `path:Projects/`, `file:2026-*`, `tag:area/home` (tags below it too), `has:tasks` (or another `Feature`);
    - `modified:>2026-01-01`, `created:7d..today`, `size:>10kb`;
    - any other `field:value` asks the frontmatter: `status:done`, `rating:>=4`, `due:2026-01-01..2026-02-01`,
      `author:"Ann Smith"`, `kind:!=draft`; `[field]` asks whether it is there, `[due date:>today]` has a space.

    Raises `QueryRefused`, with the place of the mistake.
    """
    if len(query) > QUERY_LIMIT_CHARS:
        raise QueryRefused(
            query[:QUERY_LIMIT_CHARS], QUERY_LIMIT_CHARS, 1, f"The query is longer than {QUERY_LIMIT_CHARS} characters"
        )
    if half := _HALF.search(query):
        shown = query.encode(errors="replace").decode()
        raise QueryRefused(shown, half.start(), 1, "This is no whole character", hint="Send the query in UTF-8.")
    return _Parser(query, now).parse()


class _Parser:
    def __init__(self, query: str, now: datetime) -> None:
        self.query = query
        self.now = now
        self.position = 0
        self.conditions = 0

    def parse(self) -> Condition:
        condition = self._either(depth=0)
        if self._peek() == ")":
            raise self._refused(self.position, 1, "This ')' closes nothing", hint="Remove it, or open it with '('.")
        if condition is None:
            raise self._refused(0, 1, "The query is empty", hint="Give a word, or a filter such as tag:project.")
        return condition

    def _either(self, depth: int) -> Condition | None:
        if depth > NESTING_LIMIT:
            raise self._refused(self.position, 1, f"Groups are nested deeper than {NESTING_LIMIT}")
        branches: list[Condition] = []
        last_or: int | None = None
        while True:
            branch = self._all(depth)
            start = self.position
            more = self._take_keyword("OR")
            if branch is None and (more or last_or is not None):
                at = start if more or last_or is None else last_or
                raise self._refused(at, 2, "OR needs something on both of its sides")
            if branch is not None:
                branches.append(branch)
            if not more:
                return disjunction(branches) if branches else None
            last_or = start

    def _all(self, depth: int) -> Condition | None:
        found: list[Condition] = []
        while self._peek() not in {"", ")"} and not self._at_keyword("OR"):
            if self._take_keyword("AND"):
                continue
            condition = self._one(depth)
            if condition is not None:
                found.append(condition)
        return conjunction(found) if found else None

    def _one(self, depth: int) -> Condition | None:
        start = self.position
        if self.query[start] == "-" and self.query[start + 1 : start + 2].strip(" -"):
            self.position += 1
            if depth >= NESTING_LIMIT:
                raise self._refused(start, 1, f"Groups are nested deeper than {NESTING_LIMIT}")
            operand = self._one(depth + 1)
            return None if operand is None else Not(operand)
        self.conditions += 1
        if self.conditions > CONDITION_LIMIT:
            raise self._refused(start, 1, f"The query has more than {CONDITION_LIMIT} parts")
        match self.query[start]:
            case "(":
                return self._group(depth)
            case "[":
                return self._bracketed()
            case quote if quote in _QUOTES:
                phrase = self._quoted()
                return Text(phrase, prefix=self._take("*")) if phrase.strip() else None
            case _:
                return self._word()

    def _group(self, depth: int) -> Condition | None:
        start = self.position
        self.position += 1
        inner = self._either(depth + 1)
        if self._peek() != ")":
            raise self._refused(start, 1, "This '(' is never closed", hint="Add a ')'.")
        self.position += 1
        return inner

    def _bracketed(self) -> Condition:
        start = self.position
        end = self.query.find("]", start)
        if end < 0:
            raise self._refused(start, 1, "This '[' is never closed", hint="Add a ']', or put the text in \"quotes\".")
        self.position = end + 1
        name, colon, raw = self.query[start + 1 : end].partition(":")
        if not name.strip():
            raise self._refused(start, end + 1 - start, "The brackets name no field", hint="Write [status:done].")
        if not colon or not raw.strip():
            return Property(name.strip().casefold(), "exists")
        at = start + 2 + len(name)
        operator, value = split_operator(raw.strip())
        return self._compared(name.strip().casefold(), operator, value.strip().strip('"'), at, end - at)

    def _word(self) -> Condition | None:
        start = self.position
        field = _FIELD.match(self.query, start)
        if field and not self.query.startswith("//", field.end()):
            name = field[1].casefold()
            self.position = field.end()
            following = self.query[self.position : self.position + 1]
            if following.strip() and following != ")":
                return self._field(name, start)
            if name in _KNOWN_FIELDS:
                raise self._refused(start, len(field[0]), f"{field[0]} needs a value", hint=f"Write {name}:value.")
            return Text(field[1])
        found = _WORD.match(self.query, start)
        if found is None:
            raise self._refused(start, 1, "This cannot stand here")
        self.position = found.end()
        return Text(found[0].rstrip("*"), prefix=found[0].endswith("*")) if found[0].strip("*") else None

    def _field(self, name: str, start: int) -> Condition:
        at = self.position
        operator, rest = split_operator(self.query[at:])
        self.position = len(self.query) - len(rest)
        quoted = self.query[self.position : self.position + 1] in _QUOTES
        if quoted:
            value = self._quoted()
        else:
            found = _WORD.match(self.query, self.position)
            value = found[0] if found else ""
            self.position += len(value)
        if not value.strip():
            raise self._refused(start, self.position - start, f"{name}: needs a value")
        length = self.position - at
        match name:
            case "path":
                return PathIs(value)
            case "file":
                return FileIs(value)
            case "tag":
                return Tagged(value.lstrip("#").rstrip("/*"))
            case "title" | "heading":
                return Text(value.rstrip("*"), prefix=value.endswith("*") or self._take("*"), column=name)
            case "has":
                return Has(self._feature(value, at))
            case _:
                return self._compared(name, operator, value, at, length)

    def _compared(self, name: str, operator: Operator, value: str, at: int, length: int) -> Condition:
        low, dots, high = value.partition("..")
        if dots and operator == "=" and (low or high) and not low.startswith("/"):
            return self._between(name, low, high, at, length)
        if name in {"modified", "created", "size"}:
            return self._stat(name, operator, value, at, length)
        meaning = literal(value.casefold(), self.now)
        if operator == "=" and value.endswith("*"):
            meaning = Literally(value[:-1].casefold(), prefix=True)
        return Property(name, operator, meaning)

    def _between(self, name: str, low: str, high: str, at: int, length: int) -> Condition:
        bounds: list[Condition] = []
        if low:
            bounds.append(self._compared(name, ">=", low, at, length))
        if high:
            bounds.append(self._compared(name, "<=", high, at, length))
        lowest, highest = literal(low, self.now), literal(high, self.now)
        dates = lowest.date and highest.date and lowest.date > highest.date + "\uffff"
        numbers = lowest.number is not None and highest.number is not None and lowest.number > highest.number
        if dates or numbers:
            raise self._refused(at, length, f"The range {low}..{high} runs backwards", hint=f"Write {high}..{low}.")
        return conjunction(bounds)

    def _stat(self, name: str, operator: Operator, value: str, at: int, length: int) -> Condition:
        if name == "size":
            size = size_bytes(value)
            if size is None:
                raise self._refused(at, length, f"{value!r} is not a size", hint="Write size:>10kb.")
            return Stat("size", operator, size)
        iso = iso_date(value.casefold(), self.now)
        if iso is None:
            raise self._refused(
                at, length, f"{value!r} is not a date", hint=f"Write {name}:>2026-01-31, {name}:today or {name}:>7d."
            )
        field: Literal["modified", "created"] = "modified" if name == "modified" else "created"
        start, after = instants(iso, self.now)
        match operator:
            case "=":
                return And((Stat(field, ">=", start), Stat(field, "<", after)))
            case "!=":
                return Or((Stat(field, "<", start), Stat(field, ">=", after)))
            case ">":
                return Stat(field, ">=", after)
            case "<=":
                return Stat(field, "<", after)
            case _:
                return Stat(field, operator, start)

    def _feature(self, value: str, at: int) -> Feature:
        for feature in get_args(Feature):
            if value.casefold() in {feature, feature.removesuffix("s")}:
                return feature  # type: ignore[no-any-return]  # get_args knows no types
        raise self._refused(
            at, len(value), f"has:{value} asks for something unknown", hint=f"Known: {', '.join(get_args(Feature))}."
        )

    def _quoted(self) -> str:
        start = self.position
        closers = _QUOTES[self.query[start]]
        ends = [end for closer in closers if (end := self.query.find(closer, start + 1)) >= 0]
        if not ends:
            raise self._refused(start, 1, "This quotation mark is never closed", hint="Add a '\"' after the phrase.")
        self.position = min(ends) + 1
        return self.query[start + 1 : min(ends)]

    def _peek(self) -> str:
        found = _SPACE.match(self.query, self.position)
        self.position = found.end() if found else self.position
        return self.query[self.position : self.position + 1]

    def _take(self, character: str) -> bool:
        if self.query.startswith(character, self.position):
            self.position += len(character)
            return True
        return False

    def _at_keyword(self, keyword: str) -> bool:
        self._peek()
        after = self.query[self.position + len(keyword) : self.position + len(keyword) + 1]
        return self.query.startswith(keyword, self.position) and (not after.strip() or after in '("')

    def _take_keyword(self, keyword: str) -> bool:
        return self._at_keyword(keyword) and self._take(keyword)

    def _refused(self, position: int, length: int, reason: str, *, hint: str | None = None) -> QueryRefused:
        return QueryRefused(self.query, position, length, reason, hint=hint)
