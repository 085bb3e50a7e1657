"""The outermost layer of a request: its id, its line in the log, its metrics, and the end of what nobody caught."""

import os
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weave_nn.shared import context
from weave_nn.shared.http.problems import Dialects

logger = structlog.get_logger()

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:+/=-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_CLOSED = 499
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_QUIET_PATHS = frozenset({"/health", "/ready", "/metrics"})

SECURITY_HEADERS: Mapping[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    # An attachment may be an HTML or SVG file: opened from here it must not run as a page of this origin.
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; sandbox",
}
"""Sent with every response that does not bring its own value."""


class HttpMetrics:
    """The metrics of HTTP requests; labels are route templates, so that their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "weave_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "weave_http_request_duration_seconds",
            "Time to the end of the response.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_progress = Gauge("weave_http_requests_in_progress", "Requests being handled.", registry=registry)
        # A child is looked up under a lock by the client library; all of them are known after the first requests.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method, route, status)
        if (children := self._children.get(key)) is None:
            children = self.requests.labels(method, route, status), self.seconds.labels(method, route)
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)


class TelemetryMiddleware:
    """Gives each request an id, one log line and its place in the metrics; renders unexpected exceptions as 500.

    A valid `X-Request-ID` is taken over, so that one id follows a call through several services; it comes back in the
    response. `template` names the route of a handled scope for the metrics.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: HttpMetrics, dialects: Dialects, template: Callable[[BaseRoute], str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._dialects = dialects
        self._template = template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        token = context.request_id.set(request_id)
        status = _CLIENT_CLOSED
        begun = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(message.get("headers", ()), request_id)
            await send(message)

        self._metrics.in_progress.inc()
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # The client left before its body was complete, or while the response was sent: no defect of ours.
            status = _CLIENT_CLOSED
        except Exception:
            logger.exception("request_failed", method=scope["method"], path=_logged_path(scope))
            # A response that has begun cannot become another one: left unfinished, the server closes the connection.
            if status == _CLIENT_CLOSED:
                response = self._dialects.respond(RuntimeError(), scope["path"])
                await response(scope, receive, send_with_headers)
        finally:
            self._metrics.in_progress.dec()
            self._record(scope, status, time.perf_counter() - begun)
            context.request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = self._template(scope["route"]) if "route" in scope else "unmatched"
        self._metrics.observe(method, route, status, seconds)
        log = logger.debug if scope["path"] in _QUIET_PATHS else logger.info
        identity = scope.get("state", {}).get("identity")
        client = scope.get("client")
        log(
            "request",
            method=scope["method"],
            path=_logged_path(scope),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=client[0] if client else None,
            caller=identity.name if identity else None,
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else os.urandom(16).hex()
    return os.urandom(16).hex()


def _completed(headers: object, request_id: str) -> list[tuple[bytes, bytes]]:
    completed: list[tuple[bytes, bytes]] = list(headers)  # type: ignore[call-overload]  # ASGI says: an iterable of pairs
    present = {name for name, _ in completed}
    completed += [(name, value) for name, value in SECURITY_HEADERS.items() if name not in present]
    completed.append((b"x-request-id", request_id.encode("ascii")))
    return completed


def _logged_path(scope: Scope) -> str:
    """The path as it was sent: percent-encoded, so that no control character reaches a terminal; no query."""
    raw = scope.get("raw_path")
    return raw.decode("ascii", "backslashreplace") if raw else quote(scope["path"])
