"""Replace a range of a note."""

from weave_nn.vault.document import Document, Section
from weave_nn.vault.patch.instruction import ContentPreexists, Operation, Patch
from weave_nn.vault.patch.lines import ends_line, previous_line_is_blank, visible_end
from weave_nn.vault.text import TextStyle


def refuse_if_present(document: Document, patch: Patch, start: int, end: int) -> None:
    """Raise `ContentPreexists` when the patch asks for that and its text stands in the range."""
    if not patch.reject_if_content_preexists or patch.operation not in {Operation.APPEND, Operation.PREPEND}:
        return
    text = TextStyle.of(document.content).fragment(patch.text).strip()
    if text and text in document.content[start:end]:
        raise ContentPreexists("The text is in the target already.", hint="Nothing has to be done.")


def literal(document: Document, patch: Patch, start: int, end: int) -> bytes:
    """The note with the text of the patch put exactly there, before, after or in the place of the range."""
    content = document.content
    text = b"" if patch.operation is Operation.DELETE else TextStyle.of(content).fragment(patch.text)
    match patch.operation:
        case Operation.APPEND:
            start = end
        case Operation.PREPEND:
            end = start
    return content[:start] + text + content[end:]


def literal_lines(document: Document, patch: Patch, start: int, end: int) -> bytes:
    """As `literal`, for a range of whole lines: it stays one, so that no line of the note joins another."""
    content = document.content
    style = TextStyle.of(content)
    newline = style.newline.encode()
    text = b"" if patch.operation is Operation.DELETE else style.fragment(patch.text)
    before, target, after = content[:start], content[start:end], content[end:]
    match patch.operation:
        case Operation.APPEND:
            before += target.rstrip() if patch.trim_target_whitespace else target
        case Operation.PREPEND:
            after = (target.lstrip() if patch.trim_target_whitespace else target) + after
    if not ends_line(before, len(before)) and (after if not text else not text.startswith((b"\n", b"\r\n"))):
        before += newline
    if text and after and not text.endswith(b"\n") and not after.startswith((b"\n", b"\r\n")):
        text += newline
    if patch.operation is not Operation.PREPEND and _joins_heading(document, start, end, text):
        text += newline
    return before + text + after


def lines(
    document: Document, start: int, end: int, block: bytes, *, blank_before: bool, blank_after: bool = False
) -> bytes:
    """The note with whole lines in the place of a range of lines, and blank lines around them if asked for."""
    content = document.content
    newline = TextStyle.of(content).newline.encode()
    before, after = content[:start], content[end:]
    if not ends_line(content, start):
        before += newline
    if blank_before:
        before += newline
    if after and (blank_after or _joins_heading(document, start, end, block)):
        block += newline
    return before + block + after


def _joins_heading(document: Document, start: int, end: int, block: bytes) -> bool:
    """Whether the block, put in the place of the range, would become a part of an underlined heading that follows.

    The text of such a heading begins like a paragraph, and goes on with the one before.
    """
    content = document.content
    follows = (section.heading for section in document.sections if section.start == end and section.heading)
    underlined = any(not content.startswith(b"#", heading.start) for heading in follows)
    if not underlined or block.endswith((b"\n\n", b"\n\r\n")):
        return False
    last_line = block.rstrip().rpartition(b"\n")[2]
    stood_there = content[start:end].rstrip().rpartition(b"\n")[2]
    return last_line != stood_there and bool(last_line) and not last_line.startswith(b"#")


def cut_start(document: Document, section: Section) -> int:
    """Where to begin to take a section out: with the blank lines before it when it is the last one."""
    if section.end < len(document.content):
        return section.start
    return visible_end(document.content, document.root.start, section.start)


def faces_text(document: Document, at: int) -> bool:
    """Whether the line before `at` is of a block that what is inserted there has to be kept apart from."""
    if previous_line_is_blank(document.content, at, document.root.start):
        return False
    return all(section.body_start != at for section in document.sections[1:])
