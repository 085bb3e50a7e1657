"""What is written about a file and a note, as values that are ready for their rows."""

import unicodedata
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any, NamedTuple

from weave_nn.services.sync.adapters.fulltext import Terms
from weave_nn.vault.links import fold
from weave_nn.vault.paths import folder_of, name_of
from weave_nn.vault.store import FileStat

KEY_LIMIT_CHARS = 255
"""Keys are cut here, since databases index no text of any length; no file's name is longer."""


class LinkRecord(NamedTuple):
    """A link of a note; `start` and `stop` are characters of its text."""

    target: str
    target_key: str
    subpath: str
    alias: str | None
    kind: str
    line: int
    start: int
    stop: int


class PropertyRecord(NamedTuple):
    """One value of a frontmatter field."""

    name: str
    text: str
    number: float | None
    date: str | None


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """All that is indexed of one note.

    `content` is compressed; headings are level, text, line; blocks are id, line; `terms` are for the full-text index.
    """

    title: str
    aliases: tuple[str, ...]
    frontmatter: dict[str, Any]
    tasks: int
    open_tasks: int
    content: bytes
    links: tuple[LinkRecord, ...]
    tags: tuple[str, ...]
    headings: tuple[tuple[int, str, int], ...]
    blocks: tuple[tuple[str, int], ...]
    properties: tuple[PropertyRecord, ...]
    terms: Terms


class FileRecord(NamedTuple):
    """A file as it was found. A note that was read has its `etag` and `note`, all else has neither."""

    stat: FileStat
    etag: str | None = None
    note: NoteRecord | None = None


def fold_key(text: str) -> str:
    """Text as a key that ignores case."""
    return unicodedata.normalize("NFC", text.casefold())[:KEY_LIMIT_CHARS]


def name_key(path: str) -> str:
    """What links name a file by, whatever folder it is in: only links with the same key may lead to it."""
    return fold(name_of(path)).removesuffix(".md")[:KEY_LIMIT_CHARS]


def link_key(target: str, source: str) -> str:
    """The `name_key` of the files that a link in the note `source` may lead to."""
    text = target.strip()
    if text.startswith(("./", "../", "/")):
        text = normpath(join(f"/{folder_of(source)}", text))
    return name_key(text.rstrip("/")) if text else name_key(source)
