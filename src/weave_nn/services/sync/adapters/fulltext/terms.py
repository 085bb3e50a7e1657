"""A note as the full-text index of any database is given it: analysed once, before the transaction."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from weave_nn.services.sync.adapters.fulltext.analysis import index_terms

PARTS = ("title", "names", "headings", "tags", "body")
_DICTIONARY_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """What is indexed of a note, as plain text."""

    title: str
    names: str
    headings: str
    tags: str
    body: str


class Terms(NamedTuple):
    """The terms of a document, with single blanks between them, for each of `PARTS`.

    `packed` holds the same, compressed with the note's own text as the dictionary: a sixth of the text. It is for an
    index that forgets a note only when it is told again what it was given.
    """

    parts: tuple[str, ...]
    packed: bytes


def analysed(document: Document) -> Terms:
    """Cut a document into its terms. Slow: do it outside of transactions."""
    parts = tuple([" ".join(index_terms(getattr(document, part)).split()) for part in PARTS])
    return Terms(parts, _pack(parts, document.body))


def unpacked(packed: bytes, body: str) -> tuple[str, ...]:
    """The parts that were packed with this text."""
    unpacker = zlib.decompressobj(zdict=_dictionary(body))
    return tuple(json.loads(unpacker.decompress(packed) + unpacker.flush()))


def _pack(parts: Sequence[str], body: str) -> bytes:
    packer = zlib.compressobj(6, zdict=_dictionary(body))
    return packer.compress(json.dumps(parts, ensure_ascii=False).encode()) + packer.flush()


def _dictionary(body: str) -> bytes:
    return body[:_DICTIONARY_BYTES].encode()[:_DICTIONARY_BYTES]
