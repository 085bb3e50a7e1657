"""Recurrence rules as people write them ("every 2 weeks on Monday when done") and the next occurrence of a task.

The rules of the obsidian-tasks plugin decide: it reads the text with the grammar of the library rrule.js, and moves the
next occurrence of a plain monthly or yearly rule back to a day that exists. Where that grammar stops understanding, it
takes what it has read so far; so does this one. dateutil, of which rrule.js is a port, computes the dates.

Source: https://publish.obsidian.md/tasks/Getting+Started/Recurring+Tasks
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from dateutil.rrule import DAILY, HOURLY, MINUTELY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

Frequency = Literal[0, 1, 2, 3, 4, 5, 6]
"""As dateutil names them: `YEARLY` to `SECONDLY`."""

# A rule that has no day within this time ("every February on the 31st") has none at all.
HORIZON_YEARS = 60
_RULE: Final = re.compile(r"(?P<rule>[a-zA-Z0-9, !]+?)(?P<when_done> when done)?", re.IGNORECASE)
_WEEKDAYS: Final = {
    "monday": r"mo(n(day)?)?",
    "tuesday": r"tu(e(s(day)?)?)?",
    "wednesday": r"we(d(n(esday)?)?)?",
    "thursday": r"th(u(r(sday)?)?)?",
    "friday": r"fr(i(day)?)?",
    "saturday": r"sa(t(urday)?)?",
    "sunday": r"su(n(day)?)?",
}
_MONTHS: Final = {
    "january": r"jan(uary)?",
    "february": r"feb(ruary)?",
    "march": r"mar(ch)?",
    "april": r"apr(il)?",
    "may": r"may",
    "june": r"june?",
    "july": r"july?",
    "august": r"aug(ust)?",
    "september": r"sep(t(ember)?)?",
    "october": r"oct(ober)?",
    "november": r"nov(ember)?",
    "december": r"dec(ember)?",
}
_WORDS: Final = {
    "skip": r"[ \r\n\t]+|\.$",
    "number": r"[1-9][0-9]*",
    "every": r"every",
    "day": r"days?",
    "weekdays": r"weekdays?",
    "week": r"weeks?",
    "hour": r"hours?",
    "minute": r"minutes?",
    "month": r"months?",
    "year": r"years?",
    "on": r"on|in",
    "at": r"at",
    "the": r"the",
    "first": r"first",
    "second": r"second",
    "third": r"third",
    "nth": r"[1-9][0-9]*(\.|th|nd|rd|st)",
    "last": r"last",
    "for": r"for",
    "until": r"(un)?til",
    **_WEEKDAYS,
    **_MONTHS,
    "comma": r"(,\s*|(and|or)\s*)+",
}
_TOKENS: Final = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _WORDS.items()]
_FREQUENCIES: Final[dict[str, Frequency]] = {
    "day": DAILY,
    "weekdays": WEEKLY,
    "week": WEEKLY,
    "hour": HOURLY,
    "minute": MINUTELY,
    "month": MONTHLY,
    "year": YEARLY,
}
_WORKING_DAYS: Final = [(day, 0) for day in range(5)]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The dates of one occurrence of a task."""

    start: date | None = None
    scheduled: date | None = None
    due: date | None = None

    @property
    def reference(self) -> date | None:
        """The date that the rule counts from: due, else scheduled, else start."""
        return self.due or self.scheduled or self.start

    def moved_to(self, reference: date) -> "Occurrence":
        """The same dates around another reference, at their distances in days. One out of the calendar is left out."""
        before = self.reference
        if before is None:
            return self

        def moved(day: date | None) -> date | None:
            try:
                return None if day is None else day + (reference - before)
            except OverflowError:
                return None

        return Occurrence(moved(self.start), moved(self.scheduled), moved(self.due))


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule that was understood. `when_done` counts from the day of completion instead of the task's own date.

    `by_weekday` holds pairs of weekday (Monday is 0) and its number in the period (0 means every one).
    """

    frequency: Frequency
    interval: int = 1
    by_weekday: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_week: tuple[int, ...] = ()
    when_done: bool = False

    @staticmethod
    def parse(text: str) -> "Recurrence | None":
        """Read the text of a rule; None when the plugin would not understand it either."""
        match = _RULE.fullmatch(text.strip())
        if match is None:
            return None
        try:
            rule = _Reader(match["rule"].strip()).rule()
        except _NotUnderstood:
            return None
        return replace(rule, when_done=match["when_done"] is not None)

    def next(self, occurrence: Occurrence, *, today: date) -> Occurrence | None:
        """The occurrence after this one, completed `today`; None when the rule has no further day.

        A task without dates recurs without dates.
        """
        base = today if self.when_done else occurrence.reference or today
        day = self._day_after(base)
        return None if day is None else occurrence.moved_to(day)

    def _day_after(self, after: date) -> date | None:
        found = self._first_after(after)
        months, years = self._clamped
        # The rule skips months (or leap years) that lack the day. Counting from a day earlier finds the month's end.
        probe = after
        while found is not None and (
            (months and _months_between(after=probe, found=found) > self.interval)
            or (years and found.year - probe.year > self.interval)
        ):
            probe -= timedelta(days=1)
            found = self._first_after(probe)
        return found

    @property
    def _clamped(self) -> tuple[bool, bool]:
        """Whether a missing day moves back within its month, and within its year; a day that is named is skipped."""
        names_day = bool(self.by_month_day or self.by_weekday)
        in_months = self.frequency == MONTHLY and not names_day and not self.by_month
        in_years = self.frequency == YEARLY and (not self.by_month or self.interval != 1)
        return in_months, in_years

    def _first_after(self, day: date) -> date | None:
        begin = datetime.combine(day, time())
        try:
            rule = rrule(
                self.frequency,
                dtstart=begin,
                interval=self.interval,
                byweekday=[weekday(day, number) if number else weekday(day) for day, number in self.by_weekday] or None,
                bymonthday=self.by_month_day or None,
                bymonth=self.by_month or None,
                byweekno=self.by_week or None,
                until=begin.replace(year=min(9999, begin.year + HORIZON_YEARS * self.interval), day=1),
            )
            found = rule.after(datetime.combine(day, time.max))
        except (ValueError, OverflowError):
            return None
        return None if found is None else found.date()


def _months_between(*, after: date, found: date) -> int:
    return (found.year - after.year) * 12 + found.month - after.month


class _NotUnderstood(Exception):
    """The text is no rule."""


class _Reader:
    """Reads a rule symbol by symbol; the longest word that fits is taken, and reading ends where none does."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.symbol = ""
        self.value = ""
        self.weekdays: list[tuple[int, int]] = []
        self.month_days: list[int] = []
        self.months: list[int] = []
        self.weeks: list[int] = []
        self.advance()

    def advance(self) -> None:
        self.symbol, self.value = "", ""
        while self.text and self.symbol in {"", "skip"}:
            matches = [(match.end(), name) for name, token in _TOKENS if (match := token.match(self.text))]
            length, self.symbol = max(matches, key=lambda found: found[0], default=(len(self.text), ""))
            self.value, self.text = self.text[:length], self.text[length:]
        if self.symbol == "skip":
            self.symbol = ""

    def accept(self, symbol: str) -> bool:
        if self.symbol != symbol:
            return False
        self.advance()
        return True

    def number(self) -> int | None:
        value = self.value
        return int(value) if self.accept("number") else None

    def rule(self) -> Recurrence:
        if not self.accept("every"):
            raise _NotUnderstood
        interval = min(self.number() or 1, 10_000)
        subject = self.symbol
        frequency: Frequency
        if subject in _FREQUENCIES:
            frequency = _FREQUENCIES[subject]
            self.advance()
            if subject == "weekdays":
                self.weekdays = list(_WORKING_DAYS)
            elif subject == "day":
                if self.accept("on"):
                    self.take_month()
            else:
                self.on()
        elif subject in _WEEKDAYS:
            frequency = WEEKLY
            self.listed(self.take_weekday)
            self.skip_hours()
            self.month_days_of_week()
        elif subject in _MONTHS:
            frequency = YEARLY
            self.listed(self.take_month)
            self.on()
        else:
            raise _NotUnderstood
        self.skip_hours()
        if self.symbol in {"for", "until"}:
            # The plugin documents that it cannot end a recurrence.
            raise _NotUnderstood
        return Recurrence(
            frequency,
            interval,
            tuple(dict.fromkeys(self.weekdays)),
            tuple(self.month_days),
            tuple(dict.fromkeys(self.months)),
            tuple(self.weeks),
        )

    def listed(self, take: Callable[[], bool]) -> None:
        take()
        while self.accept("comma"):
            if not take():
                raise _NotUnderstood

    def take_weekday(self, number: int = 0) -> bool:
        if self.symbol not in _WEEKDAYS:
            return False
        self.weekdays.append((list(_WEEKDAYS).index(self.symbol), number))
        self.advance()
        return True

    def take_month(self) -> bool:
        if self.symbol not in _MONTHS:
            return False
        self.months.append(list(_MONTHS).index(self.symbol) + 1)
        self.advance()
        return True

    def on(self) -> None:
        on, the = self.accept("on"), self.accept("the")
        more = on or the
        while more:
            number = self.nth()
            if number is not None:
                if not self.take_weekday(number):
                    self.month_days.append(number)
                    self.accept("day")
            elif self.symbol == "weekdays":
                self.advance()
                self.weekdays = self.weekdays or list(_WORKING_DAYS)
            elif self.accept("week"):
                self.listed(self.take_week)
                if not self.weeks:
                    raise _NotUnderstood
            elif not self.take_weekday() and not self.take_month():
                return
            more = self.accept("comma") or self.accept("the") or self.accept("on")

    def take_week(self) -> bool:
        number = self.number()
        if number is not None:
            self.weeks.append(number)
        return number is not None

    def nth(self) -> int | None:
        words = {"last": -1, "first": 1, "second": 2, "third": 3}
        if self.symbol == "nth":
            number = int(re.sub(r"\D", "", self.value))
        elif self.symbol in words:
            number = words[self.symbol]
        else:
            return None
        if number > 366:
            raise _NotUnderstood
        self.advance()
        return -number if number > 1 and self.accept("last") else number

    def month_days_of_week(self) -> None:
        self.accept("on")
        self.accept("the")
        number = self.nth()
        while number is not None:
            self.month_days.append(number)
            # The plugin's grammar drops one symbol after each of these days.
            self.advance()
            number = self.nth() if self.accept("comma") else None

    def skip_hours(self) -> None:
        while self.accept("at") or (self.symbol == "comma" and self.accept("comma")):
            if self.number() is None:
                raise _NotUnderstood
