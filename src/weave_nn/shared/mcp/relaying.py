"""Sessions of MCP with several processes behind one address: whichever a request comes to, its session is found.

A client of the revisions until 2025-11-25 sends the id of its session with each request, and the session lives in the
process that it began in. Where a balancer brings the request to another one, that hands it on, and the answer back,
stream or not. Clients of 2026-07-28 have no sessions, and nothing is handed on.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import httpx2
import structlog
from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weave_nn.shared import context
from weave_nn.shared.ephemeral.sessions import SessionDirectory
from weave_nn.shared.identity import current_identity, passing

SESSION = b"mcp-session-id"
RELAYED = b"x-weave-relayed"
KEEP_SECONDS = 60.0
KNOWN_SESSIONS = 10_000
CONNECT_SECONDS = 2.0
RELAYED_AT_ONCE = 2_000
KEPT_OPEN = 20

_OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"content-length"}
)

log = structlog.get_logger(__name__)


class SessionRelay:
    """Serves the sessions that began here, and hands requests for others to the process at their address.

    A process is known by the address that the request which began a session came to: other processes must reach it
    there too, as they do without a proxy on the way inside of its own machine.
    """

    def __init__(self, app: ASGIApp, directory: SessionDirectory) -> None:
        self._app = app
        self._directory = directory
        self._ours: OrderedDict[str, float] = OrderedDict()
        # A stream of notifications may be silent for as long as it likes, and each takes a connection.
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
        limits = httpx2.Limits(max_connections=RELAYED_AT_ONCE, max_keepalive_connections=KEPT_OPEN)
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        session_id = _header(scope["headers"], SESSION)
        if session_id is None or session_id in self._ours:
            await self._serve(scope, receive, send, session_id)
            return
        address = None
        if _header(scope["headers"], RELAYED) is None:
            address = await self._directory.where(session_id)
        if address is None or address == _own_address(scope):
            # The server itself says that there is no such session.
            await self._app(scope, receive, send)
            return
        lost = await self._hand_on(address, scope, receive, send)
        if lost is not None:
            log.info("mcp.session_lost", address=address, reason=repr(lost))
            await self._directory.forget(session_id)
            await _no_session(scope, receive, send)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._directory.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, session_id: str | None) -> None:
        if session_id is not None and time.monotonic() - self._ours[session_id] > KEEP_SECONDS:
            await self._keep(session_id, scope)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun = _header(message.get("headers", ()), SESSION)
                if message["status"] == 404 or (scope["method"] == "DELETE" and message["status"] < 300):
                    await self._end(session_id)
                elif session_id is None and begun is not None:
                    await self._keep(begun, scope)
            await send(message)

        await self._app(scope, receive, watch)

    async def _keep(self, session_id: str, scope: Scope) -> None:
        self._ours.pop(session_id, None)
        self._ours[session_id] = time.monotonic()
        if len(self._ours) > KNOWN_SESSIONS:
            self._ours.popitem(last=False)
        await self._directory.keep(session_id, _own_address(scope))

    async def _end(self, session_id: str | None) -> None:
        if session_id is not None and self._ours.pop(session_id, None) is not None:
            await self._directory.forget(session_id)

    async def _hand_on(self, address: str, scope: Scope, receive: Receive, send: Send) -> Exception | None:
        """Ask the process at `address`; returns what is wrong if that does not live any more."""
        query = scope.get("query_string", b"")
        url = httpx2.URL(address).copy_with(raw_path=scope["path"].encode() + (b"?" + query if query else b""))
        read = anyio.Event()
        request = self._client.build_request(
            scope["method"], url, headers=_sent_on(scope), content=_body(receive, read)
        )
        lost: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_left, receive, read, tasks.cancel_scope)
            try:
                response = await self._client.send(request, stream=True)
            except httpx2.TransportError as error:
                lost = error
            else:
                try:
                    await _answer(response, send)
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
            tasks.cancel_scope.cancel()
        return lost


def _own_address(scope: Scope) -> str:
    host, port = scope.get("server") or ("127.0.0.1", 0)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _answer(response: httpx2.Response, send: Send) -> None:
    # Our own edge gives the request its id, and the server the framing.
    headers = [
        (name.lower(), value)
        for name, value in response.headers.raw
        if name.lower() not in _OF_THE_CONNECTION | {b"x-request-id", b"date", b"server"}
    ]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    # A stream may end at any time, and its client asks for another one; any other answer must stay unfinished.
    with suppress(*([httpx2.TransportError] if is_stream else [])):
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _no_session(scope: Scope, receive: Receive, send: Send) -> None:
    """What the protocol says of a session that is not there: the client begins another one."""
    error = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message="Session not found"))
    body = error.model_dump_json(by_alias=True, exclude_unset=True)
    await Response(body, 404, media_type="application/json")(scope, receive, send)


def _sent_on(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers; the name that it was addressed to stays, for that is known to be ours."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_CONNECTION | {b"x-request-id"}]
    identity = current_identity()
    if identity is not None and identity.through_service:
        headers.append((passing.HEADER.lower().encode(), passing.encode(identity).encode()))
    return [*headers, (RELAYED, b"1"), (b"x-request-id", (context.request_id.get() or "").encode())]


async def _body(receive: Receive, read: anyio.Event) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body
    read.set()


async def _cancel_when_left(receive: Receive, read: anyio.Event, scope: anyio.CancelScope) -> None:
    """A client that goes away cancels what it asked for, as it would where its session lives."""
    await read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _header(headers: object, wanted: bytes) -> str | None:
    pairs: list[tuple[bytes, bytes]] = list(headers)  # type: ignore[call-overload]  # ASGI says: an iterable of pairs
    found: str | None = next((value.decode("latin-1") for name, value in pairs if name.lower() == wanted), None)
    return found
