"""The control plane over HTTP: who may do what, and who calls."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from weave_nn.gateway import api, checklist, models
from weave_nn.gateway.rollout import Policy
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http.app import Security, create_app
from weave_nn.shared.identity import Identity, Kind, Scope, passing, scopes_of

STABLE, CANDIDATE = "http://127.0.0.1:8010", "http://127.0.0.1:8003"


class Known:
    """A credential is a scope; `service` is one of our services."""

    async def authenticate(self, credential: str) -> Identity | None:
        if credential == "away":
            raise Unavailable("Keys cannot be looked for now.")
        kind: Kind = "service" if credential == "service" else "key"
        scopes = scopes_of(["admin" if credential == "service" else credential])
        return Identity(f"key of {credential}", scopes, f"ann {credential}", kind) if scopes else None


@pytest.fixture
def rollouts(tmp_path: Path) -> Iterator[Rollouts]:
    database = Database(f"sqlite:///{tmp_path / 'weave.db'}")
    upgrade(database, [bus.SCHEMA, models.SCHEMA])
    yield Rollouts(database, "vault")
    database.close()


@pytest.fixture
def looked() -> list[str]:
    return []


@pytest.fixture
async def client(rollouts: Rollouts, looked: list[str]) -> AsyncIterator[httpx2.AsyncClient]:
    def look() -> None:
        looked.append("look")

    app = create_app(
        title="t",
        version="1",
        routers=[
            api.internal_router(Known(), look),
            api.router(rollouts, look, monolith=STABLE, api_key="key"),
            api.metrics_router(lambda authorization: f"asked with {authorization}"),
        ],
        security=Security(authenticator=Known(), public_paths=api.INTERNAL_PATHS),
    )
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as made:
        yield made


def by(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


WRITES = [
    ("/gateway/rollouts", {"service": "tasks", "candidate": CANDIDATE}),
    ("/gateway/rollouts/tasks/shadow", {"percent": 5}),
    ("/gateway/rollouts/tasks/step", {"percent": 10, "force": True}),
    ("/gateway/rollouts/tasks/automatic", {}),
    ("/gateway/rollouts/tasks/pause", {}),
    ("/gateway/rollouts/tasks/resume", {}),
    ("/gateway/rollouts/tasks/complete", {"force": True}),
    ("/gateway/rollouts/tasks/rollback", {}),
]
READS = [
    "/gateway/rollouts",
    "/gateway/rollouts/tasks",
    "/gateway/rollouts/tasks/mismatches",
    "/gateway/where/ann",
]


@pytest.mark.parametrize(("credential", "status"), [(None, 401), ("wrong", 401), ("read", 403), ("write", 403)])
async def test_only_administrators_are_let_in(
    client: httpx2.AsyncClient, rollouts: Rollouts, looked: list[str], credential: str | None, status: int
) -> None:
    rollouts.plan("tasks", candidate=CANDIDATE, monolith=STABLE, policy=Policy(), who="ann", why="")
    headers = by(credential) if credential else {}
    for path, body in WRITES:
        assert (await client.post(path, json=body, headers=headers)).status_code == status, path
    for path in READS:
        assert (await client.get(path, headers=headers)).status_code == status, path
    assert rollouts.version() == 1
    assert not looked


async def test_an_administrator_does_what_the_commands_do(
    client: httpx2.AsyncClient, rollouts: Rollouts, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checklist, "check", lambda *_: [checklist.Item("all", ok=True, found="well")])
    for path, body in WRITES[:-2]:
        answer = await client.post(path, json=body, headers=by("admin"))
        assert answer.status_code in {200, 201}, answer.text
    assert len(looked) == len(WRITES) - 2
    for path in READS:
        assert (await client.get(path, headers=by("admin"))).status_code == 200, path
    assert (await client.get("/gateway/rollouts/tasks", headers=by("admin"))).json()["rollout"]["percent"] == 10
    # It rolls back with nothing but the service's name.
    done = await client.post("/gateway/rollouts/tasks/rollback", json={}, headers=by("admin"))
    assert done.json()["state"] == "rolled_back"
    assert {each.who for each in rollouts.status("tasks").history} == {"key of admin"}


async def test_nonsense_is_refused_and_nothing_is_planned(
    client: httpx2.AsyncClient, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = checklist.Item("the candidate is ready", ok=False, found="status 503")
    monkeypatch.setattr(checklist, "check", lambda *_: [failing])
    plan = {"service": "tasks", "candidate": CANDIDATE}
    for wrong, status in (
        (plan, 409),
        (plan | {"service": "bakery"}, 404),
        (plan | {"ignore": ["items"]}, 400),
        (plan | {"candidate": "nowhere"}, 409),
    ):
        answer = await client.post("/gateway/rollouts", json=wrong, headers=by("admin"))
        assert answer.status_code == status, answer.text
    assert rollouts.version() == 0
    rollouts.plan("tasks", candidate=CANDIDATE, monolith=STABLE, policy=Policy(), who="ann", why="")
    for percent, status in ((101, 400), (-1, 400), (50, 409)):
        answer = await client.post(
            "/gateway/rollouts/tasks/step", json={"percent": percent, "force": status == 400}, headers=by("admin")
        )
        assert answer.status_code == status, answer.text
    assert rollouts.version() == 1


async def test_who_calls_is_told_by_the_credential_and_a_services_word_on_whom_it_calls_for(
    client: httpx2.AsyncClient,
) -> None:
    on_behalf = {passing.HEADER: passing.encode(Identity("k", frozenset({Scope.READ}), "bob"))}
    for headers, status, user in (
        (by("read"), 200, "ann%20read"),
        (by("read") | on_behalf, 200, "ann%20read"),
        (by("service") | on_behalf, 200, "bob"),
        (by("service") | {passing.HEADER: "nonsense"}, 204, None),
        (by("wrong"), 204, None),
        ({}, 204, None),
        # Envoy keeps users where they were until somebody can say it again.
        (by("away"), 503, None),
    ):
        answer = await client.get("/-/caller", headers=headers)
        assert (answer.status_code, answer.headers.get("x-weave-user")) == (status, user)


async def test_metrics_are_asked_for_with_the_callers_own_key(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/metrics")).status_code == 401
    assert (await client.get("/metrics", headers=by("read"))).text == "asked with Bearer read"
