"""The filters of the query language: one line of a query becomes a test of a task."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import regex

from weave_nn.services.tasks.contract import OPEN, PRIORITIES, DateField, QueryTooSlow, StatusType, Task
from weave_nn.services.tasks.service.querying import properties
from weave_nn.services.tasks.service.querying.dates import DateRange, parse_dates

PATTERN_SECONDS = 2.0
MOST_PATTERN_CHARACTERS = 500
_DAYS: Final[dict[str, tuple[DateField, ...]]] = {
    "due": ("due",),
    "done": ("done",),
    "scheduled": ("scheduled",),
    "start": ("start",),
    "starts": ("start",),
    "created": ("created",),
    "cancelled": ("cancelled",),
    "happens": ("due", "start", "scheduled"),
}
_STATUS_DONE: Final = tuple(kind for kind in StatusType if kind not in OPEN)


class NotUnderstood(Exception):
    """The text is no filter; the message says why, as the end of a sentence."""


@dataclass(slots=True)
class Surroundings:
    """What filters need to know beside the task.

    `open_references` are the 🆔 of open tasks, `blocking` those that an open task depends on. The time that all regular
    expressions of a query may take together is counted down in `pattern_seconds`.
    """

    today: date
    open_references: frozenset[str] = frozenset()
    blocking: frozenset[str] = frozenset()
    pattern_seconds: float = PATTERN_SECONDS

    def matches(self, pattern: "regex.Pattern[str]", text: str) -> bool:
        """Whether the pattern is found; raises `QueryTooSlow` when the query's time is used up."""
        started = time.monotonic()
        try:
            found = pattern.search(text, timeout=max(self.pattern_seconds, 0.001), concurrent=True) is not None
        except TimeoutError as error:
            raise QueryTooSlow(
                f"The regular expression {pattern.pattern!r} took longer than {PATTERN_SECONDS:g} s.",
                hint="Make it simpler: avoid repetitions inside repetitions.",
                field="query",
            ) from error
        self.pattern_seconds -= time.monotonic() - started
        return found


