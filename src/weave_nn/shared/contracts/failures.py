"""Typed errors on the wire: a failure arrives as the same type, with its detail, hint and fields.

A class is found among those that this process knows by its code and name; where services share both (each has its
`QueryRefused`), that of the contract's own service is meant. One that is not known here arrives as a subclass of the
general error of its status, so that whoever catches `NotFound` catches it too, and HTTP shows its code as it was.
"""

import functools
import itertools
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from weave_nn.shared import errors
from weave_nn.shared.errors import WeaveError

HEADER = "X-Weave-Error"
"""Set on an answer that is a contract's own error, with its code: anything else comes from what is in between."""

_OWN = frozenset({"detail", "hint", "fields"})
_GENERAL = {
    each.status: each
    for each in (
        errors.InvalidInput,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.PreconditionFailed,
        errors.TooLarge,
        errors.UnsupportedMedia,
        errors.Unavailable,
    )
}


def encode(error: WeaveError) -> bytes:
    """The body of the answer that a call failed with."""
    document = {
        "name": type(error).__name__,
        "code": error.code,
        "status": int(error.status),
        "title": error.title,
        "detail": error.detail,
        "hint": error.hint,
        "fields": error.fields,
        # What a class keeps beside them, such as the place of a mistake in a query.
        "attributes": {name: value for name, value in vars(error).items() if name not in _OWN and _is_plain(value)},
    }
    return json.dumps({"error": document}, default=str).encode()


def decode(body: bytes, contract: type) -> WeaveError:
    """The error again. Raises `ValueError` for a body that is none."""
    document = json.loads(body)
    match document:
        case {"error": {"name": str(name), "code": str(code), "status": int(status), "detail": str(detail)} as known}:
            kind = _find(name, code, contract.__module__) or _unknown(name, code, status, str(known.get("title", "")))
        case _:
            raise ValueError("the body describes no error")
    error = kind.__new__(kind)
    # The constructor of each class takes what its own message is made of, and the message is here already.
    WeaveError.__init__(error, detail, hint=known.get("hint"), **known.get("fields", {}))
    for attribute, value in known.get("attributes", {}).items():
        setattr(error, attribute, value)
    return error


def _find(name: str, code: str, module: str) -> type[WeaveError] | None:
    found = [each for each in _all(WeaveError) if each.__name__ == name and each.code == code]
    return max(found, key=lambda each: _shared_parts(each.__module__, module), default=None)


def _shared_parts(one: str, other: str) -> int:
    pairs = zip(one.split("."), other.split("."), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _all(kind: type[WeaveError]) -> Iterator[type[WeaveError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all(child)


@functools.lru_cache(maxsize=256)
def _unknown(name: str, code: str, status: int, title: str) -> type[WeaveError]:
    try:
        known_status = HTTPStatus(status)
    except ValueError:
        known_status = HTTPStatus.INTERNAL_SERVER_ERROR
    general = _GENERAL.get(known_status, WeaveError)
    members = {"status": known_status, "code": code, "title": title or general.title, "__doc__": general.__doc__}
    return type(name, (general,), members)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
