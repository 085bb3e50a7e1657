"""Times as the file system counts them, and as people are told them."""

from datetime import UTC, datetime


def instant(nanoseconds: int) -> datetime:
    """The time so many nanoseconds after the beginning of 1970, in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1_000_000_000, UTC)
