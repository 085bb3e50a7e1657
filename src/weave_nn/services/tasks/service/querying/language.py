"""Reading a query, instruction by instruction, and running it over tasks."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby, product
from typing import Final

from weave_nn.services.tasks.contract import (
    DateField,
    QueryRefused,
    QueryResult,
    Task,
    TaskGroup,
    TaskSelection,
)
from weave_nn.services.tasks.service.querying.combining import is_combination, parse_combination
from weave_nn.services.tasks.service.querying.filters import Filter, NotUnderstood, Surroundings, parse_filter
from weave_nn.services.tasks.service.querying.ordering import (
    DEFAULT_SORTS,
    GROUPS,
    SORTS,
    GroupKey,
    Key,
    SortKey,
    by_tag,
)

MOST_CHARACTERS = 20_000
MOST_INSTRUCTIONS = 200
_SORT: Final = re.compile(r"sort by (?P<name>\S+)(?: (?P<number>\d+))?(?P<reverse> reverse)?", re.IGNORECASE)
_GROUP: Final = re.compile(r"group by (?P<name>\S+)(?P<reverse> reverse)?", re.IGNORECASE)
_LIMIT: Final = re.compile(r"limit (?P<groups>groups )?(?:to )?(?P<number>\d{1,9})(?: tasks?)?", re.IGNORECASE)
_LAYOUT: Final = re.compile(r"(hide|show) .+|(short|full)( mode)?|view .+|ignore global query", re.IGNORECASE)
_UNSUPPORTED: Final = {
    "filter by function": "it runs JavaScript, which is not done here; use the other filters and AND, OR, NOT",
    "sort by function": "it runs JavaScript, which is not done here; use another `sort by`",
    "group by function": "it runs JavaScript, which is not done here; use another `group by`",
    "preset": "presets are settings of the Obsidian plugin, which are not read here; write the instructions out",
}
_PLACEHOLDER: Final = re.compile(r"\{\{\s*(?P<name>[^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class _Order:
    name: str
    reverse: bool
    number: int = 1

    @property
    def sort_key(self) -> SortKey:
        return by_tag(self.number) if self.name == "tag" else SORTS[self.name]

    @property
    def group_key(self) -> GroupKey:
        return GROUPS[self.name]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood."""

    filters: tuple[Filter, ...] = ()
    sorts: tuple[_Order, ...] = ()
    groups: tuple[_Order, ...] = ()
    limit: int | None = None
    group_limit: int | None = None
    explanation: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def selection(self) -> TaskSelection:
        """What a database can leave out beforehand: every task that the query finds is in it."""
        statuses = next((found.statuses for found in self.filters if found.statuses), ())
        low: dict[DateField, date] = {}
        high: dict[DateField, date] = {}
        for found in self.filters:
            for name, (start, end) in found.bounds.items():
                if start is not None:
                    low[name] = max(start, low.get(name, start))
                if end is not None:
                    high[name] = min(end, high.get(name, end))
        words = " ".join(found.words for found in self.filters if found.words)
        return TaskSelection(status=statuses, from_date=low, to_date=high, text=words or None)

    def run(self, tasks: Iterable[Task], around: Surroundings, *, most: int) -> QueryResult:
        """Filter, sort, limit and group, in this order; at most `most` tasks are returned."""
        found = [task for task in tasks if all(part.test(task, around) for part in self.filters)]
        total = len(found)
        found.sort(key=lambda task: (task.note_path, task.line))
        orders = [*self.sorts, *(_Order(name, reverse=False) for name in DEFAULT_SORTS)]
        runs = [(reverse, list(run)) for reverse, run in groupby(orders, lambda order: order.reverse)]
        for reverse, run in reversed(runs):
            found.sort(key=_key([order.sort_key for order in run], around.today), reverse=reverse)
        found = found[: most if self.limit is None else min(self.limit, most)]
        groups = tuple(self._grouped(found, around.today))
        return QueryResult(groups, total, self.explanation, self.ignored)

    def _grouped(self, tasks: list[Task], today: date) -> Iterator[TaskGroup]:
        if not self.groups:
            if tasks:
                yield TaskGroup((), tuple(tasks))
            return
        members: dict[tuple[tuple[Key, str], ...], list[Task]] = {}
        for task in tasks:
            # A task that belongs to several groups (one for each tag) stands in all of them.
            for path in product(*(order.group_key(task, today) for order in self.groups)):
                members.setdefault(path, []).append(task)
        paths = list(members)
        for level, order in reversed(list(enumerate(self.groups))):
            paths.sort(key=lambda path, level=level: path[level][0], reverse=order.reverse)  # type: ignore[misc] # as above
        for path in paths:
            yield TaskGroup(tuple(heading for _, heading in path), tuple(members[path][: self.group_limit]))


