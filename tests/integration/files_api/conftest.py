import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from weave_nn.services.files import api, models
from weave_nn.services.files.adapters.watcher import observe_all
from weave_nn.services.files.api import local_rest
from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service import FileService, ObserverService, Recorder
from weave_nn.services.files.service import Limits as FileLimits
from weave_nn.shared import bus
from weave_nn.shared.bus import Outbox
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.shared.http import Limits, Security, StaticKey, create_app
from weave_nn.vault.store import Vault

KEY = "a-key-of-the-tests"
TODAY = date(2026, 11, 23)
NOTE_LIMIT = 1_000_000
FILE_LIMIT = 100_000_000


@dataclass
class Server:
    """A vault with the HTTP face of the file service on it."""

    root: Path
    app: FastAPI
    client: TestClient
    files: FilesContract
    observer: ObserverContract

    def write(self, path: str, content: str | bytes) -> bytes:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        content = content.encode() if isinstance(content, str) else content
        file.write_bytes(content)
        return content

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def everything(self) -> dict[str, bytes]:
        """Every file below the vault's root, hidden ones as well."""
        found = (file for file in self.root.rglob("*") if file.is_file())
        return {file.relative_to(self.root).as_posix(): file.read_bytes() for file in found}

    def notice(self) -> None:
        """Look through the vault, so that what a test wrote is listed."""
        observe_all(self.observer)


MakeServer = Callable[..., Server]


@pytest.fixture(scope="module")
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeServer]:
    with ExitStack() as stack:

        def make(*, read_only: bool = False, **options: Any) -> Server:
            tmp_path = tmp_path_factory.mktemp("server")
            root = tmp_path / "vault"
            root.mkdir()
            vault, database = Vault(root, read_only=read_only), Database(f"sqlite:///{tmp_path}/weave.db")
            stack.callback(database.close)
            upgrade(database, [bus.SCHEMA, models.SCHEMA])

            def outbox(work: UnitOfWork) -> Outbox:
                return Outbox(work.session, "files", "test")

            def service(work: UnitOfWork) -> FileService:
                repository = FileRepository(work.session, "test")
                recorder = Recorder(vault, "test", tmp_path / "journal", repository, outbox(work))
                return FileService(vault, repository, recorder, FileLimits(NOTE_LIMIT, FILE_LIMIT))

            def observing(work: UnitOfWork) -> ObserverService:
                return ObserverService(vault, "test", FileRepository(work.session, "test"), outbox(work))

            files = local(FilesContract, service, database)
            app = _app(files, read_only=read_only, **options)
            headers = {"Authorization": f"Bearer {KEY}"}
            client = stack.enter_context(TestClient(app, base_url="http://127.0.0.1", headers=headers))
            return Server(root, app, client, files, local(ObserverContract, observing, database))

        yield make


def _app(files: FilesContract, *, read_only: bool, relations: Any = None) -> FastAPI:
    return create_app(
        title="Test",
        version="1",
        routers=[
            api.files.router(files, read_only=read_only, note_limit_bytes=NOTE_LIMIT),
            local_rest.router(
                files,
                version="1",
                read_only=read_only,
                relations=relations,
                note_limit_bytes=NOTE_LIMIT,
                today=lambda: TODAY,
            ),
        ],
        security=Security(authenticator=StaticKey(KEY), public_paths=api.PUBLIC_PATHS),
        limits=Limits(body_bytes_by_prefix=api.body_limits(note_limit_bytes=NOTE_LIMIT, file_limit_bytes=FILE_LIMIT)),
        dialects=api.DIALECTS,
    )


@pytest.fixture(scope="module")
def lasting_server(make_server: MakeServer) -> Server:
    return make_server()


@pytest.fixture
def server(lasting_server: Server) -> Server:
    """A server with an empty vault; what is known of earlier files goes with the next `notice`."""
    for entry in lasting_server.root.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return lasting_server
