"""Methods as RFC 9110 asks for them: HEAD wherever GET is answered (9.3.2), the whole of `Allow` (10.2.1)."""

import anyio
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HeadMiddleware:
    """Runs the GET route and drops its body, where a route answers GET and none answers HEAD by itself.

    Applications behind a path of their own match every method and are left alone: their GET may be an endless stream.
    """

    def __init__(self, app: ASGIApp, *, router: Router) -> None:
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._answers(scope):
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        if not self._answers(as_get):
            await self._app(scope, receive, send)
            return
        with anyio.CancelScope() as rest:

            async def send_without_body(message: Message) -> None:
                if message["type"] != "http.response.body":
                    await send(message)
                    return
                await send({"type": "http.response.body", "body": b""})
                # The rest of a stream would be read for nobody.
                if message.get("more_body", False):
                    rest.cancel()

            await self._app(as_get, receive, send_without_body)
        if "route" in as_get:
            scope["route"] = as_get["route"]

    def _answers(self, scope: Scope) -> bool:
        return _matches(self._router, scope)


def allowed_methods(router: Router, scope: Scope) -> str:
    """The value of `Allow` for the path of a request; the framework itself names those of one route only."""
    found = [method for method in _METHODS if _matches(router, {**scope, "method": method})]
    if "GET" in found and "HEAD" not in found:
        found.insert(found.index("GET") + 1, "HEAD")
    return ", ".join(found)


def _matches(router: Router, scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in router.routes)
