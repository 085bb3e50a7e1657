"""The file service's SQL."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, ScalarResult, Select, Table, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from weave_nn.services.files.contract import SortKey
from weave_nn.services.files.models import FileRow, VaultRow
from weave_nn.shared.db import insert_rows, lock

SortValue = str | int
_SORT_COLUMNS: dict[str, Any] = {"path": FileRow.path, "modified": FileRow.modified_ns, "size": FileRow.size}
_CHUNK_ROWS = 500
_TABLE = cast("Table", FileRow.__table__)
_COLUMNS = tuple(column.name for column in _TABLE.columns)


class FileRepository:
    """What was last seen of one vault's files."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def lock(self) -> None:
        """Wait until no other writer of this vault is at work; held until the transaction ends."""
        lock(self._session, f"files:{self._vault_id}")
        statement = select(VaultRow).where(VaultRow.vault_id == self._vault_id).with_for_update()
        if self._session.scalar(statement) is None:
            self._session.add(VaultRow(vault_id=self._vault_id))
            self._session.flush()

    def indexed_at(self) -> datetime | None:
        """When the vault was first looked through whole; None if it never was."""
        return self._session.scalar(select(VaultRow.indexed_at).where(VaultRow.vault_id == self._vault_id))

    def mark_indexed(self, at: datetime) -> None:
        """Remember that the vault was looked through whole."""
        self._session.merge(VaultRow(vault_id=self._vault_id, indexed_at=at))

    def count(self) -> int:
        """How many files are known."""
        return self._session.scalar(select(func.count()).where(FileRow.vault_id == self._vault_id)) or 0

    def get(self, path: str) -> FileRow | None:
        """What was last seen at a path."""
        return self._session.get(FileRow, (self._vault_id, path))

    def marks(self) -> dict[str, tuple[int, int, int]]:
        """Size and times of modification and of change of every known file, by path."""
        columns = (FileRow.path, FileRow.size, FileRow.modified_ns, FileRow.changed_ns)
        return {row[0]: (row[1], row[2], row[3]) for row in self._session.execute(select(*columns).where(self._mine()))}

    def paths(self) -> list[str]:
        """The path of every known file, sorted."""
        return list(self._session.scalars(select(FileRow.path).where(self._mine()).order_by(FileRow.path)))

    def below(self, folder: str) -> list[str]:
        """The paths of the known files in a folder and all folders in it."""
        return list(self._session.scalars(select(FileRow.path).where(self._mine(), in_folder(folder))))

    def get_many(self, paths: Sequence[str]) -> dict[str, FileRow]:
        """What was last seen at these paths, by path."""
        return {row.path: row for chunk in _chunks(paths) for row in self._rows_where(FileRow.path.in_(chunk))}

    def with_etags(self, etags: Sequence[str]) -> dict[str, list[str]]:
        """The known paths of each of these contents."""
        found: dict[str, list[str]] = {}
        for chunk in _chunks(etags):
            for row in self._rows_where(FileRow.etag.in_(chunk)):
                found.setdefault(row.etag, []).append(row.path)
        return found

    def add_many(self, rows: Sequence[FileRow]) -> None:
        """Insert files that are not known yet."""
        values = [tuple([getattr(row, name) for name in _COLUMNS]) for row in rows]
        insert_rows(self._session, _TABLE, _COLUMNS, values)

    def save(self, row: FileRow) -> None:
        """Insert or replace what is known of a file."""
        self._session.merge(row)

    def remove(self, paths: Sequence[str]) -> None:
        """Forget files."""
        for chunk in _chunks(paths):
            self._session.execute(delete(FileRow).where(self._mine(), FileRow.path.in_(chunk)))

    def page(
        self,
        *,
        folder: str | None,
        sort: SortKey,
        after: tuple[SortValue, str] | None,
        limit: int,
    ) -> Sequence[FileRow]:
        """At most `limit` files after the one whose sort value and path are `after`."""
        column = _SORT_COLUMNS[sort.lstrip("-")]
        descending = sort.startswith("-")
        statement = self._rows()
        if folder:
            statement = statement.where(in_folder(folder))
        if after is not None:
            statement = statement.where(_beyond(column, after, descending=descending))
        order = [column.desc() if descending else column.asc(), FileRow.path.asc()]
        return self._session.scalars(statement.order_by(*order).limit(limit)).all()

    def _mine(self) -> ColumnElement[bool]:
        return FileRow.vault_id == self._vault_id

    def _rows(self) -> Select[FileRow]:
        return select(FileRow).where(self._mine())

    def _rows_where(self, condition: ColumnElement[bool]) -> ScalarResult[FileRow]:
        return self._session.scalars(self._rows().where(condition))


def in_folder(folder: str) -> ColumnElement[bool]:
    """Whether a file lies in the folder or below it: a range of the key, which unlike LIKE knows no wildcards."""
    return and_(FileRow.path > f"{folder}/", FileRow.path < f"{folder}0")  # "0" follows "/" in the order of code points


def _beyond(column: Any, after: tuple[SortValue, str], *, descending: bool) -> ColumnElement[bool]:
    value, path = after
    return or_(column < value if descending else column > value, and_(column == value, FileRow.path > path))


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Databases bound the number of parameters of one statement."""
    return (values[start : start + _CHUNK_ROWS] for start in range(0, len(values), _CHUNK_ROWS))
