"""Change one key of a block by splicing its lines; every byte that is not of that key stays as it was.

Where the lines of a key begin and end is taken from PyYAML's event stream. Each edit is verified: the new block must
read as exactly the old mapping with the one change, else the edit is refused and nothing is returned.
"""

import codecs
import json
from typing import Literal

from weave_nn.shared.errors import Conflict, InvalidInput, NotFound
from weave_nn.vault.frontmatter import emitting
from weave_nn.vault.frontmatter.layout import Block, FrontmatterNotEditable, line_start
from weave_nn.vault.frontmatter.reading import Frontmatter, JsonValue, json_value, read
from weave_nn.vault.text import TextStyle

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class FrontmatterKeyMissing(NotFound):
    """The note has no such frontmatter key."""

    code = "frontmatter_key_missing"
    title = "No such frontmatter key"


class FrontmatterKeyExists(Conflict):
    """The new name of a key is taken."""

    code = "frontmatter_key_exists"
    title = "Frontmatter key exists"


class FrontmatterMergeImpossible(InvalidInput):
    """The value cannot be joined to the present one, which is of another kind."""

    code = "frontmatter_merge_impossible"
    title = "Values cannot be joined"


def set_value(content: bytes, key: str, value: JsonValue) -> bytes:
    """Give `key` the value, in its place, or last when the note does not have it yet.

    A note without a block gets one. Raises `FrontmatterNotEditable`, and `InvalidInput` for what is not a JSON value.
    """
    value = json_value(value)
    before = _editable(content)
    if before.span is None:
        return _with_new_block(content, key, value)
    edit = _replaced if key in before.values else _added
    return _verified(edit(content, before, key, value), {**before.values, key: value})


def remove(content: bytes, key: str) -> bytes:
    """Take `key` out; a block that is then empty goes too. Raises `FrontmatterKeyMissing`."""
    before = _editable(content)
    _require(before, key)
    block = Block.of(content, before)
    entry = block.entry(key)
    text = block.text[: entry.line_start] + block.text[entry.line_end :]
    remaining = {name: value for name, value in before.values.items() if name != key}
    if not text.strip() and before.span is not None:
        without_block = content[: before.span[0]] + content[before.span[1] :]
        # What follows could itself open like a block, and would become one.
        if read(without_block).span is None and not without_block.startswith(b"---"):
            return without_block
    return _verified(block.with_text(text), remaining)


def rename_key(content: bytes, key: str, new_key: str) -> bytes:
    """Rename `key` where it stands. Raises `FrontmatterKeyMissing` and `FrontmatterKeyExists`."""
    before = _editable(content)
    _require(before, key)
    if new_key == key:
        return content
    if new_key in before.values:
        raise FrontmatterKeyExists(
            f"The frontmatter has a key {new_key!r} already.", hint="Delete it first, or choose another name."
        )
    block = Block.of(content, before)
    entry = block.entry(key)
    text = block.text[: entry.key_start] + emitting.scalar(json_value(new_key)) + block.text[entry.key_end :]
    renamed = {new_key if name == key else name: value for name, value in before.values.items()}
    return _verified(block.with_text(text), renamed)


def merge_value(content: bytes, key: str, value: JsonValue, *, at: Literal["start", "end"] = "end") -> bytes:
    """Join `value` to the present one: lists and strings are concatenated, mappings merged, given keys winning.

    A value that is no list becomes an item of a present list. A key that is missing or empty is set.
    Raises `FrontmatterMergeImpossible` when the two are of different kinds.
    """
    present = _editable(content).values.get(key)
    return set_value(content, key, value if present is None else joined(present, json_value(value), at=at))


def joined(present: JsonValue, value: JsonValue, *, at: Literal["start", "end"]) -> JsonValue:
    """The two values as one; see `merge_value`."""
    if isinstance(present, list) and not isinstance(value, list):
        value = [value]
    first, second = (present, value) if at == "end" else (value, present)
    match first, second:
        case (list(), list()) | (str(), str()):
            return first + second
        case dict(), dict():
            return {**present, **value} if at == "end" else {**value, **present, **value}
    raise FrontmatterMergeImpossible(
        f"A {_kind(value)} cannot be joined to a {_kind(present)}.", hint="Replace the value instead."
    )


