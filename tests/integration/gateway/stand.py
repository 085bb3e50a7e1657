"""A gateway with a real Envoy before two small services that say who they are, in this process."""

import asyncio
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port
from weave_nn.gateway import models
from weave_nn.gateway.control import Control
from weave_nn.gateway.envoy.edge import Edge, Limits, Place, Tls
from weave_nn.gateway.envoy.process import EnvoyProcess, find
from weave_nn.gateway.rollout import Policy, Rollout
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.01)
    return answer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Backend:
    """A service that answers with its name, and can be told to do worse."""

    name: str
    port: int = field(default_factory=free_port)
    status: int = 200
    delay_seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if each.path != "/ready"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while True:
                asked = await self._read(reader)
                self.asked.append(asked)
                await self._answer(asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = first.split(" ")
        return Asked(method, path, headers)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/tasks/stream":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"d\r\ndata: first\n\n\r\n")
            await writer.drain()
            await asyncio.to_thread(self.goes_on.wait, 60)
            writer.write(b"c\r\ndata: last\n\n\r\n0\r\n\r\n")
            await writer.drain()
            return
        status = 200 if asked.path == "/ready" else self.status
        extra = self._extra(asked)
        if asked.path != "/ready":
            await asyncio.sleep(self.delay_seconds)
        body = self.name.encode()
        writer.write(f"HTTP/1.1 {status} X\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    def _extra(self, asked: Asked) -> str:
        if asked.path == "/-/caller":
            # A key is its user's name, with a number after it where one has several.
            key = asked.headers.get("authorization", "").removeprefix("Bearer ")
            return f"x-weave-user: {key.partition('#')[0]}\r\n" if key.startswith("u") else ""
        if asked.path == "/mcp":
            return f"Mcp-Session-Id: {asked.headers.get('mcp-session-id', f'of-{self.name}')}\r\n"
        return ""


@dataclass
class Said:
    status: int
    body: str
    headers: dict[str, str]


class Stand:
    """Rollouts in a database of their own, a control plane and its Envoy."""

    def __init__(self, folder: Path, limits: Limits | None = None, tls: Tls | None = None) -> None:
        self.folder = folder
        self.stable, self.candidate = Backend("stable"), Backend("candidate")
        self.control_service, self.comparer = Backend("control"), Backend("comparer")
        self.place = Place(
            port=free_port(),
            admin_port=free_port(),
            control=self.control_service.url,
            comparer=self.comparer.url,
            monolith=self.stable.url,
            tls=tls,
        )
        self.limits = limits or Limits()
        self.database = Database(f"sqlite:///{folder / 'weave.db'}")
        upgrade(self.database, [bus.SCHEMA, models.SCHEMA])
        self.rollouts = Rollouts(self.database, "vault")
        self.servers: dict[str, asyncio.Server] = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.envoy = self._envoy()
        self.make()

    def _envoy(self) -> EnvoyProcess:
        return EnvoyProcess(find(), self.folder / "envoy", admin_port=self.place.admin_port, workers=1)

    def make(self, **overrides: int) -> None:
        """A control plane as a process has it when it starts."""
        self.envoy.admin.close()
        self.envoy = self._envoy()
        edge = Edge(place=self.place, limits=self.limits, overrides=overrides)
        self.control = Control(
            self.rollouts, self.database, vault_id="vault", node="here", edge=edge,
            folder=self.folder / "envoy", envoy=self.envoy,
        )  # fmt: skip

    def lose_control(self) -> None:
        """The control plane is gone, without having ended anything."""
        self.control._stopping.set()
        self.control._wake.set()
        self.control._thread.join()
        self.control._front.close()

    def open(self, backend: Backend) -> None:
        serving = asyncio.start_server(backend.serve, "127.0.0.1", backend.port, backlog=512)
        self.servers[backend.name] = asyncio.run_coroutine_threadsafe(serving, self.loop).result()

    def close(self, backend: Backend) -> None:
        """The service is gone."""
        self.loop.call_soon_threadsafe(self.servers.pop(backend.name).close)
        for writer in list(backend.connections):
            self.loop.call_soon_threadsafe(writer.close)

    def plan(self, service: str = "tasks", **policy: Any) -> Rollout:
        known = {"soak_seconds": 0.0, "minimum_samples": 10} | policy
        planned = self.rollouts.plan(
            service, candidate=self.candidate.url, monolith=self.stable.url, policy=Policy(**known), who="ann", why=""
        )
        self.await_served()
        wait_until(lambda: self.envoy.admin.counts(f"{service}-{planned.id}")[0].healthy)
        return planned

    def to(self, percent: int, service: str = "tasks") -> None:
        self.rollouts.step(service, percent, who="ann", force=True)
        self.await_served()

    def await_served(self) -> None:
        wait_until(lambda: self.control.version >= self.rollouts.version())

    def ask(self, path: str, key: str | None = None, method: str = "GET", **headers: str) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            body = response.read().decode()
            return Said(response.status, body, {name.lower(): value for name, value in response.getheaders()})
        finally:
            connection.close()


async def _cancelled(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


@contextmanager
def standing(folder: Path, limits: Limits | None = None, tls: Tls | None = None) -> Iterator[Stand]:
    """A stand that serves."""
    stand = Stand(folder, limits, tls)
    stand.thread.start()
    try:
        for backend in (stand.stable, stand.candidate, stand.control_service, stand.comparer):
            stand.open(backend)
        stand.control.start()
        yield stand
    finally:
        stand.control.stop()
        stand.stable.goes_on.set()
        stand.candidate.goes_on.set()
        for server in stand.servers.values():
            stand.loop.call_soon_threadsafe(server.close)
        stand.loop.call_soon_threadsafe(stand.loop.stop)
        stand.thread.join()
        stand.loop.run_until_complete(_cancelled(stand.loop))
        stand.loop.close()
        stand.database.close()
