"""The monolith: all services in one process, on one database, over HTTP and MCP."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import structlog
from fastapi import FastAPI
from mcp.server.transport_security import TransportSecuritySettings

from weave_nn import __version__
from weave_nn.entrypoints.caretaker import Caretaker
from weave_nn.entrypoints.components.files import files
from weave_nn.entrypoints.components.git import git
from weave_nn.entrypoints.components.relations import relations
from weave_nn.entrypoints.components.sync import meaning, sync, sync_contract
from weave_nn.entrypoints.components.tasks import tasks
from weave_nn.entrypoints.composition import Background, Component, Runtime
from weave_nn.shared import bus as shared_bus
from weave_nn.shared.bus import Bus, BusCollector, Relay, Worker
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.db import upgrade
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import Limits, ReadinessCheck, Security, StaticKey, create_app
from weave_nn.shared.mcp import VaultServer
from weave_nn.shared.observability import new_registry

log = structlog.get_logger(__name__)

MCP_PATH = "/mcp"
MCP_SESSIONS = 1000
MCP_IDLE_SECONDS = 1800.0


def compose(runtime: Runtime) -> tuple[Component, ...]:
    """All services, in the order in which they are prepared and started."""
    near = meaning(runtime)
    asked = sync_contract(runtime, near)
    files_component, files_contract = files(runtime, relations=relations(asked))
    return (files_component, sync(runtime, asked, files_contract, near), tasks(runtime), git(runtime, files_contract))


def mcp_server(parts: Sequence[Component]) -> VaultServer:
    """One MCP server with the tools of all services."""
    server = VaultServer(__version__)
    for part in parts:
        part.register_tools(server)
    return server


@dataclass(slots=True)
class Monolith:
    """A process with all services. `start` before serving `app`; `stop` afterwards, also when `start` failed."""

    runtime: Runtime
    components: tuple[Component, ...]
    app: FastAPI
    mcp: VaultServer
    _caretaker: Caretaker

    def start(self) -> None:
        """Bring the schema up, mend what a crash left behind, and begin the work beside requests.

        Raises `DatabaseTooNew`, `Unavailable` and the like with one clear line; then nothing runs.
        """
        migrate(self.runtime, self.components)
        for part in self.components:
            part.prepare()
        # What was imported stays for good; collections need not look at it again.
        gc.freeze()
        self._caretaker.start()

    def stop(self) -> None:
        """Finish what is in flight and close the database."""
        self._caretaker.stop()
        self.runtime.database.close()


def build(settings: Settings, instance: Instance) -> Monolith:
    """Compose the monolith; nothing is opened for writing before `Monolith.start`."""
    runtime = Runtime.open(settings, instance)
    parts = compose(runtime)
    relay = Relay(runtime.database, runtime.bus)
    worker = Worker(
        runtime.database,
        runtime.bus,
        [subscription for part in parts for subscription in part.subscriptions],
    )

    def check_bus() -> None:
        if not (relay.alive() and worker.alive()):
            raise Unavailable("A thread of the bus has ended.", hint="Restart the server.")
        if failing := [*worker.failing(), *(["bus-relay"] if relay.failing() else [])]:
            raise Unavailable(f"The bus cannot work: {', '.join(failing)}.")

    mcp = mcp_server(parts)
    # The worker declares its queues before anything is announced, so that nothing is announced to nobody.
    background: list[Background] = [worker, relay]
    background += [each for part in parts for each in part.background]
    caretaker = Caretaker(instance.data_dir / "caretaker.lock", background)
    checks = [ReadinessCheck("bus", check_bus), *(check for part in parts for check in part.checks)]
    mine = [replace(check, check=caretaker.only_when_caring(check.check)) for check in checks]
    return Monolith(runtime, parts, _app(runtime, parts, mcp, mine), mcp, caretaker)


def migrate(runtime: Runtime, parts: Sequence[Component]) -> None:
    """Bring the bus's and every service's tables up to this version."""
    upgrade(runtime.database, [shared_bus.SCHEMA, *(part.schema for part in parts)])


def _app(runtime: Runtime, parts: Sequence[Component], mcp: VaultServer, checks: Sequence[ReadinessCheck]) -> FastAPI:
    settings, instance = runtime.settings, runtime.instance
    mcp_app = mcp.streamable_http_app(
        streamable_http_path=MCP_PATH,
        # Clients of the revisions until 2025-11-25 have sessions, or they could not be told of changes; those of
        # 2026-07-28 never have any. Answers that come with progress are streams.
        session_idle_timeout=MCP_IDLE_SECONDS,
        max_sessions=MCP_SESSIONS,
        # Host and Origin are checked for every route by our own edge already.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with mcp.session_manager.run():
            yield

    registry = new_registry()
    registry.register(BusCollector(runtime.database, runtime.bus, lambda error: log.warning("metrics", error=error)))
    return create_app(
        title="Weave-NN",
        version=__version__,
        routers=[router for part in parts for router in part.routers],
        security=Security(
            authenticator=StaticKey(instance.api_key.get_secret_value()),
            public_paths=frozenset().union(*(part.public_paths for part in parts)),
            reading_paths=frozenset().union(*(part.reading_paths for part in parts)),
            allowed_hosts=frozenset(settings.allowed_hosts),
            allowed_origins=frozenset(settings.cors_origins),
        ),
        limits=Limits(
            body_bytes_by_prefix={
                prefix: limit for part in parts for prefix, limit in part.body_bytes_by_prefix.items()
            },
        ),
        checks=checks,
        mounts={MCP_PATH: mcp_app},
        dialects={prefix: dialect for part in parts for prefix, dialect in part.dialects.items()},
        lifespan=lifespan,
        on_shutdown=mcp.end_streams,
        registry=registry,
    )


@dataclass(frozen=True, slots=True)
class Offline:
    """The vault's state without a server: for commands that look, or that rebuild it."""

    bus: Bus
    components: tuple[Component, ...]

    def counts(self) -> dict[str, int]:
        """How much of what the database holds."""
        return {name: count for part in self.components for name, count in part.counts().items()}

    def reindex(self, progress: Callable[[int, int], None]) -> dict[str, int]:
        """Rebuild everything that is kept about notes; `progress` is called with done and total."""
        return {name: count for part in self.components for name, count in part.rebuild(progress).items()}


@contextmanager
def offline(settings: Settings, instance: Instance) -> Iterator[Offline]:
    """Open the state of a vault beside a server that may be running, with the schema brought up."""
    runtime = Runtime.open(settings, instance)
    try:
        parts = compose(runtime)
        migrate(runtime, parts)
        yield Offline(runtime.bus, parts)
    finally:
        runtime.database.close()
