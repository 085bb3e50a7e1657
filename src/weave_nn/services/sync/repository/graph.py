"""Links as a graph: who links to whom, and what lies near."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from weave_nn.services.sync.models import FileRow, LinkRow, NoteRow
from weave_nn.services.sync.repository.batches import batches
from weave_nn.vault.errors import NoteNotFound

_BETWEEN_FILES = and_(LinkRow.target_id.is_not(None), LinkRow.target_id != LinkRow.source_id)

# Made once: to make these statements takes longer than to execute them.
_FILE_ID = bindparam("file_id", type_=Integer)
_TARGET = aliased(FileRow)
_ID = select(FileRow.id).where(FileRow.vault_id == bindparam("vault_id"), FileRow.path == bindparam("path"))
_LINKS = (
    select(
        LinkRow.source_id,
        FileRow.path,
        _TARGET.path,
        LinkRow.target,
        LinkRow.subpath,
        LinkRow.alias,
        LinkRow.kind,
        LinkRow.line,
        LinkRow.start,
        LinkRow.stop,
    )
    .join(FileRow, FileRow.id == LinkRow.source_id)
    .join(_TARGET, _TARGET.id == LinkRow.target_id, isouter=True)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_IS_BACKLINK = and_(LinkRow.target_id == _FILE_ID, LinkRow.source_id != _FILE_ID)
_IS_OUTGOING = LinkRow.source_id == _FILE_ID
_BACKLINKS = _LINKS.where(_IS_BACKLINK).order_by(FileRow.path, LinkRow.position)
_OUTGOING = _LINKS.where(_IS_OUTGOING).order_by(LinkRow.position)
_BACKLINK_COUNT = select(func.count()).select_from(LinkRow).where(_IS_BACKLINK)
_OUTGOING_COUNT = select(func.count()).select_from(LinkRow).where(_IS_OUTGOING)


class StoredLink(NamedTuple):
    """One link, with the paths of both ends."""

    source_id: int
    source: str
    target: str | None
    text: str
    subpath: str
    alias: str | None
    kind: str
    line: int
    start: int
    stop: int


class StoredNode(NamedTuple):
    """A file of the graph; what is no note has its path for a title."""

    id: int
    path: str
    title: str


class GraphReader:
    """The links of one vault."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def id_of(self, path: str) -> int:
        """The id of an indexed file; raises `NoteNotFound`."""
        found = self._session.scalar(_ID, {"vault_id": self._vault_id, "path": path})
        if found is None:
            raise NoteNotFound(path)
        return found

    def backlinks(self, file_id: int, *, limit: int, offset: int) -> list[StoredLink]:
        """Links from other notes to a file."""
        return self._read(_BACKLINKS, file_id, limit, offset)

    def outgoing(self, file_id: int, *, limit: int, offset: int) -> list[StoredLink]:
        """Links from a note, in the order of its text."""
        return self._read(_OUTGOING, file_id, limit, offset)

    def count_backlinks(self, file_id: int) -> int:
        """How many links lead from other notes to a file."""
        return self._session.scalar(_BACKLINK_COUNT, {"file_id": file_id}) or 0

    def count_outgoing(self, file_id: int) -> int:
        """How many links a note has."""
        return self._session.scalar(_OUTGOING_COUNT, {"file_id": file_id}) or 0

    def edges_at(self, ids: Collection[int]) -> set[tuple[int, int]]:
        """Every pair of linked files of which at least one is among `ids`, as source and target."""
        found: set[tuple[int, int]] = set()
        for part in batches(list(ids)):
            at = or_(LinkRow.source_id.in_(part), LinkRow.target_id.in_(part))
            query = select(LinkRow.source_id, LinkRow.target_id).where(_BETWEEN_FILES, at).distinct()
            found.update((row[0], row[1] or 0) for row in self._session.execute(query))
        return found

    def weights(self, ids: Collection[int]) -> dict[tuple[int, int], int]:
        """How many links lead from each of these files to each other file."""
        found: dict[tuple[int, int], int] = {}
        for part in batches(list(ids)):
            query = (
                select(LinkRow.source_id, LinkRow.target_id, func.count())
                .where(_BETWEEN_FILES, LinkRow.source_id.in_(part))
                .group_by(LinkRow.source_id, LinkRow.target_id)
            )
            found.update({(row[0], row[1] or 0): row[2] for row in self._session.execute(query)})
        return found

    def nodes(self, ids: Collection[int]) -> dict[int, StoredNode]:
        """Files by their ids."""
        found: dict[int, StoredNode] = {}
        for part in batches(list(ids)):
            query = self._nodes().where(FileRow.id.in_(part))
            found.update({row[0]: StoredNode(*row) for row in self._session.execute(query)})
        return found

    def linked_paths(self) -> list[tuple[int, str, int, str]]:
        """Every pair of linked files: id and path of the source, then of the target."""
        target = aliased(FileRow)
        query = (
            select(FileRow.id, FileRow.path, target.id, target.path)
            .join(LinkRow, LinkRow.source_id == FileRow.id)
            .join(target, target.id == LinkRow.target_id)
            .where(FileRow.vault_id == self._vault_id, LinkRow.target_id != LinkRow.source_id)
            .distinct()
            .order_by(FileRow.path, target.path)
        )
        return [(row[0], row[1], row[2], row[3]) for row in self._session.execute(query)]

    def notes_among(self, ids: Collection[int]) -> set[int]:
        """Those of the files that are notes."""
        found: set[int] = set()
        for part in batches(list(ids)):
            found.update(self._session.scalars(select(NoteRow.id).where(NoteRow.id.in_(part))))
        return found

    def node_page(self, *, limit: int, after: str) -> list[StoredNode]:
        """Notes, and other files that are linked to, by path, those that come after this one."""
        linked = select(LinkRow.target_id).where(LinkRow.target_id.is_not(None))
        query = self._nodes().where(FileRow.path > after, or_(FileRow.is_note, FileRow.id.in_(linked)))
        return [StoredNode(*row) for row in self._session.execute(query.order_by(FileRow.path).limit(limit))]

    def unresolved(self, *, limit: int, offset: int) -> list[tuple[str, str, int]]:
        """Missing targets: key, one of the spellings, number of links."""
        links = func.count()
        query = (
            select(LinkRow.target_key, func.min(LinkRow.target), links)
            .join(FileRow, FileRow.id == LinkRow.source_id)
            .where(FileRow.vault_id == self._vault_id, LinkRow.target_id.is_(None))
            .group_by(LinkRow.target_key)
            .order_by(links.desc(), LinkRow.target_key)
        )
        return [(row[0], row[1], row[2]) for row in self._session.execute(query.limit(limit).offset(offset))]

    def unresolved_sources(self, keys: Collection[str], each: int) -> dict[str, list[str]]:
        """For each missing target the paths of some notes that link to it."""
        found: dict[str, list[str]] = {}
        for key in keys:
            query = (
                select(FileRow.path)
                .join(LinkRow, LinkRow.source_id == FileRow.id)
                .where(FileRow.vault_id == self._vault_id, LinkRow.target_key == key, LinkRow.target_id.is_(None))
                .distinct()
                .order_by(FileRow.path)
                .limit(each)
            )
            found[key] = list(self._session.scalars(query))
        return found

    def _nodes(self) -> Select[int, str, str]:
        title = func.coalesce(NoteRow.title, FileRow.path)
        query = select(FileRow.id, FileRow.path, title).join(NoteRow, NoteRow.id == FileRow.id, isouter=True)
        return query.where(FileRow.vault_id == self._vault_id)

    def _read(self, query: Select[*tuple[Any, ...]], file_id: int, limit: int, offset: int) -> list[StoredLink]:
        asked = {"file_id": file_id, "limit": limit, "offset": offset}
        return [StoredLink(*row) for row in self._session.execute(query, asked)]
