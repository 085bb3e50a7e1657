"""Real MCP clients of the Python SDK, over stdio and over HTTP, in both revisions of the protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from e2e.server import WEAVE, Server

MODES = ("auto", "legacy")


@asynccontextmanager
async def over_http(
    server: Server, mode: Any = "auto", *, key: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key or server.key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode, **options) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(server: Server, mode: Any = "auto", **options: Any) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(command=str(WEAVE), args=["mcp", str(server.vault)], env=server.env)
    async with Client(parameters, mode=mode, **options) as client:
        yield client


TRANSPORTS = {"http": over_http, "stdio": over_stdio}


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return dict(result.structured_content)


async def failing(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert result.is_error
    return str(getattr(result.content[0], "text", ""))
