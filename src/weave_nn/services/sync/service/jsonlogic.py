"""JsonLogic (<https://jsonlogic.com/operations.html>), with `glob` and `regexp`.

Written here, since none of the packages is both maintained and open to further operators. An expression comes from a
client and is evaluated for every note: its depth and its patterns' time are bounded.
"""

import re
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from typing import Any

import regex

from weave_nn.services.sync.contract.errors import ExpressionRefused

NESTING_LIMIT = 40
TIME_LIMIT_SECONDS = 10.0
SIZE_LIMIT = 1_000_000
"""How large a value may become that an expression puts together: in characters and elements, of all that it holds."""

_PATTERN_LIMIT_CHARS = 1000
_HALF = re.compile("[\ud800-\udfff]")
_ABSENT = object()
_Evaluate = Callable[[Any, Any], Any]


def is_truthy(value: Any) -> bool:
    """Whether JsonLogic takes a value for true: an empty list is not, nor an empty object."""
    return bool(value)


def variables(logic: Any) -> set[str]:
    """The first parts of all variable names in an expression; the empty string stands for the whole note."""
    match logic:
        case {"var": name, **rest} if not rest:
            first = name[0] if isinstance(name, list) and name else name
            inner = variables(name) if not isinstance(name, str) else set()
            return inner | {first.partition(".")[0] if isinstance(first, str) else ""}
        case {"missing": _} | {"missing_some": _}:
            return {""}
        case dict():
            return set().union(*(variables(each) for each in logic.values()))
        case list():
            return set().union(*(variables(each) for each in logic))
        case _:
            return set()


class JsonLogic:
    """One expression, checked, to be evaluated against any number of values within `TIME_LIMIT_SECONDS` in all."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic
        self._deadline = time.monotonic() + TIME_LIMIT_SECONDS
        _check(logic, 0)

    def evaluate(self, data: Any) -> Any:
        """The value of the expression; raises `ExpressionRefused` where an operator cannot take its operands."""
        return self._value(self._logic, data)

    def _value(self, logic: Any, data: Any) -> Any:
        # Lists in lists multiply the work, so that it is not enough to look at the clock once for each note.
        if time.monotonic() > self._deadline:
            raise _too_slow()
        if isinstance(logic, list):
            return [self._value(each, data) for each in logic]
        if not isinstance(logic, dict) or len(logic) != 1:
            return logic
        ((operator, raw),) = logic.items()
        operands = raw if isinstance(raw, list) else [raw]
        if operator in _LAZY:
            return _LAZY[operator](self._value, operands, data)
        values = [self._value(each, data) for each in operands]
        try:
            if operator in _ABOUT_DATA:
                return _ABOUT_DATA[operator](data, values)
            return self._matches(*values) if operator == "regexp" else _EAGER[operator](values)
        except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
            raise ExpressionRefused(f"The operator {operator!r} cannot take {values!r:.200}: {error}.") from error

    def _matches(self, pattern: Any, value: Any) -> bool:
        if not isinstance(pattern, str) or len(pattern) > _PATTERN_LIMIT_CHARS:
            raise ExpressionRefused(f"'regexp' takes a pattern of at most {_PATTERN_LIMIT_CHARS} characters.")
        if not isinstance(value, str):
            return False
        try:
            remaining = max(0.01, self._deadline - time.monotonic())
            return regex.search(pattern, value, timeout=remaining) is not None
        except regex.error as error:
            raise ExpressionRefused(f"{pattern!r} is not a regular expression: {error}.") from error
        except TimeoutError as error:
            raise _too_slow() from error


def _if(value: _Evaluate, operands: list[Any], data: Any) -> Any:
    for position in range(0, len(operands) - 1, 2):
        if is_truthy(value(operands[position], data)):
            return value(operands[position + 1], data)
    return value(operands[-1], data) if len(operands) % 2 else None


def _until(value: _Evaluate, operands: list[Any], data: Any, *, stop: bool) -> Any:
    result: Any = None
    for each in operands:
        result = value(each, data)
        if is_truthy(result) is stop:
            break
    return result


def _applied(value: _Evaluate, operands: list[Any], data: Any) -> list[tuple[Any, Any]]:
    items = value(operands[0], data) if operands else None
    rule = operands[1] if len(operands) > 1 else None
    return [(item, value(rule, item)) for item in items] if isinstance(items, list) else []


def _truths(value: _Evaluate, operands: list[Any], data: Any) -> list[bool]:
    return [is_truthy(result) for _, result in _applied(value, operands, data)]


def _reduce(value: _Evaluate, operands: list[Any], data: Any) -> Any:
    items = value(operands[0], data) if operands else None
    rule = operands[1] if len(operands) > 1 else None
    result = value(operands[2], data) if len(operands) > 2 else None
    for item in items if isinstance(items, list) else []:
        # A rule that doubles what it is given needs few steps to fill the memory.
        (result,) = _bounded([value(rule, {"current": item, "accumulator": result})])
    return result


def _bounded(values: list[Any]) -> list[Any]:
    """The values; refused when all that they hold is larger than `SIZE_LIMIT`."""
    size = 0
    waiting = list(values)
    while waiting:
        each = waiting.pop()
        size += len(each) + 1 if isinstance(each, str | list | dict) else 1
        if size > SIZE_LIMIT:
            raise ExpressionRefused(f"The expression makes something larger than {SIZE_LIMIT} characters or elements.")
        if isinstance(each, list | dict):
            waiting += each.values() if isinstance(each, dict) else each
    return values


_LAZY: Mapping[str, Callable[[_Evaluate, list[Any], Any], Any]] = {
    "if": _if,
    "?:": _if,
    "and": partial(_until, stop=False),
    "or": partial(_until, stop=True),
    "map": lambda *given: [result for _, result in _applied(*given)],
    "filter": lambda *given: [item for item, result in _applied(*given) if is_truthy(result)],
    "all": lambda *given: bool(truths := _truths(*given)) and all(truths),
    "some": lambda *given: any(_truths(*given)),
    "none": lambda *given: not any(_truths(*given)),
    "reduce": _reduce,
}


def _check(logic: Any, depth: int) -> None:
    if depth > NESTING_LIMIT:
        raise ExpressionRefused(f"The expression is nested deeper than {NESTING_LIMIT}.")
    if isinstance(logic, str) and _HALF.search(logic):
        raise ExpressionRefused(f"{logic!a:.100} holds what is no whole character.")
    if isinstance(logic, dict) and len(logic) == 1:
        (operator,) = logic
        known = {*_LAZY, *_EAGER, *_ABOUT_DATA, "regexp"}
        if operator not in known:
            raise ExpressionRefused(
                f"The operator {operator!r} is not supported.", hint=f"Known are {', '.join(sorted(known))}."
            )
    children = logic.values() if isinstance(logic, dict) else logic if isinstance(logic, list) else ()
    for each in children:
        _check(each, depth + 1)


def _variable(data: Any, name: Any, default: Any = None) -> Any:
    if name in ("", None):
        return data
    value = data
    for part in str(name).split("."):
        if isinstance(value, dict):
            value = value.get(part, _ABSENT)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            value = _ABSENT
        if value is _ABSENT:
            return default
    return default if value is None else value


def _missing(data: Any, names: list[Any]) -> list[Any]:
    return [name for name in names if _variable(data, name) in (None, "")]


def _missing_some(data: Any, needed: int, names: list[Any]) -> list[Any]:
    missing = _missing(data, names)
    return [] if len(names) - len(missing) >= needed else missing


def _equal(one: Any, other: Any) -> bool:
    """Equality as in JavaScript's `==`, as far as JSON values go."""
    if isinstance(one, str) != isinstance(other, str) and not isinstance(one, list | dict | None):
        try:
            return float(one) == float(other)
        except (TypeError, ValueError):
            return False
    return bool(one == other)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _ordered(values: list[Any], compare: Callable[[Any, Any], bool]) -> bool:
    pairs = list(pairwise(values))
    for one, other in pairs:
        if one is None or other is None or isinstance(one, list | dict) or isinstance(other, list | dict):
            return False
        both_text = isinstance(one, str) and isinstance(other, str)
        try:
            if not (compare(one, other) if both_text else compare(float(one), float(other))):
                return False
        except ValueError:
            return False
    return bool(pairs)


