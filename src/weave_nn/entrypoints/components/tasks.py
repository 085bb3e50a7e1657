"""The task service as a component."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from weave_nn.entrypoints.composition import Asking, Component, Runtime
from weave_nn.services.tasks import models, subscribers
from weave_nn.services.tasks.api import router
from weave_nn.services.tasks.contract import TasksContract, TaskSelection
from weave_nn.services.tasks.repository import TaskRepository
from weave_nn.services.tasks.service import TaskRules, TaskService, TaskSync
from weave_nn.services.tasks.service.keeping import TaskKeeper
from weave_nn.services.tasks.service.plugin import SETTINGS_PATH, with_plugin_settings
from weave_nn.shared.contracts import local
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.ephemeral.turns import turn
from weave_nn.shared.errors import TooLarge, Unavailable
from weave_nn.shared.http import ReadinessCheck
from weave_nn.vault.errors import NoteNotFound

if TYPE_CHECKING:
    from weave_nn.shared.mcp import VaultServer

log = structlog.get_logger(__name__)

_LARGEST_SETTINGS_BYTES = 1024 * 1024


def tasks(runtime: Runtime, _contracts: Asking) -> Component:
    """The task service, with the thread that catches up with the notes at the start."""
    settings = runtime.settings
    rules = TaskRules(
        inbox_note=settings.tasks_inbox,
        project_folders=settings.tasks_project_folders,
        project_note=settings.tasks_project_note,
        write_ids=settings.tasks_write_ids,
    )
    rules = with_plugin_settings(rules, _plugin_settings(runtime))
    outbox = runtime.outbox("tasks")
    sync = TaskSync(runtime.vault, runtime.database, runtime.vault_id, rules)
    read_only = settings.read_only

    def service(work: UnitOfWork) -> TaskService:
        return TaskService(TaskRepository(work.session, runtime.vault_id), outbox(work), rules, runtime.vault_id)

    keeper = TaskKeeper(sync, turn=turn(runtime.leases, "tasks-keeper"))
    contract = local(TasksContract, service, runtime.database)

    def counts() -> dict[str, int]:
        return {"tasks": sum(group.count for group in contract.count_tasks(TaskSelection(), by="status"))}

    def rebuild(progress: Callable[[int, int], None]) -> dict[str, int]:
        progress(0, 1)
        sync.reconcile_all(anew=True)
        progress(1, 1)
        return counts()

    return Component(
        name="tasks",
        schema=models.SCHEMA,
        contracts={TasksContract: contract},
        subscriptions=subscribers.subscriptions(sync),
        background=[keeper],
        checks=[ReadinessCheck("tasks", keeper.check)],
        routers=[router(contract, read_only=read_only)],
        rebuild=rebuild,
        counts=counts,
    )


def register_tools(server: "VaultServer", runtime: Runtime, contracts: Asking) -> None:
    """The tools that find and change tasks."""
    from weave_nn.services.tasks import tools  # noqa: PLC0415 - only the MCP face needs the MCP library

    tools.register_tools(server, contracts.get(TasksContract), read_only=runtime.settings.read_only)


def _plugin_settings(runtime: Runtime) -> bytes | None:
    try:
        return runtime.vault.read(SETTINGS_PATH, hidden=True, limit_bytes=_LARGEST_SETTINGS_BYTES).content
    except (NoteNotFound, TooLarge, Unavailable):
        return None
