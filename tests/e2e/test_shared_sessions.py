"""Two processes with the MCP face behind one Redis: a session of one is reached through the other."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from redis import Redis

from e2e.server import Server, wait_until
from ports import free_port

LIMIT_SECONDS = 60
NOT_FOUND, UNAUTHORIZED = 404, 401
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
WHO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.fixture
def pair(make_server: Callable[..., Server], redis_url: str) -> Iterator[tuple[Server, str]]:
    """`weave up`, and the address of a `weave serve mcp` beside it on the same state."""
    vault_id = f"test-{uuid.uuid4().hex}"
    server = make_server(REDIS_URL=redis_url, WEAVE_VAULT_ID=vault_id).start()
    port = free_port()
    server.run("mcp", "serve", "mcp", "--vault", str(server.vault), "--port", str(port))
    second = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(second))
    yield server, second
    with Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"weave:{vault_id}:*", count=1000):
            client.delete(key)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health").status_code == 200
    except httpx2.TransportError:
        return False


async def ask(http: httpx2.AsyncClient, url: str, method: str, params: Any = None, **headers: str) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return await http.post(f"{url}/mcp", json=body, headers={**HEADERS, **headers})


def result(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200, answer.text
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
    return json.loads(text)["result"]


async def test_a_session_is_reached_through_any_process_and_ends_with_its_own(pair: tuple[Server, str]) -> None:
    server, second = pair
    own = {"Authorization": f"Bearer {server.key}"}
    async with httpx2.AsyncClient(headers=own, timeout=30) as http:
        begun = await ask(http, server.url, "initialize", WHO)
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        sent = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        accepted = await http.post(f"{second}/mcp", json=sent, headers={**HEADERS, **session})
        assert accepted.status_code == 202, accepted.text

        # A call, and the stream of notifications, both through the other process.
        read = {"name": "read_notes", "arguments": {"paths": ["Welcome.md"]}}
        assert result(await ask(http, second, "tools/call", read, **session))["structuredContent"]["notes"]
        await ask(http, second, "resources/subscribe", {"uri": "vault://Welcome.md"}, **session)
        async with http.stream("GET", f"{second}/mcp", headers={**HEADERS, **session}) as stream:
            assert stream.status_code == 200
            told = asyncio.create_task(_line_with(stream, "notifications/resources/updated"))
            (server.vault / "Welcome.md").write_text("# Changed\n")
            await asyncio.wait_for(told, LIMIT_SECONDS)

        # Whoever relays, the key is still asked for where the session lives.
        assert (await ask(http, second, "tools/list", **session, Authorization="Bearer no")).status_code == UNAUTHORIZED
        assert (await ask(http, second, "tools/list", **{"Mcp-Session-Id": "f" * 32})).status_code == NOT_FOUND

        # With its process the session ends, and the client is told so.
        other = await ask(http, second, "initialize", WHO)
        ended = {"Mcp-Session-Id": other.headers["mcp-session-id"]}
        assert result(await ask(http, server.url, "ping", **ended)) == {}
        server.kill("mcp")
        for _ in range(2):
            assert (await ask(http, server.url, "ping", **ended)).status_code == NOT_FOUND
        # One that its client ends is gone for every process.
        assert (await http.delete(f"{server.url}/mcp", headers={**HEADERS, **session})).status_code == 200
        assert (await ask(http, server.url, "ping", **session)).status_code == NOT_FOUND


async def _line_with(stream: httpx2.Response, text: str) -> None:
    async for line in stream.aiter_lines():
        if text in line:
            return
    pytest.fail("the stream ended")
