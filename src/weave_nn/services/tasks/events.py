"""What the task service announces. An event says *look here*: ask the contract for the task as it is now."""

from dataclasses import dataclass
from typing import ClassVar

from weave_nn.shared.bus import Announcement


@dataclass(frozen=True, slots=True)
class TaskCreated(Announcement):
    """A task appeared in a note, or was made over the API (its line then reaches the note a little later)."""

    TYPE: ClassVar[str] = "task.created"

    task_id: str
    note_path: str
    title: str
    version: int

    def subject(self) -> str:
        """The task's id."""
        return self.task_id


@dataclass(frozen=True, slots=True)
class TaskUpdated(Announcement):
    """A task changed in another way than being completed; moving up or down in its note is no change."""

    TYPE: ClassVar[str] = "task.updated"

    task_id: str
    note_path: str
    title: str
    version: int

    def subject(self) -> str:
        """The task's id."""
        return self.task_id


@dataclass(frozen=True, slots=True)
class TaskCompleted(Announcement):
    """A task was completed, in its note or over the API."""

    TYPE: ClassVar[str] = "task.completed"

    task_id: str
    note_path: str
    title: str
    version: int

    def subject(self) -> str:
        """The task's id."""
        return self.task_id


@dataclass(frozen=True, slots=True)
class TaskDeleted(Announcement):
    """A task's line is gone from its note, or was asked to go."""

    TYPE: ClassVar[str] = "task.deleted"

    task_id: str
    note_path: str
    title: str

    def subject(self) -> str:
        """The task's id."""
        return self.task_id


@dataclass(frozen=True, slots=True)
class TaskConflict(Announcement):
    """A change asked for over the API did not fit the note, and the note won.

    `wanted` is the line that was to be written (empty for a deletion), `found` the line that stands in the note (empty
    when there is none any more).
    """

    TYPE: ClassVar[str] = "task.conflict"

    task_id: str
    note_path: str
    wanted: str
    found: str
    reason: str

    def subject(self) -> str:
        """The task's id."""
        return self.task_id
