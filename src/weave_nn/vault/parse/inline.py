"""What Obsidian adds to Markdown within a line: wikilinks, tags and block ids.

Every pattern starts with a literal, which makes the search for it fast, and none can backtrack over what it passed,
so that the time is linear whatever the text is.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from weave_nn.vault.parse.spans import Spans, is_escaped
from weave_nn.vault.text import decode_lossless

_WIKILINK = re.compile(
    rb"\[\[([^\[\]\r\n|#]*+)(#[^\[\]\r\n|]*+)?+"
    rb"(?:\|([^\[\]\r\n]*+(?:(?:\[(?!\[)|\](?!\]))[^\[\]\r\n]*+)*+))?+\]\]"
)
# The lookbehinds see the mark itself as their last byte. Wide and non-breaking spaces are not blank as bytes.
_TAG = re.compile(rb"#(?:(?<![^\s]#)|(?<=\xe3\x80\x80#)|(?<=\xc2\xa0#))([0-9A-Za-z_/\x80-\xff-]++)")
_BLOCK_ID = re.compile(rb"\^(?<![^\s>]\^)([A-Za-z0-9-]++)[ \t]*+(?=[\r\n]|\Z)")
# Obsidian takes everything else beyond ASCII for a part of a tag, punctuation of other scripts too.
_TAG_END = re.compile(r"[\s\u2000-\u206f\u2e00-\u2e7f\ufeff]")
_BLANKS = b" \t"
_BACKSLASH, _BANG = b"\\!"
_ESCAPE_OR_BANG = {_BACKSLASH, _BANG}

NOTHING = Spans(())


Wikilink: TypeAlias = tuple[int, int, int, int, bytes, bytes, bytes | None, bool]
"""Start, end, start and end of the target, target, subpath, alias, is an embed."""


def wikilinks(content: bytes, start: int, end: int, opaque: Spans) -> Iterator[Wikilink]:
    """The `[[…]]` of a range that nothing opaque hides. Code and HTML within an alias are text to Obsidian."""
    for match in _WIKILINK.finditer(content, start, end):
        first, last = match.span()
        target, subpath, alias = match.groups()
        target_start, target_end = match.span(1)
        is_embed = False
        if first > start and (before := content[first - 1]) in _ESCAPE_OR_BANG:
            if before == _BACKSLASH and is_escaped(content, first):
                continue
            is_embed = before == _BANG and not is_escaped(content, first - 1)
        if opaque.overlap(first, last) and (opaque.overlap(first, target_end + 1) or opaque.overlap(last - 2, last)):
            continue
        if alias is not None:
            # In tables the bar must be escaped; Obsidian drops the backslash everywhere.
            if subpath:
                subpath = subpath.removesuffix(b"\\")
            elif target.endswith(b"\\"):
                target_end -= 1
                target = target[:-1]
        trimmed = target.strip(_BLANKS)
        if trimmed:
            target_start += target.index(trimmed)
            target_end = target_start + len(trimmed)
        elif not subpath:
            continue
        yield first - is_embed, last, target_start, target_end, trimmed, subpath or b"", alias, is_embed


def tags(view: bytes, start: int, opaque: Spans) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of the tags of a body that stand neither in `opaque` nor touch it."""
    for match in _TAG.finditer(view, start):
        if opaque.overlap(match.start(), match.start() + 1):
            continue
        name = decode_lossless(match[1])
        if not name.isascii() and (end := _TAG_END.search(name)):
            name = name[: end.start()]
        name = name.rstrip("/")
        if name and not name.isdecimal():
            yield name, match.start(), match.start() + 1 + len(name.encode())


def has_block_id(view: bytes, start: int) -> bool:
    """Whether anything in a body looks like a block id."""
    return _BLOCK_ID.search(view, start) is not None


def block_ids(view: bytes, start: int, opaque: Spans) -> Iterator[tuple[str, int, int]]:
    """Id, start and end of every `^id` at the end of a line of a body."""
    for match in _BLOCK_ID.finditer(view, start):
        if not opaque.overlap(*match.span()):
            yield match[1].decode(), match.start(), match.end(1)
