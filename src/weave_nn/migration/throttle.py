"""How fast the backfill goes: in chunks of a fraction of a second, and slower when writers would feel it.

What writers wait for SQLite's lock depends on the disk, on how many they are, and on what else the machine does. So it
is measured after a chunk and after a rest, and only the difference between the two is the backfill's doing: where
waiting is no shorter after rests, resting would help nobody.
"""

import time
from collections import deque
from statistics import median

from weave_nn.migration.ends import Ends

CHUNK_SECONDS = 0.25
SMALLEST_ROWS, LARGEST_ROWS = 200, 20_000
BASELINE_PROBES = 7
KEPT_PROBES = 5
TOLERATED = 2.0
TOLERATED_SECONDS = 0.005
LONGEST_REST_SECONDS = 2.0
LONGEST_PROBE_SECONDS = 0.05


class Throttle:
    """Chunks that take `CHUNK_SECONDS`, with rests when SQLite's write lock is slower to get than without them."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self.rows = 1_000
        self._last_seconds = 0.0
        self._resting = deque((self._probe() for _ in range(BASELINE_PROBES)), maxlen=BASELINE_PROBES)
        self._working: deque[float] = deque(maxlen=KEPT_PROBES)

    def copied(self, rows: int, seconds: float) -> None:
        """Tell how long a chunk took."""
        self._last_seconds = seconds
        wanted = int(rows * CHUNK_SECONDS / max(seconds, 0.001))
        self.rows = max(SMALLEST_ROWS, min(LARGEST_ROWS, wanted, 2 * self.rows))

    def give_way(self) -> None:
        """Rest, as long as writers wait for it."""
        self._working.append(self._probe())
        present = median(self._working)
        allowed = TOLERATED * median(self._resting) + TOLERATED_SECONDS
        if present > allowed:
            time.sleep(min(LONGEST_REST_SECONDS, self._last_seconds * min(4.0, present / allowed)))
            self._resting.append(self._probe())

    def _probe(self) -> float:
        """The seconds that a writer waits for the lock now."""
        return self._ends.lock_seconds(at_most=LONGEST_PROBE_SECONDS)
