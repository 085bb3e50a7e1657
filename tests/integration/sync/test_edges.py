from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from starlette.responses import Response
from starlette.testclient import TestClient

from integration.sync.indexes import VAULT_ID, dump, fresh_dump, open_index
from weave_nn.services.files.events import (
    FileCreated,
    FileDeleted,
    FileEdited,
    FileRenamed,
    FileUpdated,
    VaultReindexed,
)
from weave_nn.services.sync import api
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.subscribers import QUEUE, subscriptions
from weave_nn.services.sync.tools import register_tools
from weave_nn.shared.bus import Announcement
from weave_nn.shared.http import Dialect, Problem, Security, StaticKey, create_app, json_body
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.store import Vault

JSON_LOGIC = {"Content-Type": "application/vnd.olrapi.jsonlogic+json"}


def _plugin_error(problem: Problem) -> Response:
    code = problem.fields.get("error_code") or problem.status * 100
    return Response(
        json_body({"message": problem.detail, "errorCode": code}), code // 100, media_type="application/json"
    )


@pytest.fixture
def client(examples: SyncContract) -> Iterator[TestClient]:
    dialect = Dialect(_plugin_error, "application/json", {"type": "object"})
    app = create_app(
        title="test",
        version="1",
        routers=api.routers(examples),
        security=Security(authenticator=StaticKey("key"), reading_paths=api.READING_PATHS),
        dialects=dict.fromkeys(api.LOCAL_REST_PREFIXES, dialect),
    )
    with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": "Bearer key"}) as made:
        yield made


def test_search_over_http(client: TestClient) -> None:
    page = client.get("/search", params={"q": "epoxy tag:boat", "limit": 1}).json()
    (hit,) = page["hits"]
    assert hit["path"] == "Notes/Epoxy.md"
    assert {"path", "title", "score", "snippet", "matches"} <= hit.keys()


def test_a_wrong_query_is_a_problem_with_the_position(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "a (b"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["position"], answer.json()["length"]) == (2, 1)


@pytest.mark.parametrize(
    "path",
    [
        "/graph/note?path=Welcome.md",
        "/graph/backlinks?path=Welcome.md",
        "/graph/outgoing?path=Welcome.md",
        "/graph/unresolved",
        "/graph/orphans",
        "/graph/recent",
        "/graph/part",
        "/graph/neighbours?path=Welcome.md&depth=2",
        "/graph/path?source=Welcome.md&target=Notes/Epoxy.md",
        "/graph/similar?path=Welcome.md",
        "/graph/tags",
        "/graph/related-tags?tag=boat",
        "/graph/words?text=boat",
        "/graph/completions?kind=tag&prefix=b",
    ],
)
def test_every_question_has_a_route(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json()


def test_a_note_that_is_not_there_is_a_404(client: TestClient) -> None:
    assert client.get("/graph/backlinks", params={"path": "nowhere.md"}).status_code == 404


def test_the_whole_graph_is_streamed_as_json(client: TestClient) -> None:
    graph = client.get("/graph").json()
    paths = [node["path"] for node in graph["nodes"]]
    assert len(paths) == len(set(paths)) > 25
    assert {"source": "Welcome.md", "target": "Daily template.md", "links": 1} not in graph["edges"]
    assert {"source": "Welcome.md", "target": "Projects/Home server.md", "links": 1} in graph["edges"]


def test_simple_search_in_the_form_of_the_plugin(client: TestClient) -> None:
    found = client.post("/search/simple/", params={"query": "epoxy", "contextLength": 10}).json()
    hit = next(each for each in found if each["filename"] == "Notes/Epoxy.md")
    assert hit["score"] > 0
    match = hit["matches"][0]
    assert set(match) == {"match", "context"}
    assert set(match["match"]) == {"start", "end", "source"}


def test_json_logic_in_the_form_of_the_plugin(client: TestClient) -> None:
    logic = '{"and": [{"in": ["recipe", {"var": "tags"}]}, {"regexp": ["Bergk.se", {"var": "content"}]}]}'
    assert client.post("/search/", content=logic, headers=JSON_LOGIC).json() == [
        {"filename": "Recipes/Käsespätzle.md", "result": True}
    ]
    linked = '{"in": ["Notes/Thyme.md", {"var": "links"}]}'
    found = client.post("/search/", content=linked, headers=JSON_LOGIC).json()
    assert [each["filename"] for each in found] == ["Notes/Basil.md", "Projects/Herb garden.md"]


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        ('{"exec": 1}', "application/vnd.olrapi.jsonlogic+json", 40090),
        ("{", "application/vnd.olrapi.jsonlogic+json", 40090),
        ("LIST", "application/vnd.olrapi.dataview.dql+txt", 40090),
        ("x", "text/plain", 40011),
    ],
)
def test_what_cannot_be_evaluated_has_the_code_of_the_plugin(
    client: TestClient, content: str, media_type: str, code: int
) -> None:
    answer = client.post("/search/", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["errorCode"]) == (code // 100, code)


def test_tags_in_the_form_of_the_plugin(client: TestClient) -> None:
    tags = {tag["name"]: tag["count"] for tag in client.get("/tags/").json()["tags"]}
    assert (tags["garden"], tags["garden/herbs"]) == (3, 2)


def test_semantic_search_that_is_missing_says_what_brings_it(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "boat", "semantic": "true"})
    assert (answer.status_code, answer.json()["field"]) == (400, "semantic")
    assert "weave-nn[semantic]" in answer.text
    plain = client.get("/search", params={"q": "boat"}).json()
    assert (plain["method"], plain["hits"][0]["found_by"]) == ("words", ["words"])


