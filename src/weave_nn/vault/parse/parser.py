"""From the bytes of a note to a `Note`."""

import re
from collections.abc import Iterator
from typing import TypeAlias

from weave_nn.vault import frontmatter
from weave_nn.vault.frontmatter import Frontmatter
from weave_nn.vault.parse.blocks import named_blocks
from weave_nn.vault.parse.destinations import Destination, definition_destination, inline_destination, is_external
from weave_nn.vault.parse.inline import Wikilink, block_ids, has_block_id, tags, wikilinks
from weave_nn.vault.parse.note import Block, Checkbox, Heading, Link, LinkKind, Note, Outline, Problem, Tag
from weave_nn.vault.parse.properties import property_links, read_properties
from weave_nn.vault.parse.spans import Lines, Spans
from weave_nn.vault.parse.structure import Structure, read_structure
from weave_nn.vault.text import decode_lossless

_CHECKBOX = re.compile(
    rb"[\s>]*+([-*+]|[0-9]{1,9}[.)])[ \t]++\[([^\r\n\x80-\xff]|[\xc2-\xf4][\x80-\xbf]{1,3}|[\x80-\xff])\]"
    rb"(?:[ \t]|(?=[\r\n]|\Z))"
)
_BLANKS_AND_QUOTES = b" \t>"

_LinkDraft: TypeAlias = tuple[LinkKind, str, str, str | None, int, int, int, int, bool]
"""A `Link` without its line, which is counted once all are in order."""


def parse(content: bytes) -> Note:
    """Read a note, whatever its bytes are; what is wrong with it is in `Note.problems`. Never raises."""
    head, view = _view(content)
    start = head.body_start
    structure = read_structure(view, with_blocks=has_block_id(view, start))
    links = _links(content, view, structure, head)
    headings = tuple(_headings(content, view, structure))
    properties = read_properties(head)
    return Note(
        frontmatter=head,
        title=properties.title or next((heading.text for heading in headings if heading.level == 1), None),
        aliases=properties.aliases,
        links=links,
        tags=tuple(_tags(content, view, structure, start, links)),
        frontmatter_tags=properties.tags,
        headings=headings,
        blocks=tuple(_blocks(content, view, structure, start)) if structure.blocks else (),
        checkboxes=tuple(_checkboxes(content, view, structure)),
        problems=tuple(_problems(content, structure, head)),
    )


def outline(content: bytes) -> Outline:
    """What `parse` finds of frontmatter, headings and checkboxes, in half the time."""
    head, view = _view(content)
    structure = read_structure(view, with_blocks=False)
    return Outline(head, tuple(_headings(content, view, structure)), tuple(_checkboxes(content, view, structure)))


def _view(content: bytes) -> tuple[Frontmatter, bytes]:
    """The frontmatter, and the text with newlines in its place, which say nothing, so that every offset stays true."""
    head = frontmatter.read(content)
    start = head.body_start
    return head, b"\n" * start + content[start:] if start else content


def body_text(content: bytes, note: Note) -> str:
    """The text after the frontmatter, as it is written."""
    return decode_lossless(content[note.body_start :])


def _links(content: bytes, view: bytes, structure: Structure, head: Frontmatter) -> tuple[Link, ...]:
    drafts = [_wikilink(found, in_frontmatter=True) for found in property_links(content, head)]
    drafts += [
        _wikilink(found, in_frontmatter=False)
        for found in wikilinks(view, head.body_start, len(view), structure.opaque)
    ]
    in_order = len(drafts)
    drafts += _inline_links(view, structure)
    drafts += _definitions(view, structure)
    if len(drafts) > in_order:
        drafts.sort(key=lambda draft: draft[4])
    lines = Lines(content)
    return tuple([Link(*draft, lines.at(draft[4])) for draft in drafts])


def _wikilink(found: Wikilink, *, in_frontmatter: bool) -> _LinkDraft:
    start, end, target_start, target_end, target, subpath, alias, is_embed = found
    return (
        LinkKind.EMBED if is_embed else LinkKind.WIKILINK,
        decode_lossless(target),
        decode_lossless(subpath.rstrip()) if subpath else "",
        None if alias is None else decode_lossless(alias),
        start,
        end,
        target_start,
        target_end,
        in_frontmatter,
    )


