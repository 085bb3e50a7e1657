"""Cursors: where a list goes on, bound to the question that it answers.

A cursor is opaque to clients. It is not a secret and not signed: whoever writes one gets a page of the list that they
may read anyway, so the reader has to check what the values are before using them.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from weave_nn.shared.errors import InvalidInput


def make_cursor(question: object, *values: str | float | None) -> str:
    """The cursor that goes on behind `values` in the answer to `question` (whose `repr` tells questions apart)."""
    token = json.dumps([_digest(question), *values], ensure_ascii=False)
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def read_cursor(cursor: str, question: object) -> list[Any]:
    """The values of a cursor; raises `InvalidInput` if it is none, or of another question."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        values: list[Any]
        digest, *values = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise refused_cursor(cursor) from error
    if digest != _digest(question):
        raise refused_cursor(cursor)
    return values


def refused_cursor(cursor: str) -> InvalidInput:
    """The error for a cursor whose values are not what the list needs."""
    return InvalidInput(
        f"The cursor {cursor[:40]!r} does not belong to this list.",
        hint="Ask without a cursor first, then with next_cursor and everything else as before.",
        field="cursor",
    )


def _digest(question: object) -> str:
    return hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()[:16]
