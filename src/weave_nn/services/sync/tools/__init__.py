"""The sync service over MCP: tools, files as resources with subscriptions, completion, prompts."""

from weave_nn.services.sync.tools.completion import register_completion
from weave_nn.services.sync.tools.prompts import register_prompts
from weave_nn.services.sync.tools.resources import register_resources
from weave_nn.services.sync.tools.search import register_tools
from weave_nn.services.sync.tools.subscriptions import register_subscriptions

__all__ = [
    "register_completion",
    "register_prompts",
    "register_resources",
    "register_subscriptions",
    "register_tools",
]
