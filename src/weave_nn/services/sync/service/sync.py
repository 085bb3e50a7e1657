"""The implementation of the service's contract."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from weave_nn.services.sync.adapters.fulltext import adapter_for
from weave_nn.services.sync.contract import (
    Completable,
    Evaluated,
    Graph,
    GraphEdge,
    GraphNode,
    GraphPart,
    HeadingInfo,
    LinkInfo,
    LinkPage,
    NoteCard,
    NotePage,
    NoteSummary,
    PlainHit,
    SearchPage,
    Similar,
    TagCount,
    UnresolvedPage,
    UnresolvedTarget,
)
from weave_nn.services.sync.repository.graph import GraphReader, StoredLink
from weave_nn.services.sync.repository.notes import NoteReader
from weave_nn.services.sync.repository.searching import NoteFinder
from weave_nn.services.sync.repository.vectors import VectorStore
from weave_nn.services.sync.service.dataview.evaluation import answer
from weave_nn.services.sync.service.dataview.rows import rows_of
from weave_nn.services.sync.service.dataview.syntax import parse_table
from weave_nn.services.sync.service.evaluation import RESULT_LIMIT, evaluate
from weave_nn.services.sync.service.hybrid import HybridSearch
from weave_nn.services.sync.service.meaning import Meaning
from weave_nn.services.sync.service.paging import checked_limit, cursor_at, cursor_behind, offset_of, path_in
from weave_nn.services.sync.service.searching import Search
from weave_nn.services.sync.service.similarity import Similarity
from weave_nn.services.sync.service.tags import rolled_up
from weave_nn.services.sync.service.times import instant
from weave_nn.services.sync.service.walking import neighbourhood, shortest_path
from weave_nn.shared.db import UnitOfWork

LIST_LIMIT = 1000
PART_LIMIT = 5000
_SOURCES_OF_A_TARGET = 5
_CONTEXT_CHARS = 120


def local_time() -> datetime:
    """Now, in the zone of this machine: what dates in a query are meant in."""
    return datetime.now().astimezone()


class SyncService:
    """Implements `SyncContract` in one transaction."""

    def __init__(
        self,
        work: UnitOfWork,
        vault_id: str,
        now: Callable[[], datetime] = local_time,
        meaning: Meaning | None = None,
    ) -> None:
        self._notes = NoteReader(work.session, vault_id)
        self._graph = GraphReader(work.session, vault_id)
        self._finder = NoteFinder(work.session, vault_id, adapter_for(work.session.get_bind().dialect.name))
        self._vectors = VectorStore(work.session, vault_id)
        self._meaning = meaning
        self._now = now

    def count_notes(self) -> int:
        """How many notes are indexed."""
        return self._notes.count()

    def search(
        self,
        q: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        snippet_chars: int = 240,
        semantic: bool = False,
    ) -> SearchPage:
        """Find notes by a query."""
        return self._search().page(q, limit=limit, cursor=cursor, snippet_chars=snippet_chars, semantic=semantic)

    def search_plain(self, text: str, *, context_chars: int = 100, limit: int = 1000) -> tuple[PlainHit, ...]:
        """Find notes by words alone."""
        return self._search().plain(text, context_chars=context_chars, limit=limit)

    def describe_note(self, path: str) -> NoteCard:
        """Describe one note."""
        note = self._notes.note(path)
        return NoteCard(
            path=note.path,
            title=note.title,
            etag=note.etag,
            size=note.size,
            created=instant(note.created_ns),
            modified=instant(note.mtime_ns),
            aliases=tuple(note.aliases),
            tags=tuple(self._notes.tags(note.id)),
            frontmatter=note.frontmatter,
            headings=tuple(HeadingInfo(*heading) for heading in self._notes.headings(note.id)),
            blocks=tuple(self._notes.blocks(note.id)),
            tasks=note.tasks,
            open_tasks=note.open_tasks,
            outgoing=self._graph.count_outgoing(note.id),
            backlinks=self._graph.count_backlinks(note.id),
        )

    def list_recent(self, *, limit: int = 20, cursor: str | None = None) -> NotePage:
        """List notes by the time of their modification."""
        return self._note_page(self._notes.recent, "recent", limit, cursor)

    def list_orphans(self, *, limit: int = 100, cursor: str | None = None) -> NotePage:
        """List notes without links."""
        return self._note_page(self._notes.orphans, "orphans", limit, cursor)

    def list_backlinks(self, path: str, *, limit: int = 50, cursor: str | None = None) -> LinkPage:
        """List links to a file."""
        file_id = self._graph.id_of(path)
        offset = offset_of(cursor, "backlinks", path)
        links = self._graph.backlinks(file_id, limit=checked_limit(limit, LIST_LIMIT), offset=offset)
        return self._link_page(links, self._graph.count_backlinks(file_id), offset, "backlinks", path)

    def list_outgoing(self, path: str, *, limit: int = 50, cursor: str | None = None) -> LinkPage:
        """List links from a note."""
        file_id = self._graph.id_of(path)
        offset = offset_of(cursor, "outgoing", path)
        links = self._graph.outgoing(file_id, limit=checked_limit(limit, LIST_LIMIT), offset=offset)
        return self._link_page(links, self._graph.count_outgoing(file_id), offset, "outgoing", path)

    def find_neighbours(self, path: str, *, depth: int = 1, limit: int = 100) -> Graph:
        """Find what is near a file."""
        return neighbourhood(self._graph, path, depth=depth, limit=limit)

    def find_path(self, source: str, target: str) -> tuple[str, ...]:
        """Find the shortest way between two files."""
        return shortest_path(self._graph, source, target)

    def list_unresolved(self, *, limit: int = 100, cursor: str | None = None) -> UnresolvedPage:
        """List missing targets."""
        checked_limit(limit, LIST_LIMIT)
        offset = offset_of(cursor, "unresolved")
        found = self._graph.unresolved(limit=limit + 1, offset=offset)
        sources = self._graph.unresolved_sources([key for key, _, _ in found[:limit]], _SOURCES_OF_A_TARGET)
        targets = tuple(UnresolvedTarget(target, links, tuple(sources[key])) for key, target, links in found[:limit])
        return UnresolvedPage(targets, cursor_at(offset + limit, "unresolved") if len(found) > limit else None)

    def read_graph(self, *, limit: int = 1000, cursor: str | None = None) -> GraphPart:
        """Read a part of the whole graph."""
        checked_limit(limit, PART_LIMIT)
        # By path, and not by how many came before: notes come and go while somebody reads part after part.
        page = self._graph.node_page(limit=limit + 1, after=path_in(cursor, "graph") if cursor else "")
        sources = {node.id: node.path for node in page[:limit]}
        weights = self._graph.weights(sources)
        targets = self._graph.nodes({target for _, target in weights})
        edges = [GraphEdge(sources[one], targets[other].path, links) for (one, other), links in weights.items()]
        return GraphPart(
            tuple(GraphNode(node.path, node.title) for node in page[:limit]),
            tuple(sorted(edges, key=lambda edge: (edge.source, edge.target))),
            cursor_behind(page[limit - 1].path, "graph") if len(page) > limit else None,
        )

    def find_similar(self, path: str, *, limit: int = 10) -> Similar:
        """Find notes that resemble one."""
        checked_limit(limit, 50)
        return Similarity(self._notes, self._graph, self._finder, self._vectors, self._meaning).find(path, limit)

    def list_tags(self) -> tuple[TagCount, ...]:
        """List tags."""
        return rolled_up(self._notes.tagged())

    def list_related_tags(self, tag: str, *, limit: int = 20) -> tuple[TagCount, ...]:
        """List tags that occur together with one."""
        return tuple(TagCount(*each) for each in self._notes.related_tags(tag, checked_limit(limit, 100)))

    def complete(self, kind: Completable, prefix: str, *, limit: int = 20) -> tuple[str, ...]:
        """Complete a path, a tag or a heading."""
        checked_limit(limit, 100)
        match kind:
            case "path":
                return tuple(self._notes.complete_paths(prefix, limit))
            case "tag":
                return tuple(self._notes.complete_tags(prefix, limit))
            case "heading":
                return tuple(self._notes.complete_headings(prefix, limit))

    def evaluate_logic(self, logic: Any, *, limit: int = 1000) -> tuple[Evaluated, ...]:
        """Evaluate JsonLogic for each note."""
        return evaluate(self._notes, self._graph, logic, limit)

    def query_table(self, dql: str, *, limit: int = 1000) -> tuple[Evaluated, ...]:
        """Answer a Dataview TABLE query."""
        checked_limit(limit, RESULT_LIMIT)
        now = self._now()
        return answer(parse_table(dql), rows_of(self._notes, now.tzinfo), now, limit)

    def _search(self) -> Search:
        hybrid = HybridSearch(self._finder, self._vectors, self._meaning) if self._meaning else None
        return Search(self._finder, self._notes, hybrid, self._now)

    def _note_page(
        self, listed: Callable[..., list[tuple[str, str, int]]], question: str, limit: int, cursor: str | None
    ) -> NotePage:
        checked_limit(limit, LIST_LIMIT)
        offset = offset_of(cursor, question)
        found = listed(limit=limit + 1, offset=offset)
        notes = tuple(NoteSummary(path, title, instant(mtime_ns)) for path, title, mtime_ns in found[:limit])
        return NotePage(notes, cursor_at(offset + limit, question) if len(found) > limit else None)

    def _link_page(self, links: list[StoredLink], total: int, offset: int, *question: str) -> LinkPage:
        texts = self._notes.texts({link.source_id for link in links})
        listed = tuple(
            LinkInfo(
                source=link.source,
                target=link.target,
                text=link.text,
                subpath=link.subpath,
                alias=link.alias,
                kind=link.kind,
                line=link.line,
                start=link.start,
                end=link.stop,
                context=_context(texts[link.source_id], link.start, link.stop),
            )
            for link in links
        )
        after = offset + len(listed)
        return LinkPage(listed, total, cursor_at(after, *question) if listed and after < total else None)


def _context(text: str, start: int, end: int) -> str:
    """The line that a link stands in, or as much of it as surrounds the link closely."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    return text[max(line_start, start - _CONTEXT_CHARS) : min(line_end, end + _CONTEXT_CHARS)].strip()
