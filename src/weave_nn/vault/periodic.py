"""Daily, weekly, monthly, quarterly and yearly notes, by the vault's own settings.

The settings are those of Obsidian's Daily notes (`.obsidian/daily-notes.json`) and of the community plugin Periodic
Notes (`.obsidian/plugins/periodic-notes/data.json`), which has them for every period and goes before the former.
File names are made with the format tokens of Moment.js, in English, weeks beginning on Sunday as its default has it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from weave_nn.shared.errors import InvalidInput, WeaveError

DAILY_NOTES_PATH = ".obsidian/daily-notes.json"
PERIODIC_NOTES_PATH = ".obsidian/plugins/periodic-notes/data.json"

_NAMED_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NAMED_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_TOKEN = re.compile(
    r"\[([^\[\]]*)\]|YYYY|YY|Y|Qo|Q|MMMM|MMM|MM|Mo|M|DDDD|DDDo|DDD|DD|Do|D|dddd|ddd|dd|do|d|e|E|WW|Wo|W|ww|wo|w"
    r"|gggg|gg|GGGG|GG|HH|H|hh|h|kk|k|mm|m|ss|s|SSS|A|a|X|x|ZZ|Z|\\.|.",
    re.DOTALL,
)
_ISO_WEEK_TOKENS = {"GGGG", "GG", "WW", "Wo", "W", "E"}
_PLACEHOLDER = re.compile(r"\{\{\s*(date|time|title)\s*(?::([^}\n]*))?\}\}", re.IGNORECASE)


class Period(StrEnum):
    """How often a note is begun."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


_DEFAULT_FORMATS = {
    Period.DAILY: "YYYY-MM-DD",
    Period.WEEKLY: "gggg-[W]ww",
    Period.MONTHLY: "YYYY-MM",
    Period.QUARTERLY: "YYYY-[Q]Q",
    Period.YEARLY: "YYYY",
}


class PeriodDisabled(WeaveError):
    """The vault's settings do not have notes of this period."""

    status = HTTPStatus.NOT_FOUND
    code = "period_disabled"
    title = "Period disabled"


@dataclass(frozen=True, slots=True)
class PeriodSettings:
    """Where the notes of one period stand: `folder` from the vault's root, `template` a path or None."""

    format: str
    folder: str = ""
    template: str | None = None


@dataclass(frozen=True, slots=True)
class PeriodicSettings:
    """The periods that are on."""

    periods: dict[Period, PeriodSettings]

    def of(self, period: Period) -> PeriodSettings:
        """The settings of a period. Raises `PeriodDisabled`."""
        if period not in self.periods:
            raise PeriodDisabled(
                f"The vault has no {period} notes.", hint="Turn them on in Obsidian's plugin Periodic Notes."
            )
        return self.periods[period]


def read_settings(daily_notes: bytes | None, periodic_notes: bytes | None) -> PeriodicSettings:
    """The settings from the contents of the two files, None for one that is missing.

    Daily notes are on unless Periodic Notes is there and has them off. What is not as expected counts as not given.
    """
    periods: dict[Period, PeriodSettings] = {}
    plugin = _json_object(periodic_notes)
    for period in Period:
        given = plugin.get(period)
        if isinstance(given, dict) and given.get("enabled") is True:
            periods[period] = _period(given, period)
    if Period.DAILY not in periods and not isinstance(plugin.get(Period.DAILY), dict):
        periods[Period.DAILY] = _period(_json_object(daily_notes), Period.DAILY)
    return PeriodicSettings(periods)


def periodic_path(settings: PeriodicSettings, period: Period, day: date) -> str:
    """The vault path of the note of the period that `day` falls in. Raises `PeriodDisabled`."""
    chosen = settings.of(period)
    name = format_moment(_noon(_first_day(period, day, chosen.format)), chosen.format)
    path = "/".join(part for part in (*chosen.folder.split("/"), *name.split("/")) if part)
    return path if path.lower().endswith(".md") else f"{path}.md"


def template_path(settings: PeriodicSettings, period: Period) -> str | None:
    """The vault path of the template of a period's notes, None when there is none. Raises `PeriodDisabled`."""
    template = settings.of(period).template
    if template is None:
        return None
    return template if template.lower().endswith(".md") else f"{template}.md"


def expand_template(text: str, *, title: str, day: date, now: datetime) -> str:
    """The template with `{{date}}`, `{{time}}` and `{{title}}` filled in, each but the last with `:FORMAT` if wanted.

    `day` is the day of the note, `now` gives the time. What else stands in double braces stays.
    """
    moment = datetime.combine(day, now.time())
    defaults = {"date": "YYYY-MM-DD", "time": "HH:mm"}

    def expanded(match: re.Match[str]) -> str:
        name = match[1].lower()
        return title if name == "title" else format_moment(moment, (match[2] or "").strip() or defaults[name])

    return _PLACEHOLDER.sub(expanded, text)


def format_moment(moment: datetime, pattern: str) -> str:
    """The time in a format of Moment.js. Raises `InvalidInput` for a format with a token that is not known here."""
    return "".join(_formatted(match, moment) for match in _TOKEN.finditer(pattern))


def _formatted(match: re.Match[str], moment: datetime) -> str:
    if match[1] is not None:
        return match[1]
    text = match[0]
    if text.startswith("\\"):
        return text[1:]
    if text in "LlzNy":
        raise InvalidInput(
            f"{text!r} in the date format {match.string!r} is not supported.", hint=f"Write literal text as [{text}]."
        )
    try:
        return _FORMATS[text](moment) if text in _FORMATS else text
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInput(
            f"The platform cannot tell {text!r} of {moment.date()}.", hint="Take a day nearer to the present."
        ) from error


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12))


