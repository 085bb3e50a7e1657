"""The task service's door: what can be asked of tasks.

A task is a list item with a checkbox, in the format of the obsidian-tasks plugin. `version` counts its changes: whoever
changes a task may say with `version` which one they saw, and a stale one raises `StaleTask` with the present one.
Every method that takes a `task_id` raises `TaskNotFound` for one that is not there.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, Protocol

from weave_nn.shared.contracts import command, database_only, query
from weave_nn.shared.errors import Conflict, InvalidInput, NotFound, PreconditionFailed


class StatusType(StrEnum):
    """What a status symbol means, as in obsidian-tasks."""

    TODO = "TODO"
    IN_PROGRESS = "IN_PROGRESS"
    ON_HOLD = "ON_HOLD"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    NON_TASK = "NON_TASK"


OPEN = (StatusType.TODO, StatusType.IN_PROGRESS, StatusType.ON_HOLD)
Priority = Literal["highest", "high", "medium", "none", "low", "lowest"]
PRIORITIES: tuple[Priority, ...] = ("highest", "high", "medium", "none", "low", "lowest")
DateField = Literal["due", "scheduled", "start", "created", "done", "cancelled"]
Sort = Literal[
    "due", "scheduled", "start", "created", "done", "cancelled", "priority", "status", "title", "path", "created_at",
    "updated_at",
]  # fmt: skip
Grouping = Literal["status", "priority", "project_id", "note_path", "heading", "due_date", "source", "tag"]


class TaskNotFound(NotFound):
    """There is no such task (any more)."""

    code = "task_not_found"
    title = "Task not found"

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"There is no task {task_id!r}.",
            hint="Find tasks first; a task whose line was deleted from its note is gone.",
            task_id=task_id,
        )


class StaleTask(PreconditionFailed):
    """The task was changed since the caller saw it; nothing was done."""

    code = "stale_task"
    title = "Stale task"

    def __init__(self, task_id: str, current: int) -> None:
        super().__init__(
            f"The task {task_id!r} was changed by somebody else; it is at version {current} now.",
            hint="Read the task again, then repeat the change with that version.",
            current_etag=str(current),
            current_version=current,
        )


class IdempotencyKeyReused(Conflict):
    """The key came with another request before; nothing was done."""

    code = "idempotency_key_reused"
    title = "Idempotency key used for another request"


class QueryRefused(InvalidInput):
    """The query cannot be run; `fields["line"]` is the line (from 1) that is not understood or not supported."""

    code = "query_refused"
    title = "Query refused"

    def __init__(self, line: int, text: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"Line {line} of the query, {text!r}: {reason}.", hint=hint, field="query", line=line)


class QueryTooSlow(InvalidInput):
    """The query's regular expressions took longer than they may."""

    code = "query_too_slow"
    title = "Query too slow"


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    `id` is ours and stays when the line moves or is edited; `reference` is the 🆔 by which tasks in notes name each
    other, and what `depends_on` holds. `title` is the text with its tags and without its fields. `invalid_dates` names
    the date fields whose day does not exist (they have no value). `created_date` is what the line says, `created_at`
    when the service first saw it. `line` counts from 1 and is 0 until the line stands in the note; `pending` says that
    the note does not have the latest change yet. `source` is `note`, or what made it: `api`, `mcp`, `cli`.
    """

    id: str
    vault_id: str
    project_id: str | None
    title: str
    status: StatusType
    status_symbol: str
    status_name: str
    priority: Priority
    due_date: date | None
    scheduled_date: date | None
    start_date: date | None
    created_date: date | None
    done_date: date | None
    cancelled_date: date | None
    invalid_dates: tuple[DateField, ...]
    recurrence: str | None
    on_completion: str | None
    tags: tuple[str, ...]
    reference: str | None
    depends_on: tuple[str, ...]
    note_path: str
    line: int
    indent: str
    heading: str | None
    block_id: str | None
    text: str
    source: str
    pending: bool
    version: int
    created_at: datetime
    updated_at: datetime

    def date(self, field: DateField) -> date | None:
        """One of the six dates."""
        days: dict[DateField, date | None] = {
            "due": self.due_date,
            "scheduled": self.scheduled_date,
            "start": self.start_date,
            "created": self.created_date,
            "done": self.done_date,
            "cancelled": self.cancelled_date,
        }
        return days[field]


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be made.

    `title` may hold tags, and fields in the plugin's notation ("buy milk 📅 2026-12-01"); what is given here in its own
    field comes first. The line goes to `note_path` under `heading`; without one to the tasks note of `project_id`, else
    to the inbox note.
    """

    title: str
    note_path: str | None = None
    heading: str | None = None
    project_id: str | None = None
    status_symbol: str = " "
    priority: Priority | None = None
    due_date: date | None = None
    scheduled_date: date | None = None
    start_date: date | None = None
    created_date: date | None = None
    recurrence: str | None = None
    on_completion: Literal["keep", "delete"] | None = None
    reference: str | None = None
    depends_on: tuple[str, ...] = ()
    source: str = "api"


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """Changes of a task: None leaves a field as it is, and `clear` names the fields that are to be taken away.

    `clear` takes priority, due_date, scheduled_date, start_date, created_date, done_date, cancelled_date, recurrence,
    on_completion, reference and depends_on.
    """

    title: str | None = None
    status_symbol: str | None = None
    priority: Priority | None = None
    due_date: date | None = None
    scheduled_date: date | None = None
    start_date: date | None = None
    created_date: date | None = None
    done_date: date | None = None
    cancelled_date: date | None = None
    recurrence: str | None = None
    on_completion: Literal["keep", "delete"] | None = None
    reference: str | None = None
    depends_on: tuple[str, ...] | None = None
    clear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskSelection:
    """Which tasks are meant: all that satisfy every given condition. Lists mean any of their values.

    Dates are inclusive bounds, by field ("due", …); a task without that date is outside of both. `tags` take a tag with
    all that is nested below it. `text` must occur in the title, heading, path or tags, in any case, each word of it.
    `path` is a note, or a folder when it ends in `/`.
    """

    status: tuple[StatusType, ...] = ()
    status_symbol: str | None = None
    priority: tuple[Priority, ...] = ()
    project_id: str | None = None
    path: str | None = None
    heading: str | None = None
    tags: tuple[str, ...] = ()
    text: str | None = None
    reference: str | None = None
    block_id: str | None = None
    depends_on: str | None = None
    source: str | None = None
    recurring: bool | None = None
    pending: bool | None = None
    from_date: dict[DateField, date] = field(default_factory=dict)
    to_date: dict[DateField, date] = field(default_factory=dict)
    has_date: tuple[DateField, ...] = ()
    no_date: tuple[DateField, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks asked for; `next_cursor` asks for the following ones and is None at the end."""

    tasks: tuple[Task, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class GroupCount:
    """How many tasks have one value of the field that was counted by; None where they have none."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A task that was completed. `task` is None when 🏁 delete took it away; `next` is a recurring task's next one."""

    task: Task | None
    next: Task | None


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks under the headings of the query's `group by` lines, one heading a line; none when it has no such line."""

    headings: tuple[str, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query found. `total` counts before the limits; `explanation` is filled by the instruction `explain`.

    `ignored` are the lines that only say how to display tasks.
    """

    groups: tuple[TaskGroup, ...]
    total: int
    explanation: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks in order, each once."""
        return tuple({task.id: task for group in self.groups for task in group.tasks}.values())


class TasksContract(Protocol):
    """Finding and changing tasks."""

    @query
    def get_task(self, task_id: str) -> Task:
        """Read one task."""
        ...

    @query
    def list_tasks(
        self,
        selection: TaskSelection,
        *,
        sort: Sort = "due",
        descending: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> TaskPage:
        """List tasks, at most `limit` (1-1000) at a time; those without the sorted value come last.

        Raises `InvalidInput` for a cursor of another listing.
        """
        ...

    @query
    def count_tasks(self, selection: TaskSelection, *, by: Grouping) -> tuple[GroupCount, ...]:
        """Count tasks by one field, most first, at most 1000 groups. A task with several tags counts for each."""
        ...

    @query
    def query_tasks(self, text: str, *, note_path: str | None = None, limit: int = 1000) -> QueryResult:
        """Run a query in the language of obsidian-tasks, one instruction a line.

        `note_path` is the note that placeholders such as `{{query.file.path}}` mean. At most `limit` (1-5000) tasks are
        returned. Raises `QueryRefused` with the line for what is not understood or not supported, `QueryTooSlow`.
        """
        ...

    @command
    @database_only
    def create_task(self, new: NewTask, *, idempotency_key: str | None = None) -> Task:
        """Make a task. A repeated request with the same key makes none and returns the first one.

        Raises `InvalidInput` for what a task line cannot hold, `IdempotencyKeyReused` for another request's key.
        """
        ...

    @command
    @database_only
    def update_task(self, task_id: str, changes: TaskChanges, *, version: int | None = None) -> Task:
        """Change fields of a task; what a new status brings with it (dates, a next occurrence) comes about."""
        ...

    @command
    @database_only
    def complete_task(self, task_id: str, *, version: int | None = None, day: date | None = None) -> Completion:
        """Complete a task as of `day` (today); one that is completed already stays as it is."""
        ...

    @command
    @database_only
    def cancel_task(self, task_id: str, *, version: int | None = None) -> Task:
        """Mark a task as cancelled."""
        ...

    @command
    @database_only
    def reopen_task(self, task_id: str, *, version: int | None = None) -> Task:
        """Mark a completed or cancelled task as to be done again."""
        ...

    @command
    @database_only
    def delete_task(self, task_id: str, *, version: int | None = None) -> None:
        """Take a task's line out of its note."""
        ...
