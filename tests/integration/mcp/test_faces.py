"""Resources, completion, prompts and tools over MCP, of a whole process without a port."""

import json
import shutil
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import PromptMessage, PromptReference, ResourceLink, ResourceTemplateReference
from tokenizers import Tokenizer

from weave_nn.entrypoints import monolith
from weave_nn.entrypoints.process import Process
from weave_nn.services.sync.tools.resources import LIMIT_BYTES, PAGE_FILES
from weave_nn.services.sync.tools.uris import path_of, uri_of
from weave_nn.shared.config import load, prepare
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.errors import PathRefused
from weave_nn.vault.paths import normalize

EXAMPLE = Path("examples/vault")
NOTES = 450


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("mcp")
    shutil.copytree(EXAMPLE, folder / "vault")
    (folder / "vault/Many").mkdir()
    for number in range(NOTES):
        (folder / f"vault/Many/{number:04}.md").write_text(f"number {number}")
    (folder / "vault/Many/large.bin").write_bytes(b"\0" * (LIMIT_BYTES + 1))
    (folder / "vault/Many/not text.md").write_bytes(b"\xff\xfe\xfd")
    settings = load({"vault": folder / "vault", "data_dir": folder / "state", "watch": "off"}).settings
    instance = prepare(settings)
    with monolith.offline(settings, instance) as state:
        state.reindex(lambda _done, _total: None)
    made = monolith.build(settings, instance)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(process: Process) -> VaultServer:
    assert process.mcp is not None
    return process.mcp


@pytest.fixture(params=["auto", "legacy"])
def client(request: pytest.FixtureRequest, server: VaultServer) -> Client:
    """A client that the test itself connects: a fixture's task would end its scopes in another one."""
    return Client(server, mode=request.param)


async def test_files_are_listed_in_pages_without_gaps(client: Client, process: Process) -> None:
    root = process.runtime.vault.root
    expected = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    listed: list[str] = []
    async with client:
        cursor: str | None = None
        while True:
            page = await client.list_resources(cursor=cursor)
            assert len(page.resources) <= PAGE_FILES
            for resource in page.resources:
                path = path_of(resource.uri)
                assert path is not None
                assert resource.size == (root / path).stat().st_size
                listed.append(path)
            if (cursor := page.next_cursor) is None:
                break
        with pytest.raises(MCPError):
            await client.list_resources(cursor="made up")
    assert len(listed) == len(set(listed))
    assert set(listed) == expected


async def test_what_is_too_large_is_refused_and_what_is_no_text_is_a_blob(client: Client) -> None:
    async with client:
        with pytest.raises(MCPError, match="may have"):
            await client.read_resource("vault://Many/large.bin")
        (content,) = (await client.read_resource("vault://Many/not text.md")).contents
        assert content.mime_type == "application/octet-stream"


async def test_paths_tags_and_headings_are_completed(client: Client) -> None:
    async with client:
        template = ResourceTemplateReference(uri="vault://{+path}")
        project, meeting = PromptReference(name="summarise_project"), PromptReference(name="prepare_meeting")
        for reference, name, value, expected in (
            (template, "path", "boat", "Projects/Boat restoration.md"),
            (PromptReference(name="connect_note"), "note", "bas", "Notes/Basil.md"),
            (project, "project", "boat", "Projects/Boat restoration.md"),
            (project, "project", "#gard", "#garden"),
            (meeting, "topic", "Backu", "Backups"),
        ):
            found = await client.complete(reference, {"name": name, "value": value})
            assert expected in found.completion.values, (name, value, found.completion.values)
        many = (await client.complete(template, {"name": "path", "value": "Many/"})).completion
        assert (len(many.values), many.has_more) == (100, True)
        assert (await client.complete(meeting, {"name": "nothing", "value": ""})).completion.values == []


def links(messages: list[PromptMessage]) -> list[str]:
    return [message.content.name for message in messages if isinstance(message.content, ResourceLink)]


async def test_prompts_link_the_notes_that_they_are_about(client: Client) -> None:
    async with client:
        review = (await client.get_prompt("daily_review")).messages
        assert len(links(review)) == 20
        project = (await client.get_prompt("summarise_project", {"project": "Boat restoration"})).messages
        assert links(project)[0] == "Projects/Boat restoration.md"
        assert "Notes/Epoxy.md" in links(project)
        tagged = (await client.get_prompt("summarise_project", {"project": "#garden/herbs"})).messages
        assert {"Notes/Basil.md", "Notes/Thyme.md"} <= set(links(tagged))
        connected = (await client.get_prompt("connect_note", {"note": "Notes/Basil.md"})).messages
        assert links(connected)[0] == "Notes/Basil.md"
        assert "Notes/Thyme.md" in links(connected)
        meeting = (await client.get_prompt("prepare_meeting", {"topic": "epoxy", "people": "zzz"})).messages
        assert "Notes/Epoxy.md" in links(meeting)
        for message in project:
            if isinstance(message.content, ResourceLink):
                assert (await client.read_resource(message.content.uri)).contents


async def test_a_prompt_that_fits_nothing_says_what_there_is(client: Client) -> None:
    async with client:
        with pytest.raises(MCPError, match=r"Notes/"):
            await client.get_prompt("connect_note", {"note": "Notes/"})
        with pytest.raises(MCPError, match="Search for it"):
            await client.get_prompt("summarise_project", {"project": "no such thing"})


async def test_reading_many_notes_shows_progress_to_who_asked_for_it(client: Client) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    paths = [f"Many/{number:04}.md" for number in range(20)]
    async with client:
        await client.call_tool("read_notes", {"paths": paths}, progress_callback=note)
    assert seen == [(number, 20, path) for number, path in enumerate(paths)]


def tokenizer() -> Tokenizer:
    """The one of LLaMA 2, which the extra for semantic search brings; of JSON it makes more tokens than newer ones."""
    made = Tokenizer.from_file(
        str(distribution("wordllama").locate_file("wordllama/tokenizers/l2_supercat_tokenizer_config.json"))
    )
    made.no_truncation()
    return made


async def test_all_tools_together_are_a_small_list(server: VaultServer) -> None:
    tools = await server.list_tools()
    listed = json.dumps([tool.model_dump(by_alias=True, exclude_none=True) for tool in tools], separators=(",", ":"))
    assert len(tokenizer().encode(listed).ids) < 6000
    assert len({tool.name for tool in tools}) == len(tools)


@given(st.text(min_size=1, max_size=40))
def test_a_path_survives_its_uri_in_any_spelling(path: str) -> None:
    try:
        canonical = normalize(path)
    except PathRefused:
        return
    uri = uri_of(canonical)
    assert uri.isascii()
    assert path_of(uri) == canonical
    if "%" not in canonical:
        assert path_of(f"vault://{canonical}") == canonical
