"""Boolean combinations of filters: `(a) AND NOT (b)`.

Each filter stands between delimiters, one kind for the whole line: `()`, `[]`, `{}` or `""`. Operators are written in
capitals; NOT binds closest, then XOR, AND and OR.

Source: https://publish.obsidian.md/tasks/Queries/Combining+Filters
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from weave_nn.services.tasks.service.querying.filters import Filter, NotUnderstood, Test

MOST_NESTED = 30
_CLOSING: Final = {"(": ")", "[": "]", "{": "}", '"': '"'}
_BEGIN: Final = re.compile(r"(?:NOT\s*)*(?P<open>[(\[{\"])")
_OPERATOR: Final = re.compile(r"\s*(AND|OR|XOR|NOT)\b\s*")
_TITLES: Final = {"AND": "AND (All of):", "OR": "OR (At least one of):", "XOR": "XOR (Exactly one of):"}


def is_combination(text: str) -> bool:
    """Whether the line is meant as a combination."""
    return _BEGIN.match(text) is not None


def parse_combination(text: str, leaf: Callable[[str], Filter]) -> Filter:
    """Read a combination, its filters by `leaf`; raises `NotUnderstood`."""
    return _Reader(text, leaf).whole()


@dataclass(slots=True)
class _Reader:
    text: str
    leaf: Callable[[str], Filter]
    depth: int = 0
    at: int = 0

    def whole(self) -> Filter:
        if self.depth > MOST_NESTED:
            raise NotUnderstood(f"nests its filters more than {MOST_NESTED} deep")
        found = self.chain(["OR", "AND", "XOR"])
        if self.at < len(self.text.rstrip()):
            raise NotUnderstood(
                f"is no combination of filters from {self.text[self.at :]!r} on: put each filter between one kind of "
                "delimiters that it does not contain, such as [...], and AND, OR, XOR or NOT between them"
            )
        return found

    def chain(self, operators: list[str]) -> Filter:
        if not operators:
            return self.operand()
        parts = [self.chain(operators[1:])]
        while self.accepts(operators[0]):
            parts.append(self.chain(operators[1:]))
        return parts[0] if len(parts) == 1 else _combined(operators[0], parts)

    def accepts(self, operator: str) -> bool:
        match = _OPERATOR.match(self.text, self.at)
        # `OR NOT` and `AND NOT` are the operator followed by NOT.
        if match is None or match[1] != operator:
            return False
        self.at = match.end()
        return True

    def operand(self) -> Filter:
        if self.accepts("NOT"):
            part = self.operand()
            return Filter(lambda task, around: not part.test(task, around), ("NOT:", *_indented(part.explanation)))
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        opening = self.text[self.at : self.at + 1]
        if opening not in _CLOSING or not opening:
            raise NotUnderstood(f"needs a filter between delimiters at {self.text[self.at :]!r}")
        first = _BEGIN.match(self.text.lstrip())
        if first is not None and first["open"] != opening:
            raise NotUnderstood("mixes kinds of delimiters")
        end = self.matching(opening)
        inner = self.text[self.at + 1 : end].strip()
        self.at = end + 1
        nested = _BEGIN.match(inner)
        if nested is not None and nested["open"] == opening:
            return _Reader(inner, self.leaf, self.depth + 1).whole()
        part = self.leaf(inner)
        explanation = (f"{inner} =>", *_indented(part.explanation)) if part.explanation else (inner,)
        return replace(part, explanation=explanation)

    def matching(self, opening: str) -> int:
        closing = _CLOSING[opening]
        depth = 0
        for place in range(self.at, len(self.text)):
            if self.text[place] == closing and (place > self.at or opening != closing):
                depth -= 1
                if depth == 0 or opening == closing:
                    return place
            elif self.text[place] == opening:
                depth += 1
        raise NotUnderstood(f"lacks a closing {closing}")


def _combined(operator: str, parts: list[Filter]) -> Filter:
    explanation = (_TITLES[operator], *(line for part in parts for line in _indented(part.explanation)))
    if operator != "AND":
        return Filter(_any(parts) if operator == "OR" else _odd(parts), explanation)
    # What holds for one part of an AND holds for the whole; the last part that says something is as good as any.
    statuses = next((part.statuses for part in reversed(parts) if part.statuses), ())
    bounds = {name: days for part in parts for name, days in part.bounds.items()}
    return Filter(_all(parts), explanation, statuses, bounds, " ".join(part.words for part in parts if part.words))


def _all(parts: list[Filter]) -> Test:
    return lambda task, around: all(part.test(task, around) for part in parts)


def _any(parts: list[Filter]) -> Test:
    return lambda task, around: any(part.test(task, around) for part in parts)


def _odd(parts: list[Filter]) -> Test:
    return lambda task, around: sum(part.test(task, around) for part in parts) % 2 == 1


def _indented(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"  {line}" for line in lines)
