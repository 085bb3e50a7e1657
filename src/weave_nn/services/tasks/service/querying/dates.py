"""Dates as people write them in queries: one day or a range, counted from a given today.

The forms are those that the documentation of obsidian-tasks names. Weeks are ISO weeks, from Monday to Sunday.

Source: https://publish.obsidian.md/tasks/Queries/Filters#Searching+for+dates
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from dateutil.relativedelta import relativedelta

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_ISO: Final = r"\d{4}-\d{2}-\d{2}"
_COUNT: Final = rf"(?P<count>\d{{1,4}}|an?|{'|'.join(_NUMBERS[1:])})"
_UNIT: Final = r"(?P<unit>day|week|fortnight|month|quarter|year)s?"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH: Final = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?P<rest>[a-z]*)\.?"
_YEAR: Final = r"(?:,?\s+(?P<year>\d{4}))?"
_FLAGS: Final = re.IGNORECASE | re.ASCII
_AHEAD: Final = re.compile(rf"(?:in|\+)\s*{_COUNT}\s*{_UNIT}", _FLAGS)
_LATER: Final = re.compile(rf"{_COUNT}\s+{_UNIT}\s+(?:from now|from today|later|hence)", _FLAGS)
_AGO: Final = re.compile(rf"{_COUNT}\s+{_UNIT}\s+(?:ago|before|earlier)", _FLAGS)
_WEEKDAY: Final = re.compile(r"(?:on\s+)?(?:(?P<which>this|next|last|past)\s+)?(?P<day>[a-z]{3,9})", _FLAGS)
_NAMED: Final = [
    re.compile(rf"{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}", _FLAGS),
    re.compile(rf"{_MONTH}\s+{_DAY}{_YEAR}", _FLAGS),
    re.compile(rf"(?P<day>){_MONTH}{_YEAR}", _FLAGS),
]


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from `start` to `end`, both included."""

    start: date
    end: date


def parse_dates(text: str, today: date) -> DateRange | None:
    """Read a day or a range; None when it is not understood or does not exist."""
    text = " ".join(text.split())
    try:
        return _relative_range(text, today) or _numbered_range(text) or _absolute(text) or _one(_day(text, today))
    except (ValueError, OverflowError):
        return None


def _one(day: date | None) -> DateRange | None:
    return None if day is None else DateRange(day, day)


def _relative_range(text: str, today: date) -> DateRange | None:
    match = re.fullmatch(r"(?P<which>last|this|next) (?P<unit>week|month|quarter|year)", text, _FLAGS)
    if match is None:
        return None
    steps = {"last": -1, "this": 0, "next": 1}[match["which"].lower()]
    unit = match["unit"].lower()
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=steps)
        return DateRange(monday, monday + timedelta(days=6))
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = today.replace(day=1, month=(today.month - 1) // months * months + 1)
    return _months(first + relativedelta(months=steps * months), months)


def _months(first: date, months: int) -> DateRange:
    return DateRange(first, first + relativedelta(months=months) - timedelta(days=1))


def _numbered_range(text: str) -> DateRange | None:
    match = re.fullmatch(r"(?P<year>\d{4})(?:-(?P<kind>W|Q|)(?P<number>\d{1,2}))?", text, re.ASCII)
    if match is None:
        return None
    year, number = int(match["year"]), int(match["number"] or 1)
    match match["kind"]:
        case None:
            return _months(date(year, 1, 1), 12)
        case "W":
            monday = date.fromisocalendar(year, number, 1)
            return DateRange(monday, monday + timedelta(days=6))
        case "Q":
            return _months(date(year, number * 3 - 2, 1), 3)
        case _:
            return _months(date(year, number, 1), 1)


def _absolute(text: str) -> DateRange | None:
    if not re.fullmatch(rf"{_ISO}(?: {_ISO})?", text, re.ASCII):
        return None
    days = sorted(day for day in map(_iso, text.split()) if day is not None)
    # Of two dates, one that does not exist is ignored.
    return DateRange(days[0], days[-1]) if days else None


def _iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _day(text: str, today: date) -> date | None:
    words = {"today": 0, "now": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}
    if text.lower() in words:
        return today + timedelta(days=words[text.lower()])
    if match := _AHEAD.fullmatch(text) or _LATER.fullmatch(text):
        return today + _span(match["count"], match["unit"])
    if match := _AGO.fullmatch(text):
        return today - _span(match["count"], match["unit"])
    return _weekday(text, today) or _named(text, today)


def _span(count: str, unit: str) -> relativedelta:
    number = int(count) if count.isdigit() else 1 if count.lower() in {"a", "an"} else _NUMBERS.index(count.lower())
    match unit.lower():
        case "day":
            return relativedelta(days=number)
        case "week":
            return relativedelta(weeks=number)
        case "fortnight":
            return relativedelta(weeks=2 * number)
        case "month":
            return relativedelta(months=number)
        case "quarter":
            return relativedelta(months=3 * number)
        case _:
            return relativedelta(years=number)


def _weekday(text: str, today: date) -> date | None:
    match = _WEEKDAY.fullmatch(text)
    names = [] if match is None else [name for name in _WEEKDAYS if name.startswith(match["day"].lower())]
    if match is None or not names:
        return None
    wanted, present = _WEEKDAYS.index(names[0]), today.isoweekday() % 7
    match (match["which"] or "").lower():
        case "this":
            days = wanted - present
        case "next":
            days = wanted - present + 7
        case "last" | "past":
            days = wanted - present - 7
        case _:
            # The plugin takes the closest day of that name, before or after today.
            days = min((wanted - present + shift for shift in (0, -7, 7)), key=abs)
    return today + timedelta(days=days)


def _named(text: str, today: date) -> date | None:
    for pattern in _NAMED:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        month = next((name for name in _MONTHS if name.startswith(match["month"].lower())), "")
        spelled = match["month"].lower() + match["rest"].lower()
        if not month.startswith(spelled) and spelled != "sept":
            return None
        return date(int(match["year"] or today.year), _MONTHS.index(month) + 1, int(match["day"] or 1))
    return None
