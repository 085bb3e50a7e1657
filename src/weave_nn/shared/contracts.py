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

from weave_nn.shared.db import Database, UnitOfWork, repeated

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


def database_only(method: _Function) -> _Function:
    """Mark a command that changes nothing outside of the database and consumes none of its arguments.

    It is run again when the database ends its transaction in favour of another one. Those that change files are not:
    files do not roll back.
    """
    method.__weave_database_only__ = True  # type: ignore[attr-defined]  # the mark is an attribute of the function
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

    `make` runs once per attempt and must be cheap. A command that raises leaves nothing behind in the database.
    Queries, and commands marked `database_only`, are repeated when the database ends them in favour of others.
    """
    members: dict[str, Any] = {}
    for name, kind in methods(contract).items():
        transaction = database.read if kind == "query" else database.write
        members[name] = _in_transaction(getattr(contract, name), name, transaction, make)
    return cast("_Contract", type(f"Local{contract.__name__}", (), members)())


def _in_transaction(declared: Any, name: str, transaction: Any, make: Callable[[UnitOfWork], Any]) -> Any:
    repeatable = declared.__weave_kind__ == "query" or getattr(declared, "__weave_database_only__", False)

    @functools.wraps(declared)
    def call(_self: object, *args: Any, **kwargs: Any) -> Any:
        def attempt() -> Any:
            with transaction() as work:
                return getattr(make(work), name)(*args, **kwargs)

        return repeated(attempt) if repeatable else attempt()

    return call