def _kind(value: JsonValue) -> str:
    kinds = {list: "list", dict: "mapping", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _editable(content: bytes) -> Frontmatter:
    frontmatter = read(content)
    if not frontmatter.editable:
        place = f" (line {frontmatter.problem_line})" if frontmatter.problem_line else ""
        raise FrontmatterNotEditable(
            f"{frontmatter.problem}{place}",
            hint="Mend the block between the `---` lines first.",
            line=frontmatter.problem_line,
        )
    return frontmatter


def _require(frontmatter: Frontmatter, key: str) -> None:
    if key not in frontmatter.values:
        raise FrontmatterKeyMissing(
            f"The note has no frontmatter key {key!r}.",
            hint=f"It has: {', '.join(frontmatter.values) or 'none'}.",
            field=key,
        )


def _with_new_block(content: bytes, key: str, value: JsonValue) -> bytes:
    start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    text = content[start:].lstrip()
    if content.startswith(_UTF16_MARKS):
        raise FrontmatterNotEditable("The note is UTF-16, which has no frontmatter.", hint="Save it as UTF-8.")
    if content[start:].startswith(b"---") and content[start:].split(b"\n", 1)[0].strip() == b"---":
        raise FrontmatterNotEditable(
            "The note opens a frontmatter block that is never closed.",
            hint="Close it with a line `---`; if the first line is a rule, put an empty line before it.",
        )
    displaced = read(text)
    if displaced.span is not None and (displaced.values or not displaced.editable):
        raise FrontmatterNotEditable(
            "The note has a frontmatter block that is not at its first byte, where alone it counts.",
            hint="Remove what stands before the `---` line.",
        )
    lines = _entry_lines(emitting.scalar(json_value(key)), value)
    newline = TextStyle.of(content).newline
    block = newline.join(["---", *lines, "---", ""]).encode()
    return _verified(content[:start] + block + content[start:], {key: value})


def _entry_lines(key: str, value: JsonValue, *, comment: str = "", gap: str = " ", list_offset: int = 2) -> list[str]:
    rest, below = emitting.value_lines(value, list_offset=list_offset)
    return [f"{key}:{gap if rest else ''}{rest}{comment}", *below]


def _added(content: bytes, before: Frontmatter, key: str, value: JsonValue) -> bytes:
    block = Block.of(content, before)
    lines = _entry_lines(emitting.scalar(json_value(key)), value, list_offset=block.list_offset)
    return block.with_text(block.text + block.joined(lines))


def _replaced(content: bytes, before: Frontmatter, key: str, value: JsonValue) -> bytes:
    block = Block.of(content, before)
    entry = block.entry(key)
    text, present = block.text, before.values[key]
    if entry.list_indent is not None and isinstance(value, list) and len(value) > len(present) > 0:
        count = len(present)
        if _same(value[:count], present):
            added, place = value[count:], entry.line_end
        elif _same(value[-count:], present):
            added, place = value[:-count], line_start(block.text, entry.value_start)
        else:
            added, place = [], 0
        if added:
            lines = [entry.list_indent + line for item in added for line in emitting.item_lines(item)]
            return block.with_text(text[:place] + block.newline.join([*lines, ""]) + text[place:])
    key_text = text[entry.key_start : entry.key_end]
    flow = emitting.flow_list(value) if entry.is_flow_list and isinstance(value, list) else None
    if flow is not None:
        lines = [f"{key_text}:{entry.gap}{flow}{entry.comment}"]
    else:
        lines = _entry_lines(key_text, value, comment=entry.comment, gap=entry.gap, list_offset=block.list_offset)
    return block.with_text(text[: entry.line_start] + block.joined(lines) + text[entry.line_end :])


def _same(one: JsonValue, other: JsonValue) -> bool:
    # Python takes 1, 1.0 and True for equal; in a note they differ.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _verified(edited: bytes, expected: dict[str, JsonValue]) -> bytes:
    after = read(edited)
    if not after.editable or after.span is None or not _same(after.values, expected):
        raise FrontmatterNotEditable(
            "The frontmatter is written in a way that this edit would damage.",
            hint="Write its keys one per line, without anchors, or edit the block as text.",
        )
    return edited
