"""Request bodies: bounded in size and in silence, and spooled for routes that take big ones."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Annotated, BinaryIO, cast

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weave_nn.shared.errors import TooLarge, WeaveError
from weave_nn.shared.http.prefixes import ByPrefix
from weave_nn.shared.http.problems import Dialects

_SPOOL_BYTES = 1024 * 1024


class RequestTimeout(WeaveError):
    """The client began to send a body and went silent."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "request_timeout"
    title = "Request timeout"


class BodyLimitMiddleware:
    """Answers 413 to a body over the limit of its path (declared or streamed) and 408 to one that stops coming.

    The response stands whatever the application does with the broken stream. What exceeds the limit is never kept.
    `limits` maps path prefixes, of whole segments, to bytes; the longest that fits counts, else `default_bytes`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        default_bytes: int,
        limits: Mapping[str, int],
        silence_seconds: float,
        dialects: Dialects,
    ) -> None:
        self._app = app
        self._limits = ByPrefix(limits, default_bytes)
        self._silence_seconds = silence_seconds
        self._dialects = dialects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared, streamed = _body_headers(scope)
        if not declared and not streamed:
            await self._app(scope, receive, send)
            return
        limit = self._limits.at(scope["path"])
        if declared > limit:
            await self._dialects.respond(_too_large(limit), scope["path"])(scope, receive, send)
            return
        body = _BoundedBody(receive, send, limit, self._silence_seconds)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if body.refused is None:
                raise
        if body.refused is not None and not body.answered:
            await self._dialects.respond(body.refused, scope["path"])(scope, receive, send)


class _BoundedBody:
    """The two channels of one request; `refused` is why its body was cut off."""

    def __init__(self, receive: Receive, send: Send, limit: int, silence_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._silence_seconds = silence_seconds
        self._received = 0
        self._complete = False
        self.refused: WeaveError | None = None
        self.answered = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        if self.refused is not None:
            raise self.refused
        try:
            async with asyncio.timeout(self._silence_seconds):
                message = await self._receive()
        except TimeoutError:
            self.refused = RequestTimeout(f"No more of the body came for {self._silence_seconds:g} seconds.")
            raise self.refused from None
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            self.refused = _too_large(self._limit)
            raise self.refused
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        # An application that turned our refusal into an answer of its own is not heard: ours says what happened.
        if self.refused is not None and not self.answered:
            return
        self.answered = True
        await self._send(message)


def _body_headers(scope: Scope) -> tuple[int, bool]:
    """The declared length of the body (0 without one), and whether it comes in chunks of unknown number."""
    declared, streamed = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            declared = int(value)
        elif name == b"transfer-encoding":
            streamed = True
    # HTTP/2 needs neither header: then only the methods without a body are known to have none.
    return declared, streamed or scope.get("http_version") == "2"


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the {limit} bytes that are accepted here.",
        hint="Send less at once, or raise the limit in the server's settings.",
        limit_bytes=limit,
    )


async def _spooled(request: Request) -> AsyncIterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        # UploadFile leaves the event loop to write as soon as the content is on disk.
        target = UploadFile(cast("BinaryIO", spool))
        async for chunk in request.stream():
            await target.write(chunk)
        await target.seek(0)
        yield cast("BinaryIO", spool)


SpooledBody = Annotated[BinaryIO, Depends(_spooled)]
"""A parameter of a plain `def` route: the whole body as a file at its beginning, on disk from 1 MiB on."""
