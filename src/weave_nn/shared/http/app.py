"""The application factory: every process that answers HTTP is made here, so that all of them are safe in one way."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import anyio.to_thread
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from weave_nn.shared.ephemeral.rates import RateLimiter
from weave_nn.shared.errors import WeaveError
from weave_nn.shared.http import front_door, openapi, system
from weave_nn.shared.http.authentication import AuthenticationMiddleware, Authenticator, requires
from weave_nn.shared.http.bodies import BodyLimitMiddleware
from weave_nn.shared.http.front_door import FrontDoorMiddleware
from weave_nn.shared.http.methods import HeadMiddleware, allowed_methods
from weave_nn.shared.http.origins import OriginMiddleware
from weave_nn.shared.http.problems import Dialect, Dialects
from weave_nn.shared.http.rates import RateLimitMiddleware
from weave_nn.shared.http.readiness import Readiness, ReadinessCheck
from weave_nn.shared.http.telemetry import HttpMetrics, TelemetryMiddleware
from weave_nn.shared.identity import Scope
from weave_nn.shared.observability import new_registry

logger = structlog.get_logger()

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who may call, and how.

    `public_paths` (exact) need no key, beside `/health` and `/ready`. Under `reading_paths` (prefixes) POST needs only
    the scope `read`. `allowed_hosts` are names beside the loopback ones, without ports. `allowed_origins` are the web
    origins whose pages may call; empty means none but the server's own, and CORS off.
    """

    authenticator: Authenticator
    public_paths: frozenset[str] = frozenset()
    reading_paths: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process takes at once.

    `body_bytes` bounds every request body, `body_bytes_by_prefix` those of some paths instead. A body of which nothing
    comes for `body_silence_seconds` is given up. `threads` is how many plain `def` routes run at the same time.
    `per_address` and `per_identity` bound how often one caller may ask, without a key and with one.
    """

    body_bytes: int = 10 * 1024 * 1024
    body_bytes_by_prefix: Mapping[str, int] = field(default_factory=dict)
    body_silence_seconds: float = 30.0
    threads: int = 40
    per_address: RateLimiter | None = None
    per_identity: RateLimiter | None = None


def create_app(
    *,
    title: str,
    version: str,
    routers: Sequence[APIRouter],
    security: Security,
    limits: Limits | None = None,
    checks: Sequence[ReadinessCheck] = (),
    mounts: Mapping[str, ASGIApp] | None = None,
    dialects: Mapping[str, Dialect] | None = None,
    lifespan: Lifespan | None = None,
    on_shutdown: Callable[[], None] | None = None,
    registry: CollectorRegistry | None = None,
    tracing: bool = False,
) -> FastAPI:
    """Make the application of a process from the routers of its services.

    `mounts` maps a path (`/mcp`) to an ASGI application that answers there and below, and sees the path unchanged; the
    key, the Host and Origin checks and the body limits hold for it as well. Its own lifespan does not run: enter what
    it needs in `lifespan`. `on_shutdown` is called when the server begins to stop, before it waits for open responses:
    it ends those that would go on for ever. `dialects` gives path prefixes another form of error. `registry` receives
    the HTTP metrics and is what `/metrics` shows. `tracing` makes a span of each request with OpenTelemetry's global
    tracer provider, which the composition root has set. `app.state.readiness.draining = True` makes `/ready` answer
    503.
    """
    limits = limits or Limits()
    registry = registry or new_registry()
    readiness = Readiness(checks)
    speak = Dialects(dialects)
    app = FastAPI(
        title=title,
        version=version,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(limits, lifespan),
        generate_unique_id_function=_operation_id,
        telemetry={"auto_configure": False, "tracing": tracing, "metrics": False, "logs": False},
        exception_handlers=dict.fromkeys((WeaveError, RequestValidationError, HTTPException), _handler(speak)),
        routes=[_mounted(path, mounted) for prefix, mounted in (mounts or {}).items() for path in _below(prefix)],
    )
    app.state.readiness = readiness
    app.state.on_shutdown = on_shutdown or (lambda: None)
    _complete_openapi(app, security.public_paths | system.PROBE_PATHS, speak)
    for router in routers:
        app.include_router(router)
    app.include_router(system.router(readiness, registry, app.openapi))
    app.include_router(front_door.router([requires(Scope.ADMIN)]))
    app.user_middleware[:] = _middleware(app, security, limits, dialects=speak, metrics=HttpMetrics(registry))
    return app


def _middleware(
    app: FastAPI,
    security: Security,
    limits: Limits,
    *,
    dialects: Dialects,
    metrics: HttpMetrics,
) -> list[Middleware]:
    """All layers, from the outermost on: what is cheapest to refuse is refused first."""
    telemetry = Middleware(TelemetryMiddleware, metrics=metrics, dialects=dialects, template=_Templates(app))
    origin = Middleware(
        OriginMiddleware,
        allowed_hosts=security.allowed_hosts,
        allowed_origins=security.allowed_origins,
        unchecked_paths=system.PROBE_PATHS,
        dialects=dialects,
    )
    # A preflight request carries no key, so that CORS is answered before the key is asked for.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=sorted(security.allowed_origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["ETag", "Location", "X-Request-ID", "Content-Range", "Retry-After"],
    )
    authentication = Middleware(
        AuthenticationMiddleware,
        authenticator=security.authenticator,
        public_paths=security.public_paths | system.PROBE_PATHS,
        reading_paths=security.reading_paths,
        dialects=dialects,
    )
    body = Middleware(
        BodyLimitMiddleware,
        default_bytes=limits.body_bytes,
        limits=limits.body_bytes_by_prefix,
        silence_seconds=limits.body_silence_seconds,
        dialects=dialects,
    )
    head = Middleware(HeadMiddleware, router=app.router)
    door = Middleware(FrontDoorMiddleware)
    outer = [door, telemetry, origin, *([cors] if security.allowed_origins else [])]
    by_address, by_identity = (_counting(each, dialects) for each in (limits.per_address, limits.per_identity))
    return [*outer, *by_address, authentication, *by_identity, body, head]


def _counting(limiter: RateLimiter | None, dialects: Dialects) -> list[Middleware]:
    if limiter is None:
        return []
    return [Middleware(RateLimitMiddleware, limiter=limiter, unlimited_paths=system.PROBE_PATHS, dialects=dialects)]


def _lifespan(limits: Limits, lifespan: Lifespan | None) -> Lifespan:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads
        try:
            async with lifespan(app) if lifespan else nullcontext():
                yield
        finally:
            for limiter in (limits.per_address, limits.per_identity):
                if limiter is not None:
                    await limiter.close()

    return run


def _handler(dialects: Dialects) -> Callable[[Request, Exception], Any]:
    async def respond(request: Request, error: Exception) -> Response:
        if isinstance(error, WeaveError) and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("request_not_served", code=error.code, detail=str(error), cause=repr(error.__cause__))
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = {**(error.headers or {}), "Allow": allowed_methods(request.app.router, request.scope)}
        return dialects.respond(error, request.scope["path"])

    return respond


def _below(prefix: str) -> tuple[str, str]:
    return prefix, prefix.rstrip("/") + "/{below:path}"


def _mounted(path: str, mounted: ASGIApp) -> Route:
    """Starlette's `Mount` would answer the bare path with a redirect, which clients do not follow on POST."""

    class Endpoint:
        """A class instance, because Starlette takes a plain function for one that returns a response."""

        path_format = path

        async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
            scope["route"] = self
            await mounted(scope, receive, send)

    return Route(path, endpoint=Endpoint(), include_in_schema=False)


def _operation_id(route: APIRoute) -> str:
    return "_".join([*map(str, route.tags[:1]), route.name])


def _complete_openapi(app: FastAPI, public_paths: frozenset[str], dialects: Dialects) -> None:
    plain = app.openapi

    def completed() -> dict[str, Any]:
        document = plain()
        if "securitySchemes" not in document.get("components", {}):
            openapi.complete(document, public_paths=public_paths, dialects=dialects)
        return document

    app.openapi = completed  # type: ignore[method-assign]  # the documented way to extend the document


class _Templates:
    """The path templates of an application's routes with the prefixes under which they were included."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._templates: dict[int, str] = {}

    def __call__(self, route: BaseRoute) -> str:
        if not self._templates:
            for known in iter_route_contexts(self._app.routes):
                self._templates[id(known.original_route)] = known.path_format or ""
        # The routes of mounted applications are not ours to list; theirs are few.
        return self._templates.get(id(route)) or str(getattr(route, "path_format", "unmatched"))
