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
    """A block, what contains it, and the block before it in the same container."""

    block: BlockSpan
    parent: BlockSpan | None
    previous: BlockSpan | None


def named_blocks(
    view: bytes, ids: Iterable[tuple[str, int, int]], blocks: list[BlockSpan]
) -> Iterator[tuple[str, int, int, int, int]]:
    """Id, block start and end, id start and end; ids that stand in the middle of a block name nothing."""
    # pyromark lets an indented list begin in the blanks before its marker.
    blocks = [(_next_visible(view, start) if kind in _LISTED else start, end, kind) for start, end, kind in blocks]
    starts = {start for start, _, _ in blocks}
    for (name, id_start, id_end), (block, parent, previous) in _placed(ids, blocks):
        start, end, kind = block
        line_start = view.rfind(b"\n", 0, id_start) + 1
        is_alone = not view[line_start:id_start].strip(_QUOTE_MARKS)
        if kind == "Paragraph" and start == id_start and is_alone and previous is not None:
            yield name, previous[0], _trimmed_end(view, previous[0], previous[1]), id_start, id_end
        elif kind in _LEAVES:
            following = _next_visible(view, id_end)
            if following >= end or following in starts:
                begins_item = kind == "Paragraph" and previous is None and parent is not None and parent[2] == "Item"
                yield name, parent[0] if begins_item and parent else start, id_end, id_start, id_end
        elif kind == "Table" and is_alone:
            yield name, start, _trimmed_end(view, start, line_start), id_start, id_end


def _placed(
    ids: Iterable[tuple[str, int, int]], blocks: list[BlockSpan]
) -> Iterator[tuple[tuple[str, int, int], _Place]]:
    """Each id with the innermost block around it. Both are in the order of the text, so that one sweep finds them."""
    open_places: list[_Place] = []
    last_closed: list[BlockSpan | None] = [None]
    index = 0
    for found in ids:
        while index < len(blocks) and blocks[index][0] <= found[1]:
            _close(open_places, last_closed, blocks[index][0])
            parent = open_places[-1].block if open_places else None
            open_places.append(_Place(blocks[index], parent, last_closed[-1]))
            last_closed.append(None)
            index += 1
        _close(open_places, last_closed, found[1])
        if open_places:
            yield found, open_places[-1]


def _close(open_places: list[_Place], last_closed: list[BlockSpan | None], position: int) -> None:
    while open_places and open_places[-1].block[1] <= position:
        last_closed.pop()
        last_closed[-1] = open_places.pop().block


def _next_visible(view: bytes, position: int) -> int:
    """Where the next text stands, past blanks, newlines and quote marks."""
    match = _MARKS_AND_BLANKS.match(view, position)
    return match.end() if match else position


def _trimmed_end(view: bytes, start: int, end: int) -> int:
    return start + len(view[start:end].rstrip())