def _inline_links(view: bytes, structure: Structure) -> Iterator[_LinkDraft]:
    outer_end = inner_end = 0
    for url, start, end, is_image in structure.links:
        # A link may hold images. Deeper nesting has no use, and its texts would sum up to the square of the note.
        if start >= outer_end:
            outer_end = end
        elif start >= inner_end:
            inner_end = end
        else:
            continue
        if not url or is_external(url) or structure.comments.overlap(start, end):
            continue
        if destination := inline_destination(view, start, end, url):
            alias = view[start + 1 + is_image : destination.text_end]
            yield _markdown_link(LinkKind.IMAGE if is_image else LinkKind.MARKDOWN, destination, alias, start, end)


def _definitions(view: bytes, structure: Structure) -> Iterator[_LinkDraft]:
    for start, end, url in structure.definitions:
        if not url or is_external(url) or structure.comments.overlap(start, end):
            continue
        if found := definition_destination(view, start, end, url):
            destination, label = found
            yield _markdown_link(LinkKind.REFERENCE, destination, label, start, end)


def _markdown_link(kind: LinkKind, destination: Destination, alias: bytes, start: int, end: int) -> _LinkDraft:
    target, subpath, target_start, target_end, _ = destination
    return kind, target, subpath, decode_lossless(alias), start, end, target_start, target_end, False


def _tags(content: bytes, view: bytes, structure: Structure, start: int, links: tuple[Link, ...]) -> Iterator[Tag]:
    found = list(tags(view, start, structure.opaque))
    if not found:
        return
    # What stands in the text of a link is no tag, whether the link leads into the vault or to another host.
    inline = ((start, end) for _, start, end, _ in structure.links)
    linked = Spans([*((link.start, link.end) for link in links), *inline])
    lines = Lines(content)
    for name, first, last in found:
        if not linked.overlap(first, last):
            yield Tag(name, first, last, lines.at(first))


def _headings(content: bytes, view: bytes, structure: Structure) -> Iterator[Heading]:
    lines = Lines(content)
    for level, start, end in structure.headings:
        if structure.comments and structure.comments.overlap(start, start + 1):
            continue
        raw = view[start:end].rstrip()
        yield Heading(level, decode_lossless(_heading_text(raw)), start, start + len(raw), lines.at(start))


def _heading_text(raw: bytes) -> bytes:
    if b"\n" in raw:
        # A heading that is underlined; its text may have several lines.
        return b" ".join(line.strip() for line in raw.splitlines()[:-1])
    text = raw.lstrip(b"#").strip()
    without_closing = text.rstrip(b"#")
    return without_closing.rstrip() if without_closing[-1:] in {b"", b" ", b"\t"} else text


def _blocks(content: bytes, view: bytes, structure: Structure, start: int) -> Iterator[Block]:
    lines = Lines(content)
    ids = block_ids(view, start, structure.opaque)
    for name, first, last, id_start, id_end in named_blocks(view, ids, structure.blocks):
        yield Block(name, first, last, id_start, id_end, lines.at(id_start))


def _checkboxes(content: bytes, view: bytes, structure: Structure) -> Iterator[Checkbox]:
    lines = Lines(content)
    for item in structure.items:
        match = _CHECKBOX.match(view, item)
        if match is None or structure.opaque.overlap(*match.span(1)) or structure.opaque.overlap(*match.span(2)):
            continue
        marker = match.start(1)
        start = content.rfind(b"\n", 0, marker) + 1
        indent = content[start:marker]
        if indent.strip(_BLANKS_AND_QUOTES):
            # A list within a list on one line: Obsidian's plugins see no checkbox there.
            continue
        line_end = content.find(b"\n", marker)
        end = len(content) if line_end < 0 else line_end - (content[line_end - 1] == 0x0D)
        yield Checkbox(
            line=lines.at(marker),
            indent=indent.decode(),
            marker=match[1].decode(),
            status=decode_lossless(match[2]),
            status_start=match.start(2),
            status_end=match.end(2),
            text_start=match.end(),
            text_end=end,
            start=start,
            end=end,
        )


def _problems(content: bytes, structure: Structure, head: Frontmatter) -> Iterator[Problem]:
    if head.problem is not None:
        yield Problem(head.problem_line or 1, head.problem)
    if structure.invalid_at is not None:
        line = content.count(b"\n", 0, structure.invalid_at) + 1
        yield Problem(line, f"Byte {structure.invalid_at} is not valid UTF-8; it is shown as a question mark.")
