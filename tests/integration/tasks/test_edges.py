"""The edges: HTTP routes, MCP tools and prompts, and the schema's way up and down."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from mcp import Client
from starlette.testclient import TestClient

from integration.tasks.stand import TODAY, Stand, make_stand
from weave_nn.services.tasks import models
from weave_nn.services.tasks.api import router
from weave_nn.services.tasks.contract import TasksContract
from weave_nn.services.tasks.service import TaskRules
from weave_nn.services.tasks.service.querying.language import parse_query
from weave_nn.services.tasks.tools import DAY_QUERIES, WEEK_QUERIES, register_tools
from weave_nn.shared.contracts import methods
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.http import Security, StaticKey, create_app
from weave_nn.shared.mcp import VaultServer

KEY = "k" * 40


@pytest.fixture
def client(stand: Stand) -> Iterator[TestClient]:
    app = create_app(
        title="t", version="1", routers=[router(stand.tasks)], security=Security(authenticator=StaticKey(KEY))
    )
    with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


def test_a_task_lives_over_http(stand: Stand, client: TestClient) -> None:
    made = client.post(
        "/tasks", json={"title": "buy milk", "due_date": "2026-12-01"}, headers={"Idempotency-Key": "one"}
    )
    assert made.status_code == 201
    again = client.post(
        "/tasks", json={"title": "buy milk", "due_date": "2026-12-01"}, headers={"Idempotency-Key": "one"}
    )
    assert again.json()["id"] == made.json()["id"]
    address = made.headers["Location"]
    tag = made.headers["ETag"]
    changed = client.patch(address, json={"priority": "high", "due_date": None}, headers={"If-Match": tag})
    assert (changed.json()["priority"], changed.json()["due_date"]) == ("high", None)
    stale = client.patch(address, json={"title": "x"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert stale.json()["current_version"] == 2
    done = client.post(f"{address}/complete", headers={"If-Match": changed.headers["ETag"]})
    assert done.json()["task"]["status"] == "DONE"
    assert done.json()["next"] is None
    assert client.post(f"{address}/reopen").json()["status"] == "TODO"
    assert client.post(f"{address}/cancel", headers={"If-Match": "*"}).json()["cancelled_date"] == str(TODAY)
    stand.carry()
    assert stand.read("Inbox.md") == "- [-] buy milk ⏫ ❌ 2026-11-23\n"
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    stand.carry()
    assert stand.read("Inbox.md") == ""


def test_lists_counts_and_queries_over_http(stand: Stand, client: TestClient) -> None:
    stand.write("work/a.md", "- [ ] one #x/y 📅 2026-12-01\n- [x] two\n- [ ] three ⏫\n")
    stand.carry()
    page = client.get("/tasks", params={"status": ["TODO"], "limit": 1, "sort": "title", "path": "work/"}).json()
    assert [task["title"] for task in page["tasks"]] == ["one #x/y"]
    rest = client.get(
        "/tasks",
        params={"status": ["TODO"], "limit": 1, "sort": "title", "path": "work/", "cursor": page["next_cursor"]},
    ).json()
    assert [task["title"] for task in rest["tasks"]] == ["three"]
    assert client.get("/tasks", params={"tag": "x", "from_date": "due:2026-12-01"}).json()["tasks"]
    counted = client.get("/tasks/counts", params={"by": "priority"}).json()
    assert counted == [{"value": "none", "count": 2}, {"value": "high", "count": 1}]
    found = client.post("/tasks/query", json={"query": "not done\nsort by priority\ngroup by folder"}).json()
    assert [task["title"] for task in found["groups"][0]["tasks"]] == ["three", "one #x/y"]
    refused = client.post("/tasks/query", json={"query": "done\nfilter by function 1"})
    assert (refused.status_code, refused.json()["line"]) == (400, 2)
    for params in ({"from_date": "due"}, {"limit": 0}, {"unknown": "x"}, {"cursor": "zzz"}, {"sort": "colour"}):
        assert client.get("/tasks", params=params).status_code in {400, 422}


def test_every_method_has_a_route_of_its_name(stand: Stand) -> None:
    names = {route.name for route in _routes(router(stand.tasks))}  # type: ignore[attr-defined]  # routes of APIRouter have names
    assert names == set(methods(TasksContract))


def _routes(routes: object) -> list[object]:
    found: list[object] = []
    for route in getattr(routes, "routes", []):
        inner = getattr(route, "original_router", None)
        found += _routes(inner) if inner is not None else [route]
    return found


def test_a_read_only_server_refuses_changes(stand: Stand) -> None:
    app = create_app(
        title="t",
        version="1",
        routers=[router(stand.tasks, read_only=True)],
        security=Security(authenticator=StaticKey(KEY)),
    )
    with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {KEY}"}) as client:
        assert client.post("/tasks", json={"title": "x"}).status_code == 403
        assert client.get("/tasks").status_code == 200


async def test_a_model_finds_makes_changes_and_completes_tasks(stand: Stand) -> None:
    server = VaultServer("1")
    register_tools(server, stand.tasks, read_only=False)
    async with Client(server) as session:
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert tools == {"find_tasks", "create_task", "update_task", "complete_task"}
        prompts = {prompt.name for prompt in (await session.list_prompts()).prompts}
        assert prompts == {"plan_my_day", "weekly_review"}
        made = (
            await session.call_tool(
                "create_task", {"title": "water plants", "due_date": "2026-11-23", "recurrence": "every 3 days"}
            )
        ).structured_content
        assert made is not None
        changed = await session.call_tool("update_task", {"id": made["id"], "version": 1, "priority": "low"})
        assert changed.structured_content is not None
        assert changed.structured_content["priority"] == "low"
        done = (await session.call_tool("complete_task", {"id": made["id"]})).structured_content
        assert done is not None
        assert done["next"]["due"] == "2026-11-26"
        found = (await session.call_tool("find_tasks", {"query": "not done\ngroup by filename"})).structured_content
        assert found is not None
        assert [(task["title"], task["group"]) for task in found["tasks"]] == [("water plants", "Inbox")]
        refused = await session.call_tool("find_tasks", {"query": "group by function x"})
        assert refused.is_error
        assert "group by function" in json.dumps([block.model_dump() for block in refused.content])
    stand.carry()
    assert stand.read("Inbox.md") == (
        "- [ ] water plants 🔽 🔁 every 3 days 📅 2026-11-26\n"
        "- [x] water plants 🔽 🔁 every 3 days 📅 2026-11-23 ✅ 2026-11-23\n"
    )


@pytest.mark.parametrize("query", [*DAY_QUERIES, *WEEK_QUERIES])
def test_the_queries_of_the_prompts_are_understood(query: str) -> None:
    assert parse_query(query, date(2026, 11, 23)).filters


def test_the_schema_goes_up_and_down_with_data(tmp_path: Path) -> None:
    stand = make_stand(tmp_path, TaskRules(today=lambda: TODAY))
    stand.write("a.md", "- [ ] one\n")
    stand.carry()
    downgrade(stand.database, [models.SCHEMA], "base")
    upgrade(stand.database, [models.SCHEMA])
    stand.sync.reconcile_all()
    assert [task.title for task in stand.all()] == ["one"]
    stand.database.close()


def test_the_migrations_lead_to_the_models(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [models.SCHEMA])
    with database.reader.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": models.SCHEMA.version_table})
        differences = compare_metadata(context, models.SCHEMA.metadata)
    database.close()
    assert [each for each in differences if "alembic_version" not in str(each)] == []
