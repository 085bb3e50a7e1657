"""The MCP edge: one server for the tools of all services.

Tools raise `WeaveError` like everything else; here they become tool errors that tell the model what to do next. What a
client loads before its first question is kept small: JSON schemas lose what only repeats the names.
"""

import functools
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import Tool

from weave_nn.shared.errors import WeaveError

INSTRUCTIONS = (
    "An Obsidian vault: Markdown notes with links, tags, frontmatter and tasks. Paths are relative to the vault, such "
    "as 'Projects/Plan.md'. Read a note before changing it, and give its etag back when you write, so that nobody's "
    "change is overwritten. Prefer patching a section to replacing a note."
)


class VaultServer(MCPServer[Any]):
    """An `MCPServer` that renders our errors and lists its tools tersely. Register tools on it in `tools.py`."""

    def __init__(self, version: str) -> None:
        super().__init__(name="weave-nn", version=version, instructions=INSTRUCTIONS, log_level="WARNING")

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
