import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response, StreamingResponse

from weave_nn.shared import context
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import IfMatch, Limits, ReadinessCheck, SpooledBody


def notes_router() -> APIRouter:
    router = APIRouter(prefix="/notes", tags=["notes"])

    @router.get("/{name}")
    def read(name: str) -> dict[str, str | None]:
        return {"name": name, "request_id": context.request_id.get()}

    @router.put("/{name}")
    def update(name: str, body: SpooledBody, if_match: IfMatch = None) -> int:
        assert (name, if_match) != ("", None)
        return len(body.read())

    @router.get("/{name}/endless")
    def endless(name: str) -> Response:
        def lines() -> Iterator[str]:
            while True:
                yield name

        return StreamingResponse(lines())

    @router.get("/{name}/page")
    def page(name: str) -> Response:
        return HTMLResponse(name, headers={"Content-Security-Policy": "default-src 'self'"})

    return router


def test_a_valid_request_id_follows_the_request_and_comes_back(make_client: Any) -> None:
    client = make_client(notes_router())
    given = client.get("/notes/a", headers={"X-Request-ID": "abc-1"})
    assert (given.json()["request_id"], given.headers["x-request-id"]) == ("abc-1", "abc-1")
    for bad in ("", "a b", "x" * 129, "é".encode()):
        made = client.get("/notes/a", headers={"X-Request-ID": bad})
        assert made.json()["request_id"] == made.headers["x-request-id"] != bad


def test_each_request_is_one_line_without_its_query(make_client: Any) -> None:
    client = make_client(notes_router())
    with structlog.testing.capture_logs() as lines:
        client.get("/notes/a%0Ab?token=secret")
        client.get("/health")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"], line["log_level"]) for line in requests] == [
        ("/notes/a%0Ab", 200, "info"),
        ("/health", 200, "debug"),
    ]
    assert requests[0]["caller"] == "owner"
    assert "secret" not in str(lines)


def test_metrics_are_labelled_by_template_and_bounded(make_client: Any) -> None:
    client = make_client(notes_router())
    for name in "abc":
        client.get(f"/notes/{name}")
        client.get(f"/{name}")
        client.request(f"X{name}", f"/{name}")
    client.head("/notes/a")
    text = client.get("/metrics").text
    assert 'weave_http_requests_total{method="GET",route="/notes/{name}",status="200"} 3.0' in text
    assert 'weave_http_requests_total{method="HEAD",route="/notes/{name}",status="200"} 1.0' in text
    assert 'weave_http_requests_total{method="GET",route="unmatched",status="404"} 3.0' in text
    assert 'method="Xa"' not in text
    assert "process_resident_memory_bytes" in text


