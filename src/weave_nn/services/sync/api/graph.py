"""The service's own API: each route is one method of the contract, by its name."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import TypeAdapter
from starlette.responses import Response, StreamingResponse

from weave_nn.services.sync.contract import (
    Completable,
    Evaluated,
    Graph,
    GraphPart,
    LinkPage,
    NoteCard,
    NotePage,
    PlainHit,
    SearchPage,
    Similar,
    SyncContract,
    TagCount,
    UnresolvedPage,
)

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the answer before")]
NotePath = Annotated[str, Query(min_length=1, max_length=4096, description="vault path, such as `Folder/Note.md`")]

_GRAPH: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`nodes` (path, title) and `edges` (source, target, links)",
        "content": {"application/json": {"schema": {"type": "object", "required": ["nodes", "edges"]}}},
    }
}
_PART = 2000
_SEARCH_PAGE = TypeAdapter(SearchPage)


def router(contract: SyncContract) -> APIRouter:
    """The routes of `/search` and `/graph`."""
    routes = APIRouter()
    _add_search(routes, contract)
    _add_links(routes, contract)
    _add_graph(routes, contract)
    _add_tags(routes, contract)
    return routes


def _add_search(routes: APIRouter, contract: SyncContract) -> None:
    @routes.get("/search", summary="Search the notes", response_model=SearchPage)
    def search(
        q: Annotated[str, Query(description='words, "phrases", prefix*, -not, OR, tag:, path:, any frontmatter field')],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Cursor = None,
        snippet_chars: Annotated[int, Query(ge=0, le=2000)] = 240,
        *,
        semantic: Annotated[bool, Query(description="also by meaning; needs the extra weave-nn[semantic]")] = False,
    ) -> Response:
        page = contract.search(q, limit=limit, cursor=cursor, snippet_chars=snippet_chars, semantic=semantic)
        # What we have made ourselves need not be validated, which takes longer than to write it out.
        return Response(_SEARCH_PAGE.dump_json(page), media_type="application/json")

    @routes.get("/graph/words", summary="Search by words alone, without operators")
    def search_plain(
        text: str,
        context_chars: Annotated[int, Query(ge=0, le=2000)] = 100,
        limit: Annotated[int, Query(ge=1, le=2000)] = 1000,
    ) -> list[PlainHit]:
        return list(contract.search_plain(text, context_chars=context_chars, limit=limit))

    @routes.post("/graph/logic", summary="Evaluate JsonLogic for every note")
    def evaluate_logic(
        logic: Annotated[Any, Body()], limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[Evaluated]:
        return list(contract.evaluate_logic(logic, limit=limit))

    @routes.post("/graph/table", summary="Answer a Dataview TABLE query")
    def query_table(
        dql: Annotated[str, Body(embed=True)], limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[Evaluated]:
        return list(contract.query_table(dql, limit=limit))

    @routes.get("/graph/completions", summary="Complete a path, a tag or a heading")
    def complete(kind: Completable, prefix: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[str]:
        return list(contract.complete(kind, prefix, limit=limit))


def _add_links(routes: APIRouter, contract: SyncContract) -> None:
    @routes.get("/graph/note", summary="Describe a note without its text")
    def describe_note(path: NotePath) -> NoteCard:
        return contract.describe_note(path)

    @routes.get("/graph/backlinks", summary="Links from other notes to a file, with their context")
    def list_backlinks(path: NotePath, limit: Limit = 50, cursor: Cursor = None) -> LinkPage:
        return contract.list_backlinks(path, limit=limit, cursor=cursor)

    @routes.get("/graph/outgoing", summary="Links from a note, in the order of its text")
    def list_outgoing(path: NotePath, limit: Limit = 50, cursor: Cursor = None) -> LinkPage:
        return contract.list_outgoing(path, limit=limit, cursor=cursor)

    @routes.get("/graph/unresolved", summary="Files that are linked to and do not exist")
    def list_unresolved(limit: Limit = 100, cursor: Cursor = None) -> UnresolvedPage:
        return contract.list_unresolved(limit=limit, cursor=cursor)

    @routes.get("/graph/orphans", summary="Notes without links to or from other files")
    def list_orphans(limit: Limit = 100, cursor: Cursor = None) -> NotePage:
        return contract.list_orphans(limit=limit, cursor=cursor)

    @routes.get("/graph/recent", summary="Notes, the last modified first")
    def list_recent(limit: Limit = 20, cursor: Cursor = None) -> NotePage:
        return contract.list_recent(limit=limit, cursor=cursor)


def _add_graph(routes: APIRouter, contract: SyncContract) -> None:
    @routes.get("/graph", summary="The whole graph, streamed", responses=_GRAPH, response_class=StreamingResponse)
    def stream_graph() -> StreamingResponse:
        return StreamingResponse(_streamed(contract), media_type="application/json")

    @routes.get("/graph/part", summary="A part of the whole graph")
    def read_graph(limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Cursor = None) -> GraphPart:
        return contract.read_graph(limit=limit, cursor=cursor)

    @routes.get("/graph/neighbours", summary="What lies near a file")
    def find_neighbours(path: NotePath, depth: Annotated[int, Query(ge=1, le=5)] = 1, limit: Limit = 100) -> Graph:
        return contract.find_neighbours(path, depth=depth, limit=limit)

    @routes.get("/graph/path", summary="The shortest way between two files, in either direction of links")
    def find_path(source: NotePath, target: NotePath) -> list[str]:
        return list(contract.find_path(source, target))

    @routes.get("/graph/similar", summary="Notes that resemble a note, and why")
    def find_similar(path: NotePath, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> Similar:
        return contract.find_similar(path, limit=limit)


def _add_tags(routes: APIRouter, contract: SyncContract) -> None:
    @routes.get("/graph/tags", summary="Every tag, and how many notes have it or one below it")
    def list_tags() -> list[TagCount]:
        return list(contract.list_tags())

    @routes.get("/graph/related-tags", summary="Tags that occur together with a tag")
    def list_related_tags(
        tag: Annotated[str, Query(min_length=1, max_length=255)],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> list[TagCount]:
        return list(contract.list_related_tags(tag, limit=limit))


def _parts(contract: SyncContract) -> Iterator[GraphPart]:
    cursor: str | None = None
    while True:
        part = contract.read_graph(limit=_PART, cursor=cursor)
        yield part
        cursor = part.next_cursor
        if cursor is None:
            return


def _streamed(contract: SyncContract) -> Iterator[str]:
    """One JSON object: first all nodes, then all edges between them, a part at a time."""
    paths: set[str] = set()
    yield '{"nodes":['
    for part in _parts(contract):
        listed = [{"path": node.path, "title": node.title} for node in part.nodes if node.path not in paths]
        yield _items(listed, more=bool(paths))
        paths.update(node.path for node in part.nodes)
    yield '],"edges":['
    more = False
    for part in _parts(contract):
        # The notes may change between the two rounds; an edge without its ends would break whoever reads it.
        edges = [asdict(edge) for edge in part.edges if edge.source in paths and edge.target in paths]
        yield _items(edges, more=more)
        more = more or bool(edges)
    yield "]}"


def _items(items: list[dict[str, Any]], *, more: bool) -> str:
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return f",{text}" if more and text else text
