"""Tasks as MCP tools, for a language model: few, terse to list, and careful with its context window."""

from datetime import date
from typing import Annotated, Literal

from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from weave_nn.services.tasks.contract import (
    OPEN,
    NewTask,
    Priority,
    Task,
    TaskChanges,
    TasksContract,
    TaskSelection,
)
from weave_nn.shared.mcp import VaultServer

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)

TaskId = Annotated[str, Field(description="id from find_tasks")]
Version = Annotated[int | None, Field(description="version you read; refused if the task changed since")]
Rule = Annotated[str | None, Field(description="e.g. 'every 2 weeks on Monday', 'every month when done'")]
Clearable = Literal[
    "priority", "due_date", "scheduled_date", "start_date", "recurrence", "on_completion", "reference", "depends_on"
]

DAY_QUERIES = (
    "not done\nhappens on or before today\nis not blocked\nsort by urgency\nlimit 30",
    "not done\nis blocking\nlimit 10",
    "not done\nno happens date\npriority is above none\nlimit 10",
)
WEEK_QUERIES = (
    "done this week\ngroup by folder",
    "not done\ndue before today\nsort by due",
    "not done\nhappens next week\ngroup by happens",
    "not done\nno happens date\nno tags\nlimit 30",
)


class FoundTask(BaseModel):
    """One task; what it lacks is left out."""

    id: str
    version: int
    title: str
    status: str
    note: str
    line: int
    project: str | None = None
    heading: str | None = None
    priority: str | None = None
    due: date | None = None
    scheduled: date | None = None
    start: date | None = None
    done: date | None = None
    recurrence: str | None = None
    depends_on: list[str] = []
    group: str | None = None


class FoundTasks(BaseModel):
    """The tasks found; `more` says how to see the others."""

    tasks: list[FoundTask]
    total: int | None = None
    more: str | None = None
    explanation: str | None = None


class CompletedTask(BaseModel):
    """The completed task (none if it was set to vanish), and the next occurrence of a recurring one."""

    task: FoundTask | None
    next: FoundTask | None


def register_tools(server: VaultServer, tasks: TasksContract, *, read_only: bool) -> None:
    """Offer the tools and prompts; with `read_only`, those that change nothing."""
    _register_finding(server, tasks)
    _register_prompts(server)
    if not read_only:
        _register_creating(server, tasks)
        _register_changing(server, tasks)


def _register_finding(server: VaultServer, tasks: TasksContract) -> None:
    @server.tool(annotations=READS)
    def find_tasks(
        query: Annotated[
            str | None,
            Field(
                description="obsidian-tasks query, one instruction a line: 'not done', 'due before next week', "
                "'(priority is high) OR (tags include #x)', 'path includes X', 'is not blocked', 'sort by urgency', "
                "'group by folder', 'limit 20', 'explain'"
            ),
        ] = None,
        text: Annotated[str | None, Field(description="words to look for; not with query")] = None,
        project: str | None = None,
        include_done: bool = False,
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
    ) -> FoundTasks:
        """Find tasks by a query, or by words and project (open ones by due date). Returns ids and versions."""
        if query is not None:
            result = tasks.query_tasks(query, limit=limit)
            found = [
                _shown(task, " > ".join(group.headings) or None) for group in result.groups for task in group.tasks
            ]
            more = None if len(result.tasks) >= result.total else "Narrow the query, or raise limit."
            return FoundTasks(tasks=found, total=result.total, more=more, explanation=result.explanation)
        selection = TaskSelection(status=() if include_done else OPEN, text=text, project_id=project)
        page = tasks.list_tasks(selection, limit=limit)
        more = None if page.next_cursor is None else "Narrow the search, or raise limit."
        return FoundTasks(tasks=[_shown(task) for task in page.tasks], more=more)


