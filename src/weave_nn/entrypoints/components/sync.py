"""The sync service as a component."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from weave_nn.entrypoints.composition import Asking, Component, Runtime
from weave_nn.services.files.api import local_rest
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.sync import api, models, subscribers
from weave_nn.services.sync.adapters.semantic import find_embedder
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.service.embedding import VectorKeeper
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.services.sync.service.keeping import IndexKeeper
from weave_nn.services.sync.service.meaning import Meaning
from weave_nn.services.sync.service.refilling import FullTextRefill
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.shared.ephemeral.turns import turn
from weave_nn.shared.http import ReadinessCheck

if TYPE_CHECKING:
    from weave_nn.shared.mcp import VaultServer

log = structlog.get_logger(__name__)


def meaning(runtime: Runtime) -> Meaning | None:
    """Nearness in meaning, where it is installed and not switched off; nothing of it is loaded before it is used."""
    embedder = None if runtime.settings.semantic == "off" else find_embedder()
    return None if embedder is None else Meaning(embedder)


def sync(runtime: Runtime, _contracts: Asking) -> Component:
    """The sync service with the threads that keep the index true."""
    near = meaning(runtime)
    contract = local(SyncContract, lambda work: SyncService(work, runtime.vault_id, meaning=near), runtime.database)
    indexer = Indexer(runtime.database, runtime.vault, runtime.vault_id)
    my_turn = turn(runtime.leases, "index-keeper")
    keeper = IndexKeeper(indexer, turn=my_turn)
    vectors = (
        None
        if near is None
        else VectorKeeper(runtime.database, runtime.vault_id, near, ready=keeper.wait_complete, turn=my_turn)
    )

    def rebuild(progress: Callable[[int, int], None]) -> dict[str, int]:
        done = indexer.reconcile(progress=progress, anew=True)
        for path, reason in done.unreadable.items():
            log.warning("index.unreadable", path=path, reason=reason)
        made = {} if vectors is None else {"notes_embedded": vectors.catch_up(progress)}
        return {"notes_indexed": done.read, "notes_unreadable": len(done.unreadable), **made}

    def counts() -> dict[str, int]:
        with runtime.database.read() as work:
            return {"notes": SyncService(work, runtime.vault_id).count_notes()}

    return Component(
        name="sync",
        schema=models.SCHEMA,
        contracts={SyncContract: contract},
        subscriptions=subscribers.subscriptions(indexer, runtime.vault_id, keeper.request),
        routers=api.routers(contract),
        background=[keeper] if vectors is None else [keeper, vectors],
        checks=[ReadinessCheck("index", keeper.check)],
        reading_paths=api.READING_PATHS,
        dialects=dict.fromkeys(api.LOCAL_REST_PREFIXES, local_rest.DIALECT),
        rebuild=rebuild,
        counts=counts,
        derived=[FullTextRefill()],
    )


def register_tools(server: "VaultServer", runtime: Runtime, contracts: Asking) -> None:
    """The tools that search, and the MCP face of the vault's files: resources, subscriptions, completion, prompts."""
    from weave_nn.services.sync import tools  # noqa: PLC0415 - only the MCP face needs the MCP library

    contract = contracts.get(SyncContract)
    semantic = runtime.settings.semantic != "off" and find_embedder() is not None
    tools.register_tools(server, contract, semantic=semantic)
    tools.register_resources(server, contracts.get(FilesContract))
    tools.register_subscriptions(server, runtime.bus, runtime.vault_id, runtime.database.on_commit)
    tools.register_completion(server, contract)
    tools.register_prompts(server, contract)
