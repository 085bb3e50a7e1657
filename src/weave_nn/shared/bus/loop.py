"""A thread that repeats one step until it is told to stop, and outlives every failure of the step."""

import random
import threading
from collections.abc import Callable

import structlog

from weave_nn.shared.errors import WeaveError

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
"""Short enough that work goes on soon after a server is back; a refused connection costs next to nothing."""

_log = structlog.get_logger(__name__)


class Loop:
    """Calls `step` again and again in a daemon thread of its own; the step itself waits when there is nothing to do.

    A step that raises (the database is away, the broker is down) is logged and tried again after a pause, which grows
    with each failure in a row. `wake` is called on stopping, to end the step's waiting.
    """

    def __init__(self, name: str, step: Callable[[], None], *, wake: Callable[[], None]) -> None:
        self.name = name
        self.stopping = threading.Event()
        self.failing = False
        self._step = step
        self._wake = wake
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after what it is doing."""
        self.stopping.set()
        self._wake()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end; false if it did not come in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while not self.stopping.is_set():
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a step raises
                self.failing = True
                longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 16))
                pause_seconds = random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
                failures += 1
                # Where a known failure came from says nothing; it would fill the log for as long as an outage lasts.
                said = {"error": str(error)} if isinstance(error, WeaveError) else {"exc_info": error}
                _log.error("loop_failed", loop=self.name, failures=failures, pause_seconds=pause_seconds, **said)
                self.stopping.wait(pause_seconds)
            else:
                failures = 0
                self.failing = False
