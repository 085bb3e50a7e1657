"""Bringing the rows to what the notes say.

The note wins: a row takes over what its line says, unless the line is what the row itself put there or is about to
change. A row whose edit is on its way is left alone until the answer to that edit comes.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from weave_nn.services.tasks.contract import StatusType
from weave_nn.services.tasks.events import TaskCompleted, TaskConflict, TaskCreated, TaskDeleted, TaskUpdated
from weave_nn.services.tasks.models import TaskRow
from weave_nn.services.tasks.repository import UNKNOWN, TaskRepository
from weave_nn.services.tasks.service.editing import NoteEditor
from weave_nn.services.tasks.service.identity import Trait, recognise
from weave_nn.services.tasks.service.rows import assign, columns_of, new_values, place_columns
from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.services.tasks.service.scanning import ScannedNote, SeenTask, trait_of
from weave_nn.shared.bus import Announcement, Outbox
from weave_nn.vault.task_line import TaskLine


class Reconciler:
    """Reconciles the rows of notes, in one transaction."""

    def __init__(self, repository: TaskRepository, outbox: Outbox, rules: TaskRules, vault_id: str) -> None:
        self._tasks = repository
        self._outbox = outbox
        self._rules = rules
        self._vault_id = vault_id
        self._editor = NoteEditor(repository, outbox)
        self._announcements: list[Announcement] = []
        self._new: list[dict[str, object]] = []
        self._anchors: set[str | None] = set()

    def apply(
        self,
        notes: Sequence[ScannedNote],
        gone: Sequence[str] = (),
        *,
        quiet: Collection[str] = (),
        refused: Collection[str] = (),
        reason: str = "",
    ) -> None:
        """Reconcile these notes, and those that are `gone`.

        New tasks in notes of `quiet` are not announced one by one. `refused` are tasks whose last edit could not be
        made, for this `reason`.
        """
        rows = self._tasks.in_notes([*(note.path for note in notes), *gone])
        self._anchors = {row.anchor_id for note in rows.values() for row in note if row.noted_text is None}
        unsettled: list[TaskRow] = []
        for note in notes:
            unsettled += self._note(note, rows[note.path], refused, reason, announce_new=note.path not in quiet)
        for path in gone:
            unsettled += self._note(ScannedNote(path, UNKNOWN, ()), rows[path], refused, reason, announce_new=False)
            self._tasks.forget_note(path)
        self._tasks.remember_notes({note.path: note.version for note in notes})
        self._tasks.add_many(self._new)
        self._tasks.flush()
        for row in unsettled:
            if self._tasks.has(row):
                self._editor.settle(row)
        self._outbox.announce(*self._announcements)

    def made(self, rows: Sequence[TaskRow], note: ScannedNote) -> bool:
        """Take note that the edit of these rows was made, if the note holds what it was to hold; false if it does not.

        Only for a note that was reconciled since: its other rows are not looked at.
        """
        present = {seen.line.text for seen in note.tasks}
        if not all(row.noted_text is None or row.noted_text in present for row in rows):
            return False
        for row in rows:
            row.anchor_id = None
            if row.deleted and row.noted_text is None:
                self._tasks.remove(row)
        self._tasks.flush()
        for row in rows:
            if not row.deleted or row.noted_text is not None:
                self._editor.settle(row)
        return True

    def _note(
        self,
        note: ScannedNote,
        rows: Sequence[TaskRow],
        refused: Collection[str],
        reason: str,
        *,
        announce_new: bool,
    ) -> list[TaskRow]:
        """Reconcile one note; returns the rows whose line is to be edited next."""
        known: list[TaskRow] = []
        unsettled: list[TaskRow] = []
        for row in rows:
            if row.noted_text is not None or row.pending_edit is not None or row.id in refused:
                known.append(row)
            elif row.deleted:
                # Its line is out of the note, as was asked for and announced then.
                self._tasks.remove(row)
            else:
                unsettled.append(row)
        pairs = recognise([_trait(row) for row in known], [seen.trait for seen in note.tasks]) if known else {}
        for place, row in enumerate(known):
            if place in pairs:
                needs_edit = self._found(row, note.tasks[pairs[place]], refused, reason)
            else:
                needs_edit = self._missing(row, refused, reason)
            if needs_edit:
                unsettled.append(row)
        taken = set(pairs.values())
        for place, seen in enumerate(note.tasks):
            if place not in taken:
                self._appeared(seen, announce=announce_new)
        return unsettled

    def _found(self, row: TaskRow, seen: SeenTask, refused: Collection[str], reason: str) -> bool:
        """Take over where a task stands now, and what it says; true when another edit is needed."""
        place = seen.place
        if (row.line, row.heading, row.note_path, row.project_id) != (
            place.line, place.heading, place.note_path, place.project_id,
        ):  # fmt: skip
            assign(row, place_columns(row.title, place))
        if row.pending_edit is not None:
            return False
        row.anchor_id = None
        if seen.line.text == row.noted_text:
            return row.deleted or row.text != row.noted_text or row.id in self._anchors
        asked_for = "" if row.deleted else row.text
        if (row.id in refused or asked_for != row.noted_text) and asked_for != seen.line.text:
            self._conflict(row, asked_for, seen.line.text, reason or "the line was changed in the note meanwhile")
        self._abandon_above(row)
        was_done = row.status == StatusType.DONE
        changed = row.text != seen.line.text or row.deleted
        assign(row, columns_of(seen.line, seen.place, self._rules.statuses))
        row.noted_text, row.before_text, row.deleted = seen.line.text, None, False
        if changed:
            self._touch(row)
            completed = row.status == StatusType.DONE and not was_done
            kind = TaskCompleted if completed else TaskUpdated
            self._announcements.append(kind(row.id, row.note_path, row.title, row.version))
        return False

    def _missing(self, row: TaskRow, refused: Collection[str], reason: str) -> bool:
        """Decide about a task whose line is not in the note; true when its line is to be put there."""
        if row.pending_edit is not None:
            return False
        never_there = row.id in refused and row.before_text is None
        if never_there and row.anchor_id is None and not row.deleted:
            return self._not_inserted(row, reason)
        if not row.deleted:
            if not never_there and (row.id in refused or row.text != row.noted_text):
                self._conflict(row, row.text, "", reason or "the line was deleted from the note meanwhile")
            self._announcements.append(TaskDeleted(row.id, row.note_path, row.title))
        self._abandon_above(row)
        self._tasks.remove(row)
        return False

    def _not_inserted(self, row: TaskRow, reason: str) -> bool:
        """A new line that its note did not take goes to the inbox; if that is the one, it waits for the next look."""
        self._conflict(row, row.text, "", reason)
        row.noted_text = None
        if row.note_path == self._rules.inbox_note:
            return False
        row.note_path, row.heading, row.line = self._rules.inbox_note, None, 0
        return True

    def _appeared(self, seen: SeenTask, *, announce: bool) -> None:
        columns = columns_of(seen.line, seen.place, self._rules.statuses)
        values = new_values(columns, self._vault_id, "note", seen.line.text)
        self._new.append(values)
        if announce:
            self._announcements.append(TaskCreated(values["id"], seen.place.note_path, columns["title"], 1))

    def _abandon_above(self, row: TaskRow) -> None:
        """Forget next occurrences of a task whose completion did not come about."""
        for each in self._tasks.above(row.id):
            self._abandon_above(each)
            self._announcements.append(TaskDeleted(each.id, each.note_path, each.title))
            self._tasks.remove(each)

    def _conflict(self, row: TaskRow, wanted: str, found: str, reason: str) -> None:
        self._announcements.append(TaskConflict(row.id, row.note_path, wanted, found, reason))

    @staticmethod
    def _touch(row: TaskRow) -> None:
        row.version += 1
        row.updated_at = datetime.now(UTC)


def _trait(row: TaskRow) -> Trait:
    exact = row.pending_edit is not None and row.before_text is None
    present = row.noted_text if row.before_text is None else row.before_text
    if present in {None, row.text}:
        # The usual case by far: the columns say what parsing the line again would.
        core = (row.title, row.due_date, row.scheduled_date, row.start_date, row.recurrence)
        return Trait(row.noted_text, row.title, core, row.reference, row.block_id, exact, row.before_text)
    line = TaskLine.parse(present or "")
    if line is None:
        raise AssertionError(f"the task {row.id} has the text {present!r}, which is no task line")
    return trait_of(line, row.noted_text, exact=exact, former=row.before_text)
