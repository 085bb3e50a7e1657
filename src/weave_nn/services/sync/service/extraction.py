"""From the bytes of a note to what is indexed of it."""

import re
from collections.abc import Iterator
from typing import Any

from weave_nn.services.sync.adapters.fulltext import Document, analysed
from weave_nn.services.sync.adapters.fulltext.analysis import fold
from weave_nn.services.sync.models import compress
from weave_nn.services.sync.repository.records import (
    KEY_LIMIT_CHARS,
    LinkRecord,
    NoteRecord,
    PropertyRecord,
    fold_key,
    link_key,
)
from weave_nn.vault.parse import Link, Note, parse
from weave_nn.vault.paths import name_of
from weave_nn.vault.text import decode_lossless

PROPERTY_LIMIT = 500
_CLOSED = frozenset("xX-")
_ISO_DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?)?")
_BRACKETS = re.compile(r"!?\[\[([^\]|#]*)(?:#[^\]|]*)?(?:\|[^\]]*)?\]\]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def extract(path: str, content: bytes) -> NoteRecord:
    """Read a note, whatever its bytes are, and keep what is asked for later. Slow: call it outside of transactions."""
    note = parse(content)
    text = decode_lossless(content)
    stem = name_of(path).rpartition(".")[0]
    tags = tuple(_storable(tag) for tag in note.tag_names)
    headings = tuple((heading.level, _storable(heading.text), heading.line) for heading in note.headings)
    title = _storable(note.title or stem)
    aliases = tuple(_storable(alias) for alias in note.aliases)
    return NoteRecord(
        title=title,
        aliases=aliases,
        frontmatter=_storable_values(note.frontmatter.values),
        tasks=len(note.checkboxes),
        open_tasks=sum(checkbox.status not in _CLOSED for checkbox in note.checkboxes),
        content=compress(content),
        links=tuple(_links(path, content, note)),
        tags=tags,
        headings=headings,
        blocks=tuple((_storable(block.id), block.line) for block in note.blocks),
        properties=tuple(_properties(note.frontmatter.values)),
        terms=analysed(
            Document(
                title=title,
                names=" \n".join((stem, *aliases)),
                headings=" \n".join(heading for _, heading, _ in headings),
                tags=" \n".join(tags),
                body=text,
            )
        ),
    )


def _links(path: str, content: bytes, note: Note) -> Iterator[LinkRecord]:
    is_ascii = content.isascii()
    counted_bytes = counted_chars = 0
    for link in note.links:
        if is_ascii:
            yield _link(path, link, link.start, link.end)
            continue
        counted_chars += len(decode_lossless(content[counted_bytes : link.start]))
        counted_bytes = link.start
        yield _link(path, link, counted_chars, counted_chars + len(decode_lossless(content[link.start : link.end])))


def _link(path: str, link: Link, start: int, stop: int) -> LinkRecord:
    alias = None if link.alias is None else _storable(link.alias)
    target = _storable(link.target)
    return LinkRecord(
        target, link_key(target, path), _storable(link.subpath), alias, str(link.kind), link.line, start, stop
    )


def _properties(values: dict[str, Any]) -> Iterator[PropertyRecord]:
    waiting: list[tuple[str, Any]] = list(reversed(values.items()))
    for _ in range(PROPERTY_LIMIT):
        if not waiting:
            return
        name, value = waiting.pop()
        match value:
            case dict() if value:
                waiting += [(f"{name}.{inner}", each) for inner, each in reversed(value.items())]
            case list() if value:
                waiting += [(name, each) for each in reversed(value)]
            case _:
                yield _property(fold_key(_storable(name)), value)


def _property(name: str, value: object) -> PropertyRecord:
    match value:
        case bool():
            return PropertyRecord(name, "true" if value else "false", None, None)
        case int() | float():
            return PropertyRecord(name, str(value)[:KEY_LIMIT_CHARS], float(value), None)
        case str():
            text = fold(_BRACKETS.sub(r"\1", _storable(value)).strip())[:KEY_LIMIT_CHARS]
            date = value.strip().replace(" ", "T")[:32] if _ISO_DATE.fullmatch(value.strip()) else None
            return PropertyRecord(name, text, None, date)
        case _:
            return PropertyRecord(name, "", None, None)


def _storable(text: str) -> str:
    """Without what a database's text cannot hold."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def _storable_values(value: Any) -> Any:
    match value:
        case str():
            return _storable(value)
        case list():
            return [_storable_values(each) for each in value]
        case dict():
            return {_storable(name): _storable_values(each) for name, each in value.items()}
        case _:
            return value