async def test_search_by_meaning_is_offered_to_agents_only_where_it_is_there(examples: SyncContract) -> None:
    for semantic in (False, True):
        server = VaultServer("1")
        register_tools(server, examples, semantic=semantic)
        (tool,) = [tool for tool in await server.list_tools() if tool.name == "search_notes"]
        assert ("semantic" in tool.input_schema["properties"]) is semantic
        async with Client(server) as client:
            answer = await client.call_tool("search_notes", {"q": "epoxy"})
            assert "Notes/Epoxy.md" in str(answer.structured_content)


async def test_tools_answer_and_stay_small(examples: SyncContract) -> None:
    server = VaultServer("1")
    register_tools(server, examples)
    tools = await server.list_tools()
    size = sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools)
    assert size < 4800
    async with Client(server) as client:
        for name, arguments, expected in (
            ("search_notes", {"q": "epoxy"}, "Notes/Epoxy.md"),
            ("get_links", {"path": "Notes/Epoxy.md"}, "Daily/2026-11-22.md"),
            ("get_links", {"path": "Notes/Basil.md", "direction": "outgoing"}, "Notes/Thyme.md"),
            ("explore_graph", {"path": "Welcome.md"}, "Projects/Home server.md"),
            ("explore_graph", {"path": "Welcome.md", "to": "Notes/Epoxy.md"}, "step 2"),
            ("find_similar", {"path": "Notes/Basil.md"}, "Notes/Thyme.md"),
            ("list_tags", {}, "garden/herbs"),
            ("list_tags", {"related_to": "project"}, "boat"),
            ("find_gaps", {"kind": "missing"}, "items"),
            ("find_gaps", {"kind": "orphans"}, "Languages/中文.md"),
        ):
            answer = await client.call_tool(name, arguments)
            assert not answer.is_error, answer
            assert expected in str(answer.structured_content), (name, answer.structured_content)
        refused = await client.call_tool("search_notes", {"q": "(a"})
        assert refused.is_error
        assert "never closed" in str(refused.content)


def test_the_index_follows_events(tmp_path: Path) -> None:
    root = tmp_path / "vault"
    root.mkdir()
    vault = Vault(root)
    database, indexer = open_index(tmp_path / "index.db", vault)
    asked: list[bool] = []
    (subscription,) = subscriptions(indexer, VAULT_ID, lambda: asked.append(True))
    assert subscription.queue == QUEUE

    def tell(announcement: Announcement, vault_id: str = VAULT_ID) -> None:
        with database.write() as work:
            subscription.handle(work, announcement.to_event(source="files", vault_id=vault_id, request_id=None))

    (root / "A.md").write_text("[[B]]")
    tell(FileCreated("A.md", "0", 5))
    tell(FileCreated("A.md", "0", 5))
    (root / "B.md").write_text("one")
    tell(FileCreated("B.md", "0", 3))
    (root / "B.md").write_text("changed")
    tell(FileUpdated("B.md", "0", 7, "0"))
    (root / "B.md").rename(root / "C.md")
    tell(FileRenamed("C.md", "B.md", "0", 7))
    assert dump(database) == fresh_dump(vault, tmp_path)
    (root / "C.md").unlink()
    tell(FileDeleted("C.md", "0"))
    tell(FileEdited("1", "C.md", "0"))
    (root / "D.md").write_text("of another vault")
    tell(FileCreated("D.md", "0", 3), "another")
    assert [row[0] for row in dump(database)["file"]] == ["A.md"]
    tell(VaultReindexed(1))
    assert asked == [True]
