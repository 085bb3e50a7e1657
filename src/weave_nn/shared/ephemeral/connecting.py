"""Clients of Redis, made in one way."""

from typing import TYPE_CHECKING

from weave_nn.shared.errors import InvalidInput

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

TIMEOUT_SECONDS = 1.0
LARGEST_POOL = 50


def connect(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> "Redis":
    """A client for threads; nothing is opened before its first command, and no command is repeated by itself.

    Raises `InvalidInput` when the extra is missing or `url` is none.
    """
    try:
        from redis import Redis  # noqa: PLC0415 - an optional library
        from redis.backoff import NoBackoff  # noqa: PLC0415 - the same
        from redis.retry import Retry  # noqa: PLC0415 - the same
    except ImportError as error:
        raise _missing() from error
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            max_connections=LARGEST_POOL,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise _bad(error) from error


def connect_async(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> "AsyncRedis":
    """The same for an event loop; it belongs to the loop of its first command."""
    try:
        from redis.asyncio import Redis as AsyncRedis  # noqa: PLC0415 - an optional library
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - the same
        from redis.backoff import NoBackoff  # noqa: PLC0415 - the same
    except ImportError as error:
        raise _missing() from error
    try:
        return AsyncRedis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            max_connections=LARGEST_POOL,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise _bad(error) from error


def _missing() -> InvalidInput:
    return InvalidInput(
        "REDIS_URL is set, but the client for Redis is not installed.",
        hint="Install the extra: pip install 'weave-nn[redis]'.",
        field="REDIS_URL",
    )


def _bad(error: ValueError) -> InvalidInput:
    return InvalidInput(
        f"REDIS_URL is not a URL of Redis: {error}.",
        hint="Use redis://host:6379/0, or leave it unset.",
        field="REDIS_URL",
    )
