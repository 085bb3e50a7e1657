"""What the task service does when notes change, and when it is answered about its edits.

Notes are read and parsed before the first statement of a transaction, so that nobody waits for that with the lock held.
Of two threads that look at the same note, the one that read it later must also be the one that writes later: they take
turns from the reading to the taking of the lock. Another process may have come in between: what was read is looked at
again with the lock held, and read again if it has changed. An older state of a note would delete its newest tasks.
"""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec

from weave_nn.services.tasks.models import SCHEMA, TaskRow
from weave_nn.services.tasks.repository import UNKNOWN, TaskRepository
from weave_nn.services.tasks.service.editing import NoteEditor
from weave_nn.services.tasks.service.reconciling import Reconciler
from weave_nn.services.tasks.service.rules import TaskRules, local_day
from weave_nn.services.tasks.service.scanning import scan_again, scan_note, survey
from weave_nn.shared.bus import Outbox
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.vault.paths import is_note
from weave_nn.vault.reading import read_many
from weave_nn.vault.store import Vault

SOURCE = "tasks"

TENDED_NOTES = 500
_PORTION_NOTES = 300

_Arguments = ParamSpec("_Arguments")


def _in_turn(
    method: Callable[Concatenate["TaskSync", _Arguments], None],
) -> Callable[Concatenate["TaskSync", _Arguments], None]:
    @functools.wraps(method)
    def waiting(self: "TaskSync", /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        with self.turn:
            method(self, *args, **kwargs)

    return waiting


class TaskSync:
    """Keeps the tasks of one vault in step with its notes. Its methods may be repeated, and come in any order."""

    def __init__(self, vault: Vault, database: Database, vault_id: str, rules: TaskRules) -> None:
        self._vault = vault
        self._database = database
        self._vault_id = vault_id
        self._rules = rules
        self.turn = threading.Lock()

    @_in_turn
    def note_changed(self, work: UnitOfWork, path: str) -> None:
        """Look at a note that was made, changed or deleted."""
        note = scan_note(self._vault, path, self._rules)
        tasks = self._tasks(work)
        tasks.lock()
        note = scan_again(self._vault, path, note, self._rules)
        if note is None:
            self._reconciler(work).apply([], [path])
        elif tasks.note_etag(path) != note.etag:
            self._reconciler(work).apply([note])

    @_in_turn
    def note_renamed(self, work: UnitOfWork, previous_path: str, path: str) -> None:
        """Look at a note that has another path now; its tasks stay who they are."""
        note = scan_note(self._vault, path, self._rules)
        previous = scan_note(self._vault, previous_path, self._rules)
        reconciler = self._reconciler(work)
        self._tasks(work).lock()
        note = scan_again(self._vault, path, note, self._rules)
        previous = scan_again(self._vault, previous_path, previous, self._rules)
        if note is not None and self._tasks(work).note_etag(path) is None:
            # Something may stand at the old path again by now: it is another note.
            self._tasks(work).rename_note(previous_path, path)
        reconciler.apply([each for each in (note, previous) if each is not None], [] if previous else [previous_path])

    @_in_turn
    def edit_made(self, work: UnitOfWork, edit_id: str, path: str) -> None:
        """Take note that an edit was made, and ask for the next one where more is wanted."""
        self._answered(work, edit_id, path, None)

    @_in_turn
    def edit_refused(self, work: UnitOfWork, edit_id: str, path: str, reason: str) -> None:
        """Take note that an edit could not be made: the note wins."""
        self._answered(work, edit_id, path, reason)

    @_in_turn
    def vault_reindexed(self, work: UnitOfWork) -> None:
        """Look at every note whose version is another than the one that was read."""
        self._compare(work, anew=False)

    def reconcile_all(self, *, anew: bool = False) -> None:
        """Catch up with the vault, in transactions of its own; raises `ScanFailed` if it cannot be read.

        With `anew`, notes that look unchanged are read again too; tasks keep their ids.
        """
        # The turn lasts until the commit, or who comes next would not see what was read and read it all again.
        with self.turn:
            self._read_first()
            with self._database.write() as work:
                self._compare(work, anew=anew)

    def _read_first(self) -> None:
        """Read a vault of which nothing is known, in portions: nobody waits long for the lock, and memory is bounded.

        What an interruption leaves over is found by comparing.
        """
        with self._database.read() as reading:
            if self._tasks(reading).note_versions():
                return
        paths = [path for path in self._vault.scan().files if is_note(path)]
        # Reading needs no clock, and one of a test cannot be handed to another process.
        scan = functools.partial(scan_note, rules=replace(self._rules, today=local_day))
        with contextlib.closing(read_many(self._vault, paths, scan)) as scanned:
            while portion := list(itertools.islice(scanned, _PORTION_NOTES)):
                notes = [note for note in portion if note is not None]
                with self._database.write() as work:
                    self._tasks(work).lock()
                    self._reconciler(work).apply(notes, quiet={note.path for note in notes})
        if len(paths) >= TENDED_NOTES:
            self._database.tend([table.name for table in SCHEMA.metadata.sorted_tables])

    def _compare(self, work: UnitOfWork, *, anew: bool) -> None:
        with self._database.read() as reading:
            known = self._tasks(reading).note_versions()
        if anew:
            known = dict.fromkeys(known, UNKNOWN)
        found = survey(self._vault, known, self._rules)
        tasks = self._tasks(work)
        tasks.lock()
        unsettled = [(row, row.pending_edit) for row in tasks.unsettled()]
        for path, previous_path in found.moved.items():
            tasks.rename_note(previous_path, path)
        self._reconciler(work).apply(found.changed, found.gone, quiet=found.first_seen)
        tasks.remember_notes(found.same)
        self._resume(work, unsettled)

    def _resume(self, work: UnitOfWork, unsettled: list[tuple[TaskRow, str | None]]) -> None:
        """Ask again for edits that got no answer, and for those that were never asked for."""
        tasks = self._tasks(work)
        editor = NoteEditor(tasks, self._outbox(work))
        on_their_way: dict[str, list[TaskRow]] = {}
        for row, edit_id in unsettled:
            if edit_id is not None:
                on_their_way.setdefault(edit_id, []).append(row)
            elif tasks.has(row):
                editor.settle(row)
        for rows in on_their_way.values():
            editor.request(rows)

    def _answered(self, work: UnitOfWork, edit_id: str, path: str, refused_because: str | None) -> None:
        note = scan_note(self._vault, path, self._rules)
        tasks = self._tasks(work)
        tasks.lock()
        note = scan_again(self._vault, path, note, self._rules)
        rows = tasks.with_pending_edit(edit_id)
        if not rows:
            return
        moved = path != rows[0].note_path
        if moved:
            # The note was renamed while the edit was on its way; what counts is where it is now.
            path = rows[0].note_path
            note = scan_note(self._vault, path, self._rules)
        for row in rows:
            row.pending_edit = None
            if refused_because is None:
                row.before_text = None
            elif moved:
                row.noted_text, row.before_text = row.before_text, None
        tasks.flush()
        reconciler = self._reconciler(work)
        known = note is not None and refused_because is None and tasks.note_etag(path) == note.etag
        if known and note is not None and reconciler.made(rows, note):
            return
        refused = set() if refused_because is None or moved else {row.id for row in rows}
        notes, gone = ([], [path]) if note is None else ([note], [])
        reconciler.apply(notes, gone, refused=refused, reason=refused_because or "")

    def _tasks(self, work: UnitOfWork) -> TaskRepository:
        return TaskRepository(work.session, self._vault_id)

    def _outbox(self, work: UnitOfWork) -> Outbox:
        return Outbox(work.session, SOURCE, self._vault_id)

    def _reconciler(self, work: UnitOfWork) -> Reconciler:
        return Reconciler(self._tasks(work), self._outbox(work), self._rules, self._vault_id)
