"""Contracts: how one service asks another a question.

A service's `contract.py` declares a Protocol whose methods are marked `@query` (reads only, safe to repeat) or
`@command` (changes something, one transaction). `local` makes the in-process implementation: each call opens its own
unit of work around a freshly made service, so whoever holds a contract (a route, a tool, the command line, another
service) calls plain methods and cannot tell whether the service is in this process.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

from weave_nn.shared.db import Database, UnitOfWork

Kind = Literal["query", "command"]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Contract = TypeVar("_Contract")


def query(method: _Function) -> _Function:
    """Mark a contract's method as reading only: it runs on a read snapshot and may be repeated."""
    method.__weave_kind__ = "query"  # type: ignore[attr-defined]  # the mark is an attribute of the function
    return method


def command(method: _Function) -> _Function:
    """Mark a contract's method as changing something: it runs in one transaction and is never repeated blindly."""
    method.__weave_kind__ = "command"  # type: ignore[attr-defined]  # the mark is an attribute of the function
    return method


def methods(contract: type) -> dict[str, Kind]:
    """The marked methods of a contract, by name; raises `TypeError` if a public method carries no mark."""
    found: dict[str, Kind] = {}
    for name, member in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("_"):
            continue
        kind = getattr(member, "__weave_kind__", None)
        if kind is None:
            raise TypeError(f"{contract.__name__}.{name} is marked neither @query nor @command")
        found[name] = kind
    return found


def local(contract: type[_Contract], make: Callable[[UnitOfWork], _Contract], database: Database) -> _Contract:
    """Implement `contract` in this process: every call is `make(unit_of_work).method(...)` in its own transaction.

    `make` runs once per call and must be cheap. A command that raises leaves nothing behind in the database.
    """
    members: dict[str, Any] = {}
    for name, kind in methods(contract).items():
        transaction = database.read if kind == "query" else database.write
        members[name] = _in_transaction(getattr(contract, name), name, transaction, make)
    return cast("_Contract", type(f"Local{contract.__name__}", (), members)())


def _in_transaction(declared: Any, name: str, transaction: Any, make: Callable[[UnitOfWork], Any]) -> Any:
    @functools.wraps(declared)
    def call(_self: object, *args: Any, **kwargs: Any) -> Any:
        with transaction() as work:
            return getattr(make(work), name)(*args, **kwargs)

    return call
