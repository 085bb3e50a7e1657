"""Handing over the port: a process that serves lets another one take its port, without a request that fails.

The other one (a gateway) takes the port beside us, which the system allows to sockets of one user that all ask for it
(SO_REUSEPORT). Then every new connection is steered to it by a program that the system runs for each connection, and
only when none can be waiting for us any more, our own sockets are closed: closing them earlier would reset those that
wait. Connections that there are stay ours, and are closed in the usual way with their next answer. This is Linux's;
elsewhere the process is restarted on its other port.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weave_nn.shared.errors import Conflict, Unavailable

PATH = "/-/front-door"

_SO_REUSEPORT = 15
_SO_ATTACH_REUSEPORT_CBPF = 51
_BACKLOG = 2048
_LOAD_ABSOLUTE, _MODULO, _ADD, _RETURN_ACCUMULATOR = 0x20, 0x94, 0x04, 0x16
_RANDOM_WORD = (-0x1000 + 56) & 0xFFFFFFFF

_SETTLING_SECONDS = 1.5
"""Longer than the first repetition of a lost packet of a connection that was begun with us."""


class FrontDoorBusy(Conflict):
    """The port cannot be handed over as things stand."""

    code = "front_door_busy"
    title = "Port not handed over"


class FrontDoor:
    """The ports of one serving process; all of it runs on its event loop."""

    def __init__(self, server: uvicorn.Server, sockets: Sequence[socket.socket]) -> None:
        self._server = server
        self._sockets = list(sockets)
        self._own: list[Any] = list(server.servers)
        self.left: set[int] = set()
        self.beside: set[int] = set()

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on now."""
        return sorted({each.getsockname()[1] for server in self._server.servers for each in server.sockets})

    async def open_beside(self, host: str, port: int) -> None:
        """Serve on `port` as well, and let another process of the same user take the first port beside us."""
        if not sys.platform.startswith("linux"):
            raise Unavailable(
                "This system cannot hand over a port while it is served.",
                hint=f"Restart the server with --port {port}, and start the gateway then.",
            )
        if port not in self.ports:
            self.beside.add(port)
            beside = _listening(host, port)
            loop = asyncio.get_running_loop()
            self._server.servers.append(await loop.create_server(self._protocol, sock=beside, backlog=_BACKLOG))
        for each in self._sockets:
            each.setsockopt(socket.SOL_SOCKET, _SO_REUSEPORT, 1)

    async def leave(self, others: int) -> None:
        """Steer new connections to the `others` sockets that were opened beside each of ours, and close ours."""
        if self._server.servers == self._own:
            raise FrontDoorBusy("There is no other port to be reached at.", hint="Open one beside it first.")
        for each in self._sockets:
            self.left.add(each.getsockname()[1])
            _steer(each, others)
        await asyncio.sleep(_SETTLING_SECONDS)
        for server in self._own:
            server.close()
            with contextlib.suppress(ValueError):
                self._server.servers.remove(server)
        self._own, self._sockets = [], []

    def _protocol(self) -> asyncio.Protocol:
        config = self._server.config
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn's own start does
            config=config, server_state=self._server.server_state, app_state=self._server.lifespan.state, _loop=None
        )
        return made


class FrontDoorMiddleware:
    """On connections to a port that was left, each answer is the last; to the one beside it, the gateway makes them.

    So whoever calls there from this machine is believed whom it calls for (`X-Forwarded-For`), or all users would
    share one address, and its limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        door: FrontDoor | None = getattr(scope["app"].state, "front_door", None) if "app" in scope else None
        server = scope.get("server")
        if scope["type"] != "http" or door is None or server is None or server[1] not in door.left:
            if door is not None and server is not None and server[1] in door.beside:
                _take_forwarded(scope)
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_last)


def _take_forwarded(scope: Scope) -> None:
    client = scope.get("client")
    if client is None or client[0] not in {"127.0.0.1", "::1"}:
        return
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            # The last one is what the gateway itself has seen; those before are what it was told.
            scope["client"] = (value.decode("latin-1").rpartition(",")[2].strip(), 0)


class OpenBeside(BaseModel):
    """The port to serve on as well."""

    port: int = Field(ge=1, le=65535)
    host: str = "127.0.0.1"


class Leave(BaseModel):
    """How many sockets listen beside ours: one for each worker of the gateway."""

    others: int = Field(ge=1, le=1024)


class Ports(BaseModel):
    """The ports that the process listens on; `pid` is its own."""

    ports: list[int]
    pid: int


def router(administrators: Sequence[Any]) -> APIRouter:
    """The routes by which a gateway takes over; `administrators` are the dependencies that let only them in."""
    routes = APIRouter(prefix=PATH, dependencies=list(administrators), include_in_schema=False)

    @routes.get("")
    async def ports(request: Request) -> Ports:
        return _ports(request)

    @routes.post("/beside")
    async def open_beside(request: Request, wanted: OpenBeside) -> Ports:
        await _door(request).open_beside(wanted.host, wanted.port)
        return _ports(request)

    @routes.post("/leave")
    async def leave(request: Request, wanted: Leave) -> Ports:
        await _door(request).leave(wanted.others)
        return _ports(request)

    return routes


def _door(request: Request) -> FrontDoor:
    door: FrontDoor | None = getattr(request.app.state, "front_door", None)
    if door is None:
        raise Unavailable("This process was not started by `weave`, and has no port to hand over.")
    return door


def _ports(request: Request) -> Ports:
    return Ports(ports=_door(request).ports, pid=os.getpid())


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise FrontDoorBusy(f"Port {port} on {host} is taken.", hint="Choose another one.") from error
        raise
    return opened


def _steer(ours: socket.socket, others: int) -> None:
    """Have the system choose for each new connection at random one of the sockets that came after ours.

    The program names a socket by its place in the order of their opening, in which ours is the first. When ours is
    closed, the last one takes its place; the number that is then too large makes the system choose by itself.
    """
    program = (
        (_LOAD_ABSOLUTE, 0, 0, _RANDOM_WORD),
        (_MODULO, 0, 0, others),
        (_ADD, 0, 0, 1),
        (_RETURN_ACCUMULATOR, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    pointer = struct.pack("HL", len(program), ctypes.addressof(code))
    ours.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, pointer)
