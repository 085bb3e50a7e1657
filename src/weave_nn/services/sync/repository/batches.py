"""Statements over many keys, in pieces that every database takes."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
KEYS_PER_STATEMENT = 500


def batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in order, at most `KEYS_PER_STATEMENT` at a time."""
    for start in range(0, len(items), KEYS_PER_STATEMENT):
        yield items[start : start + KEYS_PER_STATEMENT]
