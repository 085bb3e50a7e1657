"""The vault's tools over standard input and output, for a client that starts this process itself."""

import anyio

from weave_nn.entrypoints import monolith
from weave_nn.shared.config import Instance, Settings


def run(settings: Settings, instance: Instance) -> None:
    """Serve until standard input ends.

    The process is a whole monolith without a port: it may run beside `weave up` on the same vault, and they share the
    work of the bus.
    """
    server = monolith.build(settings, instance)
    try:
        server.start()
        if server.mcp is not None:
            anyio.run(server.mcp.run_stdio_async)
    finally:
        server.stop()
