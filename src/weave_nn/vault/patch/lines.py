"""Blank lines and heading levels: what a managed edit takes care of."""

import re

from weave_nn.vault.parse import parse
from weave_nn.vault.patch.instruction import PatchWarning
from weave_nn.vault.text import TextStyle

_BLANK_LINES = re.compile(r"(?:[ \t]*+\r?\n)++")
_VISIBLE = re.compile(rb"[^ \t\r\n]")
_HASHES = re.compile(rb"#{1,6}(?=[ \t\r\n]|\Z)")
_UNDERLINES = (bytes.maketrans(b"-", b"="), bytes.maketrans(b"=", b"-"))
_DEEPEST = 6


def canonical(text: str, style: TextStyle) -> bytes:
    """Text without blank lines at its edges, with the note's line ends, the last included; or nothing."""
    text = text.removeprefix("\ufeff")
    visible = len(text.rstrip())
    if not visible:
        return b""
    leading = _BLANK_LINES.match(text)
    # Blanks at the end of the last line stay: they may be a line break, or an empty list item.
    blanks = text[visible:].splitlines()[0] if visible < len(text) else ""
    return style.fragment(text[leading.end() if leading else 0 : visible] + blanks + "\n")


def visible_start(content: bytes, start: int, end: int) -> int:
    """Where the first line of the range that is not blank begins; `end` when all are."""
    found = _VISIBLE.search(content, start, end)
    return max(start, content.rfind(b"\n", 0, found.start()) + 1) if found else end


def visible_end(content: bytes, start: int, end: int) -> int:
    """Where the last line of the range that is not blank ends, its newline included; `start` when all are."""
    last = start + len(content[start:end].rstrip(b" \t\r\n"))
    if last == start:
        return start
    newline = content.find(b"\n", last, end)
    return end if newline < 0 else newline + 1


def ends_line(content: bytes, index: int) -> bool:
    """Whether `index` is the beginning of a line."""
    return index == 0 or content[index - 1 : index] == b"\n" or content[:index] == b"\xef\xbb\xbf"


def is_blank_line(content: bytes, start: int) -> bool:
    """Whether nothing but blanks stands on the line that begins at `start`; so it is at the end of the note."""
    end = content.find(b"\n", start)
    return not content[start : len(content) if end < 0 else end].strip(b" \t\r")


def previous_line_is_blank(content: bytes, start: int, floor: int) -> bool:
    """Whether the line before the one that begins at `start` is blank; so it is at `floor`, where the text begins."""
    return start <= floor or is_blank_line(content, max(floor, content.rfind(b"\n", 0, start - 1) + 1))


def shift_levels(text: bytes, shift: int) -> tuple[bytes, tuple[PatchWarning, ...]]:
    """Every heading `shift` levels deeper; one that gets too deep to be a heading is written, with a warning."""
    if not shift:
        return text, ()
    warnings: list[PatchWarning] = []
    # The added newline keeps a rule at the beginning from being taken for frontmatter.
    for heading in reversed(parse(b"\n" + text).headings):
        start, end, level = heading.start - 1, heading.end - 1, max(1, heading.level + shift)
        if level > _DEEPEST:
            message = f"The heading {heading.text!r} would be of level {level}; Markdown has {_DEEPEST}."
            warnings.insert(0, PatchWarning("heading-depth-overflow", message))
        text = text[:start] + _heading_line(text[start:end], heading.text, level) + text[end:]
    return text, tuple(warnings)


def _heading_line(line: bytes, name: str, level: int) -> bytes:
    """A heading on another level, underlined if it was and can be."""
    hashes = _HASHES.match(line)
    if hashes:
        return b"#" * level + line[hashes.end() :]
    if level > len(_UNDERLINES):
        return b"#" * level + b" " + name.encode()
    above, newline, underline = line.rpartition(b"\n")
    return above + newline + underline.translate(_UNDERLINES[level - 1])


def first_level(text: bytes) -> int:
    """The level of the heading that the text begins with, 1 when it begins with none."""
    headings = parse(b"\n" + text).headings
    return headings[0].level if headings and not text[: headings[0].start - 1].strip() else 1
