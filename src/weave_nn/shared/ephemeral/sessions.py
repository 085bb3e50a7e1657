"""Which process a session of MCP lives in: all that can be shared of one, for it is a task with open streams.

One process needs none of this. What is forgotten (Redis is away, or has restarted) costs a client that came to another
process a new session, as after a restart.
"""

from typing import TYPE_CHECKING, cast

from weave_nn.shared.ephemeral.connecting import connect_async
from weave_nn.shared.ephemeral.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis.asyncio import Redis

TIMEOUT_SECONDS = 0.5


class SessionDirectory:
    """Addresses of processes by the sessions that live there; an entry ends `idle_seconds` after it was last kept."""

    def __init__(
        self, url: str, *, idle_seconds: float, prefix: str = "weave:", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._prefix = f"{prefix}mcp-session:"
        self._idle_seconds = max(1, round(idle_seconds))
        self._outage = Outage("sessions")
        self._redis: Redis = connect_async(url, timeout_seconds=timeout_seconds)

    async def keep(self, session_id: str, address: str) -> None:
        """The session lives at `address`, and was used now."""
        await self._ask(self._redis.set(self._prefix + session_id, address, ex=self._idle_seconds))

    async def where(self, session_id: str) -> str | None:
        """The address of a session, `None` if nobody knows one."""
        found = await self._ask(self._redis.get(self._prefix + session_id))
        return found.decode() if isinstance(found, bytes) else None

    async def forget(self, session_id: str) -> None:
        """The session has ended."""
        await self._ask(self._redis.delete(self._prefix + session_id))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, command: object) -> object:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional library, there since we are

        try:
            answer = await cast("Awaitable[object]", command)
        except RedisError as error:
            self._outage.failed(error)
            return None
        self._outage.answered()
        return answer
