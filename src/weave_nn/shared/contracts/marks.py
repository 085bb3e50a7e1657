"""The marks that a contract's methods carry, and with them what may be done with a call."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

Kind = Literal["query", "command"]
_Function = TypeVar("_Function", bound=Callable[..., Any])


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
