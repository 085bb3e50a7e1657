"""Who calls, and what they may do.

An `Authenticator` turns a bearer credential into an `Identity`; the middleware asks it before anything else of the
application runs, mounted applications included, and refuses what is not public. Routes and tools read
`current_identity()`; most need nothing, because the middleware has checked `read` or `write` by the method already.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from typing import Any, Protocol

from fastapi import Depends
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from weave_nn.shared.errors import Forbidden, Unauthenticated, Unavailable, WeaveError
from weave_nn.shared.http.prefixes import is_under
from weave_nn.shared.http.problems import Dialects
from weave_nn.shared.identity import Identity, Kind, Scope, acting_as, passing, require_scope, require_service

CONTRACT_SEGMENT = "/-/contract/"
"""In the path of a call from service to service: only services and administrators get there."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticator(Protocol):
    """Knows credentials."""

    async def authenticate(self, credential: str) -> Identity | None:
        """The identity behind a bearer credential, `None` if it is unknown, expired or revoked.

        Raises `Unavailable` when nobody can tell now, which answers the request with 503. Runs on the event loop
        before every request: an implementation that needs a database caches, and asks it in a thread. Must not reveal
        by its duration how much of a wrong credential was right.
        """


class StaticKey:
    """An authenticator for one key, which allows everything.

    With the kind `service` it is the key by which our services trust each other: a caller that has it may say in the
    header `X-Weave-Identity` on whose behalf it calls, and is then held to the scopes of that identity.
    """

    def __init__(self, key: str, *, name: str = "owner", kind: Kind = "owner") -> None:
        # Digests have one length, so that the comparison's duration does not tell that of the key.
        self._digest = _digest(key)
        self._identity = Identity(name, frozenset(Scope), kind=kind)

    async def authenticate(self, credential: str) -> Identity | None:
        """The owner, if `credential` is the key."""
        return self._identity if hmac.compare_digest(_digest(credential), self._digest) else None


class AnyOf:
    """Asks one authenticator after the other, the cheapest first."""

    def __init__(self, *authenticators: Authenticator) -> None:
        self._authenticators = authenticators

    async def authenticate(self, credential: str) -> Identity | None:
        """The identity that the first of them knows."""
        for each in self._authenticators:
            if (identity := await each.authenticate(credential)) is not None:
                return identity
        return None


def requires(scope: Scope) -> Any:
    """A route's dependency for what the method alone does not tell: `dependencies=[requires(Scope.ADMIN)]`."""

    async def check() -> None:
        require_scope(scope)

    return Depends(check)


class AuthenticationMiddleware:
    """Sets the identity of each request; answers 401 and 403 itself.

    `public_paths` are exact; a credential that comes there is looked at, and a wrong one does no harm.
    `reading_paths` are prefixes of paths where POST only asks (a search), or where what is behind them checks the
    scope by itself with `require_scope` (MCP tools). A call from service to service only asks if its whole path is
    among them.
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
        passed_on = _take_passed_on(scope)
        identity, refusal = None, None
        try:
            identity = await self._identify(_bearer(scope), passed_on)
        except (Unauthenticated, Unavailable) as error:
            refusal = error
        scope.setdefault("state", {})["identity"] = identity
        with acting_as(identity):
            answer: Callable[[AsgiScope, Receive, Send], Any] = self._app
            if path not in self._public_paths:
                try:
                    self._check(scope, refusal)
                except (Unauthenticated, Forbidden, Unavailable) as error:
                    answer = self._dialects.respond(error, path)
            await answer(scope, receive, send)

    async def _identify(self, credential: str | None, passed_on: list[str]) -> Identity | None:
        if credential is None:
            return None
        identity = await self._authenticator.authenticate(credential)
        if identity is None:
            raise Unauthenticated(
                "The API key of this request is not known, or not any more.",
                hint="Send a working key as 'Authorization: Bearer KEY'; `weave keys list` shows which there are.",
            )
        if identity.kind != "service" or not passed_on:
            # Whoever is no service of ours is nobody's messenger, whatever the header says.
            return identity
        if len(passed_on) > 1:
            raise Unauthenticated(f"The header {passing.HEADER} of this request stands there twice.")
        return passing.decode(passed_on[0])

    def _check(self, scope: AsgiScope, refusal: WeaveError | None) -> None:
        if refusal is not None:
            raise refusal
        path = scope["path"]
        if CONTRACT_SEGMENT in path:
            require_service(Scope.READ if path in self._reading_paths else Scope.WRITE)
            return
        only_reads = scope.get("method", "GET") in _SAFE_METHODS or any(
            is_under(path, prefix) for prefix in self._reading_paths
        )
        require_scope(Scope.READ if only_reads else Scope.WRITE)


def _take_passed_on(scope: AsgiScope) -> list[str]:
    """The values of the header that only services may send; nothing behind this layer sees it."""
    name = passing.HEADER.lower().encode()
    found = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    if found:
        scope["headers"] = [each for each in scope["headers"] if each[0] != name]
    return found


def _bearer(scope: AsgiScope) -> str | None:
    """The credential of a single `Authorization: Bearer` header; anything else is none."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, credential = values[0].decode("latin-1").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
