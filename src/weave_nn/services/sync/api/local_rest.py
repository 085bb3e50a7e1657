"""Searching as Obsidian's plugin Local REST API does it, for clients that were written for it."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel

from weave_nn.services.sync.contract import ExpressionRefused, SyncContract
from weave_nn.shared.errors import InvalidInput

JSON_LOGIC = "application/vnd.olrapi.jsonlogic+json"
DATAVIEW = "application/vnd.olrapi.dataview.dql+txt"
_UNKNOWN_TYPE, _SEARCH_FAILED = 40011, 40090
_LIMIT = 2000


class Position(BaseModel):
    """A place in a note's text or name."""

    start: int
    end: int
    source: str


class FoundMatch(BaseModel):
    """A place that fits, with the text around it."""

    match: Position
    context: str


class FoundFile(BaseModel):
    """A note that holds all words."""

    filename: str
    score: float
    matches: list[FoundMatch]


class EvaluatedFile(BaseModel):
    """A note for which the expression holds."""

    filename: str
    result: Any


class CountedTag(BaseModel):
    """A tag with the number of notes that have it or one below it."""

    name: str
    count: int


class CountedTags(BaseModel):
    """All tags."""

    tags: list[CountedTag]


async def _body(request: Request) -> bytes:
    return await request.body()


def router(contract: SyncContract) -> APIRouter:
    """The routes of the dialect; their failures bring the plugin's own codes in the field `error_code`."""
    routes = APIRouter()

    @routes.post("/search/simple/", summary="Search by words (Local REST API)")
    def local_rest_simple(
        query: Annotated[str, Query(max_length=1000)],
        context_length: Annotated[int, Query(alias="contextLength", ge=0, le=2000)] = 100,
    ) -> list[FoundFile]:
        hits = contract.search_plain(query, context_chars=context_length, limit=_LIMIT)
        return [
            FoundFile(
                filename=hit.path,
                score=hit.score,
                matches=[
                    FoundMatch(
                        match=Position(start=match.start, end=match.end, source=match.source), context=match.context
                    )
                    for match in hit.matches
                ],
            )
            for hit in hits
        ]

    @routes.post(
        "/search/",
        summary="Search by an expression (Local REST API)",
        openapi_extra={"requestBody": {"required": True, "content": {JSON_LOGIC: {}, DATAVIEW: {}}}},
    )
    def local_rest_search(
        body: Annotated[bytes, Depends(_body)], content_type: Annotated[str, Header()] = ""
    ) -> list[EvaluatedFile]:
        try:
            found = _evaluated(contract, body, content_type.partition(";")[0].strip().lower())
        except ExpressionRefused as error:
            raise ExpressionRefused(error.detail, hint=error.hint, error_code=_SEARCH_FAILED) from error
        return [EvaluatedFile(filename=each.path, result=each.result) for each in found]

    @routes.get("/tags/", summary="All tags (Local REST API)")
    def local_rest_tags() -> CountedTags:
        return CountedTags(tags=[CountedTag(name=tag.tag, count=tag.notes) for tag in contract.list_tags()])

    return routes


def _evaluated(contract: SyncContract, body: bytes, content_type: str) -> Any:
    match content_type:
        case "application/vnd.olrapi.jsonlogic+json":
            try:
                logic = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise ExpressionRefused(f"The body is not JSON: {error}.") from error
            return contract.evaluate_logic(logic, limit=_LIMIT)
        case "application/vnd.olrapi.dataview.dql+txt":
            return contract.query_table(body.decode(errors="replace"), limit=_LIMIT)
        case _:
            raise InvalidInput(
                f"The content type {content_type!r} is none of a search.",
                hint=f"Send {JSON_LOGIC} or {DATAVIEW}.",
                error_code=_UNKNOWN_TYPE,
            )
