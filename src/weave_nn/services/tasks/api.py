"""The HTTP face of the task service: `/tasks`. Each route is one method of the contract and has its name."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from weave_nn.services.tasks.contract import (
    Completion,
    DateField,
    GroupCount,
    Grouping,
    NewTask,
    Priority,
    QueryResult,
    Sort,
    StatusType,
    Task,
    TaskChanges,
    TaskPage,
    TasksContract,
    TaskSelection,
)
from weave_nn.shared.errors import Forbidden, InvalidInput
from weave_nn.shared.http import ETag, ETagCondition, IfMatch

_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_REUSED: dict[int | str, dict[str, Any]] = {409: {"description": "The key came with another request", **_PROBLEM}}
Text = Annotated[str, Field(max_length=10_000)]


class _Request(BaseModel):
    """A body that is refused when it says something that is not understood."""

    model_config = ConfigDict(extra="forbid")


class _Fields(_Request):
    """The fields of a task that can be written."""

    priority: Priority | None = None
    due_date: date | None = None
    scheduled_date: date | None = None
    start_date: date | None = None
    created_date: date | None = None
    recurrence: Text | None = None
    on_completion: Literal["keep", "delete"] | None = None
    reference: Annotated[str, Field(max_length=255)] | None = None


class NewTaskBody(_Fields):
    """A task to be made; the line goes to `note_path`, else to the project's tasks note, else to the inbox note."""

    title: Text
    note_path: str | None = None
    heading: Text | None = None
    project_id: str | None = None
    status_symbol: Annotated[str, Field(min_length=1, max_length=1)] = " "
    depends_on: list[str] = Field(default_factory=list, max_length=100)

    def parsed(self, source: str) -> NewTask:
        """The contract's value."""
        return NewTask(**{**self.model_dump(), "depends_on": tuple(self.depends_on)}, source=source)


class TaskChangesBody(_Fields):
    """Changes of a task: what is left out stays, and null takes a field away."""

    title: Text | None = None
    status_symbol: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    done_date: date | None = None
    cancelled_date: date | None = None
    depends_on: Annotated[list[str], Field(max_length=100)] | None = None

    def parsed(self) -> TaskChanges:
        """The contract's value."""
        given: dict[str, Any] = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        cleared = tuple(name for name, value in given.items() if value is None)
        if self.depends_on is not None:
            given["depends_on"] = tuple(self.depends_on)
        return TaskChanges(**given, clear=cleared)


class QueryBody(_Request):
    """A query in the language of obsidian-tasks; `note_path` is the note that `{{query.file.path}}` means."""

    query: Annotated[str, Field(max_length=20_000, examples=["not done\ndue before next week\nsort by priority"])]
    note_path: str | None = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 1000


class SelectionQuery(_Request):
    """Which tasks are meant: all that satisfy every given condition."""

    status: list[StatusType] = []
    status_symbol: str | None = None
    priority: list[Priority] = []
    project_id: str | None = None
    path: Annotated[str | None, Field(description="A note, or a folder that ends in `/`.")] = None
    heading: str | None = None
    tag: Annotated[list[str], Field(description="All of these; each takes what is nested below it.")] = []
    text: Annotated[str | None, Field(description="Words of the title, heading or path.", max_length=1000)] = None
    reference: str | None = None
    block_id: str | None = None
    depends_on: str | None = None
    source: str | None = None
    recurring: bool | None = None
    pending: bool | None = None
    from_date: Annotated[list[str], Field(description="First day of a field, such as `due:2026-11-23`.")] = []
    to_date: Annotated[list[str], Field(description="Last day of a field, such as `due:2026-11-30`.")] = []
    has_date: list[DateField] = []
    no_date: list[DateField] = []

    def parsed(self) -> TaskSelection:
        """The contract's value."""
        return TaskSelection(
            status=tuple(self.status),
            status_symbol=self.status_symbol,
            priority=tuple(self.priority),
            project_id=self.project_id,
            path=self.path,
            heading=self.heading,
            tags=tuple(self.tag),
            text=self.text,
            reference=self.reference,
            block_id=self.block_id,
            depends_on=self.depends_on,
            source=self.source,
            recurring=self.recurring,
            pending=self.pending,
            from_date=_days("from_date", self.from_date),
            to_date=_days("to_date", self.to_date),
            has_date=tuple(self.has_date),
            no_date=tuple(self.no_date),
        )


class ListQuery(SelectionQuery):
    """Which tasks are listed, and how."""

    sort: Sort = "due"
    descending: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str | None, Field(description="The `next_cursor` of the page before.")] = None


class CountQuery(SelectionQuery):
    """Which tasks are counted, and by what."""

    by: Grouping