def _sum(values: list[Any]) -> float:
    return sum(_number(value) for value in values)


def _product(values: list[Any]) -> float:
    product = 1.0
    for value in values:
        product *= _number(value)
    return int(product) if product.is_integer() else product


def _number(value: Any) -> float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _contains(values: list[Any]) -> bool:
    part, whole = values[0], values[1]
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return isinstance(whole, list) and any(_equal(part, each) for each in whole)


def _substring(values: list[Any]) -> str:
    text, start = str(values[0]), int(values[1])
    begin = max(0, len(text) + start) if start < 0 else start
    if len(values) < 3:
        return text[begin:]
    length = int(values[2])
    return text[begin:length] if length < 0 else text[begin : begin + length]


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _glob(values: list[Any]) -> bool:
    pattern, value = values
    return isinstance(pattern, str) and isinstance(value, str) and fnmatchcase(value, pattern)


_EAGER: Mapping[str, Callable[[list[Any]], Any]] = {
    "==": lambda values: _equal(values[0], values[1]),
    "===": lambda values: _same(values[0], values[1]),
    "!=": lambda values: not _equal(values[0], values[1]),
    "!==": lambda values: not _same(values[0], values[1]),
    "!": lambda values: not is_truthy(values[0]),
    "!!": lambda values: is_truthy(values[0]),
    ">": lambda values: _ordered(values, lambda one, other: one > other),
    ">=": lambda values: _ordered(values, lambda one, other: one >= other),
    "<": lambda values: _ordered(values, lambda one, other: one < other),
    "<=": lambda values: _ordered(values, lambda one, other: one <= other),
    "max": lambda values: max(map(_number, values)),
    "min": lambda values: min(map(_number, values)),
    "+": _sum,
    "*": _product,
    "-": lambda values: -_number(values[0]) if len(values) == 1 else _number(values[0]) - _number(values[1]),
    "/": lambda values: _number(_number(values[0]) / _number(values[1])),
    "%": lambda values: _number(values[0]) % _number(values[1]),
    "in": _contains,
    "cat": lambda values: "".join(map(_text, _bounded(values))),
    "merge": lambda values: [
        item for value in _bounded(values) for item in (value if isinstance(value, list) else [value])
    ],
    "substr": _substring,
    "glob": _glob,
}
_ABOUT_DATA: Mapping[str, Callable[[Any, list[Any]], Any]] = {
    "var": lambda data, values: _variable(data, *values[:2]) if values else data,
    "missing": lambda data, values: _missing(data, values[0] if values and isinstance(values[0], list) else values),
    "missing_some": lambda data, values: _missing_some(data, *values),
}


def _too_slow() -> ExpressionRefused:
    return ExpressionRefused(
        f"The expression takes longer than {TIME_LIMIT_SECONDS:g} seconds.",
        hint="Use a simpler pattern, or look at fewer things.",
    )
