"""What a note holds, as values.

Every position is a byte offset into the content as it was given to `parse`, byte order mark and line endings included;
`end` is exclusive. Lines count from 1. Text that is not valid UTF-8 is shown with one `?` for each bad byte. The parts
are named tuples, because a vault has very many of them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from weave_nn.vault.frontmatter import Frontmatter


class LinkKind(StrEnum):
    """How a link is written."""

    WIKILINK = "wikilink"
    """`[[target#heading|alias]]`"""
    EMBED = "embed"
    """`![[target]]`"""
    MARKDOWN = "markdown"
    """`[alias](target.md#heading)`"""
    IMAGE = "image"
    """`![alias](target.png)`"""
    REFERENCE = "reference"
    """`[alias]: target.md`, the definition of a reference link"""


class Link(NamedTuple):
    """A link into the vault; those with a scheme (`https:`) or to another host are left out.

    `target` is the path as it is meant: escapes and percent-encoding undone, without the subpath, empty for a link
    into the same note. `subpath` is `""`, `#Heading#Subheading` or `#^block`. `alias` is the text to be displayed
    (for embeds, the size), None when there is none. `target_start:target_end` are the bytes to replace in order to
    point the link elsewhere; they are as the link's kind demands, percent-encoded for example.
    """

    kind: LinkKind
    target: str
    subpath: str
    alias: str | None
    start: int
    end: int
    target_start: int
    target_end: int
    in_frontmatter: bool
    line: int


class Tag(NamedTuple):
    """A tag in the text: `name` without its `#`, nested with `/`; the span includes the `#`."""

    name: str
    start: int
    end: int
    line: int


class Heading(NamedTuple):
    """A heading, outside quotes and lists: `text` is its Markdown without the marks; the span has no final newline."""

    level: int
    text: str
    start: int
    end: int
    line: int


class Block(NamedTuple):
    """A block with an id: `start:end` is what the id names, `id_start:id_end` is `^id` itself.

    The id of a paragraph, list item or heading stands at its end and is inside the span; children of a list item are
    outside. An id in a paragraph of its own names the block before it, and is outside the span.
    """

    id: str
    start: int
    end: int
    id_start: int
    id_end: int
    line: int


class Checkbox(NamedTuple):
    """A list item with a checkbox.

    `indent` is what stands before the marker: blanks and `>`. `status` is the one character between the brackets, at
    `status_start:status_end`. `text_start:text_end` is what follows on the line, `start:end` the line without its end.
    """

    line: int
    indent: str
    marker: str
    status: str
    status_start: int
    status_end: int
    text_start: int
    text_end: int
    start: int
    end: int


class Problem(NamedTuple):
    """Something that a person should mend; the rest of the note was read all the same."""

    line: int
    message: str


class Outline(NamedTuple):
    """The parts of a `Note` that tasks are made of."""

    frontmatter: Frontmatter
    headings: tuple[Heading, ...]
    checkboxes: tuple[Checkbox, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What `parse` found, each kind in the order of the text.

    `title` is the frontmatter's, else the first heading of level 1, else None: the file name is the caller's to use.
    `tags` stand in the text, `frontmatter_tags` in the properties `tags` and `tag`, without `#`. `aliases` are the
    frontmatter's.
    """

    frontmatter: Frontmatter
    title: str | None
    aliases: tuple[str, ...]
    links: tuple[Link, ...]
    tags: tuple[Tag, ...]
    frontmatter_tags: tuple[str, ...]
    headings: tuple[Heading, ...]
    blocks: tuple[Block, ...]
    checkboxes: tuple[Checkbox, ...]
    problems: tuple[Problem, ...]

    @property
    def body_start(self) -> int:
        """The byte where the text after the frontmatter begins."""
        return self.frontmatter.body_start

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Every tag of the note once, those of the frontmatter first, in the spelling that comes first."""
        seen: dict[str, str] = {}
        for name in (*self.frontmatter_tags, *(tag.name for tag in self.tags)):
            seen.setdefault(name.lower(), name)
        return tuple(seen.values())