Test = Callable[[Task, Surroundings], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A test of tasks, how it is explained, and what a database can decide of it beforehand.

    Every task that passes has one of `statuses` (when given), for each date field in `bounds` a day within them, and
    each of `words` in its title, heading or path.
    """

    test: Test
    explanation: tuple[str, ...] = ()
    statuses: tuple[StatusType, ...] = ()
    bounds: dict[DateField, tuple[date | None, date | None]] = field(default_factory=dict)
    words: str = ""


def parse_filter(text: str, today: date) -> Filter:
    """Read one filter that is not a boolean combination; raises `NotUnderstood`."""
    for parse in (_status, _fixed, _presence, _dates, _priority, _text):
        found = parse(text, today)
        if found is not None:
            return found
    raise NotUnderstood("is not understood")


def _status(text: str, _today: date) -> Filter | None:
    words = text.lower()
    if words in {"done", "not done"}:
        statuses = _STATUS_DONE if words == "done" else OPEN
        return Filter(
            lambda task, _: task.status in statuses, (f"status type is {' or '.join(statuses)}",), statuses=statuses
        )
    match = re.fullmatch(r"status\.type (is not|is) (\S+)", text, re.IGNORECASE)
    if match is None:
        return None
    try:
        wanted = StatusType(match[2].upper())
    except ValueError:
        raise NotUnderstood(f"has no such status type; there are {', '.join(StatusType)}") from None
    if match[1].lower() == "is":
        return Filter(lambda task, _: task.status is wanted, statuses=(wanted,))
    return Filter(lambda task, _: task.status is not wanted)


def _fixed(text: str, _today: date) -> Filter | None:
    test = _FIXED.get(" ".join(text.lower().split()))
    return None if test is None else Filter(test)


def _is_blocked(task: Task, around: Surroundings) -> bool:
    return task.status in OPEN and any(reference in around.open_references for reference in task.depends_on)


def _is_blocking(task: Task, around: Surroundings) -> bool:
    return task.status in OPEN and task.reference is not None and task.reference in around.blocking


def _is_top_level(task: Task, _around: Surroundings) -> bool:
    # Directly inside a quote, one blank after the last `>` is no indentation.
    return task.indent == "" or (">" in task.indent and task.indent.rpartition(">")[2] in {"", " "})


_FIXED: Final[dict[str, Test]] = {
    "is recurring": lambda task, _: task.recurrence is not None,
    "is not recurring": lambda task, _: task.recurrence is None,
    "is blocked": _is_blocked,
    "is not blocked": lambda task, around: not _is_blocked(task, around),
    "is blocking": _is_blocking,
    "is not blocking": lambda task, around: not _is_blocking(task, around),
    "exclude sub-items": _is_top_level,
}
_PRESENT: Final[dict[str, Callable[[Task], bool]]] = {
    "tag": lambda task: bool(task.tags),
    "tags": lambda task: bool(task.tags),
    "id": lambda task: task.reference is not None,
    "depends on": lambda task: bool(task.depends_on),
}


def _presence(text: str, _today: date) -> Filter | None:
    match = re.fullmatch(r"(has|no) (tags?|id|depends on)", text, re.IGNORECASE)
    if match is not None:
        present, wanted = _PRESENT[match[2].lower()], match[1].lower() == "has"
        return Filter(lambda task, _: present(task) is wanted)
    match = re.fullmatch(rf"(has|no) ({'|'.join(_DAYS)}) date", text, re.IGNORECASE)
    if match is not None:
        fields, wanted = _DAYS[match[2].lower()], match[1].lower() == "has"
        return Filter(lambda task, _: any(properties.has_date(task, name) for name in fields) is wanted)
    match = re.fullmatch(r"(due|done|scheduled|start|created|cancelled) date is invalid", text, re.IGNORECASE)
    if match is None:
        return None
    name = _DAYS[match[1].lower()][0]
    return Filter(lambda task, _: name in task.invalid_dates)


_WHEN: Final = re.compile(
    rf"(?P<field>{'|'.join(sorted(_DAYS, key=len, reverse=True))})"
    r"(?: (?P<which>(?:on|in) or before|(?:on|in) or after|before|after|on|in))?(?: +(?P<dates>.*))?",
    re.IGNORECASE,
)


def _dates(text: str, today: date) -> Filter | None:
    match = _WHEN.fullmatch(text)
    if match is None:
        return None
    days = parse_dates(match["dates"] or "", today)
    if days is None and (match["which"] or "").lower() == "in":
        # "due in two weeks" names a day, and "in" belongs to it.
        days = parse_dates(f"in {match['dates']}", today)
    if days is None:
        raise NotUnderstood(f"has no date or range that is understood: {match['dates']!r}")
    name, which = match["field"].lower(), (match["which"] or "on").lower()
    low, high = _bounds(which, days)
    fields = _DAYS[name]
    undated_pass = name in {"start", "starts"}

    def passes(task: Task, _: Surroundings) -> bool:
        present = [day for name in fields if (day := task.date(name)) is not None]
        if undated_pass and not present:
            return not any(name in task.invalid_dates for name in fields)
        return any((low is None or day >= low) and (high is None or day <= high) for day in present)

    narrowing = {} if undated_pass or len(fields) > 1 else {fields[0]: (low, high)}
    return Filter(passes, _explained(name, which, days), bounds=narrowing)


def _bounds(which: str, days: DateRange) -> tuple[date | None, date | None]:
    match which.rsplit(maxsplit=1)[-1]:
        case "before":
            return None, days.end if " or " in which else _day_before(days.start)
        case "after":
            return days.start if " or " in which else _day_after(days.end), None
        case _:
            return days.start, days.end


def _day_before(day: date) -> date:
    return date.fromordinal(max(day.toordinal() - 1, 1))


def _day_after(day: date) -> date:
    return date.fromordinal(min(day.toordinal() + 1, date.max.toordinal()))


def _explained(name: str, which: str, days: DateRange) -> tuple[str, ...]:
    subject = {"happens": "due, start or scheduled", "starts": "start"}.get(name, name) + " date"
    undated = " OR no start date" if subject == "start date" else ""
    relation = which.rsplit(maxsplit=1)[-1]
    if relation in {"on", "in"} and days.start != days.end:
        shown = (properties.written_day(days.start), properties.written_day(days.end))
        return (f"{subject} is between:", f"  {shown[0]} and", f"  {shown[1]} inclusive{undated}")
    inclusive = " or " in which
    day = days.end if (relation == "before") is inclusive else days.start
    words = "is on" if relation in {"on", "in"} else f"is {'on or ' if inclusive else ''}{relation}"
    return (f"{subject} {words} {properties.written_day(day)}{undated}",)


def _priority(text: str, _today: date) -> Filter | None:
    match = re.fullmatch(rf"priority(?: is)?(?: (above|below|not))? ({'|'.join(PRIORITIES)})", text, re.IGNORECASE)
    if match is None:
        return None
    wanted = properties.PLACE_OF_PRIORITY[match[2].lower()]
    relation = (match[1] or "").lower()

    def passes(task: Task, _: Surroundings) -> bool:
        place = properties.PLACE_OF_PRIORITY[task.priority]
        match relation:
            case "above":
                return place < wanted
            case "below":
                return place > wanted
            case "not":
                return place != wanted
            case _:
                return place == wanted

    return Filter(passes)


_TEXT: Final = re.compile(
    r"(?P<field>description|path|folder|filename|root|heading|tags?|id|recurrence|status\.name) "
    r"(?P<relation>includes?|(?:does|do) not include|regex matches|regex does not match) (?P<text>.*)",
    re.IGNORECASE,
)


def _text(text: str, _today: date) -> Filter | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    texts = properties.TEXTS[match["field"].lower()]
    relation = match["relation"].lower()
    negated = " not " in relation
    if relation.startswith("regex"):
        pattern, explanation = _pattern(match["text"].strip())
        return Filter(
            lambda task, around: any(around.matches(pattern, value) for value in texts(task)) is not negated,
            (explanation,),
        )
    wanted = match["text"].strip().lower()
    # Other letters may be folded differently by the database.
    searchable = match["field"].lower() in {"description", "path", "heading", "filename"} and wanted.isascii()
    return Filter(
        lambda task, _: any(wanted in value.lower() for value in texts(task)) is not negated,
        words=wanted if searchable and not negated else "",
    )


def _pattern(text: str) -> tuple["regex.Pattern[str]", str]:
    match = re.fullmatch(r"/(?P<pattern>.*)/(?P<flags>[a-z]*)", text)
    if match is None:
        raise NotUnderstood("needs a regular expression between slashes, such as /urgent|soon/i")
    if len(match["pattern"]) > MOST_PATTERN_CHARACTERS:
        raise NotUnderstood(f"has a regular expression of more than {MOST_PATTERN_CHARACTERS} characters")
    known = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL}
    flags = 0
    for letter in match["flags"]:
        if letter not in "imsguydv":
            raise NotUnderstood(f"has the unknown regular expression flag {letter!r}")
        flags |= known.get(letter, 0)
    try:
        compiled = regex.compile(match["pattern"], flags)
    except regex.error as error:
        raise NotUnderstood(f"has a regular expression that is not valid ({error})") from None
    with_flags = f" with flag '{match['flags']}'" if match["flags"] else " with no flags"
    return compiled, f"using regex: '{match['pattern']}'{with_flags}"
