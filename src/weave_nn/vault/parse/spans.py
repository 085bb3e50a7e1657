"""Sets of byte ranges, and lines of byte positions."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate


class Spans:
    """Ranges of a text, to be asked what they cover; they may overlap and come in any order."""

    __slots__ = ("_furthest_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self._starts = [start for start, _ in ordered]
        # The furthest end of all that start no later: one look then answers for overlapping ranges, too.
        self._furthest_ends = list(accumulate([end for _, end in ordered], max))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def overlap(self, start: int, end: int) -> bool:
        """Whether any byte of `start:end` is covered."""
        index = bisect_left(self._starts, end)
        return index > 0 and self._furthest_ends[index - 1] > start

    def end_of_cover(self, position: int) -> int | None:
        """How far the ranges that begin no later reach, if they cover this byte."""
        index = bisect_right(self._starts, position)
        if index and (end := self._furthest_ends[index - 1]) > position:
            return end
        return None


class Lines:
    """The line of each of a rising series of positions, counted from 1, in one pass over the text."""

    __slots__ = ("_content", "_line", "_position")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0
        self._line = 1

    def at(self, position: int) -> int:
        """The line of a position that is not before the last one asked for."""
        self._line += self._content.count(b"\n", self._position, position)
        self._position = position
        return self._line


def is_escaped(content: bytes, position: int) -> bool:
    """Whether an odd number of backslashes stands before the position."""
    before = position
    while before and content[before - 1] == 0x5C:
        before -= 1
    return (position - before) % 2 == 1
