"""A contract in this process: a plain method call, with a transaction around it."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from weave_nn.shared.contracts.marks import methods
from weave_nn.shared.db import Database, UnitOfWork, repeated

_Contract = TypeVar("_Contract")


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
