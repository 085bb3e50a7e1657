"""Conditions of the query language as SQL."""

import operator
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from weave_nn.services.sync.adapters.fulltext import FullText
from weave_nn.services.sync.adapters.fulltext.analysis import fold
from weave_nn.services.sync.adapters.fulltext.analysis import phrase as analysed
from weave_nn.services.sync.contract.query import (
    And,
    Condition,
    Feature,
    FileIs,
    Has,
    Literally,
    Not,
    Operator,
    Or,
    PathIs,
    Property,
    Stat,
    Tagged,
    Text,
    conjunction,
    disjunction,
)
from weave_nn.services.sync.models import BlockRow, FileRow, HeadingRow, LinkRow, NoteRow, PropertyRow, TagRow
from weave_nn.services.sync.repository.records import fold_key, name_key

_COMPARE: dict[Operator, Any] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_HAVING: dict[Feature, Any] = {
    "aliases": select(PropertyRow.note_id).where(PropertyRow.name.in_(("aliases", "alias")), PropertyRow.text != ""),
    "backlinks": select(LinkRow.target_id).where(
        LinkRow.target_id.is_not(None), LinkRow.target_id != LinkRow.source_id
    ),
    "blocks": select(BlockRow.note_id),
    "embeds": select(LinkRow.source_id).where(LinkRow.kind.in_(("embed", "image"))),
    "headings": select(HeadingRow.note_id),
    "links": select(LinkRow.source_id),
    "properties": select(PropertyRow.note_id),
    "tags": select(TagRow.note_id),
    "tasks": select(NoteRow.id).where(NoteRow.tasks > 0),
    "unresolved": select(LinkRow.source_id).where(LinkRow.target_id.is_(None)),
}
"""For each feature the ids of the notes that have it."""

_STATS = {"modified": FileRow.mtime_ns, "created": FileRow.created_ns, "size": FileRow.size}


def searchable(condition: Condition) -> Condition | None:
    """The condition without the texts that hold only punctuation; None when nothing is left."""
    match condition:
        case Text(text):
            return condition if analysed(text) else None
        case Not(operand):
            kept = searchable(operand)
            return None if kept is None else Not(kept)
        case And(operands) | Or(operands):
            several = [kept for each in operands if (kept := searchable(each)) is not None]
            if not several:
                return None
            return conjunction(several) if isinstance(condition, And) else disjunction(several)
        case _:
            return condition


def texts(condition: Condition) -> list[Text]:
    """Every text that notes are wanted to hold, in the order of the query."""
    match condition:
        case Text():
            return [condition]
        case And(operands) | Or(operands):
            return [text for each in operands for text in texts(each)]
        case _:
            return []


def split(condition: Condition) -> tuple[Condition | None, list[Condition]]:
    """What full-text search alone can answer of a condition, and the conditions that must hold besides."""
    operands = condition.operands if isinstance(condition, And) else (condition,)
    wanted = [each for each in operands if _is_text(each)]
    if not wanted:
        return None, list(operands)
    unwanted = [each for each in operands if isinstance(each, Not) and _is_text(each.operand)]
    rest = [each for each in operands if each not in wanted and each not in unwanted]
    return conjunction([*wanted, *unwanted]), rest


def prominent(condition: Condition) -> Condition:
    """What full-text search can answer, with every text wanted in titles, aliases or headings."""
    match condition:
        case Text(column=None):
            return disjunction([replace(condition, column=column) for column in ("title", "heading")])
        case And(operands):
            return conjunction([prominent(each) for each in operands])
        case Or(operands):
            return disjunction([prominent(each) for each in operands])
        case _:
            return condition


def predicate(condition: Condition, fulltext: FullText) -> ColumnElement[bool]:
    """The condition about a row of `FileRow` joined with its `NoteRow`."""
    if _is_text(condition):
        return FileRow.id.in_(fulltext.matching(condition))
    match condition:
        case Not(operand):
            return not_(predicate(operand, fulltext))
        case And(operands):
            return and_(*(predicate(each, fulltext) for each in operands))
        case Or(operands):
            return or_(*(predicate(each, fulltext) for each in operands))
        case _:
            return _filter(condition)


def _filter(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case PathIs(pattern):
            return _like(FileRow.folded_path, fold(pattern))
        case FileIs(pattern):
            return _like(FileRow.name_key, name_key(pattern))
        case Tagged(tag):
            return FileRow.id.in_(select(TagRow.note_id).where(tag_or_below(tag)))
        case Has(feature):
            return FileRow.id.in_(_HAVING[feature])
        case Stat(name, compare, value):
            return _compare(compare, _STATS[name], value)
        case Property():
            return _property(condition)
        case _:
            raise ValueError(f"{condition} is no condition about a note")


def tag_or_below(tag: str) -> ColumnElement[bool]:
    """Rows of `TagRow` with this tag (in any case, with or without `#`), or with one that is nested below it."""
    key = fold_key(tag.lstrip("#").rstrip("/"))
    return or_(TagRow.tag_key == key, TagRow.tag_key.startswith(f"{key}/", autoescape=True))


def _is_text(condition: Condition) -> bool:
    match condition:
        case Text():
            return True
        case And(operands):
            wanted = [each for each in operands if not isinstance(each, Not)]
            unwanted = [each.operand for each in operands if isinstance(each, Not)]
            return bool(wanted) and all(map(_is_text, [*wanted, *unwanted]))
        case Or(operands):
            return all(map(_is_text, operands))
        case _:
            return False


def _like(column: Any, pattern: str) -> ColumnElement[bool]:
    if not set(pattern) & set("*?"):
        found: ColumnElement[bool] = column.contains(pattern, autoescape=True)
        return found
    for special in "\\%_":
        pattern = pattern.replace(special, f"\\{special}")
    whole: ColumnElement[bool] = column.like(pattern.replace("*", "%").replace("?", "_"), escape="\\")
    return whole


def _compare(compare: Operator, left: Any, right: Any) -> ColumnElement[bool]:
    compared: ColumnElement[bool] = _COMPARE[compare](left, right)
    return compared


def _property(condition: Property) -> ColumnElement[bool]:
    named = PropertyRow.name == fold_key(condition.name)
    there = FileRow.id.in_(select(PropertyRow.note_id).where(named))
    if condition.operator == "exists" or condition.value is None:
        return there
    if condition.operator == "!=":
        equal = select(PropertyRow.note_id).where(named, _value("=", condition.value))
        return and_(there, FileRow.id.not_in(equal))
    return FileRow.id.in_(select(PropertyRow.note_id).where(named, _value(condition.operator, condition.value)))


def _value(compare: Operator, value: Literally) -> ColumnElement[bool]:
    text = fold(value.text)
    meanings: list[ColumnElement[bool]] = []
    if value.prefix:
        return PropertyRow.text.startswith(text, autoescape=True)
    if value.number is not None:
        meanings.append(_compare(compare, PropertyRow.number, value.number))
    if value.date is not None:
        # As much of the date as was asked for: all of January is equal to 2026-01.
        meanings.append(_compare(compare, func.substr(PropertyRow.date, 1, len(value.date)), value.date))
    if compare == "=" or not meanings:
        meanings.append(_compare(compare, PropertyRow.text, text))
    return or_(*meanings)
