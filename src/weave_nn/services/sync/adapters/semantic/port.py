"""Meaning as the rest of the service sees it: texts become vectors, and vectors that are near mean something similar.

Nothing here knows numpy: the extra `weave-nn[semantic]` may be missing.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol


class Embedded(NamedTuple):
    """A note's vectors, one passage after another, as they were written at this `revision` of the index of vectors."""

    note_id: int
    revision: int
    vectors: bytes


class Near(NamedTuple):
    """A note near a vector: the cosine of its nearest `passage` (from 0), and the revision that its vectors are of."""

    note_id: int
    revision: int
    similarity: float
    passage: int


class Matrix(Protocol):
    """The vectors of many notes in memory. Never changes, so that several threads may ask it."""

    def nearest(self, vectors: bytes, limit: int, among: Collection[int] | None = None) -> list[Near]:
        """At most `limit` notes with a passage near the middle of `vectors`, the nearest first; only those `among`."""

    def vectors_of(self, note_id: int) -> bytes:
        """The vectors of one note; empty if there are none."""


class Embedder(Protocol):
    """A model that makes vectors. Safe to use from several threads."""

    @property
    def model(self) -> str:
        """The name of the model with its version: vectors of another one are not comparable."""

    @property
    def vector_bytes(self) -> int:
        """How long every vector is."""

    def embed(self, text: str) -> bytes | None:
        """The vector of a text; None where the model knows hardly a word of it."""

    def matrix(self, rows: Iterable[Embedded]) -> Matrix:
        """Hold these vectors in memory."""
