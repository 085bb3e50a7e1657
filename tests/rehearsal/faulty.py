"""A candidate that breaks on command: hands every request on to a real service, until a file says what to do instead.

    python -m rehearsal.faulty PORT UPSTREAM_PORT FILE

The file holds one word: `well`, `failing` (500), `slow` or `wrong` (a name in the JSON is another one). It is always
ready: the worst candidates are.
"""

import asyncio
import sys
from pathlib import Path

SLOW_SECONDS = 8.0
"""Slow on any machine, however busy it is."""

_ALWAYS_WELL = (b"/ready", b"/health", b"/openapi.json")


async def _read(reader: asyncio.StreamReader) -> bytes:
    """One message with a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


async def _handed_on(upstream: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream)
    try:
        writer.write(request)
        await writer.drain()
        return await _read(reader)
    finally:
        writer.close()


def _mode(file: Path) -> str:
    return file.read_text().strip()


async def _answer(upstream: int, file: Path, request: bytes) -> bytes:
    path = request.split(b" ", 2)[1]
    mode = "well" if path.startswith(_ALWAYS_WELL) else _mode(file)
    if mode == "failing":
        return b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 6\r\n\r\nbroken"
    if mode == "slow":
        await asyncio.sleep(SLOW_SECONDS)
    answer = await _handed_on(upstream, request)
    if mode == "wrong" and request.startswith(b"GET"):
        return answer.replace(b'"title":', b'"titel":')
    return answer


async def _main(port: int, upstream: int, file: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await _answer(upstream, file, await _read(reader)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
