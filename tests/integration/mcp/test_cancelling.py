"""A call that the client cancels ends between two steps."""

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.server.mcpserver import Context

from weave_nn.shared.mcp import Progress, VaultServer

TOLD_SECONDS = 60


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_cancelled_tool_ends_between_two_steps(mode: Any) -> None:
    server = VaultServer("1")
    ended = threading.Event()

    @server.tool()
    def count(context: Context[Any, Any]) -> str:
        progress = Progress(context, 10**9)
        try:
            while True:
                progress.step("on")
        finally:
            ended.set()

    begun = anyio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (10**9, "on"), progress
        begun.set()

    async def call() -> None:
        await client.call_tool("count", {}, progress_callback=note)

    async with Client(server, mode=mode) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            with anyio.fail_after(TOLD_SECONDS):
                await begun.wait()
            tasks.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(ended.wait, TOLD_SECONDS)
        assert [tool.name for tool in (await client.list_tools()).tools] == ["count"]
