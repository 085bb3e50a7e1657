"""The sync service over MCP: tools, notes as resources, completion, prompts."""

from weave_nn.services.sync.tools.prompts import register_prompts
from weave_nn.services.sync.tools.resources import register_resources
from weave_nn.services.sync.tools.search import register_tools

__all__ = ["register_prompts", "register_resources", "register_tools"]
