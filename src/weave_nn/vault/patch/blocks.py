"""Edits of blocks: those that have an id, and those of a section's own text, picked by their index."""

import re
from collections.abc import Iterator

from weave_nn.vault.document import Document, TargetNotFound
from weave_nn.vault.parse import Block
from weave_nn.vault.parse.structure import read_structure
from weave_nn.vault.patch import splice
from weave_nn.vault.patch.instruction import Operation, Patch, PatchInvalid, Scope, TargetExists, Value
from weave_nn.vault.patch.lines import canonical, visible_end
from weave_nn.vault.patch.tables import with_rows
from weave_nn.vault.text import TextStyle

_ID = re.compile(r"[A-Za-z0-9-]+")
_ID_LINE = re.compile(rb"\^[A-Za-z0-9-]+\s*")


def patch_block(document: Document, patch: Patch) -> bytes:
    """Apply a patch whose target is a block id."""
    try:
        block = document.block(patch.name)
    except TargetNotFound:
        creates = patch.create_target_if_missing and patch.operation is not Operation.DELETE
        if not creates or patch.scope is not Scope.CONTENT:
            raise
        return _created(document, patch)
    start, end = content_span(document, block)
    match patch.scope:
        case Scope.CONTENT if isinstance(patch.payload, Value):
            return with_rows(document.content, start, end, patch.operation, patch.payload.value)
        case Scope.CONTENT:
            splice.refuse_if_present(document, patch, start, end)
            return splice.literal(document, patch, start, end)
        case Scope.MARKER:
            return _marker(document, patch, block)
        case Scope.MARKER_AND_CONTENT:
            return _whole(document, patch, block.start, max(block.end, block.id_end))
        case Scope.PARENT:
            raise patch.impossible()


def patch_within(document: Document, patch: Patch) -> bytes:
    """Apply a patch to one block of a section's own text."""
    if patch.create_target_if_missing or patch.within is None:
        raise PatchInvalid("`within` picks what is there; it cannot be created.", field="within")
    section = document.section(patch.target, loose=patch.loose)
    blocks = list(_own_blocks(document.content, section.body_start, document.direct_end(section)))
    try:
        start, end = blocks[patch.within]
    except IndexError:
        raise TargetNotFound(
            f"The section has no block {patch.within}.", hint=f"It has {len(blocks)}, counted from 0."
        ) from None
    splice.refuse_if_present(document, patch, start, end)
    match patch.scope, patch.operation:
        case Scope.CONTENT, Operation.DELETE:
            return _without_lines(document.content, start, end)
        case Scope.CONTENT, _:
            return splice.literal(document, patch, start, end)
        case Scope.MARKER_AND_CONTENT, Operation.APPEND | Operation.PREPEND:
            return _whole(document, patch, start, end)
    raise patch.impossible()


def content_span(document: Document, block: Block) -> tuple[int, int]:
    """The bytes of a block without its id, and without the blanks before that."""
    if block.id_start >= block.end:
        return block.start, block.end
    return block.start, block.start + len(document.content[block.start : block.id_start].rstrip())


def _marker(document: Document, patch: Patch, block: Block) -> bytes:
    content = document.content
    match patch.operation:
        case Operation.REPLACE:
            name = patch.text.removeprefix("^")
            if not _ID.fullmatch(name):
                raise PatchInvalid(
                    f"{name!r} is no block id.", hint="Use letters, digits and hyphens.", field="content"
                )
            if name in document.blocks and name != block.id:
                raise TargetExists(f"The note has a block {name!r} already.", hint="Choose another id.")
            return content[: block.id_start + 1] + name.encode() + content[block.id_end :]
        case Operation.DELETE if block.id_start >= block.end:
            return _without_lines(content, block.id_start, block.id_end)
        case Operation.DELETE:
            return content[: content_span(document, block)[1]] + content[block.id_end :]
    raise patch.impossible()


def _whole(document: Document, patch: Patch, start: int, end: int) -> bytes:
    """A block with its id replaced or removed, or another one put beside it."""
    content = document.content
    line_start = content.rfind(b"\n", 0, start) + 1
    line_end = content.find(b"\n", end) + 1 or len(content)
    if patch.operation is Operation.DELETE:
        return _without_lines(content, start, end)
    if patch.operation is Operation.REPLACE:
        return splice.literal(document, patch, start, end)
    splice.refuse_if_present(document, patch, start, end)
    block = canonical(patch.text, TextStyle.of(content))
    if patch.operation is Operation.APPEND:
        is_last = not content[line_end:].strip() or content[line_end:].startswith((b"\n", b"\r\n"))
        return splice.lines(document, line_end, line_end, block, blank_before=True, blank_after=not is_last)
    before = splice.faces_text(document, line_start)
    return splice.lines(document, line_start, line_start, block, blank_before=before, blank_after=True)


def _created(document: Document, patch: Patch) -> bytes:
    """The note with a new block at its end; its id in a paragraph of its own suits every kind of block."""
    name = patch.name.removeprefix("^")
    if not _ID.fullmatch(name):
        raise PatchInvalid(f"{name!r} is no block id.", hint="Use letters, digits and hyphens.", field="target")
    style = TextStyle.of(document.content)
    text = canonical(patch.text, style)
    if not text:
        raise PatchInvalid("A new block needs text.", field="content")
    block = text + style.fragment(f"\n^{name}\n")
    at = visible_end(document.content, document.root.start, document.root.end)
    return splice.lines(document, at, at, block, blank_before=splice.faces_text(document, at))


def _own_blocks(content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The outermost blocks of a range; paragraphs that are only an id do not count."""
    view = b"\n" * start + content[start:end]
    passed = 0
    for first, last, _ in read_structure(view, with_blocks=True).blocks:
        if first < passed:
            continue
        passed = last
        text = view[first:last].rstrip()
        if not _ID_LINE.fullmatch(text):
            yield first, first + len(text)


def _without_lines(content: bytes, start: int, end: int) -> bytes:
    """The note without the lines of a range and the blank lines after it, or else those before it."""
    first = content.rfind(b"\n", 0, start) + 1
    last = content.find(b"\n", end) + 1 or len(content)
    rest = content[last:]
    while rest.startswith((b"\n", b"\r\n")):
        rest = rest[rest.index(b"\n") + 1 :]
    return content[:first] + rest
