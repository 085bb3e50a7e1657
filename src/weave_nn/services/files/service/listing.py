"""Listing files page by page.

A page begins after the last file of the one before, by its sort value and path, so that a file that comes or goes in
between neither repeats another nor hides one.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from wcmatch import glob as wildcard

from weave_nn.services.files.contract import FileInfo, FilePage, SortKey
from weave_nn.services.files.models import FileRow
from weave_nn.services.files.repository import FileRepository, SortValue
from weave_nn.shared.cursors import make_cursor, read_cursor, refused_cursor
from weave_nn.shared.errors import InvalidInput

_MAX_LIMIT = 1000
_MAX_GLOB = 500
_FLAGS = wildcard.GLOBSTAR | wildcard.DOTGLOB | wildcard.FORCEUNIX


def list_page(
    files: FileRepository,
    *,
    glob: str | None,
    folder: str | None,
    sort: SortKey,
    limit: int,
    cursor: str | None,
) -> FilePage:
    """The page of the listing that `cursor` asks for."""
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it must be from 1 to {_MAX_LIMIT}.", field="limit")
    matches = _matcher(glob)
    question = (glob, folder, sort)
    after = _position(cursor, question, sort) if cursor else None
    found: list[FileRow] = []
    # One more than asked for tells whether there is a next page.
    while len(found) <= limit:
        chunk = files.page(folder=folder, sort=sort, after=after, limit=limit + 1 if glob is None else _MAX_LIMIT)
        found += [row for row in chunk if matches(row.path)]
        if len(chunk) < (limit + 1 if glob is None else _MAX_LIMIT):
            break
        after = (_value(chunk[-1], sort), chunk[-1].path)
    page, more = found[:limit], len(found) > limit
    following = make_cursor(question, _value(page[-1], sort), page[-1].path) if more else None
    return FilePage(tuple(_info(row) for row in page), following)


def _matcher(glob: str | None) -> Callable[[str], bool]:
    if glob is None:
        return lambda _path: True
    if not glob or len(glob) > _MAX_GLOB:
        raise InvalidInput(f"glob must have from 1 to {_MAX_GLOB} characters.", field="glob")
    compiled = wildcard.compile(glob, flags=_FLAGS)
    return lambda path: bool(compiled.match(path))


def _value(row: FileRow, sort: SortKey) -> SortValue:
    match sort.lstrip("-"):
        case "modified":
            return row.modified_ns
        case "size":
            return row.size
        case _:
            return row.path


def _position(cursor: str, question: object, sort: SortKey) -> tuple[SortValue, str]:
    match read_cursor(cursor, question):
        case [str() | int() as value, str() as path] if isinstance(value, str) == (sort.lstrip("-") == "path"):
            return value, path
        case _:
            raise refused_cursor(cursor)


def _info(row: FileRow) -> FileInfo:
    return FileInfo(
        path=row.path,
        etag=row.etag,
        size=row.size,
        created=datetime.fromtimestamp(row.created_ns / 1e9, UTC),
        modified=datetime.fromtimestamp(row.modified_ns / 1e9, UTC),
    )
