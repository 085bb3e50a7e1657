"""The MCP edge: the server on which services register their tools, and progress of calls that take long."""

from weave_nn.shared.mcp.progress import Progress
from weave_nn.shared.mcp.server import VaultServer

__all__ = ["Progress", "VaultServer"]
