"""What is near in meaning: an embedder, and the vectors of the vault's notes in memory."""

import threading
from collections.abc import Collection
from dataclasses import dataclass

from weave_nn.services.sync.adapters.semantic.passages import passages
from weave_nn.services.sync.adapters.semantic.port import Embedder, Matrix, Near
from weave_nn.services.sync.repository.vectors import VectorStore

LEAST_SIMILARITY = 0.1
"""Below it, notes are near by chance: half of the paraphrases' wrong answers are, and none of the right ones."""


@dataclass(frozen=True, slots=True)
class _Held:
    revision: int
    matrix: Matrix


class Meaning:
    """Nearness in meaning, for one vault: one object for the whole process, safe to use from several threads.

    The vectors are read into memory at the first question (130 bytes for each 600 characters of the notes), and again
    at the first one after they have changed.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def near_text(
        self, store: VectorStore, text: str, limit: int, among: Collection[int] | None = None
    ) -> list[Near] | None:
        """Notes that are near to a text, the nearest first; None where the model knows hardly a word of it."""
        vector = self.embedder.embed(text)
        if vector is None:
            return None
        matrix = self._matrix(store)
        return [] if matrix is None else _present(store, matrix.nearest(vector, limit, among))

    def near_note(self, store: VectorStore, note_id: int, limit: int) -> list[Near] | None:
        """Notes that are near to a note, without itself; None where it has no vectors."""
        matrix = self._matrix(store)
        own = matrix.vectors_of(note_id) if matrix else b""
        if matrix is None or not own:
            return None
        return [near for near in _present(store, matrix.nearest(own, limit + 1)) if near.note_id != note_id][:limit]

    def vectors_of(self, title: str, text: str) -> bytes:
        """The vectors of a note's passages, one after another; empty where the model knows hardly a word of any."""
        made: list[bytes | None] = []
        for number, (start, end) in enumerate(passages(text)):
            # A title that is the name of the file does not stand in the text.
            head = f"{title}\n" if number == 0 and title not in text else ""
            made.append(self.embedder.embed(head + text[start:end]))
        # A passage without a vector gets one that is near to nothing, so that the others keep their numbers.
        nothing = bytes(self.embedder.vector_bytes)
        return b"".join(each or nothing for each in made) if any(made) else b""

    def _matrix(self, store: VectorStore) -> Matrix | None:
        index = store.index()
        if index is None or index.model != self.embedder.model:
            return None
        held = self._held
        if held is None or held.revision < index.revision:
            with self._lock:
                held = self._held
                if held is None or held.revision < index.revision:
                    held = self._held = _Held(index.revision, self.embedder.matrix(store.all()))
        return held.matrix


def _present(store: VectorStore, found: list[Near]) -> list[Near]:
    """Those that are near enough and whose vectors are still so: notes may have gone since the vectors were read."""
    near = [each for each in found if each.similarity >= LEAST_SIMILARITY]
    revisions = store.revisions([each.note_id for each in near])
    return [each for each in near if revisions.get(each.note_id) == each.revision]
