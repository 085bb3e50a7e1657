"""The file service as a component."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from weave_nn import __version__
from weave_nn.entrypoints.components.relations import relations
from weave_nn.entrypoints.composition import Alone, Asking, Component, Runtime
from weave_nn.services.files import api, models, subscribers
from weave_nn.services.files.adapters.watcher import Watcher, WatchSettings, observe_all
from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service import EditLedger, FileService, Housekeeper, Limits, ObserverService, Recorder
from weave_nn.services.sync.contract import SyncContract
from weave_nn.shared.contracts import local
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import ReadinessCheck

if TYPE_CHECKING:
    from weave_nn.shared.mcp import VaultServer

log = structlog.get_logger(__name__)


def files(runtime: Runtime, contracts: Asking) -> Component:
    """The file service; its watcher may have a process of its own."""
    parts = _Parts(runtime)
    contract = local(FilesContract, parts.service, runtime.database)
    watching = Alone("watcher", parts.watch, [ReadinessCheck("watcher", parts.check_watcher)])
    return Component(
        name="files",
        schema=models.SCHEMA,
        contracts={FilesContract: contract},
        prepare=parts.prepare,
        subscriptions=subscribers.subscriptions(parts.service, parts.outbox, parts.ledger),
        apart={"watcher": watching},
        alone=[] if runtime.settings.read_only else [Alone("housekeeping", lambda: [parts.housekeeper()])],
        checks=[ReadinessCheck("vault", runtime.vault.check_present)],
        routers=api.routers(
            contract,
            version=__version__,
            read_only=runtime.settings.read_only,
            note_limit_bytes=parts.limits.note_bytes,
            # Asked for when it is needed: each of the two services asks the other.
            relations=relations(lambda: contracts.get(SyncContract)),
        ),
        dialects=dict(api.DIALECTS),
        public_paths=api.PUBLIC_PATHS,
        body_bytes_by_prefix=api.body_limits(
            note_limit_bytes=parts.limits.note_bytes,
            file_limit_bytes=parts.limits.file_bytes,
        ),
        rebuild=parts.rebuild,
        counts=parts.counts,
    )


def register_tools(server: "VaultServer", runtime: Runtime, contracts: Asking) -> None:
    """The tools that read and change files."""
    from weave_nn.services.files import tools  # noqa: PLC0415 - only the MCP face needs the MCP library

    tools.register_tools(server, contracts.get(FilesContract), read_only=runtime.settings.read_only)


class _Parts:
    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.outbox = runtime.outbox("files")
        self.limits = Limits(note_bytes=settings.max_note_bytes, file_bytes=settings.max_attachment_bytes)
        self.ledger = EditLedger(runtime.instance.data_dir / "edits")
        self.observer = local(ObserverContract, self.observing, runtime.database)
        self.watcher: Watcher | None = None

    def service(self, work: UnitOfWork) -> FileService:
        runtime, repository = self.runtime, self.repository(work)
        recorder = Recorder(runtime.vault, runtime.vault_id, runtime.journal, repository, self.outbox(work))
        return FileService(runtime.vault, repository, recorder, self.limits)

    def observing(self, work: UnitOfWork) -> ObserverService:
        runtime = self.runtime
        return ObserverService(runtime.vault, runtime.vault_id, self.repository(work), self.outbox(work))

    def repository(self, work: UnitOfWork) -> FileRepository:
        return FileRepository(work.session, self.runtime.vault_id)

    def watch(self) -> Sequence[Watcher]:
        settings = self.runtime.settings
        watch = WatchSettings(
            mode=settings.watch,
            quiet_seconds=settings.watch_debounce_milliseconds / 1000,
            poll_seconds=settings.watch_poll_seconds,
        )
        self.watcher = Watcher(self.observer, self.runtime.vault.root, watch)
        return [self.watcher]

    def housekeeper(self) -> Housekeeper:
        return Housekeeper(self.runtime.vault, self.runtime.journal, self.ledger)

    def prepare(self) -> None:
        if not self.runtime.vault.read_only:
            self.housekeeper().tidy()

    def check_watcher(self) -> None:
        problem = "it has not begun" if self.watcher is None else self.watcher.problem()
        if problem is not None:
            raise Unavailable(f"Changes of the vault are not noticed: {problem}.")

    def rebuild(self, progress: Callable[[int, int], None]) -> dict[str, int]:
        survey, observed = observe_all(self.observer, progress=progress)
        if not survey.first:
            self.observer.finish_survey()
        changed = observed.created + observed.updated + observed.renamed + observed.deleted
        return {"files": survey.files, "files_changed": changed}

    def counts(self) -> dict[str, int]:
        with self.runtime.database.read() as work:
            return {"files": self.repository(work).count()}
