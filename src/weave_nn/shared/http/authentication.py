"""Who calls, and what they may do.

An `Authenticator` turns a bearer credential into an `Identity`; the middleware asks it before anything else of the
application runs, mounted applications included, and refuses what is not public. Routes and tools read
`current_identity()`; most need nothing, because the middleware has checked `read` or `write` by the method already.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fastapi import Depends
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from weave_nn.shared.errors import Forbidden, Unauthenticated
from weave_nn.shared.http.prefixes import is_under
from weave_nn.shared.http.problems import Dialects

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Scope(StrEnum):
    """What a credential allows; a wider scope is listed beside the narrower ones, not implied."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: the name of its key, for logs and records, and its scopes."""

    name: str
    scopes: frozenset[Scope]


class Authenticator(Protocol):
    """Knows credentials."""

    async def authenticate(self, credential: str) -> Identity | None:
        """The identity behind a bearer credential, `None` if it is unknown, expired or revoked.

        Runs on the event loop before every request: an implementation that needs a database caches, and asks it in a
        thread. Must not reveal by its duration how much of a wrong credential was right.
        """


class StaticKey:
    """An authenticator for one key, which allows everything."""

    def __init__(self, key: str, *, name: str = "owner") -> None:
        # Digests have one length, so that the comparison's duration does not tell that of the key.
        self._digest = _digest(key)
        self._identity = Identity(name, frozenset(Scope))

    async def authenticate(self, credential: str) -> Identity | None:
        """The owner, if `credential` is the key."""
        return self._identity if hmac.compare_digest(_digest(credential), self._digest) else None


_identity: ContextVar[Identity | None] = ContextVar("weave_identity", default=None)


def current_identity() -> Identity | None:
    """Who makes the request that is being handled; `None` on public paths without a valid credential."""
    return _identity.get()


def require_scope(scope: Scope) -> None:
    """Raise `Unauthenticated` or `Forbidden` unless the present caller has `scope`."""
    identity = _identity.get()
    if identity is None:
        raise Unauthenticated("This request carries no valid API key.", hint=_HINT)
    if scope not in identity.scopes:
        raise Forbidden(
            f"The key {identity.name!r} has not the scope {scope.value!r}.",
            hint="Use a key that has it.",
            required_scope=scope.value,
        )


def requires(scope: Scope) -> Any:
    """A route's dependency for what the method alone does not tell: `dependencies=[requires(Scope.ADMIN)]`."""

    async def check() -> None:
        require_scope(scope)

    return Depends(check)


_HINT = "Send the header 'Authorization: Bearer KEY' with the server's API key."


class AuthenticationMiddleware:
    """Sets the identity of each request; answers 401 and 403 itself.

    `public_paths` are exact; a credential that comes there is looked at, and a wrong one does no harm.
    `reading_paths` are prefixes of paths where POST only asks (a search), or where what is behind them checks the
    scope by itself with `require_scope` (MCP tools).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        public_paths: Collection[str],
        reading_paths: Collection[str],
        dialects: Dialects,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._public_paths = frozenset(public_paths)
        self._reading_paths = tuple(reading_paths)
        self._dialects = dialects

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        credential = _bearer(scope)
        identity = await self._authenticator.authenticate(credential) if credential is not None else None
        token = _identity.set(identity)
        try:
            if path not in self._public_paths:
                self._check(scope, credential)
            scope.setdefault("state", {})["identity"] = identity
            answer: Callable[[AsgiScope, Receive, Send], Any] = self._app
        except (Unauthenticated, Forbidden) as error:
            answer = self._dialects.respond(error, path)
        try:
            await answer(scope, receive, send)
        finally:
            _identity.reset(token)

    def _check(self, scope: AsgiScope, credential: str | None) -> None:
        if credential is not None and _identity.get() is None:
            raise Unauthenticated("The API key of this request is not known.", hint=_HINT)
        only_reads = scope.get("method", "GET") in _SAFE_METHODS or any(
            is_under(scope["path"], prefix) for prefix in self._reading_paths
        )
        require_scope(Scope.READ if only_reads else Scope.WRITE)


def _bearer(scope: AsgiScope) -> str | None:
    """The credential of a single `Authorization: Bearer` header; anything else is none."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, credential = values[0].decode("latin-1").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
