"""Values of the query language: numbers, dates, sizes, and comparisons of them."""

import re
from datetime import date, datetime, time, timedelta
from typing import get_args

from weave_nn.services.sync.contract.query import Literally, Operator

_OPERATOR = re.compile(r"(?:>=|<=|!=|>|<|=)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?))?)?)?")
_AGO = re.compile(r"(\d{1,4})(d|w|m|y)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|k|kb|m|mb)?", re.IGNORECASE)
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_BYTES = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2}
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
        return (now.date() - timedelta(days=int(ago[1]) * _DAYS[ago[2]])).isoformat()
    if found := _DATE.fullmatch(text):
        try:
            datetime.fromisoformat(f"{found[1]}-{found[2] or '01'}-{found[3] or '01'}T{found[4] or '00:00'}")
        except ValueError:
            return None
        return text.upper().replace(" ", "T")
    return None


def instants(iso: str, now: datetime) -> tuple[int, int]:
    """The first instant that an ISO date covers and the first one after it, in nanoseconds, in the zone of `now`."""
    if "T" in iso:
        start = datetime.fromisoformat(iso).replace(tzinfo=now.tzinfo)
        return _nanoseconds(start), _nanoseconds(start + timedelta(seconds=60 if iso.count(":") == 1 else 1))
    parts = [int(part) for part in iso.split("-")]
    year, month, day = parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1
    first = date(year, month, day)
    match len(parts):
        case 1:
            after = date(year + 1, 1, 1)
        case 2:
            after = (first + timedelta(days=31)).replace(day=1)
        case _:
            after = first + timedelta(days=1)
    return tuple(_nanoseconds(datetime.combine(each, time(), now.tzinfo)) for each in (first, after))  # type: ignore[return-value]  # two in, two out


def size_bytes(text: str) -> int | None:
    """The bytes that `500`, `10kb` or `1.5M` name, or None."""
    found = _SIZE.fullmatch(text)
    return int(float(found[1]) * _BYTES[(found[2] or "").lower()]) if found else None


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000_000
