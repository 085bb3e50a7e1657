"""Too many requests: 429, with when to come again."""

import math
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from weave_nn.shared.ephemeral.rates import RateLimiter
from weave_nn.shared.errors import WeaveError
from weave_nn.shared.http.authentication import CONTRACT_SEGMENT
from weave_nn.shared.http.problems import Dialects
from weave_nn.shared.identity import current_identity


class TooManyRequests(WeaveError):
    """The caller asks more often than it may; `fields["retry_after_seconds"]` says when to come again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"
    title = "Too many requests"


class RateLimitMiddleware:
    """Counts requests by who makes them: in front of authentication by address, behind it by identity.

    `unlimited_paths` are never counted (probes must not fail because others ask a lot), nor is what services ask of
    each other: the request that it is for was counted where it came in.
    """

    def __init__(
        self, app: ASGIApp, *, limiter: RateLimiter, unlimited_paths: frozenset[str], dialects: Dialects
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._unlimited_paths = unlimited_paths
        self._dialects = dialects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path in self._unlimited_paths or CONTRACT_SEGMENT in path:
            await self._app(scope, receive, send)
            return
        wait_seconds = await self._limiter.take(_caller(scope))
        if wait_seconds > 0:
            error = TooManyRequests(
                "There were too many requests of this caller.",
                hint=f"Try again in {math.ceil(wait_seconds)} s.",
                retry_after_seconds=math.ceil(wait_seconds),
            )
            await self._dialects.respond(error, path)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _caller(scope: Scope) -> str:
    identity = current_identity()
    if identity is not None:
        return f"{identity.kind}:{identity.name}"
    client = scope.get("client")
    return f"address:{client[0] if client else ''}"
