"""Content in and out: sending a file in part or whole, taking bodies as chunks, versions in headers."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.utils import format_datetime
from typing import Annotated, BinaryIO, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from fastapi import Depends, Header, Path, Request
from starlette.responses import Response, StreamingResponse

from weave_nn.services.files.contract import FileInfo, FilesContract
from weave_nn.shared.errors import Forbidden, InvalidInput, PreconditionFailed, TooLarge, Unavailable
from weave_nn.shared.http import ETag, ETagCondition, not_modified, parse_range
from weave_nn.vault.errors import NotAFile, NoteNotFound, printable
from weave_nn.vault.media_types import media_type

_CHUNK_BYTES = 256 * 1024
_ATTEMPTS = 3


class Wanted(NamedTuple):
    """Which part of a file a client asks for, and which version it has already."""

    range: str | None
    if_range: str | None
    if_none_match: ETagCondition | None


async def _wanted(
    range_: Annotated[str | None, Header(alias="Range", description="Part of the file, as `bytes=0-99`.")] = None,
    if_range: Annotated[str | None, Header(description="Send the part only of this version.")] = None,
    if_none_match: Annotated[str | None, Header(description="Answer 304 if this is the version.")] = None,
) -> Wanted:
    condition = None if if_none_match is None else ETagCondition.parse(if_none_match, "If-None-Match")
    return Wanted(range_, if_range, condition)


WantedPart = Annotated[Wanted, Depends(_wanted)]
"""A route's parameter: `Range`, `If-Range` and `If-None-Match`."""


def content_type(path: str) -> str:
    """The content type of a file, by its name alone."""
    guessed = media_type(path)
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def version_headers(info: FileInfo) -> dict[str, str]:
    """The headers that say which version of a file a response is about."""
    return {"ETag": str(ETag(info.etag)), "Last-Modified": format_datetime(info.modified, usegmt=True)}


def send_file(contract: FilesContract, path: str, wanted: Wanted) -> Response:
    """A file as it is: 200, 206, 304, or `RangeNotSatisfiable`."""
    for _ in range(_ATTEMPTS):
        stream = contract.stream_file(path)
        info, etag = stream.info, ETag(stream.info.etag)
        if (unchanged := not_modified(wanted.if_none_match, etag)) is not None:
            return unchanged
        # If-Range with anything but the present version: the client's part is stale, so it gets everything.
        asked = wanted.range if wanted.if_range in {None, str(etag)} else None
        headers = {"Content-Type": content_type(info.path), "Accept-Ranges": "bytes", **version_headers(info)}
        if (part := parse_range(asked, info.size)) is None:
            return _respond(200, stream.chunks, info.size, headers)
        stream = contract.stream_file(path, start=part.start, length=part.length)
        if stream.info.etag == etag.value:
            return _respond(206, stream.chunks, part.length, headers | {"Content-Range": part.content_range})
    raise Unavailable(f"{printable(path)} is being changed all the time.", hint="Read it again in a moment.")


def _respond(status: int, chunks: Iterator[bytes] | object, length: int, headers: dict[str, str]) -> Response:
    if length <= _CHUNK_BYTES:
        # Read here, in the route's thread, it costs no change of threads for each chunk.
        return Response(b"".join(chunks), status, headers)  # type: ignore[arg-type]  # an iterable of bytes
    return StreamingResponse(chunks, status, {**headers, "Content-Length": str(length)})  # type: ignore[arg-type]  # so


def chunks_of(body: BinaryIO) -> Iterator[bytes]:
    """The content of a spooled body, for the contract."""
    return iter(lambda: body.read(_CHUNK_BYTES), b"")


def bounded_body(limit_bytes: int) -> Callable[[Request], AsyncIterator[bytes]]:
    """A dependency that reads a body into memory, and raises `TooLarge` beyond `limit_bytes`."""

    async def read(request: Request) -> AsyncIterator[bytes]:
        body = io.BytesIO()
        async for chunk in request.stream():
            if body.tell() + len(chunk) > limit_bytes:
                raise TooLarge(
                    f"The body is larger than the {limit_bytes} bytes that a note may have.",
                    hint="Write a large file whole with PUT.",
                    limit_bytes=limit_bytes,
                )
            body.write(chunk)
        yield body.getvalue()

    return read


def seen_version(condition: ETagCondition | None, contract: FilesContract, path: str) -> str | None:
    """The version that `If-Match` lets a writer change, for the contract; `*` and lists stand for the present one."""
    if condition is None:
        return None
    match condition.tags:
        case (ETag(value, weak=False),):
            return value
    current = current_etag(contract, path)
    condition.require(ETag(current) if current else None)
    return current


def current_etag(contract: FilesContract, path: str) -> str | None:
    """The version of a file now; None when there is none."""
    try:
        return contract.stat_file(path).etag
    except (NoteNotFound, NotAFile):
        return None


def creates_only(condition: ETagCondition | None) -> bool:
    """Whether `If-None-Match: *` asks not to overwrite; raises `InvalidInput` for its other form."""
    if condition is not None and not condition.any:
        raise InvalidInput(
            "A write takes If-None-Match with '*' only.",
            hint="Name the version you saw with If-Match.",
            field="If-None-Match",
        )
    return condition is not None


def exists_already(contract: FilesContract, path: str) -> PreconditionFailed:
    """The failure of `If-None-Match: *`."""
    return PreconditionFailed(
        f"{printable(path)} exists already; nothing was written.",
        hint="Read it, and update it with If-Match.",
        current_etag=current_etag(contract, path),
    )


def path_header(path: str) -> str:
    """A vault path as headers carry it: percent-encoded, with its slashes."""
    return quote(path, safe="/")


def _path_after(prefix: int) -> Callable[..., Awaitable[str]]:
    """A dependency: the vault path that a URL ends with, behind `prefix` segments, decoded strictly and once."""

    async def read(
        request: Request,
        path: Annotated[str, Path(description="A vault path, percent-encoded; its slashes may stay as they are.")],
    ) -> str:
        raw = request.scope.get("raw_path")
        if raw is None:
            return path
        try:
            return unquote_to_bytes(b"/".join(raw.split(b"/")[prefix + 1 :])).decode()
        except UnicodeDecodeError:
            raise InvalidInput("The path of the URL is not percent-encoded UTF-8.", field="path") from None

    return read


FilePath = Annotated[str, Depends(_path_after(1))]
"""The path in `/files/{path}`."""

PathOfView = Annotated[str, Depends(_path_after(2))]
"""The path in `/files/.note/{path}` and the like."""


def refusing_writes(*, read_only: bool) -> Callable[[], object]:
    """A dependency of writing routes, which refuses them while the server is read-only."""

    async def check() -> None:
        if read_only:
            raise Forbidden(
                "This server is read-only.",
                hint="Start it without WEAVE_READ_ONLY to change the vault.",
            )

    return check
