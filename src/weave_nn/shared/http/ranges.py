"""Sending content in part or whole, without holding it in memory (RFC 9110, section 14)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from weave_nn.shared.errors import WeaveError

_CHUNK_BYTES = 256 * 1024
_SINGLE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class RangeNotSatisfiable(WeaveError):
    """The range begins behind the end; `fields["size"]` is the size of the content in bytes."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "range_not_satisfiable"
    title = "Range not satisfiable"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` (included) to `stop` (excluded) of a content of `size` bytes; never empty."""

    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        """How many bytes these are."""
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        """The value of the `Content-Range` header."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Read a `Range` header for a content of `size` bytes; `None` means: send everything with 200.

    The standard lets a server ignore ranges that it does not serve, so several ranges, other units and malformed
    headers give `None`. A single range that begins behind the end raises `RangeNotSatisfiable`.
    """
    found = _SINGLE.fullmatch(header) if header else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1]:
        start, stop = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    else:
        start, stop = max(size - int(found[2]), 0), size
    if start >= stop:
        raise RangeNotSatisfiable(f"The range {header!r} is outside of the content's {size} bytes.", size=size)
    return ByteRange(start, stop, size)


def file_response(
    file: BinaryIO, size: int, *, headers: Mapping[str, str], range_header: str | None, if_range: str | None = None
) -> Response:
    """Send an open file from where the client asked: 200, 206, or `RangeNotSatisfiable`.

    Takes over `file` (opened for reading in binary mode) and closes it in any case. `headers` must hold the `ETag` and
    the `Content-Type`; pass the request's `Range` and `If-Range` as they came. Call it from a plain `def` route: a
    short file is read at once, which saves a change of threads for each chunk.
    """
    try:
        # If-Range with anything but the present strong tag: the client's part is stale, so it gets everything.
        part = parse_range(range_header, size) if if_range in (None, headers["ETag"]) else None
        start, length = (part.start, part.length) if part else (0, size)
        sent = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(length)}
        if part:
            sent["Content-Range"] = part.content_range
        status = 206 if part else 200
        file.seek(start)
        if length <= _CHUNK_BYTES:
            content = file.read(length)
            file.close()
            return Response(content, status, {**sent, "Content-Length": str(len(content))})
    except BaseException:
        file.close()
        raise
    return _FileStream(file, length, status, sent)


class _FileStream(StreamingResponse):
    """A stream that closes its file even if it was never read from (the client left, or asked with HEAD)."""

    def __init__(self, file: BinaryIO, length: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(file, length), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := file.read(min(_CHUNK_BYTES, length))):
        length -= len(chunk)
        yield chunk
