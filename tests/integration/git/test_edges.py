"""The edges: HTTP routes, MCP tools, the schema's way up and down, the composed service."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import APIRouter
from mcp import Client
from mcp_types import TextContent
from starlette.testclient import TestClient

from integration.git.stand import Stand
from weave_nn.entrypoints.process import Process
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git import models
from weave_nn.services.git.api import router
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.git.tools import register_tools
from weave_nn.shared.config import Settings, prepare
from weave_nn.shared.contracts import methods
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.http import Security, StaticKey, create_app
from weave_nn.shared.mcp import VaultServer

KEY = "k" * 40


def client_of(routes: APIRouter) -> TestClient:
    app = create_app(title="t", version="1", routers=[routes], security=Security(authenticator=StaticKey(KEY)))
    return TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {KEY}"})


@pytest.fixture
def client(stand: Stand) -> Iterator[TestClient]:
    with client_of(router(stand.git, stand.restore)) as client:
        yield client


def test_every_method_has_a_route_of_its_name(client: TestClient) -> None:
    operations = [
        operation
        for path, by_method in client.get("/openapi.json").json()["paths"].items()
        for operation in by_method.values()
        if path.startswith("/git/")
    ]
    named = {operation["operationId"].removeprefix("git_") for operation in operations}
    assert named == {*methods(GitContract), *methods(RestoreContract)}


def test_a_history_over_http(stand: Stand, client: TestClient) -> None:
    stand.write("Ünï.md", "one\n")
    stand.commit()
    stand.write("Ünï.md", "two\n")
    stand.commit()
    entries = client.get("/git/log", params={"path": "Ünï.md"}).json()["entries"]
    assert [entry["change"] for entry in entries] == ["update", "create"]
    shown = client.get("/git/show", params={"path": "Ünï.md", "revision": entries[1]["commit"]})
    assert (shown.content, shown.headers["git-commit"]) == (b"one\n", entries[1]["commit"])
    assert shown.headers["content-type"].startswith("text/markdown")
    assert "-one\n+two" in client.get("/git/diff", params={"old": "HEAD~1"}).json()["text"]
    assert client.get("/git/blame", params={"path": "Ünï.md"}).json()[0]["text"] == "two"
    assert client.get("/git/version", params={"revision": "HEAD"}).json() == ["Home.md", "Ünï.md"]
    assert client.get("/git/status").json()["uncommitted_count"] == 0
    etag = stand.files.stat_file("Ünï.md").etag
    body = {"path": "Ünï.md", "revision": "HEAD~1"}
    stale = client.post("/git/restore", json=body, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["current_etag"]) == (412, etag)
    assert client.post("/git/restore", json=body, headers={"If-Match": f'"{etag}"'}).json()["written"] == ["Ünï.md"]
    made = client.post("/git/checkpoint", json={"message": "kept", "tag": "v1"}).json()
    assert (made["created"], made["tag"]) == (True, "v1")
    assert client.post("/git/checkpoint", json={"message": "kept", "tag": "v1"}).status_code == 409


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/git/log?path=../x", 400),
        ("/git/log?cursor=x", 400),
        ("/git/show?path=Home.md&revision=nope", 404),
        ("/git/show?path=Home.md&revision=--output=/etc/x", 404),
        ("/git/show?path=None.md&revision=HEAD", 404),
        ("/git/show?path=.git/config&revision=HEAD", 400),
        ("/git/diff?old=HEAD&new=%00", 404),
        ("/git/blame?path=Home.md&max_lines=0", 422),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_read_only_server_refuses_changes(stand: Stand) -> None:
    with client_of(router(stand.git, stand.restore, read_only=True)) as client:
        assert client.post("/git/checkpoint", json={"message": "x"}).status_code == 403
        assert client.get("/git/log").status_code == 200


async def test_a_model_reads_the_history_and_goes_back(stand: Stand) -> None:
    stand.write("Plan.md", "one\n")
    stand.commit()
    stand.write("Plan.md", "two\n")
    server = VaultServer("1")
    register_tools(server, stand.git, stand.restore, read_only=False)
    async with Client(server) as session:
        history = (await session.call_tool("note_history", {"path": "Plan.md"})).structured_content
        assert history is not None
        (version,) = history["versions"]
        shown = await session.call_tool("show_version", {"path": "Plan.md", "revision": version["commit"]})
        assert shown.structured_content is not None
        assert (shown.structured_content["content"], shown.structured_content["next_line"]) == ("one\n", None)
        difference = (await session.call_tool("diff", {"path": "Plan.md", "words": True})).structured_content
        assert difference is not None
        assert "[-one-]{+two+}" in difference["text"]
        done = await session.call_tool("restore_version", {"path": "Plan.md", "revision": version["commit"]})
        assert done.structured_content is not None
        assert stand.read("Plan.md") == "one\n"
        wrong = await session.call_tool("show_version", {"path": "Plan.md", "revision": "nope"})
        assert wrong.is_error
        assert isinstance(wrong.content[0], TextContent)
        assert "log" in wrong.content[0].text
    read_only = VaultServer("1")
    register_tools(read_only, stand.git, stand.restore, read_only=True)
    assert "restore_version" not in {tool.name for tool in await read_only.list_tools()}


def test_the_schema_goes_up_and_down_and_is_what_the_models_say(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [models.SCHEMA])
    with database.writer.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda _o, name, kind, *_: kind != "table" or not name.startswith("alembic")},
        )
        assert compare_metadata(context, models.SCHEMA.metadata) == []
    downgrade(database, [models.SCHEMA], "base")
    upgrade(database, [models.SCHEMA])
    database.close()


def test_composed_a_change_in_a_file_becomes_a_commit(
    stand: Stand, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", environment["HOME"])
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    settings = Settings(
        vault=stand.root,
        data_dir=tmp_path / "data",
        git_quiet_seconds=0.1,
        git_author="Grace <grace@example.org>",
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings takes it
    )
    process = Process(settings, prepare(settings), frozenset({"files", "watcher", "git", "relay"}))
    try:
        process.start()
        process.contracts.get(FilesContract).create_file("Made.md", b"over the contract")
        stand.write("Edited.md", "in an editor")
        deadline = time.monotonic() + 30
        while not {"Made.md", "Edited.md"} <= set(stand.sh.lines("ls-tree", "-r", "--name-only", "HEAD")):
            assert time.monotonic() < deadline
        assert stand.sh("log", "-1", "--format=%an").strip() == "Grace"
        # The index follows the branch a moment later.
        while stand.sh.status():
            assert time.monotonic() < deadline
    finally:
        process.stop()
