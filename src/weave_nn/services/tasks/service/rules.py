"""How tasks are read and written: what a deployment may decide."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from weave_nn.services.tasks.service.statuses import Statuses
from weave_nn.vault.task_line import Form


def local_day() -> date:
    """Today, where this machine is."""
    return datetime.now().astimezone().date()


@dataclass(frozen=True, slots=True)
class TaskRules:
    """The rules of one vault.

    A new task goes to its project's tasks note, `{folder}/{project}/{project_note}` with the first of `project_folders`
    that has notes of the project, else to `inbox_note`. With `global_filter` (such as `#task`) only checkboxes whose
    text has it are tasks. Ids (🆔) are written into notes only with `write_ids`. The dates that a status brings are
    set as the plugin does by default. `form` is how fields are written on lines that have none yet.
    """

    inbox_note: str = "Inbox.md"
    project_folders: tuple[str, ...] = ("_projects", "projects")
    project_note: str = "Tasks.md"
    global_filter: str = ""
    write_ids: bool = False
    set_created_date: bool = False
    set_done_date: bool = True
    set_cancelled_date: bool = True
    remove_scheduled_date_on_recurrence: bool = False
    form: Form = "emoji"
    statuses: Statuses = field(default_factory=Statuses)
    today: Callable[[], date] = local_day

    def project_of(self, path: str, declared: object) -> str | None:
        """The project of a note: what its frontmatter declares as `project`, else the folder below a project folder."""
        if isinstance(declared, list) and declared:
            declared = declared[0]
        if isinstance(declared, str) and declared.strip():
            # A property may hold a link to the project's note.
            return declared.strip().removeprefix("[[").removesuffix("]]").rpartition("|")[2].strip() or None
        segments = path.split("/")
        for place, segment in enumerate(segments[:-2]):
            if segment in self.project_folders:
                return segments[place + 1]
        return None
