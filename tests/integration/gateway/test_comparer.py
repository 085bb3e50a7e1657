"""The shadow comparer between two services that differ."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from weave_nn.gateway import models
from weave_nn.gateway.comparing import comparer as comparing
from weave_nn.gateway.comparing.comparer import Comparer
from weave_nn.gateway.rollout import Policy
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade

Sides = dict[str, Callable[[Request], Any]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'weave.db'}")
    upgrade(database, [bus.SCHEMA, models.SCHEMA])
    yield database
    database.close()


@contextmanager
def sides(monkeypatch: pytest.MonkeyPatch, answering: Sides) -> Iterator[list[str]]:
    """Two services in this process; what they were asked with."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(f"{request.url.hostname} {request.headers.get('authorization', '')}")
        said = answering[request.url.hostname or ""](request)
        return said if isinstance(said, Response) else JSONResponse(said)

    transport = httpx2.ASGITransport(Starlette(routes=[Route("/{path:path}", answer)]))
    client = httpx2.AsyncClient

    def made(**options: Any) -> httpx2.AsyncClient:
        return client(transport=transport, timeout=options["timeout"])

    monkeypatch.setattr("weave_nn.gateway.comparing.comparer.httpx2.AsyncClient", made)
    monkeypatch.setattr(comparing, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(comparing, "_KEEP_SECONDS", 0.05)
    yield asked


async def compared(database: Database, paths: list[str], *, ignore: tuple[str, ...] = ()) -> Rollouts:
    rollouts = Rollouts(database, "vault")
    rollouts.plan(
        "tasks", candidate="http://candidate", monolith="http://stable", policy=Policy(ignore=ignore), who="ann", why=""
    )
    app = Comparer(rollouts, database, "vault").app

    def counted() -> int:
        return sum(each.compared + each.failed for each in rollouts.status("tasks").comparisons)

    async with app.router.lifespan_context(app):
        mirror = httpx2._client.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://mirror")
        for path in paths:
            answer = await mirror.get(path, headers={"Authorization": "Bearer secret"})
            assert answer.status_code == 204
        async with asyncio.timeout(60):
            while counted() < len(paths):  # noqa: ASYNC110 - the database has no event to wait for
                await asyncio.sleep(0.02)
        await mirror.aclose()
    return rollouts


async def test_the_same_is_the_same_and_both_sides_hear_the_users_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sides(monkeypatch, {"stable": lambda _: {"a": 1}, "candidate": lambda _: {"a": 1}}) as asked:
        rollouts = await compared(database, ["/tasks/counts?by=status"])
    (counts,) = rollouts.status("tasks").comparisons
    assert (counts.route, counts.compared, counts.mismatched, counts.failed) == ("/tasks/counts", 1, 0, 0)
    assert asked == ["stable Bearer secret", "candidate Bearer secret", "stable Bearer secret"]


async def test_a_difference_is_kept_with_both_answers_masked_and_without_the_query(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering: Sides = {
        "stable": lambda _: {"a": 1, "api_key": "abc"},
        "candidate": lambda _: {"a": 2, "api_key": "abc"},
    }
    with sides(monkeypatch, answering):
        rollouts = await compared(database, ["/tasks?text=private", "/tasks?text=private"])
    found = rollouts.mismatches("tasks", 10)
    assert [(each.path, each.difference) for each in found] == [("/tasks", "$.a")] * 2
    assert json.loads(found[0].stable.partition("\n")[2]) == {"a": 1, "api_key": "***"}
    assert "private" not in str(found)


async def test_a_candidate_that_lags_a_moment_is_asked_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{"a": 0}, {"a": 1}])
    with sides(monkeypatch, {"stable": lambda _: {"a": 1}, "candidate": lambda _: next(answers)}):
        rollouts = await compared(database, ["/tasks"])
    assert rollouts.mismatches("tasks", 10) == []


async def test_rules_of_the_rollout_hold(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    answering: Sides = {"stable": lambda _: {"at": 1}, "candidate": lambda _: {"at": 2}}
    with sides(monkeypatch, answering):
        rollouts = await compared(database, ["/tasks"], ignore=("$.at",))
    assert rollouts.mismatches("tasks", 10) == []


async def test_the_routes_that_are_counted_are_bounded_over_all_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_MOST_ROUTES", 3)
    with sides(monkeypatch, {"stable": lambda _: {}, "candidate": lambda _: {}}):
        rollouts = await compared(database, [f"/tasks/{letter}" for letter in "abcdef"])
        # Also when the comparer begins anew.
        again = Comparer(rollouts, database, "vault")
        again._look()
        (rollout,) = rollouts.routed()[1]
        again._count(comparing.Mirrored(rollout, "/tasks", "/tasks/new", {}), "compared")
        assert [route for _, route, _ in again._counts] == ["/tasks/…"]
    counts = rollouts.status("tasks").comparisons
    assert len(counts) == 4
    assert sum(each.compared for each in counts) == 6


async def test_what_goes_on_for_ever_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ticking() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"
            await asyncio.sleep(0.01)

    async def asked(*_arguments: Any) -> Any:
        async for _ in ticking():
            pass

    monkeypatch.setattr(comparing, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(comparing, "_get", asked)
    with sides(monkeypatch, {}):
        rollouts = await compared(database, ["/tasks/stream"])
    (counts,) = rollouts.status("tasks").comparisons
    assert (counts.compared, counts.failed) == (0, 1)


async def test_comparing_goes_on_after_counts_could_not_be_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, failed = Comparer._write, asyncio.Event()

    def write(*arguments: Any) -> None:
        if arguments[1] and not failed.is_set():
            failed.set()
            raise RuntimeError("the database is in a strange mood")
        true(*arguments)

    monkeypatch.setattr(Comparer, "_write", write)
    with sides(monkeypatch, {"stable": lambda _: {}, "candidate": lambda _: {}}):
        rollouts = Rollouts(database, "vault")
        rollouts.plan(
            "tasks", candidate="http://candidate", monolith="http://stable", policy=Policy(), who="ann", why=""
        )
        app = Comparer(rollouts, database, "vault").app
        async with app.router.lifespan_context(app):
            mirror = httpx2._client.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://mirror")
            async with asyncio.timeout(60):
                while not failed.is_set() or not rollouts.status("tasks").comparisons:
                    await mirror.get("/tasks")
                    await asyncio.sleep(0.02)
            await mirror.aclose()


async def test_a_side_that_cannot_be_asked_counts_as_failed_and_not_as_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_request: Request) -> Any:
        raise httpx2.ConnectError("away")

    with sides(monkeypatch, {"stable": lambda _: {}, "candidate": broken}):
        rollouts = await compared(database, ["/tasks"])
    (counts,) = rollouts.status("tasks").comparisons
    assert (counts.compared, counts.failed) == (0, 1)
