"""Progress and cancellation of tools, which are synchronous and run in worker threads.

A thread cannot be ended from outside. When a client cancels, the answer of a tool that runs is dropped; one that
changes something finishes its transaction, so that nothing is half done, and one that only reads asks between its
steps whether it should go on.
"""

from typing import Any

from anyio import from_thread
from mcp.server.mcpserver import Context


class Progress:
    """How far a call is that takes `total` steps: call `step` before each of them, from the tool's own thread."""

    def __init__(self, context: Context[Any, Any], total: int) -> None:
        self._context = context
        self._total = total
        self._done = 0

    def step(self, message: str) -> None:
        """Tell a client that asked for it how far the call is; ends the call here if the client cancelled it."""
        from_thread.check_cancelled()
        from_thread.run(self._context.report_progress, self._done, self._total, message)
        self._done += 1
