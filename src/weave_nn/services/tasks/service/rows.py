"""Between lines, rows and tasks."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from weave_nn.services.tasks.contract import PRIORITIES, DateField, StatusType, Task
from weave_nn.services.tasks.models import TaskRow
from weave_nn.services.tasks.service.statuses import Statuses
from weave_nn.vault.task_line import DATES, Field, TaskLine, day_of

_PLACE_OF_PRIORITY: Final[dict[str, int]] = {name: place for place, name in enumerate(PRIORITIES)}
_DATE_COLUMNS: Final = tuple((f"{field}_date", field) for field in DATES)
_DATE_FIELDS: Final[tuple[DateField, ...]] = ("due", "scheduled", "start", "created", "done", "cancelled")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: its note and that note's project, its number from 1 (0: nowhere yet), the heading above."""

    note_path: str
    project_id: str | None
    line: int
    heading: str | None


def columns_of(line: TaskLine, place: Place, statuses: Statuses) -> dict[str, Any]:
    """The columns of a task that its line and place say."""
    folded = " ".join(tag.casefold() for tag in line.tags)
    values = line.values
    days: dict[Field, date | None] = {field: day_of(values[field]) for field in DATES if field in values}
    return {
        "title": line.description,
        "status": str(statuses.of(line.symbol).type),
        "status_symbol": line.symbol,
        "priority": _PLACE_OF_PRIORITY[values.get(Field.PRIORITY, "none")],
        **{column: days.get(field) for column, field in _DATE_COLUMNS},
        "invalid_dates": ",".join(field for field, day in days.items() if day is None),
        "recurrence": values.get(Field.RECURRENCE),
        "on_completion": values.get(Field.ON_COMPLETION),
        "tags": "\n".join(line.tags),
        "tags_folded": f" {folded} ",
        "reference": values.get(Field.ID),
        "depends_on": ",".join(line.depends_on),
        "block_id": line.block_id,
        "indent": line.indent,
        "text": line.text,
        **place_columns(line.description, place),
    }


def place_columns(title: str, place: Place) -> dict[str, Any]:
    """The columns of a task that only its place says."""
    return {
        "note_path": place.note_path,
        "project_id": place.project_id,
        "line": place.line,
        "heading": place.heading,
        "search_text": "\n".join([title, place.heading or "", place.note_path]).casefold(),
    }


def new_values(columns: dict[str, Any], vault_id: str, source: str, noted_text: str | None) -> dict[str, Any]:
    """All columns of a new task."""
    now = datetime.now(UTC)
    return {
        **columns,
        "id": str(uuid.uuid4()),
        "vault_id": vault_id,
        "source": source,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "noted_text": noted_text,
        "before_text": None,
        "pending_edit": None,
        "anchor_id": None,
        "deleted": False,
    }


def assign(row: TaskRow, columns: dict[str, Any]) -> None:
    """Give a row new values; those that are the same are left alone."""
    for name, value in columns.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def task_of(row: Any, statuses: Statuses) -> Task:
    """The task that a row, or the columns of one, holds."""
    return Task(
        id=row.id,
        vault_id=row.vault_id,
        project_id=row.project_id,
        title=row.title,
        status=StatusType(row.status),
        status_symbol=row.status_symbol,
        status_name=statuses.of(row.status_symbol).name,
        priority=PRIORITIES[row.priority],
        due_date=row.due_date,
        scheduled_date=row.scheduled_date,
        start_date=row.start_date,
        created_date=row.created_date,
        done_date=row.done_date,
        cancelled_date=row.cancelled_date,
        invalid_dates=_named(row.invalid_dates) if row.invalid_dates else (),
        recurrence=row.recurrence,
        on_completion=row.on_completion,
        tags=tuple(row.tags.split("\n")) if row.tags else (),
        reference=row.reference,
        depends_on=tuple(row.depends_on.split(",")) if row.depends_on else (),
        note_path=row.note_path,
        line=row.line,
        indent=row.indent,
        heading=row.heading,
        block_id=row.block_id,
        text=row.text,
        source=row.source,
        pending=row.pending_edit is not None or row.noted_text != row.text,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _named(names: str) -> tuple[DateField, ...]:
    return tuple(name for name in _DATE_FIELDS if name in names.split(","))
