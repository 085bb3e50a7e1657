"""A circuit breaker: a service that is away is not asked by everybody again and again.

A few lines of our own, because what counts as a failure is decided where the answers are understood: libraries wrap a
function and take its exceptions, while here a typed error is a success of the connection.
"""

import threading
import time
from collections.abc import Callable

FAILURES = 5
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


class CircuitBreaker:
    """Opens after `failures` in a row: then no call is admitted for a pause, and after it one, which decides.

    If that one fails too, the pause doubles. Safe to use from any thread.
    """

    def __init__(self, *, failures: int = FAILURES, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._clock = clock
        self._guard = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the last calls have failed, so that nothing is tried again just now."""
        return self._failures >= self._limit

    def wait_seconds(self) -> float:
        """0 if a call may be made now, and then it must be followed by `succeeded` or `failed`; else how long not."""
        if not self.is_open:
            return 0.0
        with self._guard:
            now = self._clock()
            if now < self._retry_at:
                return self._retry_at - now
            # This call is the probe; until its outcome is known the others wait for a further pause.
            self._retry_at = now + self._pause
            return 0.0

    def succeeded(self) -> None:
        """The service answered, whatever it said."""
        if self._failures:
            with self._guard:
                self._failures = 0
                self._pause = FIRST_PAUSE_SECONDS

    def failed(self) -> None:
        """The service could not be reached, or did not answer."""
        with self._guard:
            self._failures += 1
            if self._failures == self._limit:
                self._retry_at = self._clock() + self._pause
            elif self._failures > self._limit:
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
                self._retry_at = self._clock() + self._pause
