"""Which names this server answers to, and which web pages may call it.

A page of an attacker can make its own host name resolve to 127.0.0.1 (DNS rebinding) and then reads a local server as
its own origin; the browser still says the attacker's name in `Host`. A page can also send requests across origins
without reading the answers; the browser then says so in `Origin`. Programs that are no browsers send no `Origin`.
"""

from collections.abc import Collection
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from weave_nn.shared.errors import Forbidden, WeaveError
from weave_nn.shared.http.problems import Dialects

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANY = "*"


class Misdirected(WeaveError):
    """The request names a host that this server is not."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    code = "misdirected_request"
    title = "Misdirected request"


class OriginMiddleware:
    """Answers 421 to a foreign `Host` and 403 to a foreign `Origin`, before anything else looks at the request.

    `allowed_hosts` are names without ports, beside the loopback ones; `*` allows every host and `*.example.org` every
    name below that one. `allowed_origins` are whole origins (`https://notes.example.org`), beside the server's own.
    `unchecked_paths` answer to any host: probes address them by IP address, and they tell nothing of the vault.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        allowed_origins: Collection[str],
        unchecked_paths: Collection[str],
        dialects: Dialects,
    ) -> None:
        self._app = app
        names = {_bracketed(name.lower()) for name in allowed_hosts}
        self._hosts = frozenset(names) | LOOPBACK_HOSTS
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._unchecked_paths = frozenset(unchecked_paths)
        self._dialects = dialects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] != "lifespan" and scope["path"] not in self._unchecked_paths:
            try:
                self._check(scope)
            except (Misdirected, Forbidden) as error:
                await self._dialects.respond(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        hosts, origin = [], None
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value.decode("latin-1").lower())
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
        host = hosts[0] if len(hosts) == 1 else ""
        name = _without_port(host)
        if (
            name not in self._hosts
            and ANY not in self._hosts
            and not (name.endswith(self._suffixes) and self._suffixes)
        ):
            raise Misdirected(
                f"This server is not the host {host[:200]!r}.",
                hint="Call it as localhost, or add the name to WEAVE_ALLOWED_HOSTS.",
            )
        if origin is None or origin in self._origins or ANY in self._origins:
            return
        scheme, _, authority = origin.partition("://")
        if scheme not in {"http", "https"} or _with_port(authority, scheme) != _with_port(host, scheme):
            raise Forbidden(
                f"Web pages of {origin[:200]!r} may not call this server.",
                hint="Add the origin to WEAVE_CORS_ORIGINS if you trust its pages.",
            )


def _bracketed(name: str) -> str:
    return f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not host.endswith("]") else host


def _with_port(host: str, scheme: str) -> str:
    return f"{host}:{443 if scheme == 'https' else 80}" if _without_port(host) == host else host
