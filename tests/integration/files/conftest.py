from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from weave_nn.services.files import models
from weave_nn.services.files.adapters.watcher import observe_all
from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service import EditLedger, FileService, Limits, ObserverService, Recorder
from weave_nn.shared import bus
from weave_nn.shared.bus import Event, Outbox
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.vault.store import Vault


@dataclass
class Stand:
    """A vault with the file service on it, and what it announced."""

    root: Path
    database: Database
    files: FilesContract
    observer: ObserverContract
    service: object
    ledger: EditLedger

    def write(self, path: str, content: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def announced(self) -> list[Event]:
        """What waits in the outbox, which is emptied by this."""
        with self.database.write() as work:
            bodies = list(work.session.scalars(text("DELETE FROM bus_outbox RETURNING body")))
        return sorted((Event.from_json(body) for body in bodies), key=lambda event: event.id)

    def told(self) -> list[tuple[str, str | None]]:
        """The same as pairs of the last word of the type, and the subject."""
        return [(event.type.rpartition(".")[2], event.subject) for event in self.announced()]

    def settle(self) -> list[tuple[str, str | None]]:
        """Look through the vault once, and tell what was announced."""
        observe_all(self.observer)
        return self.told()


@pytest.fixture
def stand(tmp_path: Path, database_url: str) -> Iterator[Stand]:
    root = tmp_path / "vault"
    root.mkdir()
    vault = Vault(root)
    database = Database(database_url)
    upgrade(database, [bus.SCHEMA, models.SCHEMA])

    def outbox(work: UnitOfWork) -> Outbox:
        return Outbox(work.session, "files", "test")

    def service(work: UnitOfWork) -> FileService:
        repository = FileRepository(work.session, "test")
        recorder = Recorder(vault, "test", tmp_path / "journal", repository, outbox(work))
        return FileService(vault, repository, recorder, Limits(note_bytes=100_000, file_bytes=1_000_000))

    def observing(work: UnitOfWork) -> ObserverService:
        return ObserverService(vault, "test", FileRepository(work.session, "test"), outbox(work))

    stand = Stand(
        root=root,
        database=database,
        files=local(FilesContract, service, database),
        observer=local(ObserverContract, observing, database),
        service=service,
        ledger=EditLedger(tmp_path / "edits"),
    )
    stand.settle()
    yield stand
    database.close()
