"""All vectors of a vault in memory, compared with one by brute force: no index to build, to keep true or to tune."""

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from weave_nn.services.sync.adapters.semantic.port import Embedded, Near

# Bytes become floats a block at a time: small ones stay in the processor's cache and are computed without threads, and
# that took 2 ms for 50,000 passages where blocks of 4096 took 45.
_BLOCK = 512


class NumpyMatrix:
    """Vectors of signed bytes, a row for each passage; the passages of a note stand together."""

    def __init__(self, rows: Iterable[Embedded], dimensions: int) -> None:
        held = sorted((row for row in rows if row.vectors), key=lambda row: row.note_id)
        self._passages: NDArray[np.int8] = np.frombuffer(b"".join(row.vectors for row in held), np.int8)
        self._passages = self._passages.reshape(-1, dimensions)
        self._scale = 1 / np.maximum(_norms(self._passages), 1)
        self._ids = np.array([row.note_id for row in held], np.int64)
        self._revisions = np.array([row.revision for row in held], np.int64)
        counts = np.array([len(row.vectors) // dimensions for row in held], np.int64)
        self._stops = np.cumsum(counts)
        self._starts = self._stops - counts

    def nearest(self, vectors: bytes, limit: int, among: Collection[int] | None = None) -> list[Near]:
        """See `Matrix`."""
        if not len(self._ids):
            return []
        wanted = self._middle(vectors)
        found = np.empty(len(self._passages), np.float32)
        for start in range(0, len(found), _BLOCK):
            found[start : start + _BLOCK] = self._passages[start : start + _BLOCK].astype(np.float32) @ wanted
        found *= self._scale
        best = np.maximum.reduceat(found, self._starts)
        if among is not None:
            best[~np.isin(self._ids, np.fromiter(among, np.int64, len(among)))] = -np.inf
        # Notes that are equally near stand in the order of their ids, so that the same question has the same answer.
        order = np.argsort(-best, kind="stable")[:limit]
        return [self._near(note, found) for note in order if best[note] > -np.inf]

    def vectors_of(self, note_id: int) -> bytes:
        """See `Matrix`."""
        at = int(np.searchsorted(self._ids, note_id))
        if at == len(self._ids) or self._ids[at] != note_id:
            return b""
        return self._passages[self._starts[at] : self._stops[at]].tobytes()

    def _near(self, note: np.intp, found: NDArray[np.float32]) -> Near:
        passages = found[self._starts[note] : self._stops[note]]
        passage = int(passages.argmax())
        return Near(int(self._ids[note]), int(self._revisions[note]), float(passages[passage]), passage)

    def _middle(self, vectors: bytes) -> NDArray[np.float32]:
        rows = np.frombuffer(vectors, np.int8).reshape(-1, self._passages.shape[1])
        middle: NDArray[np.float32] = (rows / np.maximum(_norms(rows), 1)[:, None]).sum(axis=0, dtype=np.float32)
        middle /= max(float(np.linalg.norm(middle)), 1e-9)
        return middle


def _norms(rows: NDArray[np.int8]) -> NDArray[np.float32]:
    norms = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        norms[start : start + _BLOCK] = np.linalg.norm(rows[start : start + _BLOCK].astype(np.float32), axis=1)
    return norms
