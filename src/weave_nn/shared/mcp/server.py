"""One MCP server for the tools, resources and prompts of all services.

Tools raise `WeaveError` like everything else; here they become tool errors that tell the model what to do next. What a
client loads before its first question is kept small: JSON schemas lose what only repeats the names.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import Tool
from pydantic import BaseModel

from weave_nn.shared.errors import WeaveError

INSTRUCTIONS = (
    "An Obsidian vault: Markdown notes with links, tags, frontmatter and tasks. Paths are relative to the vault, such "
    "as 'Projects/Plan.md'. Read a note before changing it, and give its etag back when you write, so that nobody's "
    "change is overwritten. Prefer patching a section to replacing a note."
)


_Params = TypeVar("_Params", bound=BaseModel)


class VaultServer(MCPServer[Any]):
    """An `MCPServer` that renders our errors and lists its tools tersely. Register tools on it in `tools.py`."""

    def __init__(self, version: str) -> None:
        # Subscriptions are served by whoever knows of changes, with `handle`.
        super().__init__(
            name="weave-nn",
            version=version,
            instructions=INSTRUCTIONS,
            log_level="WARNING",
            lifespan=_beside,
            subscriptions=False,
        )
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._ends: list[Callable[[], None]] = []

    def handle(
        self,
        method: str,
        params: type[_Params],
        handler: Callable[[ServerRequestContext[Any, Any], _Params], Awaitable[HandlerResult]],
    ) -> None:
        """Answer a request of the protocol, such as `resources/list`, in place of what the library would answer."""
        self._lowlevel_server.add_request_handler(method, params, handler)

    def run_beside(self, task: Callable[[], Coroutine[Any, Any, None]], *, end: Callable[[], None]) -> None:
        """Run `task` while the server serves, until it is cancelled; `end` ends the streams that it feeds."""
        self.beside.append(task)
        self._ends.append(end)

    def end_streams(self) -> None:
        """Let streams that only the server can end say goodbye: a process that stops must not wait for them."""
        for end in self._ends:
            end()

    def add_tool(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Register a synchronous function as a tool; it runs in a worker thread."""
        super().add_tool(_explaining(fn), *args, **kwargs)

    async def list_tools(self) -> list[Tool]:
        """The tools, without the parts of their schemas that say nothing."""
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema = _terse(tool.input_schema)
            if tool.output_schema is not None:
                tool.output_schema = _terse(tool.output_schema, drop=("title", "description"))
        return tools


@asynccontextmanager
async def _beside(server: MCPServer[Any]) -> AsyncIterator[dict[str, Any]]:
    async with anyio.create_task_group() as tasks:
        for task in server.beside if isinstance(server, VaultServer) else ():
            tasks.start_soon(task)
        yield {}
        tasks.cancel_scope.cancel()


def _explaining(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except WeaveError as error:
            facts = "".join(f" {name}: {value}." for name, value in error.fields.items() if name.endswith("etag"))
            raise ToolError(f"{error}{facts}") from error

    return call


def _terse(schema: Any, drop: tuple[str, ...] = ("title",)) -> Any:
    """A JSON schema without titles, which repeat the names of the properties, and what else is to be dropped."""
    if isinstance(schema, dict):
        return {
            key: {name: _terse(value, drop) for name, value in child.items()}
            if key in {"properties", "$defs"}
            else _terse(child, drop)
            for key, child in schema.items()
            if not (key in drop and isinstance(child, str))
        }
    return [_terse(item, drop) for item in schema] if isinstance(schema, list) else schema
