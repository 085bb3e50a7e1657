"""The other side of `remote`: the routes by which a contract that is in this process is called from others."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.routing import Match
from starlette.types import Scope

from weave_nn.shared import context
from weave_nn.shared.contracts import failures
from weave_nn.shared.contracts.client import DEADLINE_HEADER, DeadlineExceeded
from weave_nn.shared.contracts.remote import path_of
from weave_nn.shared.contracts.wire import (
    CHUNK_BYTES,
    CONTENT_TYPE,
    CONTENT_TYPE_WITH_CONTENT,
    CONTRACT_SEGMENT,
    SEPARATOR,
    Content,
    Method,
    in_chunks,
    methods_of,
)
from weave_nn.shared.errors import InvalidInput, WeaveError

CALLS_AT_ONCE = 40
"""Calls of one contract have threads of their own: a request of this process may wait for one, by way of a gateway."""

_SPOOL_BYTES = 1024 * 1024
_LONGEST_HEAD_BYTES = 64 * 1024 * 1024

log = structlog.get_logger(__name__)


class _ContractRouter(APIRouter):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Every other request would be compared with each of some sixty calls before it comes to its own route.
        return super().matches(scope) if CONTRACT_SEGMENT in scope.get("path", "") else (Match.NONE, {})


def contract_router(contract: type, implementation: object, *, prefix: str) -> APIRouter:
    """Routes for every method of `contract`, answered by `implementation`, under the service's `prefix`.

    Only services and administrators get there: the application's authentication knows the paths.
    """
    router = _ContractRouter()
    threads = CapacityLimiter(CALLS_AT_ONCE)
    for name, method in methods_of(contract).items():
        endpoint = _endpoint(method, getattr(implementation, name), threads)
        path = path_of(prefix, name)
        router.add_route(path, endpoint, methods=["POST"], name=f"{contract.__name__}.{name}", include_in_schema=False)
    return router


def _endpoint(method: Method, call: Callable[..., Any], threads: CapacityLimiter) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        with _deadline(request):
            try:
                with await _received(request) as spool:
                    head, content = await run_sync(_answered, method, call, spool, limiter=threads)
            except WeaveError as error:
                if error.status >= 500:
                    log.warning("call_not_served", method=method.name, code=error.code, detail=str(error))
                return Response(
                    failures.encode(error),
                    status_code=error.status,
                    headers={failures.HEADER: error.code},
                    media_type=CONTENT_TYPE,
                )
        if content is None:
            return Response(head, media_type=CONTENT_TYPE)
        if isinstance(content, bytes):
            return Response(head + SEPARATOR + content, media_type=CONTENT_TYPE_WITH_CONTENT)
        return StreamingResponse(_with_head(head, content), media_type=CONTENT_TYPE_WITH_CONTENT)

    return answer


@contextmanager
def _deadline(request: Request) -> Iterator[None]:
    """Let whatever is done here know how long the caller waits."""
    given = request.headers.get(DEADLINE_HEADER, "")
    token = context.deadline.set(time.monotonic() + int(given) / 1000 if given.isdecimal() else None)
    try:
        yield
    finally:
        context.deadline.reset(token)


async def _received(request: Request) -> IO[bytes]:
    spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        async for chunk in request.stream():
            if spool.tell() + len(chunk) > _SPOOL_BYTES:
                await run_sync(spool.write, chunk)
            else:
                spool.write(chunk)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool


def _answered(method: Method, call: Callable[..., Any], spool: IO[bytes]) -> tuple[bytes, Content | None]:
    until = context.deadline.get()
    if until is not None and time.monotonic() >= until:
        # It has waited for a thread so long that the caller has gone.
        raise DeadlineExceeded(f"{method.name} was not begun in time.", hint="Try again when there is less to do.")
    head = spool.readline(_LONGEST_HEAD_BYTES)
    arguments = method.decode_arguments(head)
    if method.content_parameter is not None:
        if not head.endswith(SEPARATOR):
            raise InvalidInput(f"{method.name} lacks its content.", field=method.content_parameter)
        rest = spool.tell()
        size = spool.seek(0, 2) - rest
        spool.seek(rest)
        streamed = method.streams_in and size > _SPOOL_BYTES
        arguments[method.content_parameter] = _chunks(spool) if streamed else spool.read()
    return method.encode_result(call(**arguments))


def _chunks(spool: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(spool.read, CHUNK_BYTES), b"")


def _with_head(head: bytes, content: Content) -> Iterator[bytes]:
    try:
        yield head + SEPARATOR
        yield from in_chunks(content)
    finally:
        if (close := getattr(content, "close", None)) is not None:
            close()
