from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.testclient import TestClient

from weave_nn.shared.http import Security, StaticKey, create_app

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def test_an_mcp_server_answers_at_its_path_behind_the_same_key() -> None:
    server = MCPServer("test")
    # The application's own Host and Origin checks hold for the server too.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    mounted = server.streamable_http_app(
        streamable_http_path="/mcp", json_response=True, stateless_http=True, transport_security=unchecked
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    app = create_app(
        title="Test",
        version="1",
        routers=[],
        security=Security(authenticator=StaticKey("k"), reading_paths=frozenset({"/mcp"})),
        mounts={"/mcp": mounted},
        lifespan=lifespan,
    )
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        accept = {"Accept": "application/json, text/event-stream"}
        assert client.post("/mcp", json=INITIALIZE, headers=accept).status_code == 401
        client.headers["Authorization"] = "Bearer k"
        answer = client.post("/mcp", json=INITIALIZE, headers=accept)
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["serverInfo"]["name"] == "test"
        assert client.post("/mcp", json=INITIALIZE, headers=accept | {"Host": "evil.test"}).status_code == 421
        assert 'route="/mcp",status="200"' in client.get("/metrics").text
        assert client.get("/nothing").headers["content-type"] == "application/problem+json"
