"""The MCP face of a process: the tools of all services, wherever they run, at `/mcp`.

Only a process that has this part imports the MCP library, which is a third of what a start costs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from weave_nn import __version__
from weave_nn.entrypoints.composition import Asking, Runtime
from weave_nn.entrypoints.services import SERVICES
from weave_nn.shared.ephemeral.sessions import SessionDirectory
from weave_nn.shared.mcp import VaultServer
from weave_nn.shared.mcp.access import SessionOwners

SESSIONS = 1000
IDLE_SECONDS = 1800.0


def mcp_server(runtime: Runtime, contracts: Asking) -> VaultServer:
    """One MCP server with the tools of all services."""
    server = VaultServer(__version__)
    for service in SERVICES:
        service.register_tools(server, runtime, contracts)
    return server


class McpFace:
    """A server over streamable HTTP: `app` is mounted at `path`, and `lifespan` runs around it."""

    path = "/mcp"

    def __init__(self, runtime: Runtime, server: VaultServer) -> None:
        self._server = server
        self.end_streams = server.end_streams
        self.app: ASGIApp = SessionOwners(self._streamable())
        self._relay = None
        if runtime.settings.redis_url is not None:
            # With its HTTP client, only where it is used.
            from weave_nn.shared.mcp.relaying import SessionRelay  # noqa: PLC0415 - see above

            prefix = f"weave:{runtime.vault_id}:"
            directory = SessionDirectory(runtime.settings.redis_url, idle_seconds=IDLE_SECONDS, prefix=prefix)
            self.app = self._relay = SessionRelay(self.app, directory)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """What has to run while the application is served."""
        async with self._server.session_manager.run():
            try:
                yield
            finally:
                if self._relay is not None:
                    await self._relay.close()

    def _streamable(self) -> ASGIApp:
        return self._server.streamable_http_app(
            streamable_http_path=self.path,
            # Clients of the revisions until 2025-11-25 have sessions, or they could not be told of changes; those of
            # 2026-07-28 never have any. Answers that come with progress are streams.
            session_idle_timeout=IDLE_SECONDS,
            max_sessions=SESSIONS,
            # Host and Origin are checked for every route by our own edge already.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
