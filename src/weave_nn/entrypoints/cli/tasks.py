"""`weave tasks`: list, add and complete tasks from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json

if TYPE_CHECKING:
    from weave_nn.services.tasks.contract import Task, TasksContract

SHORT_ID = 8

app = typer.Typer(
    name="tasks", help="List, add and complete the tasks of a vault.", no_args_is_help=True, rich_markup_mode=None
)
VaultOption = Annotated[Path | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")]
DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, as 2026-11-23.")]


@app.command("list")
def list_(
    vault: VaultArgument = None,
    *,
    query: Annotated[
        str, typer.Option("--query", "-q", help="Instructions of obsidian-tasks; `;` stands for a new line.")
    ] = "not done; sort by due",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=5000, help="How many to show.")] = 100,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show tasks, by default the open ones by due date.

    \b
    weave tasks list ~/Notes
    weave tasks list -q 'not done; due before next week; sort by priority' --json
    """
    with _tasks(vault=vault, data_dir=data_dir) as contract:
        result = contract.query_tasks("\n".join(part.strip() for part in query.split(";")), limit=count)
    if wants_json(chosen=as_json):
        print_json({"total": result.total, "tasks": [_shown(task) for task in result.tasks]})
        return
    rows = (
        (task.id[:SHORT_ID], f"[{task.status_symbol}]", str(task.due_date or ""), task.title, task.note_path)
        for task in result.tasks
    )
    print_table(("ID", "", "DUE", "TASK", "NOTE"), rows)
    if result.total > len(result.tasks):
        typer.echo(f"{len(result.tasks)} of {result.total} tasks")


@app.command()
def add(
    title: Annotated[str, typer.Argument(help="The text, with tags; fields such as '📅 2026-12-01' are read.")],
    *,
    note: Annotated[str | None, typer.Option(help="The note. Default: the project's tasks note, or the inbox.")] = None,
    project: Annotated[str | None, typer.Option(help="The project.")] = None,
    due: DayOption = None,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Add a task. A running server writes its line into the note at once, else the next `weave up` does.

    \b
    weave tasks add 'buy milk #home' --due 2026-12-01 --vault ~/Notes
    """
    from weave_nn.services.tasks.contract import NewTask

    new = NewTask(title, note_path=note, project_id=project, due_date=due.date() if due else None, source="cli")
    with _tasks(vault=vault, data_dir=data_dir) as contract:
        task = contract.create_task(new)
    if wants_json(chosen=as_json):
        print_json(_shown(task))
    else:
        typer.echo(f"{task.id[:SHORT_ID]}  {printable(task.text)}  ({printable(task.note_path)})")


@app.command()
def done(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `weave tasks list` shows.")],
    *,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Complete a task; a recurring one gets its next occurrence.

    \b
    weave tasks done 3f2a81bc --vault ~/Notes
    """
    with _tasks(vault=vault, data_dir=data_dir) as contract:
        completed = contract.complete_task(_whole_id(contract, task_id))
    if wants_json(chosen=as_json):
        print_json({name: _shown(task) for name in ("task", "next") if (task := getattr(completed, name)) is not None})
        return
    for task in (completed.task, completed.next):
        if task is not None:
            typer.echo(f"{task.id[:SHORT_ID]}  {printable(task.text)}")


@contextmanager
def _tasks(**options: Any) -> Iterator["TasksContract"]:
    settings = load_settings(**options).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith
    from weave_nn.services.tasks.contract import TasksContract

    with monolith.offline(settings, instance) as offline:
        yield offline.contract(TasksContract)


def _whole_id(contract: "TasksContract", given: str) -> str:
    """The id that begins with what was given, which must say which one is meant."""
    from weave_nn.services.tasks.contract import TaskNotFound, TaskSelection
    from weave_nn.shared.errors import InvalidInput

    if len(given) < SHORT_ID:
        raise InvalidInput(f"The id {given!r} is shorter than {SHORT_ID} characters.", field="id")
    found, cursor = [], None
    while True:
        page = contract.list_tasks(TaskSelection(), sort="path", limit=1000, cursor=cursor)
        found += [task.id for task in page.tasks if task.id.startswith(given)]
        cursor = page.next_cursor
        if cursor is None:
            break
    if not found:
        raise TaskNotFound(given)
    if len(found) > 1:
        raise InvalidInput(f"Several tasks have an id that begins with {given!r}.", hint="Give more of it.", field="id")
    return found[0]


def _shown(task: "Task") -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "status": task.status,
        "priority": task.priority,
        "due_date": task.due_date,
        "note_path": task.note_path,
        "line": task.line,
        "project_id": task.project_id,
        "tags": task.tags,
        "version": task.version,
    }
