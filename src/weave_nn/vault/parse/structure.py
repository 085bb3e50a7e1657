"""The CommonMark structure of a note, by pyromark, in one pass over its events.

Two things that Obsidian does differently need another pass over a masked copy, in the few notes where they matter:
a `%%` comment may hold half of a code block, and a `$` before a digit closes no formula (it is a price).
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import pyromark

from weave_nn.vault.parse.spans import Spans, is_escaped
from weave_nn.vault.text import decode_lossless

_OPTIONS = pyromark.Options.ENABLE_WIKILINKS | pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES
_MARKDOWN = pyromark.Markdown(options=_OPTIONS)
_MARKDOWN_WITH_MATH = pyromark.Markdown(options=_OPTIONS | pyromark.Options.ENABLE_MATH)
_BLOCKS = {"Paragraph", "Item", "Heading", "BlockQuote", "List", "Table", "CodeBlock", "HtmlBlock"}

_CONTAINERS = {"BlockQuote", "List", "FootnoteDefinition"}

_MAX_PASSES = 4
_COMMENT_MARK = re.compile(rb"%%")
_COMMENT_OR_FORMULA_MARK = re.compile(rb"%%|\$\$")
_QUOTE_MARKS = b" \t>"
_VISIBLE = re.compile(rb"\S")


InlineLink: TypeAlias = tuple[str, int, int, bool]
"""`[text](destination)`: the destination, its escapes undone but not its percent-encoding, start, end, is an image."""

BlockSpan: TypeAlias = tuple[int, int, str]
"""Start, end and kind of a block; a container comes before what it contains."""


class Structure(NamedTuple):
    """What the events of a note say.

    `opaque` is where nothing of Obsidian's can stand: code, formulas, HTML, comments, link destinations; `comments`
    are the part of it that pyromark does not know, so that its links and headings may stand inside them. `headings`
    are level, start and end, of those outside quotes and lists; `items` are where list items begin, which may
    be in the blanks before the marker;
    `definitions` start, end and destination of `[label]: destination`; `invalid_at` is the first byte that is not
    UTF-8. All is in the order of the text.
    """

    links: list[InlineLink]
    definitions: list[tuple[int, int, str]]
    headings: list[tuple[int, int, int]]
    items: list[int]
    blocks: list[BlockSpan]
    opaque: Spans
    comments: Spans
    invalid_at: int | None


def read_structure(view: bytes, *, with_blocks: bool) -> Structure:
    """The structure of a note whose frontmatter and byte order mark were overwritten with newlines.

    `blocks` are filled in only when asked for: few notes have ids that name them.
    """
    text, invalid_at = _decode(view)
    comments: list[tuple[int, int]] = []
    masked = view
    for remaining in reversed(range(_MAX_PASSES)):
        events = _Events(masked, text, with_blocks=with_blocks)
        opaque = Spans(events.opaque)
        found, torn = _comments(masked, opaque, whole=not remaining)
        comments += found
        if not remaining or not (torn or events.prices):
            break
        masked = _mask(masked, [*found, *events.prices])
        text = decode_lossless(masked)
    return Structure(
        links=events.links,
        definitions=events.definitions,
        headings=events.headings,
        items=events.items,
        blocks=events.blocks(),
        opaque=Spans([*events.opaque, *comments]) if comments else opaque,
        comments=Spans(comments),
        invalid_at=invalid_at,
    )


def _decode(view: bytes) -> tuple[str, int | None]:
    try:
        return view.decode(), None
    except UnicodeDecodeError as error:
        return decode_lossless(view), error.start


class _Events:
    """What one pass over the events of a text yields."""

    def __init__(self, view: bytes, text: str, *, with_blocks: bool) -> None:
        self.links: list[InlineLink] = []
        self.definitions: list[tuple[int, int, str]] = []
        self.headings: list[tuple[int, int, int]] = []
        self.items: list[int] = []
        self._starts: list[tuple[int, int, Any]] = []
        self.opaque: list[tuple[int, int]] = []
        self.prices: list[tuple[int, int]] = []
        markdown = _MARKDOWN_WITH_MATH if "$" in text else _MARKDOWN
        self._read(markdown.events_with_range(text), view, with_blocks=with_blocks)
        if "]:" in text:
            for definition in markdown.reference_definitions(text).values():
                start, end = definition["span"]["start"], definition["span"]["end"]
                self.definitions.append((start, end, definition["dest"]))
                self.opaque.append((start, end))

    def _read(  # noqa: C901, PLR0912 - the hottest loop of all: a call for each event would cost a third of the speed
        self, events: Iterable[tuple[Any, Any]], view: bytes, *, with_blocks: bool
    ) -> None:
        container_end = 0
        # Most events are ends and texts, hence the order of the questions. The declared union of all event types
        # cannot express them.
        for event, span in events:
            if "End" in event or "Text" in event:
                continue
            if "Start" not in event:
                if type(event) is not str:
                    self._read_inline(event, span["start"], span["end"], view)
                continue
            tag = event["Start"]
            if with_blocks:
                self._starts.append((span["start"], span["end"], tag))
            if type(tag) is str:
                if tag == "Item":
                    self.items.append(span["start"])
                elif tag == "HtmlBlock":
                    self.opaque.append((span["start"], span["end"]))
                continue
            start, end = span["start"], span["end"]
            if "Link" in tag or "Image" in tag:
                data = tag.get("Link") or tag["Image"]
                if data["link_type"] == "Inline":
                    self.links.append((data["dest_url"], start, end, "Image" in tag))
                    self.opaque.append((view.rfind(b"](", start, end), end))
            elif "Heading" in tag:
                if start >= container_end:
                    self.headings.append((int(tag["Heading"]["level"][1]), start, end))
            elif "CodeBlock" in tag:
                self.opaque.append((start, end))
            elif end > container_end and not tag.keys().isdisjoint(_CONTAINERS):
                container_end = end

    def blocks(self) -> list[BlockSpan]:
        kinds = ((start, end, tag if type(tag) is str else next(iter(tag))) for start, end, tag in self._starts)
        return [block for block in kinds if block[2] in _BLOCKS]

    def _read_inline(self, event: Any, start: int, end: int, view: bytes) -> None:
        if "InlineMath" in event and view[end : end + 1].isdigit():
            self.prices.append((end - 1, end))
        elif "Html" not in event and "FootnoteReference" not in event:
            self.opaque.append((start, end))


def _comments(view: bytes, covered: Spans, *, whole: bool) -> tuple[list[tuple[int, int]], bool]:
    """The `%%` comments and the `$$` formulas with blank lines inside, and whether one tears what pyromark saw.

    What follows a torn block cannot be judged before another pass, so the search ends there unless `whole`.
    """
    found: list[tuple[int, int]] = []
    position = 0
    # A search for one literal is ten times as fast as one for two.
    marks = _COMMENT_OR_FORMULA_MARK if b"$$" in view else _COMMENT_MARK
    while mark := marks.search(view, position):
        start, position = mark.span()
        if (hidden_until := covered.end_of_cover(start)) is not None:
            position = max(position, hidden_until)
            continue
        if mark[0] == b"$$" and is_escaped(view, start):
            continue
        end = view.find(mark[0], position) + 2
        if end == 1:
            # Obsidian takes an unclosed mark for text, except for a comment that begins a line.
            if mark[0] == b"$$" or view[view.rfind(b"\n", 0, start) + 1 : start].strip(_QUOTE_MARKS):
                continue
            end = len(view)
        found.append((start, end))
        position = end
        reach = covered.end_of_cover(end - 1)
        if reach is not None and reach > end and not whole:
            return found, True
    return found, False


def _mask(view: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    """The text with every visible byte of the ranges made an `x`: plain text of the same length and lines."""
    masked = bytearray(view)
    for start, end in ranges:
        masked[start:end] = _VISIBLE.sub(b"x", view[start:end])
    return bytes(masked)
