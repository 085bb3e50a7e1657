"""What a block id names: the paragraph, list item or heading that it ends, or the block before it."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from weave_nn.vault.parse.structure import BlockSpan

_MARKS_AND_BLANKS = re.compile(rb"[\s>]*+")
_QUOTE_MARKS = b" \t>"
_LISTED = {"List", "Item"}
_LEAVES = {"Paragraph", "Item", "Heading"}


class _Place(NamedTuple):
    """The innermost block around an id, what contains it, the block before it there, and where the next one starts."""

    block: BlockSpan
    parent: BlockSpan | None
    previous: BlockSpan | None
    next_start: int


def named_blocks(
    view: bytes, ids: Iterable[tuple[str, int, int]], blocks: list[BlockSpan]
) -> Iterator[tuple[str, int, int, int, int]]:
    """Id, block start and end, id start and end; ids that stand in the middle of a block name nothing."""
    for (name, id_start, id_end), (block, parent, previous, next_start) in _placed(ids, blocks, len(view)):
        start, end, kind = block
        line_start = view.rfind(b"\n", 0, id_start) + 1
        is_alone = not view[line_start:id_start].strip(_QUOTE_MARKS)
        if kind == "Paragraph" and start == id_start and is_alone and previous is not None:
            yield name, _true_start(view, previous), _trimmed_end(view, previous[0], previous[1]), id_start, id_end
        elif kind in _LEAVES:
            following = _next_visible(view, id_end)
            if following >= end or following >= next_start:
                begins_item = kind == "Paragraph" and previous is None and parent is not None and parent[2] == "Item"
                yield name, _true_start(view, parent if begins_item and parent else block), id_end, id_start, id_end
        elif kind == "Table" and is_alone:
            yield name, start, _trimmed_end(view, start, line_start), id_start, id_end


def _placed(
    ids: Iterable[tuple[str, int, int]], blocks: list[BlockSpan], view_end: int
) -> Iterator[tuple[tuple[str, int, int], _Place]]:
    """Each id with its place. Both are in the order of the text, so that one sweep finds them."""
    # The block that was closed last in each open block, and, first, in none.
    open_blocks: list[BlockSpan] = []
    last_closed: list[BlockSpan | None] = [None]
    index = 0
    for found in ids:
        position = found[1]
        while index < len(blocks) and blocks[index][0] <= position:
            start = blocks[index][0]
            while open_blocks and open_blocks[-1][1] <= start:
                last_closed.pop()
                last_closed[-1] = open_blocks.pop()
            open_blocks.append(blocks[index])
            last_closed.append(None)
            index += 1
        while open_blocks and open_blocks[-1][1] <= position:
            last_closed.pop()
            last_closed[-1] = open_blocks.pop()
        if open_blocks:
            parent = open_blocks[-2] if len(open_blocks) > 1 else None
            next_start = blocks[index][0] if index < len(blocks) else view_end
            yield found, _Place(open_blocks[-1], parent, last_closed[-2], next_start)


def _true_start(view: bytes, block: BlockSpan) -> int:
    """Where the block is seen to begin: pyromark lets an indented list begin in the blanks before its marker."""
    return _next_visible(view, block[0]) if block[2] in _LISTED else block[0]


def _next_visible(view: bytes, position: int) -> int:
    """Where the next text stands, past blanks, newlines and quote marks."""
    match = _MARKS_AND_BLANKS.match(view, position)
    return match.end() if match else position


def _trimmed_end(view: bytes, start: int, end: int) -> int:
    return start + len(view[start:end].rstrip())
