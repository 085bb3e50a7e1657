"""Agents: clients over MCP, whose session may end at any moment; they begin another one and go on."""

import json
from typing import Any

import anyio
import httpx2
from mcp.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from rehearsal.faults.clients import SETTLE_SECONDS, Client
from rehearsal.faults.ledger import Outcome
from rehearsal.faults.system import KEY

CALL_SECONDS = 8.0


class Agent(Client):
    """Adds lines to a note of its own and makes tasks, each call in whatever session there is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.url = ""
        self.mode: Any = "auto"
        self.sessions = 0
        self._session: McpClient | None = None
        self._making = ""

    def run(self) -> None:
        try:
            anyio.run(self._live)
        except BaseException as error:  # the thread has nobody to raise to
            self.failed = error
            raise

    async def _live(self) -> None:
        while not self.stopping.is_set():
            await self._guarded(self._steps)
            await anyio.sleep(0.3)
        with anyio.move_on_after(SETTLE_SECONDS):
            while self._making:
                await self._guarded(self._make)
                await anyio.sleep(0.3)

    async def _guarded(self, work: Any) -> None:
        """Do it in a new session, which may break at any point: that is what is tested."""
        try:
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=CALL_SECONDS) as http,
                McpClient(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=self.mode) as session,
            ):
                self._session = session
                self.sessions += 1
                await work()
        except Exception:  # noqa: BLE001 - however the session ended, the next one is begun
            return
        finally:
            self._session = None

    async def _steps(self) -> None:
        while not self.stopping.is_set():
            await anyio.sleep(self.choose.uniform(0, 2 * self.pause_seconds))
            if self._making:
                await self._make()
                continue
            self.number += 1
            if self.choose.random() < 0.3:
                self._making = self.mark()
                await self._make()
            else:
                path = f"Agents/{self.name}.md"
                await self._call("append", path, self.mark(), "append_to_note", path=path, content=f"- {self.mark()}\n")

    async def _make(self) -> None:
        mark = self._making
        made = await self._call("make", mark, mark, "create_task", title=f"task {mark}", request_key=mark)
        if made:
            self._making = ""

    async def _call(self, kind: str, what: str, mark: str, tool: str, **arguments: Any) -> bool:
        outcome: Outcome = "unknown"
        try:
            assert self._session is not None
            with anyio.fail_after(CALL_SECONDS):
                result = await self._session.call_tool(tool, arguments)
            if not result.is_error:
                json.dumps(result.structured_content)
                outcome = "acknowledged"
        finally:
            self.note(kind, what, outcome, mark)
        return outcome == "acknowledged"
