"""A real MCP client, over stdio and over HTTP, in both revisions of the protocol."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from mcp.client import Client

from e2e.clients import MODES, TRANSPORTS, call, failing, over_stdio
from e2e.server import Server

Connect = Callable[[], AbstractAsyncContextManager[Client]]


every_way = pytest.fixture(params=[(transport, mode) for transport in TRANSPORTS for mode in MODES], ids="-".join)


@every_way
def connect(request: pytest.FixtureRequest, server: Server) -> Connect:
    transport, mode = request.param
    return lambda: TRANSPORTS[transport](server, mode)


@every_way
def look(request: pytest.FixtureRequest, shared_server: Server) -> Connect:
    transport, mode = request.param
    return lambda: TRANSPORTS[transport](shared_server, mode)


async def test_a_note_from_its_making_to_its_return_from_the_trash(connect: Connect, server: Server) -> None:
    async with connect() as client:
        made = await call(client, "write_note", path="Notes/Plan.md", content="# Plan\n\n## Steps\n\n- one\n")
        assert made["created"]
        assert "exists" in await failing(client, "write_note", path="Notes/Plan.md", content="again")
        await call(client, "append_to_note", path="Notes/Plan.md", content="- two\n", heading="Steps")
        await call(
            client, "patch_note", path="Notes/Plan.md", target_type="frontmatter", target="status", operation="replace",
            value="open",
        )  # fmt: skip
        await call(client, "replace_text", path="Notes/Plan.md", old="- one", new="- $& \\1 one")
        read = (await call(client, "read_notes", paths=["Notes/Plan.md"]))["notes"][0]
        assert read["content"] == "---\nstatus: open\n---\n# Plan\n\n## Steps\n\n- $& \\1 one\n- two\n"
        stale = await failing(client, "write_note", path="Notes/Plan.md", content="x", etag=made["etag"])
        assert read["etag"] in stale
        await call(client, "write_note", path="Notes/Link.md", content="see [[Plan]]")
        moved = await call(client, "move_note", path="Notes/Plan.md", destination="Archive/Old plan.md")
        assert moved["rewritten"] == ["Notes/Link.md"]
        assert (server.vault / "Notes/Link.md").read_text() == "see [[Old plan]]"
        await call(client, "delete_note", path="Archive/Old plan.md")
        assert not (server.vault / "Archive/Old plan.md").exists()
        restored = await call(client, "restore_note", path="Archive/Old plan.md")
        assert restored["path"] == "Archive/Old plan.md"


async def test_long_notes_are_read_in_parts(connect: Connect, server: Server) -> None:
    async with connect() as client:
        lines = [f"line {number}" for number in range(1, 1001)]
        (server.vault / "long.md").write_text("\n".join(lines))
        whole: list[str] = []
        start = 1
        while True:
            answer = await call(client, "read_notes", paths=["long.md"], start_line=start, max_lines=300)
            note = answer["notes"][0]
            whole += note["content"].splitlines()
            assert note["total_lines"] == 1000
            if answer["more"] is None:
                break
            start = note["end_line"] + 1
        assert whole == lines
        outline = await call(client, "read_notes", paths=["Projects/Home server.md"], outline=True)
        assert "## Backups" in outline["notes"][0]["content"]


async def test_every_note_is_listed_and_read_as_it_is(look: Connect, shared_server: Server) -> None:
    async with look() as client:
        notes = {path.relative_to(shared_server.vault).as_posix() for path in shared_server.vault.rglob("*.md")}
        listed = await call(client, "list_notes", limit=500)
        assert {note["path"] for note in listed["notes"]} == notes
        for path in sorted(notes):
            read = (await call(client, "read_notes", paths=[path], max_lines=2000))["notes"][0]
            assert read["content"].encode() == (shared_server.vault / path).read_bytes()
        folder = await call(client, "list_folder", path="Projects")
        assert "Projects/Boat restoration.md" in folder["files"]


async def test_errors_say_what_to_do_next(look: Connect) -> None:
    async with look() as client:
        assert "List its folder" in (await call(client, "read_notes", paths=["No/Such.md"]))["notes"][0]["error"]
        assert "contains the segment" in await failing(client, "write_note", path="../x.md", content="")


async def test_the_tool_list_is_small_and_annotated(look: Connect) -> None:
    async with look() as client:
        tools = (await client.list_tools()).tools
        listed = json.dumps(
            [tool.model_dump(by_alias=True, exclude_none=True) for tool in tools], separators=(",", ":")
        )
        # About four characters of English and JSON make a token.
        assert len(listed) / 4 < 6000
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is not None
            assert tool.output_schema is not None
            assert tool.description


async def test_read_only_offers_no_tool_that_changes(server: Server) -> None:
    server.environment["WEAVE_READ_ONLY"] = "true"
    async with over_stdio(server) as client:
        tools = (await client.list_tools()).tools
    assert tools
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
