"""What a caller may do over MCP.

Over HTTP every message is a POST, so the edge asks for no more than `read` there, and this is the place where the rest
is checked: a tool that does not say that it only reads needs `write`. Whoever is at the other end of standard input
started this process, and may do what it may.
"""

from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.tools import ToolManager
from mcp_types import CallToolResult, TextContent
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from weave_nn.shared.identity import Identity, Scope, acting_as, current_identity

LOCAL = Identity("local", frozenset(Scope), kind="owner")


class AccessMiddleware:
    """Handles every message as a request of whoever sent it, and refuses the tools that they may not use.

    A session lives in a task of its own, which began with another request: what that one was allowed says nothing.
    """

    def __init__(self, tools: ToolManager) -> None:
        self._tools = tools

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message."""
        caller: Identity | None = LOCAL
        if ctx.request is not None:
            caller = ctx.request.scope.get("state", {}).get("identity")
        may_write = caller is not None and Scope.WRITE in caller.scopes
        with acting_as(caller):
            if ctx.method == "tools/call" and not may_write and not self._only_reads((ctx.params or {}).get("name")):
                return _refused(caller, str((ctx.params or {}).get("name")))
            result = await call_next(ctx)
        if ctx.method == "tools/list" and not may_write and isinstance(result, dict):
            # What would be refused need not be read by a model, nor paid for.
            result["tools"] = [tool for tool in result["tools"] if self._only_reads(tool["name"])]
        return result

    def _only_reads(self, name: object) -> bool:
        tool = self._tools.get_tool(name) if isinstance(name, str) else None
        # A tool that there is not changes nothing, and whoever asks for it should be told that.
        return tool is None or (tool.annotations is not None and tool.annotations.read_only_hint is True)


def _refused(caller: Identity | None, tool: str) -> CallToolResult:
    name = "nobody" if caller is None else repr(caller.name)
    text = (
        f"Not allowed: {tool} changes the vault, and the key of this connection ({name}) may only read. "
        "Do not try again or another way round; tell the user that a key with the scope 'write' is needed "
        "(weave keys create NAME --scope write)."
    )
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


class SessionOwners:
    """Binds each MCP session to the caller who began it: for anybody else it does not exist."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        caller = current_identity()
        if caller is not None:
            owner = AccessToken(token="", client_id=caller.kind, scopes=[], subject=caller.name)
            scope = {**scope, "user": AuthenticatedUser(owner)}
        await self._app(scope, receive, send)
