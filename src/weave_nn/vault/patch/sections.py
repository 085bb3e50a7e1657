"""Edits of headings and of the text below them."""

from weave_nn.vault.document import Document, Section, TargetNotFound
from weave_nn.vault.patch import splice
from weave_nn.vault.patch.instruction import Operation, Patch, Patched, PatchInvalid, PatchWarning, Scope, Style
from weave_nn.vault.patch.lines import (
    canonical,
    ends_line,
    first_level,
    is_blank_line,
    shift_levels,
    visible_end,
    visible_start,
)
from weave_nn.vault.patch.moving import move_section
from weave_nn.vault.text import TextStyle

_DEEPEST = 6


def patch_section(document: Document, patch: Patch) -> Patched:
    """Apply a patch whose target is a heading or the root, and which is not about one of its blocks."""
    try:
        section = document.section(patch.target, loose=patch.loose)
    except TargetNotFound:
        creates = patch.create_target_if_missing and patch.operation is not Operation.DELETE
        if not creates or patch.scope is not Scope.CONTENT:
            raise
        return _created(document, patch)
    if section.heading is None and patch.scope is not Scope.CONTENT:
        raise PatchInvalid("The root of a note has no marker and no parent.", hint="Use the scope `content`.")
    match patch.scope:
        case Scope.MARKER:
            return Patched(_marker(document, patch, section))
        case Scope.PARENT:
            return move_section(document, patch, section)
    whole = patch.scope is Scope.MARKER_AND_CONTENT
    start = section.start if whole else section.body_start
    splice.refuse_if_present(document, patch, start, section.end)
    if patch.style is Style.LITERAL:
        return Patched(splice.literal_lines(document, patch, start, section.end))
    return _whole(document, patch, section) if whole else _content(document, patch, section)


def _content(document: Document, patch: Patch, section: Section) -> Patched:
    content, start, end = document.content, section.body_start, section.end
    block, warnings = b"", tuple[PatchWarning, ...]()
    if patch.operation is not Operation.DELETE:
        block, warnings = shift_levels(canonical(patch.text, TextStyle.of(content)), section.level)
    first, last = visible_start(content, start, end), visible_end(content, start, end)
    own_first = visible_start(content, start, own_end := document.direct_end(section))
    match patch.operation:
        case Operation.APPEND | Operation.PREPEND if not block:
            edited = content
        case Operation.APPEND if last > start:
            edited = splice.lines(document, last, last, block, blank_before=splice.faces_text(document, last))
        case Operation.PREPEND if own_first < own_end:
            edited = splice.lines(document, own_first, own_first, block, blank_before=False, blank_after=True)
        case Operation.REPLACE | Operation.DELETE if last > start and not block:
            # Of the gaps before and after the text one remains.
            edited = content[: start if last < end or end == len(content) else first] + content[last:]
        case Operation.REPLACE | Operation.DELETE if last > start:
            if not ends_line(content, last):
                # The note has no final newline, and keeps it so.
                block = block.rstrip(b"\r\n")
            edited = splice.lines(document, first, last, block, blank_before=False)
        case _:
            edited = splice.lines(document, start, start, block, blank_before=False) if block else content
    return Patched(edited, warnings)


def _whole(document: Document, patch: Patch, section: Section) -> Patched:
    content, start, end = document.content, section.start, section.end
    if patch.operation is Operation.DELETE:
        return Patched(content[: splice.cut_start(document, section)] + content[end:])
    text = canonical(patch.text, TextStyle.of(content))
    if not text:
        raise PatchInvalid("There is no text to put there.", hint="Use the operation `delete`.", field="content")
    block, warnings = shift_levels(text, section.level - first_level(text))
    last = visible_end(content, start, end)
    match patch.operation:
        case Operation.APPEND:
            edited = splice.lines(document, last, last, block, blank_before=True)
        case Operation.PREPEND:
            before = splice.faces_text(document, start)
            edited = splice.lines(document, start, start, block, blank_before=before, blank_after=True)
        case _:
            before = splice.faces_text(document, start) and not block.startswith(b"#")
            edited = splice.lines(document, start, last, block, blank_before=before)
    return Patched(edited, warnings)


def _marker(document: Document, patch: Patch, section: Section) -> bytes:
    content, heading = document.content, section.heading
    if heading is None or patch.operation in {Operation.APPEND, Operation.PREPEND}:
        raise patch.impossible()
    if patch.operation is Operation.DELETE:
        after = content[section.body_start :]
        joins = splice.faces_text(document, section.start) and not is_blank_line(content, section.body_start)
        return content[: section.start] + (TextStyle.of(content).newline.encode() if joins else b"") + after
    name = _one_line(patch.text)
    raw = content[heading.start : heading.end]
    if patch.style is Style.LITERAL:
        line = name
    elif raw.startswith(b"#"):
        line = b"#" * heading.level + b" " + name
    else:
        line = name + TextStyle.of(content).newline.encode() + raw.splitlines()[-1]
    return content[: heading.start] + line + content[heading.end :]


def _created(document: Document, patch: Patch) -> Patched:
    """The note with the headings of the address that are missing, and the text below the last of them."""
    names = [name.lstrip("#").strip() if patch.loose else name for name in patch.target]
    known = len(names)
    while True:
        known -= 1
        try:
            parent = document.section(names[:known])
            break
        except TargetNotFound:
            continue
    missing = names[known:]
    level = parent.level + len(missing)
    if level > _DEEPEST:
        raise PatchInvalid(f"{names!r} would be a heading of level {level}; Markdown has {_DEEPEST}.", field="target")
    style = TextStyle.of(document.content)
    headings = [b"#" * (parent.level + depth) + b" " + _one_line(name) for depth, name in enumerate(missing, start=1)]
    text, warnings = style.fragment(patch.text), tuple[PatchWarning, ...]()
    if patch.style is Style.MANAGED:
        text, warnings = shift_levels(canonical(patch.text, style), level)
    elif text and not text.endswith(b"\n"):
        text += style.newline.encode()
    block = b"".join(heading + style.newline.encode() for heading in headings) + text
    at = visible_end(document.content, parent.body_start, parent.end)
    edited = splice.lines(document, at, at, block, blank_before=splice.faces_text(document, at))
    return Patched(edited, warnings)


def _one_line(text: str) -> bytes:
    name = text.strip()
    if not name or len(name.splitlines()) != 1:
        raise PatchInvalid(f"{text!r} is no heading: it must be one line of text.", field="content")
    return name.encode()
