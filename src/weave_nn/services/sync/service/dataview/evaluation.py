"""Dataview queries: the table that one gives over the notes of a vault."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from weave_nn.services.sync.contract.errors import ExpressionRefused
from weave_nn.services.sync.contract.results import Evaluated
from weave_nn.services.sync.service.dataview.syntax import (
    Call,
    Expression,
    Field,
    Folder,
    Operation,
    Source,
    Sources,
    Table,
    Tag,
    Value,
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_DAYS = {"day": 1.0, "d": 1.0, "week": 7.0, "w": 7.0, "wk": 7.0, "month": 30.0, "mo": 30.0, "year": 365.0, "yr": 365.0}
_SECONDS = {"hour": 3600.0, "h": 3600.0, "hr": 3600.0, "minute": 60.0, "m": 60.0, "min": 60.0, "second": 1.0, "s": 1.0}
_NAMED_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class Row(NamedTuple):
    """A note as a query sees it: its path, its tags, its `file.` fields and its frontmatter, by lower-case names."""

    path: str
    tags: tuple[str, ...]
    file: Mapping[str, Any]
    fields: Mapping[str, Any]


def answer(table: Table, rows: Iterable[Row], now: datetime, limit: int) -> tuple[Evaluated, ...]:
    """The rows of the table that fit, in order; values are JSON, dates ISO 8601."""
    evaluate = _Evaluation(now)
    found = [row for row in rows if _is_from(table.source, row) and evaluate.holds(table.conditions, row)]
    for expression, descending in reversed(table.order):
        found.sort(key=lambda row: _sort_key(evaluate.value(expression, row)), reverse=descending)
    wanted = limit if table.limit is None else min(limit, table.limit)
    return tuple(
        Evaluated(row.path, {column.name: _json(evaluate.value(column.expression, row)) for column in table.columns})
        for row in found[:wanted]
    )


def _is_from(source: Source | None, row: Row) -> bool:
    match source:
        case None | Folder(""):
            return True
        case Folder(path):
            return row.path.startswith(f"{path}/") or row.path in {path, f"{path}.md"}
        case Tag(name):
            wanted = name.lower()
            return any(tag.lower() == wanted or tag.lower().startswith(f"{wanted}/") for tag in row.tags)
        case Sources("!", left):
            return not _is_from(left, row)
        case Sources("and", left, right):
            return _is_from(left, row) and _is_from(right, row)
        case Sources(_, left, right):
            return _is_from(left, row) or _is_from(right, row)


class _Evaluation:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def holds(self, conditions: Iterable[Expression], row: Row) -> bool:
        return all(bool(self.value(condition, row)) for condition in conditions)

    def value(self, expression: Expression, row: Row) -> Any:
        match expression:
            case Value(value):
                return value
            case Field(name):
                return _field(name, row)
            case Call(function, arguments):
                return self._call(function, [self.value(each, row) for each in arguments])
            case Operation("!", left):
                return not self.value(left, row)
            case Operation("and" | "or" as sign, left, right):
                first = self.value(left, row)
                return self.value(right, row) if bool(first) is (sign == "and") else first
            case Operation(sign, left, right):
                return self._operated(sign, self.value(left, row), self.value(right, row))

    def _operated(self, sign: str, left: Any, right: Any) -> Any:
        if isinstance(left, datetime) != isinstance(right, datetime) and not isinstance(left, timedelta):
            # The frontmatter holds dates as text.
            left, right = self._dated(left), self._dated(right)
        if sign in {"=", "!="}:
            return (left == right) is (sign == "=")
        if left is None or right is None:
            return False if sign in _COMPARISONS else None
        try:
            return _COMPARISONS[sign](left, right) if sign in _COMPARISONS else _ARITHMETIC[sign](left, right)
        except (TypeError, ZeroDivisionError, OverflowError):
            # Notes differ in what they put into a field; one that does not fit is no reason to refuse the others.
            return False if sign in _COMPARISONS else None

    def _dated(self, value: Any) -> Any:
        return (self._date(value) or value) if isinstance(value, str) else value

    def _call(self, function: str, values: list[Any]) -> Any:
        functions: Mapping[str, Callable[..., Any]] = {"date": self._to_date, **_FUNCTIONS}
        try:
            return functions[function](*values)
        except TypeError as error:
            raise ExpressionRefused(f"{function}() cannot take {values!r:.200}: {error}.") from error

    def _to_date(self, value: Any) -> Any:
        return value if isinstance(value, datetime) else self._date(str(value))

    def _date(self, text: str) -> datetime | None:
        word = text.strip().lower()
        midnight = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        if word == "now":
            return self._now
        if word in _NAMED_DAYS:
            return midnight + timedelta(days=_NAMED_DAYS[word])
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=self._now.tzinfo)


def _field(name: str, row: Row) -> Any:
    first, _, rest = name.lower().partition(".")
    if first == "file":
        if rest not in row.file:
            known = ", ".join(sorted(row.file))
            raise ExpressionRefused(f"The field {name!r} is not supported.", hint=f"Of file. there are {known}.")
        return row.file[rest]
    value: Any = row.fields.get(first, row.fields.get(first.replace("-", " ")))
    for part in rest.split(".") if rest else ():
        lowered = {str(key).lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}
        value = lowered.get(part)
    return value


def _duration(text: str) -> timedelta:
    total = timedelta()
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip(" ,"):
        raise ExpressionRefused(f"{text!r} is not a duration.", hint="Write dur(7 days).")
    for amount, unit in parts:
        singular = unit.lower().rstrip("s") or unit.lower()
        if singular not in _DAYS and singular not in _SECONDS:
            raise ExpressionRefused(f"{unit!r} is not a unit of time.", hint="Write dur(7 days).")
        seconds = _SECONDS.get(singular) or _DAYS[singular] * 86_400
        total += timedelta(seconds=min(float(amount) * seconds, 1e11))
    return total


def _contains(whole: Any, part: Any, *, ignore_case: bool) -> bool:
    if isinstance(whole, list | tuple):
        return any(_contains(each, part, ignore_case=ignore_case) for each in whole)
    if isinstance(whole, dict):
        return part in whole
    if isinstance(whole, str) and isinstance(part, str):
        return part.lower() in whole.lower() if ignore_case else part in whole
    return whole is not None and bool(whole == part)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "contains": lambda whole, part: _contains(whole, part, ignore_case=False),
    "icontains": lambda whole, part: _contains(whole, part, ignore_case=True),
    "default": lambda value, otherwise: otherwise if value is None else value,
    "dur": lambda value: _duration(str(value)),
    "endswith": lambda value, part: value is not None and str(value).endswith(str(part)),
    "length": lambda value: 0 if value is None else len(value),
    "lower": lambda value: None if value is None else str(value).lower(),
    "startswith": lambda value, part: value is not None and str(value).startswith(str(part)),
    "upper": lambda value: None if value is None else str(value).upper(),
}


def _sort_key(value: Any) -> tuple[int, Any]:
    match value:
        case None:
            return (0, 0)
        case bool() | int() | float():
            return (1, value)
        case datetime():
            return (2, value.timestamp())
        case _:
            return (3, str(value).lower())


def _json(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case tuple():
            return list(value)
        case _:
            return value
