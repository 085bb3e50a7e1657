import json
from typing import Annotated, Any

import pytest
import structlog
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from weave_nn.shared.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, Unavailable
from weave_nn.shared.http import Dialect, Problem


class Note(BaseModel):
    title: str
    rank: Annotated[int, Field(ge=1)] = 1


def failing(error: Exception) -> APIRouter:
    router = APIRouter()

    @router.get("/fail")
    def fail() -> None:
        raise error

    return router


def test_an_expected_failure_is_a_problem_document(make_client: Any) -> None:
    error = NotFound("There is no note 'a.md'.", hint="List the folder.", near=["b.md"], status=1)
    response = make_client(failing(error)).get("/fail", headers={"X-Request-ID": "abc-1"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:weave-nn:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no note 'a.md'.",
        "hint": "List the folder.",
        "instance": "/fail",
        "request_id": "abc-1",
        "near": ["b.md"],
    }


def test_a_stale_version_carries_the_present_etag(make_client: Any) -> None:
    response = make_client(failing(PreconditionFailed("stale", current_etag="abc"))).get("/fail")
    assert (response.status_code, response.headers["etag"]) == (412, '"abc"')


def test_what_is_unavailable_says_when_to_come_back(make_client: Any) -> None:
    response = make_client(failing(Unavailable("locked", retry_after_seconds=2.5))).get("/fail")
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")


def test_an_unexpected_failure_reveals_nothing_and_is_logged(make_client: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        response = make_client(failing(ValueError("secret inside"))).get("/fail")
    assert response.status_code == 500
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text
    assert [line["log_level"] for line in lines if line["event"] == "request_failed"] == ["error"]


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (418, "im_a_teapot"), (599, "internal_server_error")])
def test_http_exceptions_of_the_framework_are_problems(make_client: Any, status: int, code: str) -> None:
    response = make_client(failing(HTTPException(status, "as said"))).get("/fail")
    assert (response.status_code, response.json()["detail"]) == (status, "as said")
    assert response.json()["type"].endswith(code)


def test_unknown_paths_and_methods_are_problems(make_client: Any) -> None:
    client = make_client(failing(Conflict("x")))
    missing = client.get("/nothing")
    assert (missing.status_code, missing.json()["detail"]) == (404, "Nothing is served at /nothing.")
    wrong = client.post("/fail")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert wrong.headers["content-type"] == "application/problem+json"


def notes_router() -> APIRouter:
    router = APIRouter()

    @router.post("/notes")
    def create(note: Note, limit: Annotated[int, Query(le=10)] = 1) -> int:
        return note.rank + limit

    return router


def test_refused_values_are_named_with_the_reason(make_client: Any) -> None:
    response = make_client(notes_router()).post("/notes?limit=11", json={"rank": 0})
    assert response.status_code == 422
    body = response.json()
    assert body["errors"] == [
        {"in": "query", "field": "limit", "reason": "Input should be less than or equal to 10", "value": "11"},
        {"in": "body", "field": "title", "reason": "Field required"},
        {"in": "body", "field": "rank", "reason": "Input should be greater than or equal to 1", "value": 0},
    ]
    assert body["detail"].startswith("The query parameter 'limit' has the value '11', which was refused: ")


@pytest.mark.parametrize(
    "body", [b"{", b'{"rank": "\\ud800"}', b'{"rank": NaN}', b'{"title": {"a": [1e999]}}', b"\xff"]
)
def test_bodies_that_cannot_be_quoted_are_refused_all_the_same(make_client: Any, body: bytes) -> None:
    response = make_client(notes_router()).post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    json.loads(response.content)


def test_long_values_are_cut(make_client: Any) -> None:
    response = make_client(notes_router()).post("/notes", json={"title": "a", "rank": "x" * 10_000})
    assert len(response.content) < 2_000


def test_undecodable_file_names_can_be_quoted(make_client: Any) -> None:
    response = make_client(failing(InvalidInput("bad", path=b"a\xff".decode("utf-8", "surrogateescape")))).get("/fail")
    assert response.json()["path"] == "a\udcff"


def test_a_router_brings_its_own_dialect(make_client: Any) -> None:
    def render(problem: Problem) -> Response:
        return JSONResponse({"message": problem.detail, "errorCode": problem.status * 100}, problem.status)

    dialect = Dialect(render, "application/json", {"type": "object"})
    client = make_client(dialects={"/vault": dialect})
    assert client.get("/vault/x").json() == {"message": "Nothing is served at /vault/x.", "errorCode": 40400}
    assert client.get("/vault", headers={"Authorization": "Bearer no"}).json()["errorCode"] == 40100
    assert "errorCode" not in client.get("/vaults").json()
