"""How often somebody may do something: a leaky bucket for each caller.

Each request adds to the bucket what takes `60 / per_minute` seconds to leak away, and a bucket that would run over
admits none: so many a minute go through in the long run, and that many at once. Of each caller one number is kept, the
time at which the bucket will be empty.

Libraries of the field were looked at: their store in memory counts by the time of day and forgets nobody, and they
would bring three packages into an installation that mostly does not limit anything.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from weave_nn.shared.ephemeral.connecting import connect_async
from weave_nn.shared.ephemeral.outage import Outage

if TYPE_CHECKING:
    from redis.asyncio import Redis

MINUTE_SECONDS = 60.0
KNOWN_CALLERS = 100_000
TIMEOUT_SECONDS = 0.25
PAUSE_SECONDS = 1.0

_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local window, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = tonumber(redis.call('GET', KEYS[1]) or '0')
if empty < now then empty = now end
if empty > now + window then empty = now + window end
local wait = empty + step - window - now
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.3f', empty + step), 'PX', math.ceil(empty + step - now))
return 0
"""


class RateLimiter(Protocol):
    """Counts what callers do."""

    async def take(self, caller: str) -> float:
        """Count one thing that `caller` does now: 0 if it may, else in how many seconds it should try again."""

    async def close(self) -> None:
        """Give back what it holds open."""


class MemoryLimiter:
    """For one process. The callers that were quiet longest are forgotten when there are more than `KNOWN_CALLERS`."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._step = MINUTE_SECONDS / per_minute
        self._clock = clock
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, caller: str) -> float:
        """See `RateLimiter.take`."""
        now = self._clock()
        empty_at = max(self._empty_at.get(caller, now), now)
        # A hair's breadth of rounding is nobody's fault.
        wait = empty_at + self._step - MINUTE_SECONDS - now
        if wait > 1e-6:
            return wait
        self._empty_at[caller] = empty_at + self._step
        self._empty_at.move_to_end(caller)
        if len(self._empty_at) > KNOWN_CALLERS:
            self._empty_at.popitem(last=False)
        return 0.0

    async def close(self) -> None:
        """Nothing is open."""


class RedisLimiter:
    """For all processes on one Redis, which also keeps the time.

    While it does not answer within `timeout_seconds`, each process counts by itself.
    """

    def __init__(
        self,
        url: str,
        per_minute: int,
        *,
        prefix: str = "weave:",
        use: str = "rate-limit",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._prefix = f"{prefix}{use}:"
        self._step_milliseconds = MINUTE_SECONDS * 1000 / per_minute
        self._outage = Outage(use)
        self._alone = MemoryLimiter(per_minute)
        self._silent_until = 0.0
        self._redis: Redis = connect_async(url, timeout_seconds=timeout_seconds)
        self._count = self._redis.register_script(_TAKE)

    async def take(self, caller: str) -> float:
        """See `RateLimiter.take`."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional library, there since we are

        # No request but the first of a second waits for a Redis that does not answer.
        if time.monotonic() < self._silent_until:
            return await self._alone.take(caller)
        arguments = (f"{MINUTE_SECONDS * 1000:.3f}", f"{self._step_milliseconds:.6f}")
        try:
            wait = cast("int", await self._count(keys=[self._prefix + caller], args=arguments))
        except RedisError as error:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            self._outage.failed(error)
            return await self._alone.take(caller)
        self._outage.answered()
        return wait / 1000

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def open_limiter(redis_url: str | None, per_minute: int, *, vault_id: str, use: str) -> RateLimiter | None:
    """The limiter of one `use` for the settings: none for 0, on Redis where one is named; nothing is opened yet.

    Raises `InvalidInput` when the extra `redis` is missing or `redis_url` is no URL.
    """
    if per_minute == 0:
        return None
    if redis_url is None:
        return MemoryLimiter(per_minute)
    return RedisLimiter(redis_url, per_minute, prefix=f"weave:{vault_id}:", use=use)
