"""Search and links as MCP tools: few, terse to list, and careful with the context window of whoever calls them."""

from typing import Annotated, Any, Literal

from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from weave_nn.services.sync.contract import Hit, LinkInfo, SyncContract
from weave_nn.shared.mcp import VaultServer

TAG_LIMIT = 150

_SEARCH = (
    'Search notes, best first. Words are all required; also "phrases", prefix*, -not, a OR b, path:Projects/, '
    "tag:area, title:x, has:tasks, modified:>7d, and frontmatter: status:done, due:2026-01-01..2026-02-01."
)

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

NotePath = Annotated[str, Field(description="vault path, e.g. 'Projects/Plan.md'")]
Few = Annotated[int, Field(ge=1, le=50)]


class Found(BaseModel):
    """A note that fits: `lines` of the first places."""

    path: str
    title: str
    snippet: str
    lines: list[int]


class Results(BaseModel):
    """Hits, best first."""

    hits: list[Found]
    next_cursor: str | None


class FoundEither(Found):
    """A note that fits by words, or that is near in meaning."""

    found_by: list[str]


class EitherResults(BaseModel):
    """Hits, best first; `method` says whether words alone could answer."""

    hits: list[FoundEither]
    next_cursor: str | None
    method: str


class Linked(BaseModel):
    """A link: the note at its other end (None: missing), and the line that it stands in."""

    path: str | None
    text: str
    line: int
    context: str


class Links(BaseModel):
    """Links of one note."""

    links: list[Linked]
    total: int
    next_cursor: str | None


class Near(BaseModel):
    """A note, and why or how it is near."""

    path: str
    why: str


class Nearby(BaseModel):
    """Notes near one, the nearest first, or the way to another."""

    notes: list[Near]
    method: str


class Counted(BaseModel):
    """A tag or a missing note, with the number of notes or links."""

    name: str
    count: int


class Counts(BaseModel):
    """Things of the vault with their numbers."""

    items: list[Counted]


def register_tools(server: VaultServer, sync: SyncContract, *, semantic: bool = False) -> None:
    """Offer the tools; all of them only read. Search by meaning is offered only where it is there: `semantic`."""
    (_register_semantic_search if semantic else _register_search)(server, sync)
    _register_links(server, sync)
    _register_overview(server, sync)


def _register_search(server: VaultServer, sync: SyncContract) -> None:
    @server.tool(annotations=READS, description=_SEARCH)
    def search_notes(q: str, limit: Few = 10, cursor: str | None = None) -> Results:
        page = sync.search(q, limit=limit, cursor=cursor)
        return Results(hits=[Found(**_found(hit)) for hit in page.hits], next_cursor=page.next_cursor)


def _register_semantic_search(server: VaultServer, sync: SyncContract) -> None:
    @server.tool(annotations=READS, description=_SEARCH)
    def search_notes(
        q: str,
        limit: Few = 10,
        cursor: str | None = None,
        *,
        semantic: Annotated[bool, Field(description="also notes of similar meaning, without the words")] = False,
    ) -> EitherResults:
        page = sync.search(q, limit=limit, cursor=cursor, semantic=semantic)
        hits = [FoundEither(**_found(hit), found_by=list(hit.found_by)) for hit in page.hits]
        return EitherResults(hits=hits, next_cursor=page.next_cursor, method=page.method)


def _found(hit: Hit) -> dict[str, Any]:
    return {
        "path": hit.path,
        "title": hit.title,
        "snippet": hit.snippet,
        "lines": list(dict.fromkeys(match.line for match in hit.matches))[:5],
    }


def _register_links(server: VaultServer, sync: SyncContract) -> None:
    @server.tool(annotations=READS)
    def get_links(
        path: NotePath,
        direction: Literal["backlinks", "outgoing"] = "backlinks",
        limit: Few = 20,
        cursor: str | None = None,
    ) -> Links:
        """Links to a note (or from it) with the lines they stand in."""
        listed = sync.list_backlinks if direction == "backlinks" else sync.list_outgoing
        page = listed(path, limit=limit, cursor=cursor)
        links = [_linked(link, link.source if direction == "backlinks" else link.target) for link in page.links]
        return Links(links=links, total=page.total, next_cursor=page.next_cursor)

    @server.tool(annotations=READS)
    def explore_graph(
        path: NotePath,
        to: Annotated[str | None, Field(description="shortest way to this note instead")] = None,
        depth: Annotated[int, Field(ge=1, le=5)] = 1,
        limit: Few = 30,
    ) -> Nearby:
        """Notes within `depth` links of a note."""
        if to is not None:
            way = sync.find_path(path, to)
            steps = [Near(path=each, why=f"step {number}") for number, each in enumerate(way)]
            return Nearby(notes=steps, method="shortest way" if way else "there is no way by links")
        graph = sync.find_neighbours(path, depth=depth, limit=limit + 1)
        notes = [Near(path=node.path, why=f"{node.depth} links away") for node in graph.nodes if node.depth]
        return Nearby(notes=notes, method="links, and there are more" if graph.truncated else "links")

    @server.tool(annotations=READS)
    def find_similar(path: NotePath, limit: Few = 10) -> Nearby:
        """Notes that resemble a note, and why: to connect it, or to find duplicates."""
        similar = sync.find_similar(path, limit=limit)
        notes = [Near(path=note.path, why=", ".join(note.reasons)) for note in similar.notes]
        return Nearby(notes=notes, method=similar.method)


def _register_overview(server: VaultServer, sync: SyncContract) -> None:
    @server.tool(annotations=READS)
    def list_tags(
        related_to: Annotated[str | None, Field(description="only tags found together with this one")] = None,
    ) -> Counts:
        """The most used tags with the number of their notes, nested ones counted in their parents."""
        tags = sync.list_related_tags(related_to) if related_to else sync.list_tags()
        most_used = sorted(tags, key=lambda tag: -tag.notes)[:TAG_LIMIT]
        return Counts(items=[Counted(name=tag.tag, count=tag.notes) for tag in most_used])

    @server.tool(annotations=READS)
    def find_gaps(kind: Literal["missing", "orphans"], limit: Few = 30) -> Counts:
        """Notes that are linked to but missing, or notes without any link."""
        if kind == "missing":
            targets = sync.list_unresolved(limit=limit).targets
            return Counts(items=[Counted(name=target.target, count=target.links) for target in targets])
        return Counts(items=[Counted(name=note.path, count=0) for note in sync.list_orphans(limit=limit).notes])


def _linked(link: LinkInfo, path: str | None) -> Linked:
    return Linked(path=path, text=link.text + link.subpath, line=link.line, context=link.context)
