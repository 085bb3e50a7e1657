"""The task service's SQL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from weave_nn.services.tasks.contract import OPEN, PRIORITIES, DateField, Sort, TaskSelection
from weave_nn.services.tasks.models import TaskNoteRow, TaskRequestRow, TaskRow
from weave_nn.shared.db import insert_rows, lock

SortValue = str | int | float | None
_CHUNK_ROWS = 500
_Item = TypeVar("_Item")
_DATES: Final[dict[DateField, InstrumentedAttribute[date | None]]] = {
    "due": TaskRow.due_date,
    "scheduled": TaskRow.scheduled_date,
    "start": TaskRow.start_date,
    "created": TaskRow.created_date,
    "done": TaskRow.done_date,
    "cancelled": TaskRow.cancelled_date,
}
_SORTS: Final[dict[Sort, tuple[InstrumentedAttribute[Any], ...]]] = {
    **{name: (column, TaskRow.id) for name, column in _DATES.items()},
    "priority": (TaskRow.priority, TaskRow.id),
    "status": (TaskRow.status, TaskRow.id),
    "title": (TaskRow.title, TaskRow.id),
    "path": (TaskRow.note_path, TaskRow.line, TaskRow.id),
    "created_at": (TaskRow.created_at, TaskRow.id),
    "updated_at": (TaskRow.updated_at, TaskRow.id),
}
_TABLE: Final = cast("Table", TaskRow.__table__)
_COLUMNS: Final = tuple(column.name for column in _TABLE.columns)
_NOTES: Final = cast("Table", TaskNoteRow.__table__)
_VERSION: Final = ("path", "etag", "size", "mtime_ns", "changed_ns")
# Reading plain columns is several times as fast as making objects that the session keeps track of.
_SHOWN: Final = [column for column in TaskRow.__table__.columns if column.name not in {"search_text", "tags_folded"}]


Marks = tuple[int | None, int | None, int | None]
"""Size, and times of modification and of change: they tell whether a note is still the one that was read."""


class NoteVersion(NamedTuple):
    """The version of a note that was read."""

    etag: str
    marks: Marks


UNKNOWN: Final = NoteVersion("", (None, None, None))


class TaskRepository:
    """The tasks of one vault. Tasks that are to be deleted are left out, unless a method says otherwise."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def lock(self) -> None:
        """Keep other writers of these tasks out until the transaction ends; before what is decided by is read."""
        # Where a writing transaction has the whole database, it has it from its first statement on.
        self._session.connection()
        lock(self._session, f"tasks:{self._vault_id}")

    def get(self, task_id: str) -> TaskRow | None:
        """One task."""
        row = self._session.get(TaskRow, task_id)
        return row if row is not None and row.vault_id == self._vault_id and not row.deleted else None

    def get_any(self, task_id: str) -> TaskRow | None:
        """One row, also when it is to be deleted."""
        return self._session.get(TaskRow, task_id)

    def in_notes(self, paths: Sequence[str]) -> dict[str, list[TaskRow]]:
        """Every row of these notes by path, those to be deleted included, in the order of their lines."""
        found: dict[str, list[TaskRow]] = {path: [] for path in paths}
        for chunk in _chunks(paths):
            for row in self._rows(TaskRow.note_path.in_(chunk)):
                found[row.note_path].append(row)
        return found

    def with_pending_edit(self, edit_id: str) -> Sequence[TaskRow]:
        """The rows that an edit on its way is about, those to be deleted included."""
        return self._rows(TaskRow.pending_edit == edit_id)

    def above(self, task_id: str) -> Sequence[TaskRow]:
        """The rows that wait to be put above a task, last made first."""
        return self._rows(TaskRow.anchor_id == task_id)[::-1]

    def unsettled(self) -> Sequence[TaskRow]:
        """The rows whose note does not say what was asked for, as far as is known."""
        differs = or_(TaskRow.noted_text.is_(None), TaskRow.noted_text != TaskRow.text, TaskRow.deleted)
        return self._rows(or_(TaskRow.pending_edit.is_not(None), differs))

    def add(self, row: TaskRow) -> None:
        """Insert a task."""
        self._session.add(row)

    def add_many(self, values: Sequence[dict[str, object]]) -> None:
        """Insert many tasks at once; each has a value for every column."""
        rows = [tuple([task[name] for name in _COLUMNS]) for task in values]
        insert_rows(self._session, _TABLE, _COLUMNS, rows)

    def remove(self, row: TaskRow) -> None:
        """Forget a task."""
        self._session.delete(row)

    def has(self, row: TaskRow) -> bool:
        """Whether a row that was read in this transaction is still there."""
        return row in self._session

    def rename_note(self, before: str, after: str) -> None:
        """Give the tasks of a note its new path; new lines that are on their way to the old one stay with it."""
        mine = (TaskRow.vault_id == self._vault_id, TaskRow.note_path == before)
        # What is to be put above a task goes where that task goes.
        arrived = or_(TaskRow.pending_edit.is_(None), TaskRow.before_text.is_not(None), TaskRow.anchor_id.is_not(None))
        self._session.execute(update(TaskRow).where(*mine, arrived).values(note_path=after))
        self.forget_note(before)

    def note_versions(self) -> dict[str, NoteVersion]:
        """The version of every note that was read, by path."""
        known = select(*(_NOTES.columns[name] for name in _VERSION)).where(TaskNoteRow.vault_id == self._vault_id)
        return {row[0]: NoteVersion(row[1], (row[2], row[3], row[4])) for row in self._session.execute(known)}

    def note_etag(self, path: str) -> str | None:
        """The version of one note that was read."""
        row = self._session.get(TaskNoteRow, (self._vault_id, path))
        return None if row is None else row.etag

    def remember_notes(self, versions: Mapping[str, NoteVersion]) -> None:
        """Remember which version of each note was read."""
        for chunk in _chunks(list(versions)):
            mine = (TaskNoteRow.vault_id == self._vault_id, TaskNoteRow.path.in_(chunk))
            self._session.execute(delete(TaskNoteRow).where(*mine))
            rows = [(self._vault_id, path, versions[path].etag, *versions[path].marks) for path in chunk]
            insert_rows(self._session, _NOTES, ("vault_id", *_VERSION), rows)

    def forget_note(self, path: str) -> None:
        """Forget that a note was read."""
        mine = (TaskNoteRow.vault_id == self._vault_id, TaskNoteRow.path == path)
        self._session.execute(delete(TaskNoteRow).where(*mine))

    def has_note_below(self, folder: str) -> bool:
        """Whether a note in this folder was ever read."""
        mine = (TaskNoteRow.vault_id == self._vault_id, TaskNoteRow.path.startswith(folder + "/", autoescape=True))
        return self._session.scalar(select(TaskNoteRow.path).where(*mine).limit(1)) is not None

    def page(
        self,
        selection: TaskSelection,
        *,
        sort: Sort,
        descending: bool,
        after: Sequence[Any] | None,
        limit: int,
    ) -> Sequence[Row[Any]]:
        """At most `limit` tasks after the one with these sort values; a missing first value comes last."""
        columns = _SORTS[sort]
        first = columns[0]
        if not first.property.columns[0].nullable:
            return self._ordered(selection, columns, after, limit, descending=descending)
        # Asked for one after the other, because a database that has to sort missing values last uses no index.
        found: list[Row[Any]] = []
        if after is None or after[0] is not None:
            found += self._ordered(selection, columns, after, limit, first.is_not(None), descending=descending)
            after = None
        if len(found) < limit:
            rest, left = columns[1:], limit - len(found)
            behind = None if after is None else after[1:]
            found += self._ordered(selection, rest, behind, left, first.is_(None), descending=descending)
        return found

    def _ordered(
        self,
        selection: TaskSelection,
        columns: Sequence[InstrumentedAttribute[Any]],
        after: Sequence[Any] | None,
        limit: int,
        *conditions: ColumnElement[bool],
        descending: bool,
    ) -> Sequence[Row[Any]]:
        statement = select(*_SHOWN).where(*self._conditions(selection), *conditions)
        if after is not None:
            statement = statement.where(_beyond(columns, after, descending=descending))
        order = [column.desc() if descending else column.asc() for column in columns]
        return self._session.execute(statement.order_by(*order).limit(limit)).all()

    @staticmethod
    def sort_values(row: Row[Any], sort: Sort) -> list[Any]:
        """The values by which a row of a page stands where it does."""
        return [getattr(row, column.key) for column in _SORTS[sort]]

    def all(self, selection: TaskSelection) -> Iterator[Row[Any]]:
        """Every selected task, in no order."""
        statement = select(*_SHOWN).where(*self._conditions(selection))
        return iter(self._session.execute(statement.execution_options(yield_per=1000)))

    def counts(self, selection: TaskSelection, column: str, most: int) -> Sequence[Row[Any, int]]:
        """How many selected tasks have each value of a column, most first."""
        value = TaskRow.__table__.columns[column]
        number = func.count()
        statement = select(value, number).where(*self._conditions(selection)).group_by(value)
        return self._session.execute(statement.order_by(number.desc(), value).limit(most)).all()

    def tag_lists(self, selection: TaskSelection) -> Iterable[str]:
        """The tags of every selected task that has some, each list as it is stored."""
        return self._session.scalars(select(TaskRow.tags).where(*self._conditions(selection), TaskRow.tags != ""))

    def open_references(self) -> frozenset[str]:
        """The 🆔 of all open tasks."""
        mine = (TaskRow.vault_id == self._vault_id, TaskRow.reference.is_not(None), TaskRow.status.in_(OPEN))
        return frozenset(found for found in self._session.scalars(select(TaskRow.reference).where(*mine)) if found)

    def blocking_references(self) -> frozenset[str]:
        """The 🆔 that open tasks depend on."""
        mine = (TaskRow.vault_id == self._vault_id, TaskRow.depends_on != "", TaskRow.status.in_(OPEN))
        found = self._session.scalars(select(TaskRow.depends_on).where(*mine))
        return frozenset(reference for depends_on in found for reference in depends_on.split(","))

    def request(self, key: str) -> TaskRequestRow | None:
        """The request that came with an idempotency key."""
        return self._session.get(TaskRequestRow, (self._vault_id, key))

    def remember_request(self, key: str, digest: str, task_id: str, now: datetime) -> None:
        """Remember which task a request made."""
        self._session.add(
            TaskRequestRow(vault_id=self._vault_id, key=key, digest=digest, task_id=task_id, created_at=now)
        )

    def forget_requests(self, before: datetime) -> None:
        """Forget requests older than this."""
        old = (TaskRequestRow.vault_id == self._vault_id, TaskRequestRow.created_at < before)
        self._session.execute(delete(TaskRequestRow).where(*old))

    def flush(self) -> None:
        """Write what was changed, so that the next question sees it."""
        self._session.flush()

    def _rows(self, *conditions: ColumnElement[bool]) -> Sequence[TaskRow]:
        statement = select(TaskRow).where(TaskRow.vault_id == self._vault_id, *conditions)
        return self._session.scalars(statement.order_by(TaskRow.line, TaskRow.created_at, TaskRow.id)).all()

    def _conditions(self, selection: TaskSelection) -> list[ColumnElement[bool]]:
        found = [TaskRow.vault_id == self._vault_id, TaskRow.deleted.is_(False), *_equalities(selection)]
        if selection.status:
            found.append(TaskRow.status.in_(selection.status))
        if selection.priority:
            found.append(TaskRow.priority.in_([PRIORITIES.index(name) for name in selection.priority]))
        if selection.path is not None and selection.path.endswith("/"):
            found.append(TaskRow.note_path.startswith(selection.path, autoescape=True))
        elif selection.path is not None:
            found.append(TaskRow.note_path == selection.path)
        for tag in selection.tags:
            folded = "#" + tag.removeprefix("#").casefold()
            found.append(or_(*(TaskRow.tags_folded.contains(f" {folded}{end}", autoescape=True) for end in (" ", "/"))))
        words = (selection.text or "").casefold().split()
        found.extend(TaskRow.search_text.contains(word, autoescape=True) for word in words)
        if selection.depends_on is not None:
            listed = literal(",") + TaskRow.depends_on + ","
            found.append(listed.contains(f",{selection.depends_on},", autoescape=True))
        if selection.recurring is not None:
            found.append(TaskRow.recurrence.is_not(None) if selection.recurring else TaskRow.recurrence.is_(None))
        if selection.pending is not None:
            # A comparison with a missing text is neither true nor false, so it is asked for by itself.
            absent = TaskRow.noted_text.is_(None)
            settled = and_(TaskRow.pending_edit.is_(None), ~absent, TaskRow.noted_text == TaskRow.text)
            found.append(or_(absent, ~settled) if selection.pending else settled)
        found.extend(_DATES[name] >= day for name, day in selection.from_date.items())
        found.extend(_DATES[name] <= day for name, day in selection.to_date.items())
        found.extend(_DATES[name].is_not(None) for name in selection.has_date)
        found.extend(_DATES[name].is_(None) for name in selection.no_date)
        return found


def _equalities(selection: TaskSelection) -> list[ColumnElement[bool]]:
    wanted: list[tuple[InstrumentedAttribute[Any], str | None]] = [
        (TaskRow.status_symbol, selection.status_symbol),
        (TaskRow.project_id, selection.project_id),
        (TaskRow.heading, selection.heading),
        (TaskRow.reference, selection.reference),
        (TaskRow.block_id, selection.block_id),
        (TaskRow.source, selection.source),
    ]
    return [column == value for column, value in wanted if value is not None]


def _beyond(
    columns: Sequence[InstrumentedAttribute[Any]], values: Sequence[Any], *, descending: bool
) -> ColumnElement[bool]:
    """Whether a row comes after these values, compared column by column."""
    ways: list[ColumnElement[bool]] = []
    for place, (column, value) in enumerate(zip(columns, values, strict=True)):
        same = [earlier == known for earlier, known in zip(columns[:place], values[:place], strict=True)]
        ways.append(and_(*same, column < value if descending else column > value))
    return or_(*ways)


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _CHUNK_ROWS):
        yield items[start : start + _CHUNK_ROWS]