def test_responses_carry_security_headers_and_keep_their_own(make_client: Any) -> None:
    client = make_client(notes_router())
    for path in ("/notes/a", "/nothing", "/health"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
    assert client.get("/notes/a/page").headers["content-security-policy"] == "default-src 'self'"


@pytest.mark.parametrize("path", ["/notes/a", "/notes/a/page", "/health", "/openapi.json"])
def test_head_answers_as_get_without_the_body(make_client: Any, path: str) -> None:
    client = make_client(notes_router())
    head, get = client.head(path, headers={"X-Request-ID": "1"}), client.get(path, headers={"X-Request-ID": "1"})
    assert (head.status_code, head.headers, head.content) == (get.status_code, get.headers, b"")


def test_head_ends_an_endless_stream_and_respects_missing_paths(make_client: Any) -> None:
    client = make_client(notes_router())
    assert client.head("/notes/a/endless").status_code == 200
    assert client.head("/nothing").status_code == 404


def test_bodies_are_bounded_by_the_limit_of_their_path(make_client: Any) -> None:
    limits = Limits(body_bytes=100, body_bytes_by_prefix={"/notes/big": 5000})
    client = make_client(notes_router(), limits=limits)
    assert client.put("/notes/a", content=b"x" * 100).json() == 100
    for body in (b"x" * 101, iter([b"x" * 60] * 2)):
        refused = client.put("/notes/a", content=body)
        assert (refused.status_code, refused.json()["limit_bytes"]) == (413, 100)
    assert client.put("/notes/big", content=iter([b"x" * 2500] * 2)).json() == 5000


def test_a_big_body_is_spooled(make_client: Any) -> None:
    assert make_client(notes_router()).put("/notes/a", content=iter([b"x" * 2**20] * 3)).json() == 3 * 2**20


def test_the_openapi_document_describes_key_and_problems(make_client: Any) -> None:
    document = make_client(notes_router()).get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    update = document["paths"]["/notes/{name}"]["put"]
    assert update["operationId"] == "notes_update"
    assert update["security"] == [{"ApiKey": []}]
    assert {"401", "403", "404", "409", "412", "413", "422"} <= update["responses"].keys()
    content = update["responses"]["412"]["content"]
    assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert {} in document["paths"]["/health"]["get"]["security"]
    assert "HTTPValidationError" not in str(document)


def test_the_reference_page_needs_nothing_from_elsewhere(make_client: Any) -> None:
    page = make_client(notes_router()).get("/docs")
    assert "/notes/{name}" in page.text
    assert "<script" not in page.text
    assert "https://" not in page.text


def test_ready_names_what_failed_and_tells_details_only_with_the_key(make_client: Any) -> None:
    def broken() -> None:
        raise Unavailable("The database is locked.")

    checks = [ReadinessCheck("database", broken), ReadinessCheck("vault", lambda: None)]
    client = make_client(checks=checks)
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "not_ready"
    database, vault = response.json()["checks"]
    assert (database["status"], database["detail"]) == ("failed", "The database is locked.")
    assert vault["status"] == "ok"
    assert "locked" not in make_client(checks=checks, key=None).get("/ready").text
    assert client.get("/health").json() == {"status": "ok"}


def test_a_check_that_hangs_is_limited_and_not_started_again(make_client: Any) -> None:
    release, runs = threading.Event(), []

    def hang() -> None:
        runs.append(1)
        release.wait(10)

    client = make_client(checks=[ReadinessCheck("disk", hang, timeout_seconds=0.05)])
    try:
        begun = time.monotonic()
        assert client.get("/ready").json()["checks"][0]["detail"] == "It did not answer within 0.05 seconds."
        client.app.state.readiness._known_until = float("-inf")
        assert "has not come back" in client.get("/ready").json()["checks"][0]["detail"]
        assert time.monotonic() - begun < 5
        assert len(runs) == 1
    finally:
        release.set()


def test_who_waits_for_a_start_is_told_soon_that_it_is_over(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("weave_nn.shared.http.readiness.time", clock)
    runs: list[float] = []

    def check() -> None:
        runs.append(clock.now)
        if clock.now < 101:
            raise Unavailable("The index is being made.")

    client = make_client(checks=[ReadinessCheck("index", check)])
    for clock.now in (100.0, 100.05, 100.2, 101.0, 101.4, 101.6):
        assert (client.get("/ready").status_code == 200) == (clock.now >= 101)
    assert runs == [100.0, 100.2, 101.0, 101.6]


def test_draining_is_not_ready_but_alive(make_client: Any) -> None:
    client = make_client()
    assert client.get("/ready").json() == {"status": "ready", "checks": []}
    client.app.state.readiness.draining = True
    assert (client.get("/ready").status_code, client.get("/ready").json()["status"]) == (503, "draining")
    assert client.get("/health").status_code == 200


def test_the_lifespan_runs_and_sets_the_number_of_threads(make_client: Any) -> None:
    seen: list[float] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        seen.append(anyio.to_thread.current_default_thread_limiter().total_tokens)
        yield

    make_client(lifespan=lifespan, limits=Limits(threads=7))
    assert seen == [7]