def _first_day(period: Period, day: date, pattern: str) -> date:
    """The day that a note is named after: the first of its period, so that every day of one leads to the same note.

    ISO weeks begin on Monday, Moment's English ones on Sunday; the format says which are meant.
    """
    match period:
        case Period.DAILY:
            return day
        case Period.WEEKLY:
            is_iso = any(match[0] in _ISO_WEEK_TOKENS for match in _TOKEN.finditer(pattern))
            passed = day.weekday() if is_iso else _weekday(day)
            return day - timedelta(days=min(passed, (day - date.min).days))
        case Period.MONTHLY:
            return day.replace(day=1)
        case Period.QUARTERLY:
            return day.replace(month=3 * _quarter(day) - 2, day=1)
        case Period.YEARLY:
            return day.replace(month=1, day=1)
    raise AssertionError(period)


def _weekday(day: date) -> int:
    """From Sunday, which is 0."""
    return day.isoweekday() % 7


def _quarter(day: date) -> int:
    return (day.month + 2) // 3


def _locale_week(day: date) -> tuple[int, int]:
    """Year and week where weeks begin on Sunday and the one with the first of January is the first."""
    # The Saturday of a week is in the year that the week belongs to.
    saturday = day.toordinal() + 6 - _weekday(day)
    year = date.fromordinal(min(saturday, date.max.toordinal())).year
    first = date(year, 1, 1)
    return year, (day.toordinal() - (first.toordinal() - _weekday(first))) // 7 + 1


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _day_of_year(moment: date) -> int:
    return moment.timetuple().tm_yday


_FORMATS: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda t: f"{t.year:04}",
    "Y": lambda t: str(t.year),
    "YY": lambda t: f"{t.year % 100:02}",
    "Q": lambda t: str(_quarter(t)),
    "Qo": lambda t: _ordinal(_quarter(t)),
    "MMMM": lambda t: _NAMED_MONTHS[t.month - 1],
    "MMM": lambda t: _NAMED_MONTHS[t.month - 1][:3],
    "MM": lambda t: f"{t.month:02}",
    "Mo": lambda t: _ordinal(t.month),
    "M": lambda t: str(t.month),
    "DDDD": lambda t: f"{_day_of_year(t):03}",
    "DDDo": lambda t: _ordinal(_day_of_year(t)),
    "DDD": lambda t: str(_day_of_year(t)),
    "DD": lambda t: f"{t.day:02}",
    "Do": lambda t: _ordinal(t.day),
    "D": lambda t: str(t.day),
    "dddd": lambda t: _NAMED_DAYS[_weekday(t)],
    "ddd": lambda t: _NAMED_DAYS[_weekday(t)][:3],
    "dd": lambda t: _NAMED_DAYS[_weekday(t)][:2],
    "do": lambda t: _ordinal(_weekday(t)),
    "d": lambda t: str(_weekday(t)),
    "e": lambda t: str(_weekday(t)),
    "E": lambda t: str(t.isoweekday()),
    "WW": lambda t: f"{t.isocalendar().week:02}",
    "Wo": lambda t: _ordinal(t.isocalendar().week),
    "W": lambda t: str(t.isocalendar().week),
    "ww": lambda t: f"{_locale_week(t)[1]:02}",
    "wo": lambda t: _ordinal(_locale_week(t)[1]),
    "w": lambda t: str(_locale_week(t)[1]),
    "gggg": lambda t: f"{_locale_week(t)[0]:04}",
    "gg": lambda t: f"{_locale_week(t)[0] % 100:02}",
    "GGGG": lambda t: f"{t.isocalendar().year:04}",
    "GG": lambda t: f"{t.isocalendar().year % 100:02}",
    "HH": lambda t: f"{t.hour:02}",
    "H": lambda t: str(t.hour),
    "hh": lambda t: f"{(t.hour + 11) % 12 + 1:02}",
    "h": lambda t: str((t.hour + 11) % 12 + 1),
    "kk": lambda t: f"{t.hour or 24:02}",
    "k": lambda t: str(t.hour or 24),
    "mm": lambda t: f"{t.minute:02}",
    "m": lambda t: str(t.minute),
    "ss": lambda t: f"{t.second:02}",
    "s": lambda t: str(t.second),
    "SSS": lambda t: f"{t.microsecond // 1000:03}",
    "A": lambda t: "AM" if t.hour < 12 else "PM",
    "a": lambda t: "am" if t.hour < 12 else "pm",
    "Z": lambda t: t.astimezone().isoformat()[-6:],
    "ZZ": lambda t: t.astimezone().strftime("%z"),
    "X": lambda t: str(int(t.timestamp())),
    "x": lambda t: str(int(t.timestamp() * 1000)),
}


def _json_object(content: bytes | None) -> dict[str, Any]:
    try:
        loaded = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        # A settings file that Obsidian is just writing, or that was damaged, must not take the notes away.
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _period(given: dict[str, Any], period: Period) -> PeriodSettings:
    def text(name: str) -> str:
        value = given.get(name)
        return value.strip() if isinstance(value, str) else ""

    return PeriodSettings(
        format=text("format") or _DEFAULT_FORMATS[period],
        folder=text("folder").strip("/"),
        template=text("template").strip("/") or text("templatePath").strip("/") or None,
    )
