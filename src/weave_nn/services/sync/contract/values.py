"""Values of the query language: numbers, dates, sizes, and comparisons of them."""

import re
from datetime import date, datetime, timedelta
from typing import get_args

from weave_nn.services.sync.contract.query import Literally, Operator

_OPERATOR = re.compile(r"(?:>=|<=|!=|>|<|=)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?))?)?)?")
_AGO = re.compile(r"(\d{1,4})(d|w|m|y)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|k|kb|m|mb)?", re.IGNORECASE)
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_BYTES = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2}
# What the databases can compare a column with.
_HIGHEST = 2**63 - 1
_NAMED_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def split_operator(raw: str) -> tuple[Operator, str]:
    """`>=5` gives `>=` and `5`; without an operator it is `=`."""
    found = _OPERATOR.match(raw)
    if found is None:
        return "=", raw
    operator = next(known for known in get_args(Operator) if known == found[0])
    return operator, raw[found.end() :]


def literal(text: str, now: datetime) -> Literally:
    """Everything that a value may mean; `now` (with a zone) gives a meaning to `today` and its like."""
    number = float(text) if _NUMBER.fullmatch(text) else None
    return Literally(text, number, iso_date(text, now))


def iso_date(text: str, now: datetime) -> str | None:
    """The ISO date that `text` names (`2026`, `2026-01`, `2026-01-31`, with a time, `today`, `7d` ago), or None."""
    if text in _NAMED_DAYS:
        return (now.date() + timedelta(days=_NAMED_DAYS[text])).isoformat()
    if ago := _AGO.fullmatch(text):
        days = int(ago[1]) * _DAYS[ago[2]]
        return (now.date() - timedelta(days=min(days, (now.date() - date.min).days))).isoformat()
    if found := _DATE.fullmatch(text):
        try:
            datetime.fromisoformat(f"{found[1]}-{found[2] or '01'}-{found[3] or '01'}T{found[4] or '00:00'}")
        except ValueError:
            return None
        return text.upper().replace(" ", "T")
    return None


def instants(iso: str, now: datetime) -> tuple[int, int]:
    """The first instant that an ISO date covers and the first one after it, in nanoseconds, in the zone of `now`.

    What lies beyond the times that a file can have is given as the first or the last of these.
    """
    first = datetime.fromisoformat(iso if "-" in iso[5:] else f"{iso}-01" if "-" in iso else f"{iso}-01-01")
    start = first.replace(tzinfo=now.tzinfo)
    try:
        after = _nanoseconds(_after(start, iso))
    except (OverflowError, ValueError):
        # The calendar ends with the year 9999.
        after = _HIGHEST
    return _nanoseconds(start), after


def size_bytes(text: str) -> int | None:
    """The bytes that `500`, `10kb` or `1.5M` name, or None."""
    found = _SIZE.fullmatch(text)
    return int(min(float(found[1]) * _BYTES[(found[2] or "").lower()], _HIGHEST // 2)) if found else None


def _after(start: datetime, iso: str) -> datetime:
    if "T" in iso:
        return start + timedelta(seconds=60 if iso.count(":") == 1 else 1)
    match iso.count("-"):
        case 0:
            return start.replace(year=start.year + 1)
        case 1:
            return (start + timedelta(days=31)).replace(day=1)
        case _:
            return start + timedelta(days=1)


def _nanoseconds(instant: datetime) -> int:
    return max(-_HIGHEST, min(int(instant.timestamp()) * 1_000_000_000, _HIGHEST))