def parse_query(text: str, today: date, *, note_path: str | None = None) -> Query:
    """Read a query; raises `QueryRefused` with the line that is not understood or not supported.

    `note_path` is the note that the placeholders `{{query.file.…}}` mean.
    """
    if len(text) > MOST_CHARACTERS:
        raise QueryRefused(1, text[:40] + "…", f"the query is longer than {MOST_CHARACTERS} characters")
    reader = _Reader(today)
    instructions = list(_instructions(text))
    if len(instructions) > MOST_INSTRUCTIONS:
        raise QueryRefused(
            instructions[-1][0], instructions[-1][1], f"there are more than {MOST_INSTRUCTIONS} instructions"
        )
    for line, written in instructions:
        try:
            reader.take(_filled(written, note_path), written)
        except NotUnderstood as error:
            raise QueryRefused(line, written, f"it {error}", hint=_HINT) from None
    return reader.query()


_HINT: Final = "See https://publish.obsidian.md/tasks/Quick+Reference for the instructions."


class _Reader:
    def __init__(self, today: date) -> None:
        self.today = today
        self.filters: list[tuple[str, Filter]] = []
        self.sorts: list[_Order] = []
        self.groups: list[_Order] = []
        self.limits: dict[str, int] = {}
        self.explain = False
        self.ignored: list[str] = []

    def take(self, text: str, written: str) -> None:
        lower = text.lower()
        for name, reason in _UNSUPPORTED.items():
            if re.search(rf"(?:^|[(\[{{\"]\s*){name}\b", lower):
                raise NotUnderstood(f"uses `{name}`, which is not supported: {reason}")
        if lower == "explain":
            self.explain = True
        elif lower.startswith("sort by"):
            self.sorts.append(_order(_SORT, text, {*SORTS, "tag"}, "sort by"))
        elif lower.startswith("group by"):
            self.groups.append(_order(_GROUP, text, set(GROUPS), "group by"))
        elif match := _LIMIT.fullmatch(text):
            self.limits["groups" if match["groups"] else "all"] = int(match["number"])
        elif _LAYOUT.fullmatch(text):
            self.ignored.append(written)
        elif is_combination(text):
            self.filters.append((text, parse_combination(text, lambda part: parse_filter(part, self.today))))
        else:
            self.filters.append((text, parse_filter(text, self.today)))

    def query(self) -> Query:
        return Query(
            tuple(found for _, found in self.filters),
            tuple(self.sorts),
            tuple(self.groups),
            self.limits.get("all"),
            self.limits.get("groups"),
            self.explanation() if self.explain else None,
            tuple(self.ignored),
        )

    def explanation(self) -> str:
        parts = []
        for text, found in self.filters:
            lines = found.explanation
            parts.append("\n".join([f"{text} =>", *(f"  {line}" for line in lines)] if lines else [text]))
        for title, orders in (("Grouped by", self.groups), ("Sorted by", self.sorts)):
            parts.extend(f"{title} {order.name}{' in reverse' if order.reverse else ''}." for order in orders)
        if "all" in self.limits:
            parts.append(f"At most {self.limits['all']} tasks.")
        if "groups" in self.limits:
            parts.append(f"At most {self.limits['groups']} tasks per group.")
        return "\n\n".join(parts or ["No filters: all tasks match."])


def _key(keys: list[SortKey], today: date) -> Callable[[Task], Key]:
    return lambda task: tuple(key(task, today) for key in keys)


def _order(pattern: re.Pattern[str], text: str, names: set[str], what: str) -> _Order:
    match = pattern.fullmatch(text)
    name = "" if match is None else match["name"].lower()
    number = None if match is None else match.groupdict().get("number")
    if match is None or name not in names or (number is not None and (name != "tag" or number == "0")):
        raise NotUnderstood(f"names nothing to {what}; there are {', '.join(sorted(names))}, each also with `reverse`")
    return _Order(name, reverse=match["reverse"] is not None, number=int(number or 1))


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """The instructions with the line where each begins; a backslash at the end of a line joins it with the next."""
    begun, joined = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        begun = begun or number
        escaped = line.endswith("\\\\")
        piece = line.removesuffix("\\")
        joined = f"{joined.rstrip()} {piece.strip()}" if joined else piece.strip()
        if line.endswith("\\") and not escaped:
            joined = joined or " "
            continue
        yield from _meant(begun, joined)
        begun, joined = 0, ""
    yield from _meant(begun, joined)


def _meant(line: int, text: str) -> Iterator[tuple[int, str]]:
    text = re.sub(r"\{\{!.*?\}\}", "", text).strip()
    if text and not text.startswith("#"):
        yield line, text


def _filled(text: str, note_path: str | None) -> str:
    def value(match: re.Match[str]) -> str:
        if note_path is None:
            raise NotUnderstood("has a placeholder, and the query stands in no note")
        base, name = posixpath.splitext(note_path)[0], posixpath.basename(note_path)
        values = {
            "query.file.path": note_path,
            "query.file.pathWithoutExtension": base,
            "query.file.folder": posixpath.dirname(note_path) + "/",
            "query.file.filename": name,
            "query.file.filenameWithoutExtension": posixpath.splitext(name)[0],
            "query.file.root": note_path.partition("/")[0] + "/" if "/" in note_path else "/",
        }
        if match["name"] not in values:
            raise NotUnderstood(f"has a placeholder that is not supported: {match[0]}")
        return values[match["name"]]

    return _PLACEHOLDER.sub(value, text)
