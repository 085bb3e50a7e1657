"""Where each top-level key of a block stands in its text, taken from PyYAML's event stream.

Events are parsed without recursion, so that deep nesting cannot overflow the stack of the process.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from weave_nn.shared.errors import Conflict
from weave_nn.vault.frontmatter.reading import Frontmatter


class FrontmatterNotEditable(Conflict):
    """The block cannot be edited without risk to what it holds; the detail says why, and nothing was changed."""

    code = "frontmatter_not_editable"
    title = "Frontmatter not editable"


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-level key and its value; the positions are characters of the block's text."""

    name: str
    key_start: int
    key_end: int
    value_start: int
    line_start: int
    line_end: int
    gap: str
    """The white space between the colon and a value on the same line."""
    comment: str
    """The comment at the end of the key's line, with the white space before it."""
    list_indent: str | None
    """What stands before the dashes, if the value is a list with one item per line."""
    is_flow_list: bool
    """Whether the value is a list in brackets on the key's line."""


@dataclass(frozen=True, slots=True)
class Block:
    """The YAML text of a note's block, cut into its top-level entries."""

    text: str
    entries: list[Entry]
    newline: str
    with_text: Callable[[str], bytes]
    """The whole note with another text in the block's place."""

    @classmethod
    def of(cls, content: bytes, frontmatter: Frontmatter) -> "Block":
        """The block that `read(content)` found."""
        start, end = frontmatter.yaml_span
        text = content[start:end].decode()
        newline = "\r\n" if content[:start].endswith(b"\r\n") else "\n"

        def with_text(new_text: str) -> bytes:
            return content[:start] + new_text.encode() + content[end:]

        return cls(text, list(_entries(text)), newline, with_text)

    def entry(self, key: str) -> Entry:
        """The one entry of that name. Raises `FrontmatterNotEditable` if there are several, or none in plain sight."""
        found = [entry for entry in self.entries if entry.name == key]
        if len(found) != 1:
            reason = f"has the key {key!r} {len(found)} times" if found else f"does not write {key!r} as a plain key"
            raise FrontmatterNotEditable(f"The frontmatter {reason}.", hint="Mend the block as text first.")
        return found[0]

    @property
    def list_offset(self) -> int:
        """How far this note's author indents the items of a list."""
        return 0 if any(entry.list_indent == self._indent for entry in self.entries) else 2

    @property
    def _indent(self) -> str:
        return self.text[self.entries[0].line_start : self.entries[0].key_start] if self.entries else ""

    def joined(self, lines: list[str]) -> str:
        """Lines as text, at the depth of the top-level keys."""
        return "".join((self._indent + line if line else "") + self.newline for line in lines)


def line_start(text: str, index: int) -> int:
    """Where the line of the character at `index` begins."""
    return text.rfind("\n", 0, index) + 1


def _entries(text: str) -> Iterator[Entry]:
    try:
        events = list(yaml.parse(text, Loader=yaml.CSafeLoader))[2:-2]
    except yaml.YAMLError as error:
        raise FrontmatterNotEditable(
            f"The frontmatter has YAML that cannot be edited safely: {error}.", hint="Edit the block as text."
        ) from error
    if not events or not isinstance(events[0], yaml.MappingStartEvent) or events[0].flow_style:
        return
    nodes = list(_nodes(events[1:-1]))
    for key, value in zip(nodes[::2], nodes[1::2], strict=True):
        if isinstance(key[0], yaml.ScalarEvent):
            yield _entry(text, key[0], value)


def _nodes(events: list[yaml.Event]) -> Iterator[list[yaml.Event]]:
    """The events cut into nodes: a scalar or an alias, or a collection with all that is in it."""
    node: list[yaml.Event] = []
    depth = 0
    for event in events:
        node.append(event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth == 0:
            yield node
            node = []


def _entry(text: str, key: yaml.ScalarEvent, value: list[yaml.Event]) -> Entry:
    first = value[0]
    key_start, key_end, value_start = _index(key.start_mark), _index(key.end_mark), _index(first.start_mark)
    value_end = max(key_end + 1, value_start, _end(text, value))
    line_end = text.find("\n", value_end) + 1 or len(text)
    is_block = isinstance(first, yaml.CollectionStartEvent) and not first.flow_style
    indent = text[line_start(text, value_start) : value_start]
    is_sequence = isinstance(first, yaml.SequenceStartEvent)
    gap, rest = " ", text[value_end:line_end]
    if "\n" in text[key_end:value_start]:
        rest = text[key_end : text.find("\n", key_end)].partition(":")[2]
    elif isinstance(first, yaml.ScalarEvent) and first.style in {"|", ">"}:
        rest = text[value_start : text.find("\n", value_start)].lstrip("|>-+0123456789")
    elif not is_block:
        gap = text[key_end:value_start].partition(":")[2] or " "
    return Entry(
        name=key.value,
        key_start=key_start,
        key_end=key_end,
        value_start=value_start,
        line_start=line_start(text, key_start),
        line_end=line_end,
        gap=gap,
        comment=rest.rstrip() if rest.lstrip().startswith("#") else "",
        list_indent=indent if is_sequence and is_block and not indent.strip() else None,
        is_flow_list=is_sequence and not is_block and "\n" not in text[key_end:value_end],
    )


def _end(text: str, value: list[yaml.Event]) -> int:
    """The end of the value's last visible character.

    The end mark of a block collection, or of a literal, lies beyond the blank lines and comments that follow it.
    """
    ends = [
        _index(event.end_mark)
        for event in value
        if not isinstance(event, yaml.CollectionEndEvent) or text[_index(event.end_mark) - 1] in "]}"
    ]
    return len(text[: max(ends)].rstrip())


def _index(mark: Any) -> int:
    return int(mark.index)
