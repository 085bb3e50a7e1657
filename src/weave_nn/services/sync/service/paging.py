"""Pages of a list, by offset or by the path that comes before, and the bounds of a page."""

from weave_nn.shared.cursors import make_cursor, read_cursor, refused_cursor
from weave_nn.shared.errors import InvalidInput

OFFSET_LIMIT = 100_000_000


def cursor_at(offset: int, *question: object) -> str:
    """The cursor of the same `question` that goes on after `offset` answers."""
    return make_cursor(question, offset)


def offset_of(cursor: str | None, *question: object) -> int:
    """How many answers come before the cursor; raises `InvalidInput` if it is of another question, or none at all."""
    if cursor is None:
        return 0
    match read_cursor(cursor, question):
        case [int() as offset] if 0 <= offset <= OFFSET_LIMIT:
            return offset
        case _:
            raise refused_cursor(cursor)


def cursor_behind(path: str, *question: object) -> str:
    """The cursor of the same `question` that goes on behind this path."""
    return make_cursor(question, path)


def path_in(cursor: str, *question: object) -> str:
    """The path that the cursor goes on behind; raises `InvalidInput` as `offset_of` does."""
    match read_cursor(cursor, question):
        case [str() as path] if "\0" not in path and path.encode(errors="ignore").decode() == path:
            return path
        case _:
            raise refused_cursor(cursor)


def checked_limit(limit: int, highest: int) -> int:
    """The limit, from 1 to `highest`; raises `InvalidInput` for others."""
    if not 1 <= limit <= highest:
        raise InvalidInput(f"The limit {limit} is not from 1 to {highest}.", field="limit")
    return limit
