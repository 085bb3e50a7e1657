"""The HTTP application of a process: the routes of the services that it composes, and the MCP face where it has it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from weave_nn import __version__
from weave_nn.entrypoints.authentication import authenticator
from weave_nn.entrypoints.composition import Component, Runtime, Service
from weave_nn.shared.bus import BusCollector
from weave_nn.shared.contracts import methods
from weave_nn.shared.contracts.remote import path_of
from weave_nn.shared.contracts.serving import contract_router
from weave_nn.shared.ephemeral.rates import RateLimiter, open_limiter
from weave_nn.shared.errors import NotFound
from weave_nn.shared.http import Limits, ReadinessCheck, Security, create_app
from weave_nn.shared.observability import new_registry

if TYPE_CHECKING:
    from weave_nn.entrypoints.mcp_face import McpFace

log = structlog.get_logger(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def application(
    runtime: Runtime,
    composed: Sequence[tuple[Service, Component]],
    face: "McpFace | None",
    checks: Sequence[ReadinessCheck],
) -> FastAPI:
    """The application; nothing runs before it is served."""
    settings = runtime.settings
    parts = [component for _, component in composed]
    registry = new_registry()
    registry.register(BusCollector(runtime.database, runtime.bus, lambda error: log.warning("metrics", error=error)))

    credentials = authenticator(settings, runtime.instance, runtime.database)

    return create_app(
        title="Weave-NN",
        version=__version__,
        routers=[*_contract_routers(composed), *(router for part in parts for router in part.routers)],
        security=Security(
            authenticator=credentials,
            public_paths=frozenset().union(*(part.public_paths for part in parts)),
            # The MCP face asks for the scope `write` by itself, tool by tool.
            reading_paths=frozenset({*([] if face is None else [face.path]), *_queries(composed)}).union(
                *(part.reading_paths for part in parts)
            ),
            allowed_hosts=frozenset(settings.allowed_hosts),
            allowed_origins=frozenset(settings.cors_origins),
        ),
        limits=Limits(
            body_bytes_by_prefix={
                prefix: limit for part in parts for prefix, limit in part.body_bytes_by_prefix.items()
            },
            per_address=_limiter(runtime, "address", settings.rate_limit_address_per_minute),
            per_identity=_limiter(runtime, "identity", settings.rate_limit_per_minute),
        ),
        checks=checks,
        mounts={} if face is None else {face.path: face.app},
        dialects={prefix: dialect for part in parts for prefix, dialect in part.dialects.items()},
        lifespan=None if face is None else face.lifespan,
        on_shutdown=None if face is None else face.end_streams,
        registry=registry,
    )


def _limiter(runtime: Runtime, of: str, per_minute: int) -> RateLimiter | None:
    return open_limiter(runtime.settings.redis_url, per_minute, vault_id=runtime.vault_id, use=f"rate-limit-{of}")


def _contract_routers(composed: Sequence[tuple[Service, Component]]) -> list[APIRouter]:
    """What other processes call; first, for the file service takes every other path below its own for a note's."""
    routers = [
        contract_router(contract, component.contracts[contract], prefix=service.prefix)
        for service, component in composed
        for contract in service.contracts
    ]
    return [*routers, _unknown_calls(service.prefix for service, _ in composed)]


def _unknown_calls(prefixes: Iterable[str]) -> APIRouter:
    """What a service of a newer version may call and this one does not know: never a note of that name."""

    async def unknown(request: Request) -> Response:
        raise NotFound(f"This version has no call {request.url.path!r}.", hint="Bring all services to one version.")

    router = APIRouter()
    for prefix in prefixes:
        router.add_route(path_of(prefix, "{call:path}"), unknown, methods=_METHODS, include_in_schema=False)
    return router


def _queries(composed: Sequence[tuple[Service, Component]]) -> Iterable[str]:
    """The paths of calls that only ask."""
    for service, _ in composed:
        for contract in service.contracts:
            yield from (path_of(service.prefix, name) for name, kind in methods(contract).items() if kind == "query")
