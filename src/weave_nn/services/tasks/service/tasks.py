"""The task service: what can be asked of tasks, and done with them."""

import hashlib
import json
import secrets
import string
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from weave_nn.services.tasks.contract import (
    PRIORITIES,
    Completion,
    GroupCount,
    Grouping,
    IdempotencyKeyReused,
    NewTask,
    QueryResult,
    Sort,
    StaleTask,
    StatusType,
    Task,
    TaskChanges,
    TaskNotFound,
    TaskPage,
    TaskSelection,
)
from weave_nn.services.tasks.events import TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated
from weave_nn.services.tasks.models import TaskRow
from weave_nn.services.tasks.repository import TaskRepository
from weave_nn.services.tasks.service.editing import NoteEditor
from weave_nn.services.tasks.service.lines import Toggled, changed_line, new_line, toggled
from weave_nn.services.tasks.service.querying.filters import Surroundings
from weave_nn.services.tasks.service.querying.language import parse_query
from weave_nn.services.tasks.service.rows import Place, assign, columns_of, new_values, task_of
from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.shared.bus import Outbox
from weave_nn.shared.cursors import make_cursor, read_cursor, refused_cursor
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.paths import is_note, normalize
from weave_nn.vault.task_line import TaskLine

MOST_LISTED = 1000
MOST_QUERIED = 5000
MOST_GROUPS = 1000
KEYS_KEPT = timedelta(hours=24)
MOST_KEY_CHARACTERS = 255
_ID_CHARACTERS: Final = string.digits + string.ascii_lowercase


