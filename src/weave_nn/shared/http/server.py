"""Running an application on a port, in this process, until a signal ends it."""

import errno
import math
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http.front_door import FrontDoor

logger = structlog.get_logger()

_BACKLOG = 2048


class CannotListen(Unavailable):
    """The address cannot be listened on; `str` is one line that says why and what to do."""

    code = "cannot_listen"
    title = "Cannot listen"


@dataclass(frozen=True, slots=True)
class Listener:
    """Open sockets that accept connections already; `port` is the real one, also if 0 was asked for."""

    host: str
    port: int
    sockets: Sequence[socket.socket]

    @property
    def url(self) -> str:
        """The address to type into a browser."""
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host)  # noqa: S104 - compares, does not bind
        return f"http://{name or (f'[{self.host}]' if ':' in self.host else self.host)}:{self.port}"

    def close(self) -> None:
        """Give the port back without having served."""
        for one in self.sockets:
            one.close()


def listen(host: str, port: int) -> Listener:
    """Take the port, before anything slow or lasting is begun; raises `CannotListen`.

    A name is listened on with all its addresses (`localhost`: IPv4 and IPv6). Port 0 takes a free one.
    """
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in addresses:
            try:
                sockets.append(_open(family, (address[0], port, *address[2:]), dual=host == "::"))
            except OSError as error:
                # A machine without IPv6 still resolves localhost to it; that alone is no reason to refuse.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                refused = error
            else:
                port = sockets[-1].getsockname()[1]
        if not sockets and refused is not None:
            raise refused
    except (OSError, UnicodeError) as error:
        Listener(host, port, sockets).close()
        raise _explained(error, host, port) from error
    return Listener(host, port, sockets)


def _open(family: int, address: tuple[object, ...], *, dual: bool) -> socket.socket:
    # asyncio switches Nagle's algorithm off only for sockets that say TCP: else each response waits 40 ms for an
    # acknowledgement, because headers and body are written apart.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        opened.bind(address)
        # With SO_REUSEADDR two sockets may be bound to one port; only listening finds out.
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _explained(error: OSError | UnicodeError, host: str, port: int) -> CannotListen:
    if isinstance(error, socket.gaierror | UnicodeError):
        return CannotListen(f"The host {host!r} is not known.", hint="Use 127.0.0.1, or an address of this machine.")
    match error.errno:
        case errno.EADDRINUSE:
            return CannotListen(
                f"Port {port} on {host} is taken.",
                hint="Stop the program that has it, or choose another with --port or WEAVE_PORT.",
            )
        case errno.EACCES:
            return CannotListen(f"Port {port} needs more privileges.", hint="Choose one from 1024 on.")
        case errno.EADDRNOTAVAIL:
            return CannotListen(f"{host} is not an address of this machine.", hint="Use 127.0.0.1 or 0.0.0.0.")
        case _:
            return CannotListen(f"Cannot listen on {host} port {port}: {error.strerror}.")


def serve(
    app: FastAPI,
    listener: Listener,
    *,
    drain_seconds: float = 0.0,
    shutdown_seconds: float = 10.0,
    connection_limit: int = 1000,
    trusted_proxies: Sequence[str] = (),
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; raises `SystemExit` if the application's lifespan fails to start.

    At the signal `/ready` begins to answer 503. Requests are still taken for `drain_seconds`, so that a load balancer
    notices; then those that run get `shutdown_seconds` to end. A second signal skips the wait. The forwarded client
    address is believed only from `trusted_proxies`. Call it from the main thread: elsewhere there are no signals, and
    setting `app.state.server.should_exit = True` stops it.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=connection_limit,
        timeout_graceful_shutdown=math.ceil(shutdown_seconds),
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )
    server = _Server(config, app, drain_seconds, on_ready)
    app.state.server = server
    server.run(sockets=list(listener.sockets))


class _Server(uvicorn.Server):
    """uvicorn's server, which also drains, and which returns from a signal instead of dying from it."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, drain_seconds: float, on_ready: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._exit_at = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._app.state.front_door = FrontDoor(self, sockets or ())
        if self.started and self._on_ready:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.on_shutdown()
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        # uvicorn would raise the signal again after its shutdown, and the caller could not clean up behind it.
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        elif self._app.state.readiness.draining or not self._drain_seconds:
            self.should_exit = True
        self._app.state.readiness.draining = True
        self._exit_at = min(self._exit_at, time.monotonic() + self._drain_seconds)

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)
