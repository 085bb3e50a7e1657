"""The properties of a task by which queries filter, sort and group."""

import posixpath
from collections.abc import Callable
from datetime import date
from typing import Final

from weave_nn.services.tasks.contract import OPEN, PRIORITIES, DateField, StatusType, Task

PLACE_OF_PRIORITY: Final[dict[str, int]] = {name: place for place, name in enumerate(PRIORITIES)}
PLACE_OF_STATUS: Final = {
    kind: place
    for place, kind in enumerate(
        (
            StatusType.IN_PROGRESS,
            StatusType.TODO,
            StatusType.ON_HOLD,
            StatusType.DONE,
            StatusType.CANCELLED,
            StatusType.NON_TASK,
        )
    )
}
_URGENCY_OF_PRIORITY: Final = {"highest": 9.0, "high": 6.0, "medium": 3.9, "none": 1.95, "low": 0.0, "lowest": -1.8}


def is_done(task: Task) -> bool:
    """Whether nothing is left to do."""
    return task.status not in OPEN


def has_date(task: Task, name: DateField) -> bool:
    """Whether the line has this date; one that does not exist counts."""
    return task.date(name) is not None or name in task.invalid_dates


def happens(task: Task) -> date | None:
    """The earliest of start, scheduled and due date."""
    return min((day for day in (task.start_date, task.scheduled_date, task.due_date) if day is not None), default=None)


def urgency(task: Task, today: date) -> float:
    """The plugin's score: the higher, the sooner it is to be done.

    Source: https://publish.obsidian.md/tasks/Advanced/Urgency
    """
    score = _URGENCY_OF_PRIORITY[task.priority]
    if task.due_date is not None:
        overdue = (today - task.due_date).days
        score += 12.0 * (1.0 if overdue >= 7 else 0.2 if overdue < -14 else (overdue + 14) * 0.8 / 21 + 0.2)
    if task.scheduled_date is not None and task.scheduled_date <= today:
        score += 5.0
    if task.start_date is not None and task.start_date > today:
        score -= 3.0
    return score


def folder(task: Task) -> str:
    """The note's folder, which ends in `/` and is `/` for the vault itself."""
    return posixpath.dirname(task.note_path) + "/"


def root(task: Task) -> str:
    """The first folder of the note's path."""
    first, slash, _ = task.note_path.partition("/")
    return first + "/" if slash else "/"


def filename(task: Task) -> str:
    """The note's file name."""
    return posixpath.basename(task.note_path)


def written_day(day: date) -> str:
    """A date as the plugin explains it: 2022-10-21 (Friday 21st October 2022)."""
    suffix = "th" if 10 < day.day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return f"{day} ({day:%A} {day.day}{suffix} {day:%B} {day.year})"


TEXTS: Final[dict[str, Callable[[Task], tuple[str, ...]]]] = {
    "description": lambda task: (task.title,),
    "path": lambda task: (task.note_path,),
    "folder": lambda task: (folder(task),),
    "filename": lambda task: (filename(task),),
    "root": lambda task: (root(task),),
    "heading": lambda task: (task.heading or "",),
    "tag": lambda task: task.tags,
    "tags": lambda task: task.tags,
    "id": lambda task: (task.reference or "",),
    "recurrence": lambda task: (task.recurrence or "",),
    "status.name": lambda task: (task.status_name,),
}
