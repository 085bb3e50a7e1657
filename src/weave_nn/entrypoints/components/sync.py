"""The sync service as a component."""

from collections.abc import Callable

import structlog

from weave_nn.entrypoints.composition import Component, Runtime
from weave_nn.services.files.api import local_rest
from weave_nn.services.sync import api, models, subscribers, tools
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.services.sync.service.keeping import IndexKeeper
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.http import ReadinessCheck
from weave_nn.shared.mcp import VaultServer

log = structlog.get_logger(__name__)


def sync(runtime: Runtime) -> tuple[Component, SyncContract]:
    """Search, links and the graph, with the thread that keeps the index true; and its contract, for other services."""
    indexer = Indexer(runtime.database, runtime.vault, runtime.vault_id)
    keeper = IndexKeeper(indexer)

    def service(work: UnitOfWork) -> SyncService:
        return SyncService(work, runtime.vault_id)

    def rebuild(progress: Callable[[int, int], None]) -> dict[str, int]:
        done = indexer.reconcile(progress=progress, anew=True)
        for path, reason in done.unreadable.items():
            log.warning("index.unreadable", path=path, reason=reason)
        return {"notes_indexed": done.read, "notes_unreadable": len(done.unreadable)}

    def counts() -> dict[str, int]:
        with runtime.database.read() as work:
            return {"notes": service(work).count_notes()}

    contract = local(SyncContract, service, runtime.database)

    def read(path: str) -> bytes:
        return runtime.vault.read(path, limit_bytes=runtime.settings.max_note_bytes).content

    def register(server: VaultServer) -> None:
        tools.register_tools(server, contract)
        tools.register_resources(server, contract, read)
        tools.register_prompts(server)

    component = Component(
        name="sync",
        schema=models.SCHEMA,
        contract=contract,
        subscriptions=subscribers.subscriptions(indexer, runtime.vault_id, keeper.request),
        routers=api.routers(contract),
        register_tools=register,
        background=[keeper],
        checks=[ReadinessCheck("index", keeper.check)],
        reading_paths=api.READING_PATHS,
        dialects=dict.fromkeys(api.LOCAL_REST_PREFIXES, local_rest.DIALECT),
        rebuild=rebuild,
        counts=counts,
    )
    return component, contract
