"""Resources over MCP as clients use them: read, subscribed to, and told of, whoever changes the note."""

import asyncio
import base64
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from mcp import MCPError
from mcp.client import Client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_types import BlobResourceContents, ResourceUpdatedNotification, TextResourceContents

from e2e.clients import MODES, TRANSPORTS, call, over_http, over_stdio
from e2e.server import Server

TOLD_SECONDS = 60
"""How long it may take on a machine that does other things; what fails is seen no later than this."""

PNG = b"\x89PNG\r\n\x1a\n\0\0"

Watch = Callable[[Client, str], AbstractAsyncContextManager[Callable[[], Any]]]


@asynccontextmanager
async def listening(client: Client, uri: str) -> AsyncIterator[Callable[[], Any]]:
    async with client.listen(resource_subscriptions=[uri]) as subscription:
        yield subscription.__anext__


@asynccontextmanager
async def subscribed(client: Client, uri: str) -> AsyncIterator[Callable[[], Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.subscribe_resource(uri)
        yield inbox_of(client).get
        await client.unsubscribe_resource(uri)


def inbox_of(client: Client) -> "asyncio.Queue[Any]":
    assert client.message_handler is not None
    return client.message_handler.queue  # type: ignore[attr-defined,no-any-return]  # ours, from `connected`


class Inbox:
    """Keeps what the server says unasked."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.queue.put_nowait(message.params)


def connected(server: Server, transport: str, mode: str) -> AbstractAsyncContextManager[Client]:
    return TRANSPORTS[transport](server, mode, message_handler=Inbox())


WATCHES: dict[str, Watch] = {"auto": listening, "legacy": subscribed}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscriber_is_told_when_a_note_changes(shared_server: Server, transport: str, mode: str) -> None:
    path = f"Notes/Ünder {transport} {mode} #1.md"
    uri = f"vault://Notes/Ünder%20{transport} {mode}%20%231.md"
    async with connected(shared_server, transport, mode) as client, over_http(shared_server) as other:
        made = await call(other, "write_note", path=path, content="one")
        async with WATCHES[mode](client, uri) as told:
            seconds = []
            for content in ("two", "three"):
                began = time.monotonic()
                made = await call(other, "write_note", path=path, content=content, etag=made["etag"])
                assert (await asyncio.wait_for(told(), TOLD_SECONDS)).uri == uri
                seconds.append(time.monotonic() - began)
            # Measured: 20 to 60 ms; the rest, and the other try, is for a machine that does other things.
            assert min(seconds) < 2
            (shared_server.vault / path).write_text("with another program")
            assert (await asyncio.wait_for(told(), TOLD_SECONDS)).uri == uri
            (read,) = (await client.read_resource(uri)).contents
            assert isinstance(read, TextResourceContents)
            assert read.text == "with another program"


@pytest.mark.parametrize("mode", MODES)
async def test_what_one_process_writes_is_told_to_the_clients_of_another(shared_server: Server, mode: str) -> None:
    path = f"From elsewhere {mode}.md"
    uri = "vault://" + path
    async with (
        connected(shared_server, "http", mode) as client,
        over_stdio(shared_server) as other,
        WATCHES[mode](client, uri) as told,
    ):
        await call(other, "write_note", path=path, content="one")
        assert (await asyncio.wait_for(told(), TOLD_SECONDS)).uri == uri
        await call(other, "move_note", path=path, destination=f"Moved {mode}.md")
        assert (await asyncio.wait_for(told(), TOLD_SECONDS)).uri == uri


async def test_a_listener_is_told_that_the_list_changed(shared_server: Server) -> None:
    async with over_http(shared_server) as client, client.listen(resources_list_changed=True) as subscription:
        await call(client, "write_note", path="One more.md", content="x")
        assert isinstance(await asyncio.wait_for(anext(subscription), TOLD_SECONDS), ResourcesListChanged)


async def test_only_subscribers_are_told_and_only_of_theirs(shared_server: Server) -> None:
    async with (
        over_http(shared_server) as client,
        client.listen(resource_subscriptions=["vault://b.md", "other://scheme"]) as subscription,
    ):
        await call(client, "write_note", path="a.md", content="x")
        await call(client, "write_note", path="b.md", content="x")
        assert await asyncio.wait_for(anext(subscription), TOLD_SECONDS) == ResourceUpdated("vault://b.md")


@pytest.mark.parametrize("mode", MODES)
async def test_files_are_read_with_their_types_and_nothing_outside(shared_server: Server, mode: str) -> None:
    (shared_server.vault / "Bilder").mkdir(exist_ok=True)
    (shared_server.vault / "Bilder/100% größe.png").write_bytes(PNG)
    async with over_http(shared_server, mode) as client:
        (image,) = (await client.read_resource("vault://Bilder/100%25%20gr%C3%B6%C3%9Fe.png")).contents
        assert isinstance(image, BlobResourceContents)
        assert (base64.b64decode(image.blob), image.mime_type) == (PNG, "image/png")
        (note,) = (await client.read_resource("vault://Recipes/Käsespätzle.md")).contents
        assert isinstance(note, TextResourceContents)
        assert note.mime_type == "text/markdown"
        assert note.text == (shared_server.vault / "Recipes/Käsespätzle.md").read_text()
        refusals = set()
        for uri in ("vault://nowhere.md", "vault://../state/api-key", "vault://..%2Fstate%2Fapi-key", "vault:///etc/passwd",
                    "vault://.obsidian/app.json", "file:///etc/passwd", "vault://%ff.md"):  # fmt: skip
            with pytest.raises(MCPError) as refused:
                await client.read_resource(uri)
            refusals.add((refused.value.error.code, refused.value.error.message.replace(uri, "…")))
        assert len(refusals) == 1, refusals


async def test_a_server_stops_at_once_although_clients_listen(server: Server) -> None:
    async with (
        over_http(server) as modern,
        connected(server, "http", "legacy") as legacy,
        modern.listen(resource_subscriptions=["vault://a.md"]) as subscription,
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            await legacy.subscribe_resource("vault://a.md")
        began = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        # Streams that nobody ends are cut off after ten.
        assert time.monotonic() - began < 9
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(subscription), TOLD_SECONDS)
    assert "Traceback" not in server.log()
