"""Cursors: where a list goes on, bound to the question that it answers."""

import base64
import binascii
import hashlib
import json

from weave_nn.shared.errors import InvalidInput

OFFSET_LIMIT = 100_000


def cursor_at(offset: int, *question: object) -> str:
    """The cursor of the same `question` that goes on after `offset` answers."""
    return base64.urlsafe_b64encode(json.dumps([_digest(question), offset]).encode()).decode().rstrip("=")


def offset_of(cursor: str | None, *question: object) -> int:
    """How many answers come before the cursor; raises `InvalidInput` if it is of another question, or none at all."""
    if cursor is None:
        return 0
    try:
        digest, offset = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise _refused(cursor) from error
    if digest != _digest(question) or not isinstance(offset, int) or not 0 <= offset <= OFFSET_LIMIT:
        raise _refused(cursor)
    return offset


def checked_limit(limit: int, highest: int) -> int:
    """The limit, from 1 to `highest`; raises `InvalidInput` for others."""
    if not 1 <= limit <= highest:
        raise InvalidInput(f"The limit {limit} is not from 1 to {highest}.", field="limit")
    return limit


def _digest(question: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(question).encode()).hexdigest()[:16]


def _refused(cursor: str) -> InvalidInput:
    return InvalidInput(
        f"The cursor {cursor[:40]!r} does not belong to this question.",
        hint="Ask without a cursor, then with next_cursor and everything else as before.",
        field="cursor",
    )