class TaskService:
    """Implements `TasksContract` in one transaction."""

    def __init__(self, repository: TaskRepository, outbox: Outbox, rules: TaskRules, vault_id: str) -> None:
        self._tasks = repository
        self._outbox = outbox
        self._rules = rules
        self._vault_id = vault_id
        self._editor = NoteEditor(repository, outbox)

    def get_task(self, task_id: str) -> Task:
        """See `TasksContract`."""
        return task_of(self._row(task_id), self._rules.statuses)

    def list_tasks(
        self,
        selection: TaskSelection,
        *,
        sort: Sort = "due",
        descending: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> TaskPage:
        """See `TasksContract`."""
        _check_limit(limit, MOST_LISTED)
        question = (selection, sort, descending)
        after = None if cursor is None else _position(cursor, question, sort)
        rows = self._tasks.page(selection, sort=sort, descending=descending, after=after, limit=limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        values = self._tasks.sort_values(rows[-1], sort) if more else []
        return TaskPage(
            tuple(task_of(row, self._rules.statuses) for row in rows), _cursor(values, question) if more else None
        )

    def count_tasks(self, selection: TaskSelection, *, by: Grouping) -> tuple[GroupCount, ...]:
        """See `TasksContract`."""
        if by == "tag":
            tags = Counter(tag for tags in self._tasks.tag_lists(selection) for tag in set(tags.split("\n")))
            return tuple(GroupCount(tag, count) for tag, count in tags.most_common(MOST_GROUPS))
        counted = self._tasks.counts(selection, by, MOST_GROUPS)
        if by == "priority":
            return tuple(GroupCount(PRIORITIES[value], count) for value, count in counted)
        return tuple(GroupCount(None if value is None else str(value), count) for value, count in counted)

    def query_tasks(self, text: str, *, note_path: str | None = None, limit: int = 1000) -> QueryResult:
        """See `TasksContract`."""
        _check_limit(limit, MOST_QUERIED)
        today = self._rules.today()
        query = parse_query(text, today, note_path=note_path)
        around = Surroundings(today, self._tasks.open_references(), self._tasks.blocking_references())
        statuses = self._rules.statuses
        return query.run((task_of(row, statuses) for row in self._tasks.all(query.selection)), around, most=limit)

    def create_task(self, new: NewTask, *, idempotency_key: str | None = None) -> Task:
        """See `TasksContract`."""
        digest = _digest(asdict(new))
        self._tasks.lock()
        if idempotency_key is not None:
            made = self._made_before(idempotency_key, digest)
            if made is not None:
                return made
        reference = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(6)) if self._rules.write_ids else None
        line = new_line(new, self._rules, reference)
        path = self._note_for(new)
        place = Place(path, self._rules.project_of(path, new.project_id), 0, new.heading)
        row = self._add(line, place, new.source)
        self._editor.settle(row)
        self._outbox.announce(TaskCreated(row.id, path, row.title, row.version))
        if idempotency_key is not None:
            self._tasks.remember_request(idempotency_key, digest, row.id, row.created_at)
        return task_of(row, self._rules.statuses)

    def update_task(self, task_id: str, changes: TaskChanges, *, version: int | None = None) -> Task:
        """See `TasksContract`."""
        row = self._row_to_change(task_id, version)
        self._change(row, changed_line(self._line(row), changes, self._rules))
        return task_of(row, self._rules.statuses)

    def complete_task(self, task_id: str, *, version: int | None = None, day: date | None = None) -> Completion:
        """See `TasksContract`."""
        row = self._row_to_change(task_id, version)
        statuses = self._rules.statuses
        if row.status == StatusType.DONE:
            return Completion(task_of(row, statuses), None)
        symbol = row.status_symbol
        for _ in range(8):
            symbol = statuses.of(symbol).next_symbol
            if statuses.of(symbol).type is StatusType.DONE:
                break
        else:
            symbol = statuses.symbol_for(StatusType.DONE)
        following = self._change(row, toggled(self._line(row), symbol, self._rules, day=day))
        return Completion(
            None if row.deleted else task_of(row, statuses), None if following is None else task_of(following, statuses)
        )

    def cancel_task(self, task_id: str, *, version: int | None = None) -> Task:
        """See `TasksContract`."""
        return self._set_status(task_id, version, StatusType.CANCELLED)

    def reopen_task(self, task_id: str, *, version: int | None = None) -> Task:
        """See `TasksContract`."""
        return self._set_status(task_id, version, StatusType.TODO)

    def delete_task(self, task_id: str, *, version: int | None = None) -> None:
        """See `TasksContract`."""
        row = self._row_to_change(task_id, version)
        self._delete(row)
        self._editor.settle(row)

    def _set_status(self, task_id: str, version: int | None, kind: StatusType) -> Task:
        row = self._row_to_change(task_id, version)
        if row.status != kind:
            self._change(row, toggled(self._line(row), self._rules.statuses.symbol_for(kind), self._rules))
        return task_of(row, self._rules.statuses)

    def _change(self, row: TaskRow, made: Toggled) -> TaskRow | None:
        """Store a changed line, what comes with it, and the request to write it; gives the next occurrence."""
        if made.line.text == row.text:
            return None
        was_done = row.status == StatusType.DONE
        place = Place(row.note_path, row.project_id, row.line, row.heading)
        assign(row, columns_of(made.line, place, self._rules.statuses))
        row.version += 1
        row.updated_at = datetime.now(UTC)
        completed = row.status == StatusType.DONE and not was_done
        kind = TaskCompleted if completed else TaskUpdated
        self._outbox.announce(kind(row.id, row.note_path, row.title, row.version))
        following = None
        if made.next is not None:
            following = self._add(made.next, replace(place, line=0), row.source, anchor_id=row.id)
            self._outbox.announce(TaskCreated(following.id, following.note_path, following.title, following.version))
        if made.removed:
            self._delete(row)
        self._editor.settle(row)
        return following

    def _delete(self, row: TaskRow) -> None:
        row.deleted = True
        row.version += 1
        self._outbox.announce(TaskDeleted(row.id, row.note_path, row.title))
        if row.noted_text is None and row.pending_edit is None:
            # It never reached its note.
            self._tasks.remove(row)

    def _add(self, line: TaskLine, place: Place, source: str, *, anchor_id: str | None = None) -> TaskRow:
        values = new_values(columns_of(line, place, self._rules.statuses), self._vault_id, source, None)
        row = TaskRow(**{**values, "anchor_id": anchor_id})
        self._tasks.add(row)
        self._tasks.flush()
        return row

    def _row(self, task_id: str) -> TaskRow:
        row = self._tasks.get(task_id)
        if row is None:
            raise TaskNotFound(task_id)
        return row

    def _row_to_change(self, task_id: str, version: int | None) -> TaskRow:
        self._tasks.lock()
        row = self._row(task_id)
        if version is not None and version != row.version:
            raise StaleTask(task_id, row.version)
        return row

    def _made_before(self, key: str, digest: str) -> Task | None:
        if not 0 < len(key) <= MOST_KEY_CHARACTERS:
            raise InvalidInput(
                f"An idempotency key has 1 to {MOST_KEY_CHARACTERS} characters.", field="idempotency_key"
            )
        self._tasks.forget_requests(datetime.now(UTC) - KEYS_KEPT)
        request = self._tasks.request(key)
        if request is None:
            return None
        if request.digest != digest:
            raise IdempotencyKeyReused(
                f"The idempotency key {key!r} came with another request before.",
                hint="Make a new key for each new task.",
            )
        return self.get_task(request.task_id)

    def _note_for(self, new: NewTask) -> str:
        path = new.note_path
        if path is None and new.project_id is not None:
            folders = [f"{folder}/{new.project_id}" for folder in self._rules.project_folders]
            known = [folder for folder in folders if self._tasks.has_note_below(folder)]
            path = f"{(known or folders)[0]}/{self._rules.project_note}"
        path = normalize(self._rules.inbox_note if path is None else path)
        if not is_note(path):
            raise InvalidInput(f"{path!r} is no note.", hint="Give the path of a Markdown note.", field="note_path")
        return path

    @staticmethod
    def _line(row: TaskRow) -> TaskLine:
        line = TaskLine.parse(row.text)
        if line is None:
            raise AssertionError(f"the task {row.id} has the text {row.text!r}, which is no task line")
        return line


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise InvalidInput(f"The limit {limit} is not between 1 and {most}.", field="limit")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _cursor(values: list[Any], question: object) -> str:
    return make_cursor(question, *(value.isoformat() if isinstance(value, date) else value for value in values))


def _position(cursor: str, question: object, sort: Sort) -> list[Any]:
    try:
        first, *rest = read_cursor(cursor, question)
        if sort in {"created_at", "updated_at"}:
            first = datetime.fromisoformat(first)
        elif first is not None and sort in {"due", "scheduled", "start", "created", "done", "cancelled"}:
            first = date.fromisoformat(first)
    except (ValueError, TypeError) as error:
        raise refused_cursor(cursor) from error
    return [first, *rest]