def _days(parameter: str, values: list[str]) -> dict[DateField, date]:
    found: dict[DateField, date] = {}
    for value in values:
        name, _, day = value.partition(":")
        try:
            found[_DATE_FIELD.validate_python(name)] = date.fromisoformat(day)
        except ValueError:
            raise InvalidInput(
                f"{parameter} has the value {value[:100]!r}.",
                hint="Write a date field and a day, such as due:2026-11-23.",
                field=parameter,
            ) from None
    return found


_DATE_FIELD: Final[TypeAdapter[DateField]] = TypeAdapter(DateField)
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=255, description="A repeated request with this key makes one task.")
]


def router(contract: TasksContract, *, read_only: bool = False) -> APIRouter:
    """The routes of `/tasks`. With `read_only` those that write answer 403."""
    reads = APIRouter(prefix="/tasks", tags=["tasks"])
    writes = APIRouter(prefix="/tasks", tags=["tasks"], dependencies=[Depends(_refusing_writes(read_only=read_only))])
    _add_reading(reads, contract)
    _add_writing(writes, contract)
    _add_status(writes, contract)
    routes = APIRouter()
    routes.include_router(reads)
    routes.include_router(writes)
    return routes


def _refusing_writes(*, read_only: bool) -> Callable[[], object]:
    async def check() -> None:
        if read_only:
            raise Forbidden("This server is read-only.", hint="Start it without WEAVE_READ_ONLY to change tasks.")

    return check


def _add_reading(routes: APIRouter, contract: TasksContract) -> None:
    @routes.get("", summary="List tasks")
    def list_tasks(asked: Annotated[ListQuery, Query()]) -> TaskPage:
        return contract.list_tasks(
            asked.parsed(), sort=asked.sort, descending=asked.descending, limit=asked.limit, cursor=asked.cursor
        )

    @routes.get("/counts", summary="Count tasks by one field")
    def count_tasks(asked: Annotated[CountQuery, Query()]) -> list[GroupCount]:
        return list(contract.count_tasks(asked.parsed(), by=asked.by))

    @routes.post("/query", summary="Run a query in the language of obsidian-tasks")
    def query_tasks(body: Annotated[QueryBody, Body()]) -> QueryResult:
        return contract.query_tasks(body.query, note_path=body.note_path, limit=body.limit)

    @routes.get("/{task_id}", summary="Read a task")
    def get_task(task_id: str, response: Response) -> Task:
        return _versioned(contract.get_task(task_id), response)


def _add_writing(routes: APIRouter, contract: TasksContract) -> None:
    @routes.post("", summary="Make a task", status_code=201, responses=_REUSED)
    def create_task(
        body: Annotated[NewTaskBody, Body()], response: Response, idempotency_key: IdempotencyKey = None
    ) -> Task:
        task = contract.create_task(body.parsed("api"), idempotency_key=idempotency_key)
        response.headers["Location"] = f"/tasks/{task.id}"
        return _versioned(task, response)

    @routes.patch("/{task_id}", summary="Change fields of a task")
    def update_task(
        task_id: str, body: Annotated[TaskChangesBody, Body()], if_match: IfMatch, response: Response
    ) -> Task:
        seen = _seen(if_match, contract, task_id)
        return _versioned(contract.update_task(task_id, body.parsed(), version=seen), response)

    @routes.delete("/{task_id}", summary="Take a task's line out of its note", status_code=204)
    def delete_task(task_id: str, if_match: IfMatch) -> None:
        contract.delete_task(task_id, version=_seen(if_match, contract, task_id))


def _add_status(routes: APIRouter, contract: TasksContract) -> None:
    @routes.post("/{task_id}/complete", summary="Complete a task; a recurring one makes its next occurrence")
    def complete_task(
        task_id: str,
        if_match: IfMatch,
        day: Annotated[date | None, Query(description="When it was done; default today.")] = None,
    ) -> Completion:
        return contract.complete_task(task_id, version=_seen(if_match, contract, task_id), day=day)

    @routes.post("/{task_id}/cancel", summary="Mark a task as cancelled")
    def cancel_task(task_id: str, if_match: IfMatch, response: Response) -> Task:
        return _versioned(contract.cancel_task(task_id, version=_seen(if_match, contract, task_id)), response)

    @routes.post("/{task_id}/reopen", summary="Mark a task as to be done again")
    def reopen_task(task_id: str, if_match: IfMatch, response: Response) -> Task:
        return _versioned(contract.reopen_task(task_id, version=_seen(if_match, contract, task_id)), response)


def _versioned(task: Task, response: Response) -> Task:
    response.headers["ETag"] = str(ETag(str(task.version)))
    return task


def _seen(condition: ETagCondition | None, contract: TasksContract, task_id: str) -> int | None:
    """The version that `If-Match` lets a writer change; `*` and lists stand for the present one."""
    if condition is None:
        return None
    match condition.tags:
        case (ETag(value, weak=False),) if value.isdecimal() and len(value) < 10:
            return int(value)
    current = contract.get_task(task_id).version
    condition.require(ETag(str(current)))
    return current
