"""A TCP proxy for tests: the network between two processes, which can be cut, held up, slowed, and mended."""

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

_CHUNK_BYTES = 65536


class Proxy:
    """Listens on `port` of this machine and passes on to a server; everything may be called from any thread.

    With several ports upstream it takes them in turn, and those that refuse are passed over.
    """

    def __init__(self, host: str, *ports: int) -> None:
        self._upstreams = [(host, port) for port in ports]
        self._turns = itertools.count()
        self._delay_seconds = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        self._do(self._cut())

    def stall(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._do(self._set_flowing(flowing=False))

    def slow(self, seconds: float) -> None:
        """Hold every piece of what is passed on for so long, in each direction."""
        self._delay_seconds = seconds

    def mend(self) -> None:
        """Pass everything on again, also what was held up."""
        self._delay_seconds = 0.0
        self._do(self._set_flowing(flowing=True))
        self._do(self._listen())

    def close(self) -> None:
        """End for good."""
        self._do(self._set_flowing(flowing=True))
        self._do(self._cut())
        self._do(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _finish(self) -> None:
        # With every connection gone they end by themselves.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _set_flowing(self, *, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached = await self._reach()
        if reached is None:
            writer.transport.abort()
            return
        upstream_reader, upstream_writer = reached
        ends = {writer, upstream_writer}
        self._writers |= ends
        try:
            await asyncio.gather(self._pass_on(reader, upstream_writer), self._pass_on(upstream_reader, writer))
        finally:
            self._writers -= ends

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        turn = next(self._turns)
        for number in range(len(self._upstreams)):
            try:
                return await asyncio.open_connection(*self._upstreams[(turn + number) % len(self._upstreams)])
            except OSError:
                continue  # This one is down; perhaps the next one is not.
        return None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._flowing.wait()
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return  # The other end has gone, and so does this one.
        finally:
            writer.transport.abort()


@contextmanager
def proxy_to(host: str, port: int) -> Iterator[Proxy]:
    """A proxy in front of a server, until the block ends."""
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
