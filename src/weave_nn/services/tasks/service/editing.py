"""Bringing what was asked for into the notes, by edits that the file service makes.

At most one edit of a task is on its way. What is asked for meanwhile is kept in the row, and the next edit starts from
what the answer to the first one leaves in the note, so that edits never overtake each other.
"""

import uuid
from collections.abc import Sequence

from weave_nn.services.files.events import FileEditRequested, LineEdit
from weave_nn.services.tasks.models import TaskRow
from weave_nn.services.tasks.repository import TaskRepository
from weave_nn.shared.bus import Outbox


class NoteEditor:
    """Requests the edits of one vault's notes."""

    def __init__(self, repository: TaskRepository, outbox: Outbox) -> None:
        self._tasks = repository
        self._outbox = outbox

    def settle(self, row: TaskRow) -> None:
        """Ask for the edit that this task's line needs, unless none is needed or one is on its way.

        Tasks that wait to be put above it (next occurrences) come with it.
        """
        if row.anchor_id is not None and row.noted_text is None and row.pending_edit is None:
            anchor = self._tasks.get_any(row.anchor_id)
            if anchor is not None:
                self.settle(anchor)
                return
        if row.pending_edit is not None:
            return
        above = [each for each in self._tasks.above(row.id) if each.noted_text is None and each.pending_edit is None]
        wanted = None if row.deleted else row.text
        lines = [each.text for each in above if not each.deleted] + ([wanted] if wanted is not None else [])
        if lines == [row.noted_text] or (not lines and row.noted_text is None):
            return
        edit_id = str(uuid.uuid4())
        for each in above:
            each.before_text, each.noted_text, each.pending_edit = None, None if each.deleted else each.text, edit_id
        row.before_text, row.noted_text, row.pending_edit = row.noted_text, wanted, edit_id
        self._tasks.flush()
        self.request([*above, row])

    def request(self, rows: Sequence[TaskRow]) -> None:
        """Announce the edit that these rows are waiting for; doing so again does no harm, for it has a name."""
        ids = {each.id for each in rows}
        # What is put above a task comes before it, whichever way the rows were found.
        rows = sorted(rows, key=lambda each: each.anchor_id not in ids)
        row = rows[-1]
        new = "\n".join(each.noted_text for each in rows if each.noted_text is not None)
        if row.before_text is None:
            edit = LineEdit(operation="insert", new=new, heading=row.heading or "")
        elif new:
            edit = LineEdit(operation="replace", old=row.before_text, new=new, line=row.line)
        else:
            edit = LineEdit(operation="delete", old=row.before_text, line=row.line)
        announcement = FileEditRequested(
            edit_id=str(row.pending_edit), path=row.note_path, edits=(edit,), create=row.before_text is None
        )
        self._outbox.announce(announcement)
