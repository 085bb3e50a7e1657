"""Redis being away: said once in the log when it begins and when it ends, and counted each time."""

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

UNREACHABLE = Counter("weave_redis_unreachable", "Uses of Redis that failed.", ["use"])


class Outage:
    """Whether the Redis of one use (`leases`, `rate-limit`) answers; a busy server must not fill its log with it."""

    def __init__(self, use: str) -> None:
        self._use = use
        self._count = UNREACHABLE.labels(use)
        self._lasts = False

    def failed(self, error: Exception) -> None:
        """It did not answer."""
        self._count.inc()
        if not self._lasts:
            self._lasts = True
            log.warning("redis.away", use=self._use, error=f"{type(error).__name__}: {error}")

    def answered(self) -> None:
        """It answered."""
        if self._lasts:
            self._lasts = False
            log.info("redis.back", use=self._use)
