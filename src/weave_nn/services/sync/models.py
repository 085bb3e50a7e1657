"""The sync service's tables: what is known of the notes. Private; rebuilt from the vault at any time.

`indexed_file` lists every file of the vault, since links may lead to any; all else hangs on its rows and goes with
them. The full-text index is no table of this kind: see `adapters.fulltext`.
"""

import zlib
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import SchemaTree, metadata
from weave_nn.vault.text import decode_lossless

_ID = BigInteger().with_variant(Integer, "sqlite")


# The default level, 6, takes half as long again and saves two per cent.
_COMPRESSION = 4


class Base(DeclarativeBase):
    """The root of this service's tables."""

    metadata = metadata()


class IndexRow(Base):
    """One vault's index: the version of the program's way of indexing that it was made by."""

    __tablename__ = "note_index"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int]


class FileRow(Base):
    """One file of the vault, by the marks that tell whether it has changed since it was read.

    `name_key` is what links name it by, `folded_path` what `path:` looks into. There is no `etag` of a note that waits
    to be read, nor of what is no note.
    """

    __tablename__ = "indexed_file"
    __table_args__ = (
        Index(None, "vault_id", "path", unique=True),
        Index(None, "vault_id", "name_key"),
        Index(None, "vault_id", "mtime_ns"),
    )

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    vault_id: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(4096))
    folded_path: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text)
    is_note: Mapped[bool] = mapped_column(Boolean)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    created_ns: Mapped[int] = mapped_column(BigInteger)
    changed_ns: Mapped[int] = mapped_column(BigInteger)
    etag: Mapped[str | None] = mapped_column(String(64))


def _owner(*, primary_key: bool = True) -> Mapped[int]:
    return mapped_column(_ID, ForeignKey("indexed_file.id", ondelete="CASCADE"), primary_key=primary_key)


class NoteRow(Base):
    """What a note says of itself. `tasks` counts its checkboxes."""

    __tablename__ = "note"

    id: Mapped[int] = _owner()
    title: Mapped[str] = mapped_column(Text)
    aliases: Mapped[list[str]] = mapped_column(JSON)
    frontmatter: Mapped[dict[str, Any]] = mapped_column(JSON)
    tasks: Mapped[int]
    open_tasks: Mapped[int]


class ContentRow(Base):
    """A note's bytes, compressed: apart from `note`, so that looking through notes does not read them."""

    __tablename__ = "note_content"

    id: Mapped[int] = _owner()
    content: Mapped[bytes] = mapped_column(LargeBinary)


class LinkRow(Base):
    """One link. `target_id` is the file that it leads to, None while there is none; it may be the note itself.

    `target` is as it is meant, `target_key` what it is resolved by; `start` and `stop` are characters of the text.
    """

    __tablename__ = "note_link"
    __table_args__ = (Index(None, "target_id"), Index(None, "target_key"))

    source_id: Mapped[int] = _owner()
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    target_id: Mapped[int | None] = mapped_column(_ID, ForeignKey("indexed_file.id", ondelete="SET NULL"))
    target: Mapped[str] = mapped_column(Text)
    target_key: Mapped[str] = mapped_column(Text)
    subpath: Mapped[str] = mapped_column(Text)
    alias: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    line: Mapped[int]
    start: Mapped[int]
    stop: Mapped[int]


class TagRow(Base):
    """One tag of a note, as it is spelled there and folded."""

    __tablename__ = "note_tag"
    __table_args__ = (Index(None, "tag_key"), {"sqlite_with_rowid": False})

    note_id: Mapped[int] = _owner()
    tag_key: Mapped[str] = mapped_column(Text, primary_key=True)
    tag: Mapped[str] = mapped_column(Text)


class HeadingRow(Base):
    """One heading of a note."""

    __tablename__ = "note_heading"
    __table_args__ = ({"sqlite_with_rowid": False},)

    note_id: Mapped[int] = _owner()
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    level: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    line: Mapped[int]


class BlockRow(Base):
    """One named block of a note."""

    __tablename__ = "note_block"
    __table_args__ = ({"sqlite_with_rowid": False},)

    note_id: Mapped[int] = _owner()
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    block_id: Mapped[str] = mapped_column(Text)
    line: Mapped[int]


class PropertyRow(Base):
    """One value of a frontmatter field; lists give one row for each element, mappings the fields `outer.inner`.

    `text` is folded and cut, and without the brackets of a link; `number` and `date` (ISO 8601) are there where the
    value is one.
    """

    __tablename__ = "note_property"
    __table_args__ = (Index(None, "name", "text"), {"sqlite_with_rowid": False})

    note_id: Mapped[int] = _owner()
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    number: Mapped[float | None] = mapped_column(Float)
    date: Mapped[str | None] = mapped_column(String(32))


class VectorIndexRow(Base):
    """One vault's index of vectors: the model that made them, and a number that every change of them raises."""

    __tablename__ = "vector_index"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(128))
    revision: Mapped[int]


class VectorRow(Base):
    """The vectors of a note's passages, one after another; none where the model knows hardly a word of it.

    `etag` is of the content that they were made from, `revision` of the index when they were written.
    """

    __tablename__ = "note_vector"

    note_id: Mapped[int] = _owner()
    etag: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int]
    vectors: Mapped[bytes] = mapped_column(LargeBinary)


SCHEMA = SchemaTree(name="sync", folder=Path(__file__).parent / "migrations", metadata=Base.metadata)


def compress(content: bytes) -> bytes:
    """A note's bytes as `ContentRow` keeps them."""
    return zlib.compress(content, _COMPRESSION)


def text_of(compressed: bytes) -> str:
    """The text of a note from its `ContentRow`: the one that all positions count the characters of."""
    return decode_lossless(zlib.decompress(compressed))
