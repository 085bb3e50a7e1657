"""A vault with the real file and task services on it, for tests."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import text

from weave_nn.services.files import models as file_models
from weave_nn.services.files import subscribers as file_subscribers
from weave_nn.services.files.adapters.watcher import observe_all
from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service import EditLedger, FileService, Limits, ObserverService, Recorder
from weave_nn.services.tasks import models as task_models
from weave_nn.services.tasks import subscribers as task_subscribers
from weave_nn.services.tasks.contract import Task, TasksContract, TaskSelection
from weave_nn.services.tasks.repository import TaskRepository
from weave_nn.services.tasks.service import TaskRules, TaskService, TaskSync
from weave_nn.shared import bus
from weave_nn.shared.bus import Event, Outbox, Subscription
from weave_nn.shared.bus.topics import matches
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.vault.store import Vault

TODAY = date(2026, 11, 23)


@dataclass
class Stand:
    """A vault with the file and the task service on it. Events are carried by hand, so that a test decides when."""

    root: Path
    database: Database
    files: FilesContract
    tasks: TasksContract
    sync: TaskSync
    observer: ObserverContract
    file_edits: list[Subscription]
    task_sync: list[Subscription]
    told: list[Event] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)

    def write(self, path: str, content: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def carry(self, *, file_service: bool = True) -> None:
        """Hand every event to whom it concerns, until there is none; without the file service its edits wait."""
        if file_service:
            observe_all(self.observer)
            self._handle(self.file_edits, self.held)
            self.held.clear()
        while events := self._taken():
            self.told += events
            if file_service:
                self._handle(self.file_edits, events)
            else:
                self.held += [event for event in events if event.type == "vault.file.edit_requested"]
            self._handle(self.task_sync, events)

    def _handle(self, subscriptions: list[Subscription], events: list[Event]) -> None:
        for subscription in subscriptions:
            for event in events:
                if any(matches(topic, event.type) for topic in subscription.topics):
                    with self.database.write() as work:
                        subscription.handle(work, event)

    def _taken(self) -> list[Event]:
        with self.database.write() as work:
            bodies = list(work.session.scalars(text("DELETE FROM bus_outbox RETURNING body")))
        return sorted((Event.from_json(body) for body in bodies), key=lambda event: event.id)

    def heard(self) -> list[str]:
        """The last words of the types of the task events since the last time."""
        words = [event.type.removeprefix("task.") for event in self.told if event.type.startswith("task.")]
        self.told.clear()
        return words

    def all(self, selection: TaskSelection | None = None) -> list[Task]:
        return list(self.tasks.list_tasks(selection or TaskSelection(), sort="path", limit=1000).tasks)

    def one(self, title: str) -> Task:
        (found,) = [task for task in self.all() if task.title == title]
        return found


def make_stand(tmp_path: Path, rules: TaskRules, database_url: str | None = None) -> Stand:
    root = tmp_path / "vault"
    root.mkdir()
    vault = Vault(root)
    database = Database(database_url or f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [bus.SCHEMA, file_models.SCHEMA, task_models.SCHEMA])

    def outbox(work: UnitOfWork) -> Outbox:
        return Outbox(work.session, "files", "test")

    def files(work: UnitOfWork) -> FileService:
        repository = FileRepository(work.session, "test")
        return FileService(
            vault, repository, Recorder(vault, "test", tmp_path / "journal", repository, outbox(work)), Limits()
        )

    def observer(work: UnitOfWork) -> ObserverService:
        return ObserverService(vault, "test", FileRepository(work.session, "test"), outbox(work))

    def tasks(work: UnitOfWork) -> TaskService:
        task_outbox = Outbox(work.session, "tasks", "test")
        return TaskService(TaskRepository(work.session, "test"), task_outbox, rules, "test")

    sync = TaskSync(vault, database, "test", rules)
    return Stand(
        root=root,
        database=database,
        files=local(FilesContract, files, database),
        tasks=local(TasksContract, tasks, database),
        sync=sync,
        observer=local(ObserverContract, observer, database),
        file_edits=file_subscribers.subscriptions(files, outbox, EditLedger(tmp_path / "edits")),
        task_sync=task_subscribers.subscriptions(sync),
    )