def _register_creating(server: VaultServer, tasks: TasksContract) -> None:
    @server.tool(annotations=ADDS)
    def create_task(
        title: Annotated[str, Field(description="one line, may hold #tags")],
        note: Annotated[str | None, Field(description="default: the project's tasks note, else the inbox")] = None,
        heading: Annotated[str | None, Field(description="section of the note")] = None,
        project: str | None = None,
        priority: Priority | None = None,
        due_date: date | None = None,
        scheduled_date: date | None = None,
        start_date: date | None = None,
        recurrence: Rule = None,
        request_key: Annotated[str | None, Field(description="the same key never makes a second task")] = None,
    ) -> FoundTask:
        """Add a task; its line is written into the note."""
        new = NewTask(
            title,
            note_path=note,
            heading=heading,
            project_id=project,
            priority=priority,
            due_date=due_date,
            scheduled_date=scheduled_date,
            start_date=start_date,
            recurrence=recurrence,
            source="mcp",
        )
        return _shown(tasks.create_task(new, idempotency_key=request_key))


def _register_changing(server: VaultServer, tasks: TasksContract) -> None:
    @server.tool(annotations=CHANGES)
    def update_task(
        id: TaskId,  # noqa: A002 - the name that the model reads in find_tasks
        version: Version = None,
        title: str | None = None,
        status: Annotated[Literal["todo", "in_progress", "cancelled"] | None, Field()] = None,
        priority: Priority | None = None,
        due_date: date | None = None,
        scheduled_date: date | None = None,
        start_date: date | None = None,
        recurrence: Rule = None,
        clear: Annotated[list[Clearable], Field(description="fields to take away")] = [],  # noqa: B006 - never changed
    ) -> FoundTask:
        """Change what is given of a task; the rest of its line stays. To finish one use complete_task."""
        symbol = {"todo": " ", "in_progress": "/", "cancelled": "-"}.get(status or "")
        changes = TaskChanges(
            title=title,
            status_symbol=symbol,
            priority=priority,
            due_date=due_date,
            scheduled_date=scheduled_date,
            start_date=start_date,
            recurrence=recurrence,
            clear=tuple(clear),
        )
        return _shown(tasks.update_task(id, changes, version=version))

    @server.tool(annotations=CHANGES)
    def complete_task(
        id: TaskId,  # noqa: A002 - the name that the model reads in find_tasks
        version: Version = None,
    ) -> CompletedTask:
        """Mark a task as done today; a recurring one gets its next occurrence."""
        done = tasks.complete_task(id, version=version)
        return CompletedTask(
            task=None if done.task is None else _shown(done.task), next=None if done.next is None else _shown(done.next)
        )


def _register_prompts(server: VaultServer) -> None:
    @server.prompt(title="Plan my day")
    def plan_my_day(focus: str = "") -> str:
        """Choose what to do today from the open tasks."""
        about = f" Give precedence to what concerns: {focus}." if focus else ""
        return (
            f"Plan my day from my tasks. Call find_tasks with each of these queries: {_listed(DAY_QUERIES)}.{about} "
            "Then propose at most seven tasks in order, each with its note and one reason, say what is overdue and "
            "what can wait, and ask before you change anything."
        )

    @server.prompt(title="Weekly review")
    def weekly_review() -> str:
        """Look back at the week, and forward to the next."""
        return (
            f"Review my week. Call find_tasks with each of these queries: {_listed(WEEK_QUERIES)}. Sum up what was "
            "finished, list what is overdue with a proposal for each (a new date, smaller steps, or dropping it), show "
            "next week day by day, and name tasks without a date that deserve one. Ask before you change anything."
        )


def _listed(queries: tuple[str, ...]) -> str:
    return ", ".join(repr(query) for query in queries)


def _shown(task: Task, group: str | None = None) -> FoundTask:
    return FoundTask(
        id=task.id,
        version=task.version,
        title=task.title,
        status=task.status.lower(),
        note=task.note_path,
        line=task.line,
        project=task.project_id,
        heading=task.heading,
        priority=None if task.priority == "none" else task.priority,
        due=task.due_date,
        scheduled=task.scheduled_date,
        start=task.start_date,
        done=task.done_date,
        recurrence=task.recurrence,
        depends_on=list(task.depends_on),
        group=group,
    )
