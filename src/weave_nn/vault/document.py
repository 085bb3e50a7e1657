"""The parts of a note that can be addressed: sections under headings, blocks with an id, frontmatter keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from weave_nn.shared.errors import Conflict, NotFound
from weave_nn.vault.parse import Block, Heading, Note, parse

_MARK = "\u2063"
_INVISIBLE_DIGITS = str.maketrans("01", "\u200b\u200c")
_SHOWN = 10


class TargetNotFound(NotFound):
    """The note has no such heading, block or frontmatter key."""

    code = "target_not_found"
    title = "Target not found"


class TargetAmbiguous(Conflict):
    """A short form of an address fits several headings; the hint gives the full ones."""

    code = "target_ambiguous"
    title = "Target ambiguous"


class Section(NamedTuple):
    """A heading with everything up to the next one of the same or a higher level, or the whole text (level 0).

    `address` are the heading texts from the top down; those of later siblings with the same text end in an invisible
    mark. Positions are bytes: `start` the heading's line, `body_start` the line after it, `end` exclusive.
    """

    heading: Heading | None
    address: tuple[str, ...]
    level: int
    start: int
    body_start: int
    end: int


@dataclass(frozen=True)
class Document:
    """A note with its sections in order; the first is the root, which is the whole text after the frontmatter."""

    content: bytes
    note: Note
    sections: tuple[Section, ...]

    @classmethod
    def of(cls, content: bytes) -> "Document":
        """Parse a note. Never raises."""
        note = parse(content)
        return cls(content, note, tuple(_sections(content, note)))

    @property
    def root(self) -> Section:
        """The text after the frontmatter."""
        return self.sections[0]

    def section(self, target: Sequence[str], *, loose: bool = False) -> Section:
        """The section of an address; the first in order where several have the same texts. Empty means the root.

        `loose` also takes the end of an address (a bare heading name) if only one section has it, and heading marks
        before a name. Raises `TargetNotFound` and `TargetAmbiguous`.
        """
        address = tuple(target)
        found = self._by_address.get(address) or self._by_texts.get(address)
        if found is not None:
            return found
        if loose:
            names = tuple(name.lstrip("#").strip() for name in address)
            candidates = [section for section in self.sections if _texts(section.address)[-len(names) :] == names]
            if len(candidates) > 1:
                raise TargetAmbiguous(
                    f"{len(candidates)} headings fit {list(target)!r}.",
                    hint=f"Give the full path, one of: {_listed(candidates)}.",
                )
            if candidates:
                return candidates[0]
        raise TargetNotFound(
            f"The note has no heading {list(target)!r}.",
            hint=f"Give the full path, one of: {_listed(self.sections[1:]) or 'none, it has no headings'}.",
        )

    def block(self, block_id: str) -> Block:
        """The block of an id, with or without its `^`. Raises `TargetNotFound`."""
        found = self.blocks.get(block_id.removeprefix("^"))
        if found is None:
            known = ", ".join(islice(self.blocks, _SHOWN)) or "none"
            raise TargetNotFound(f"The note has no block {block_id!r}.", hint=f"Its block ids are: {known}.")
        return found

    @cached_property
    def blocks(self) -> dict[str, Block]:
        """Blocks by id, in order; later ones with the same id have an invisible mark at its end."""
        counts: dict[str, int] = {}
        return {_numbered(block.id, counts): block for block in self.note.blocks}

    def children(self, section: Section) -> list[Section]:
        """The sections directly within another."""
        length = len(section.address)
        return [
            child
            for child in self.sections
            if len(child.address) == length + 1 and child.address[:length] == section.address
        ]

    def direct_end(self, section: Section) -> int:
        """Where the section's own text ends, and that of its first subsection begins."""
        within = (other.start for other in self.sections[1:] if section.body_start <= other.start < section.end)
        return next(within, section.end)

    @cached_property
    def _by_address(self) -> dict[tuple[str, ...], Section]:
        return {section.address: section for section in self.sections}

    @cached_property
    def _by_texts(self) -> dict[tuple[str, ...], Section]:
        return {_texts(section.address): section for section in reversed(self.sections)}


def document_map(content: bytes, *, version: str) -> dict[str, Any]:
    """The map of the Local REST API since 5.0: a tree of headings, bare block ids, frontmatter keys, the `version`."""
    document = Document.of(content)
    tree: dict[str, Any] = {}
    for section in document.sections[1:]:
        place = tree
        for name in section.address:
            place = place.setdefault(name, {})
    return {
        "headings": tree,
        "blocks": list(document.blocks),
        "frontmatterFields": list(document.note.frontmatter.values),
        "version": version,
    }


def document_map_v1(content: bytes) -> dict[str, Any]:
    """The map before 5.0: heading paths joined with `::`, block ids with their `^`, frontmatter keys."""
    document = Document.of(content)
    return {
        "headings": list(dict.fromkeys("::".join(_texts(section.address)) for section in document.sections[1:])),
        "blocks": list(dict.fromkeys(f"^{block.id}" for block in document.note.blocks)),
        "frontmatterFields": list(document.note.frontmatter.values),
    }


def _sections(content: bytes, note: Note) -> Iterator[Section]:
    size = len(content)
    yield Section(None, (), 0, note.body_start, note.body_start, size)
    ends = _ends(content, note)
    path: list[tuple[int, str]] = []
    counts: dict[tuple[str, ...], dict[str, int]] = {}
    for heading, end in zip(note.headings, ends, strict=True):
        while path and path[-1][0] >= heading.level:
            path.pop()
        parent = tuple(name for _, name in path)
        name = _numbered(heading.text, counts.setdefault(parent, {}))
        path.append((heading.level, name))
        body_start = content.find(b"\n", heading.end) + 1 or size
        yield Section(heading, (*parent, name), heading.level, _line_start(content, note, heading), body_start, end)


def _ends(content: bytes, note: Note) -> list[int]:
    headings = note.headings
    ends = [len(content)] * len(headings)
    open_headings: list[int] = []
    for index, heading in enumerate(headings):
        while open_headings and headings[open_headings[-1]].level >= heading.level:
            ends[open_headings.pop()] = _line_start(content, note, heading)
        open_headings.append(index)
    return ends


def _line_start(content: bytes, note: Note, heading: Heading) -> int:
    # A byte order mark is no part of the first line.
    return max(note.body_start, content.rfind(b"\n", 0, heading.start) + 1)


def _numbered(name: str, counts: dict[str, int]) -> str:
    """The name, from its second occurrence on with the number of earlier ones in invisible binary digits."""
    earlier = counts[name] = counts.get(name, -1) + 1
    return name + _MARK + f"{earlier:b}".translate(_INVISIBLE_DIGITS) if earlier else name


def _texts(address: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.partition(_MARK)[0] for name in address)


def _listed(sections: Sequence[Section]) -> str:
    shown = ["/".join(section.address) for section in sections[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(sections) > _SHOWN else "")
