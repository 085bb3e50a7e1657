"""Sorting and grouping: what the instructions `sort by …` and `group by …` order tasks by.

Sources: https://publish.obsidian.md/tasks/Queries/Sorting, https://publish.obsidian.md/tasks/Queries/Grouping
"""

import hashlib
import posixpath
import re
from collections.abc import Callable
from datetime import date
from typing import Final

from weave_nn.services.tasks.contract import DateField, Task
from weave_nn.services.tasks.service.querying import properties

Key = tuple[object, ...]
SortKey = Callable[[Task, date], Key]
GroupKey = Callable[[Task, date], list[tuple[Key, str]]]
_DATES: Final[tuple[DateField, ...]] = ("due", "scheduled", "start", "created", "done", "cancelled")


def _by_date(name: DateField) -> SortKey:
    def key(task: Task, _today: date) -> Key:
        day = task.date(name)
        if day is not None:
            return 1, day
        return (0, date.min) if name in task.invalid_dates else (2, date.max)

    return key


def _by_happens(task: Task, _today: date) -> Key:
    day = properties.happens(task)
    return (2, date.max) if day is None else (1, day)


def _by_description(task: Task, _today: date) -> Key:
    # As it is shown: without the marks of links, emphasis and highlights at its beginning.
    return (re.sub(r"^[\[*=_]+", "", task.title).casefold(),)


def _at_random(task: Task, today: date) -> Key:
    return (hashlib.sha256(f"{today} {task.title}".encode()).digest(),)


def by_tag(number: int) -> SortKey:
    """By the tag of this number, from 1; tasks with fewer come last."""

    def key(task: Task, _today: date) -> Key:
        return (1, "") if len(task.tags) < number else (0, task.tags[number - 1].casefold())

    return key


SORTS: Final[dict[str, SortKey]] = {
    **{name: _by_date(name) for name in _DATES},
    "happens": _by_happens,
    "status": lambda task, _: (properties.is_done(task),),
    "status.name": lambda task, _: (task.status_name.casefold(),),
    "status.type": lambda task, _: (properties.PLACE_OF_STATUS[task.status],),
    "urgency": lambda task, today: (-properties.urgency(task, today),),
    "priority": lambda task, _: (properties.PLACE_OF_PRIORITY[task.priority],),
    "recurring": lambda task, _: (task.recurrence is None,),
    "description": _by_description,
    "path": lambda task, _: (task.note_path.casefold(),),
    "filename": lambda task, _: (properties.filename(task).casefold(),),
    "heading": lambda task, _: (task.heading is not None, (task.heading or "").casefold()),
    "id": lambda task, _: ((task.reference or "").casefold(),),
    "random": _at_random,
}
# What every query is sorted by in the end.
DEFAULT_SORTS: Final = ("status.type", "urgency", "due", "priority", "path")


def _plain(name: Callable[[Task], str]) -> GroupKey:
    def groups(task: Task, _today: date) -> list[tuple[Key, str]]:
        text = name(task)
        return [((text,), text)]

    return groups


def _date_groups(name: DateField) -> GroupKey:
    def groups(task: Task, _today: date) -> list[tuple[Key, str]]:
        day = task.date(name)
        if day is not None:
            return [((0, str(day)), f"{day} {day:%A}")]
        if name in task.invalid_dates:
            return [((1, ""), f"Invalid {name} date")]
        return [((2, ""), f"No {name} date")]

    return groups


def _happens_group(task: Task, _today: date) -> list[tuple[Key, str]]:
    day = properties.happens(task)
    return [((1, ""), "No happens date")] if day is None else [((0, str(day)), f"{day} {day:%A}")]


def _priority_group(task: Task, _today: date) -> list[tuple[Key, str]]:
    name = "Normal" if task.priority == "none" else task.priority.capitalize()
    return [((properties.PLACE_OF_PRIORITY[task.priority],), f"{name} priority")]


def _urgency_group(task: Task, today: date) -> list[tuple[Key, str]]:
    score = round(properties.urgency(task, today), 2)
    return [((-score,), f"{score:.2f}")]


def _tag_groups(task: Task, _today: date) -> list[tuple[Key, str]]:
    return [((tag,), tag) for tag in task.tags] or [(("(No tags)",), "(No tags)")]


def _backlink(task: Task) -> str:
    name = posixpath.splitext(properties.filename(task))[0]
    return name if not task.heading or task.heading == name else f"{name} > {task.heading}"


GROUPS: Final[dict[str, GroupKey]] = {
    **{name: _date_groups(name) for name in _DATES},
    "happens": _happens_group,
    "status": _plain(lambda task: "Done" if properties.is_done(task) else "Todo"),
    "status.name": _plain(lambda task: task.status_name),
    "status.type": lambda task, _: [((properties.PLACE_OF_STATUS[task.status],), str(task.status))],
    "urgency": _urgency_group,
    "priority": _priority_group,
    "recurring": _plain(lambda task: "Not Recurring" if task.recurrence is None else "Recurring"),
    "recurrence": _plain(lambda task: task.recurrence or "None"),
    "tags": _tag_groups,
    "path": _plain(lambda task: posixpath.splitext(task.note_path)[0]),
    "root": _plain(properties.root),
    "folder": _plain(properties.folder),
    "filename": _plain(lambda task: posixpath.splitext(properties.filename(task))[0]),
    "heading": _plain(lambda task: task.heading or "(No heading)"),
    "backlink": _plain(_backlink),
    "id": _plain(lambda task: task.reference or ""),
}
