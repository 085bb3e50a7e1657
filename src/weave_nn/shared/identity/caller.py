"""The caller of the request that is being handled."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from weave_nn.shared import context
from weave_nn.shared.errors import Forbidden, Unauthenticated

Kind = Literal["owner", "key", "token", "service"]
"""What proved an identity: the instance's own key (or being at its terminal), a key of the database, a JSON Web
Token, the service key."""

_HINT = "Send the header 'Authorization: Bearer KEY' with the server's API key."


class Scope(StrEnum):
    """What a credential allows. An identity lists every scope that it has: `scopes_of` adds the narrower ones."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_SCOPES = {scope.value: scope for scope in Scope}


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: the name of its key, the person or agent behind it, what it may do, and what proved it.

    `through_service` says that another of our services makes this call on behalf of the caller.
    """

    name: str
    scopes: frozenset[Scope]
    user: str | None = None
    kind: Kind = "key"
    through_service: bool = False


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes that `names` grant: `write` also reads, `admin` does everything. Unknown names grant nothing."""
    given = {_SCOPES[name] for name in names if name in _SCOPES}
    if Scope.ADMIN in given:
        return frozenset(Scope)
    return frozenset(given | {Scope.READ} if Scope.WRITE in given else given)


_identity: ContextVar[Identity | None] = ContextVar("weave_identity", default=None)


def current_identity() -> Identity | None:
    """Who makes the request that is being handled; `None` outside of requests and on public paths without a key."""
    return _identity.get()


@contextmanager
def acting_as(identity: Identity | None) -> Iterator[None]:
    """Handle what stands inside as a request of `identity`, which log lines name as well."""
    token, caller = _identity.set(identity), context.caller.set(identity.name if identity else None)
    try:
        yield
    finally:
        _identity.reset(token)
        context.caller.reset(caller)


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


def require_service(scope: Scope) -> None:
    """Raise unless one of our services (or an administrator) calls, and whoever it calls for has `scope`."""
    require_scope(scope)
    identity = _identity.get()
    if identity is not None and (identity.through_service or Scope.ADMIN in identity.scopes):
        return
    raise Forbidden(
        "This path is for calls between services.",
        hint="Use the HTTP API, or a key with the scope 'admin'.",
        required_scope=Scope.ADMIN.value,
    )
