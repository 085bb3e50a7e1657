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
from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel

from weave_nn.shared.errors import WeaveError
from weave_nn.shared.mcp.access import AccessMiddleware

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
        self._lowlevel_server.middleware.append(AccessMiddleware(self._tool_manager))
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
            tool.description = " ".join((tool.description or "").split())
            tool.annotations = _terse_hints(tool.annotations)
            tool.input_schema = _terse(tool.input_schema, output=False)
            if tool.output_schema is not None:
                tool.output_schema = _terse(tool.output_schema, output=True)
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


def _terse_hints(hints: ToolAnnotations | None) -> ToolAnnotations | None:
    """The hints that differ from what the protocol takes for granted; whether a tool only reads is always said."""
    if hints is None:
        return None
    said = {"destructive_hint": hints.destructive_hint is False, "idempotent_hint": hints.idempotent_hint is True}
    return hints.model_copy(
        update={name: None for name, worth in said.items() if hints.read_only_hint or not worth},
    )


def _terse(schema: Any, *, output: bool) -> Any:
    """A JSON schema that says the same in fewer words, and nothing that its names say already."""
    if isinstance(schema, list):
        return [_terse(item, output=output) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = {"title", "description", "default", "format"} if output else {"title"}
    short = {
        key: {name: _terse(value, output=output) for name, value in child.items()}
        if key in {"properties", "$defs"}
        else _terse(child, output=output)
        for key, child in schema.items()
        if key not in dropped
    }
    return _short_union(short, output=output) if "anyOf" in short else short


def _short_union(schema: dict[str, Any], *, output: bool) -> dict[str, Any]:
    kinds = schema["anyOf"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if not output and "default" in rest and rest["default"] is None:
        # What may be left out need not be null as well, though null is understood.
        del rest["default"]
        kinds = [kind for kind in kinds if kind != {"type": "null"}]
    if len(kinds) == 1:
        return {**kinds[0], **rest}
    if all(kind.keys() == {"type"} for kind in kinds):
        return {"type": [kind["type"] for kind in kinds], **rest}
    return {"anyOf": kinds, **rest}
