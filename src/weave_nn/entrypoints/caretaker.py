"""One process cares for a vault: it watches, relays, indexes and handles events; others on the same state stand by.

`weave mcp` is started by every client that wants it, beside `weave up` or without it. All of them may read and write;
what goes on beside requests would only be done twice. A lock on a file decides: the system releases it however its
process ends, so that the next one takes over within a second.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from weave_nn.entrypoints.composition import Background

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.5


class Caretaker:
    """Runs `background` while this process holds the lock on `file`, and waits for it until then."""

    def __init__(self, file: Path, background: Sequence[Background]) -> None:
        self._file = file
        self._background = background
        self._started: list[Background] = []
        self._descriptor: int | None = None
        self._stopping = threading.Event()
        self._waiting = threading.Thread(target=self._wait, name="caretaker", daemon=True)

    @property
    def cares(self) -> bool:
        """Whether it is this process that cares."""
        return self._descriptor is not None

    def start(self) -> None:
        """Begin the work, or wait for the process that does it now; raises what the work's start raises."""
        if self._take():
            self._begin()
        else:
            log.info("caretaker.stands_by", reason="another process cares for this vault")
            self._waiting.start()

    def stop(self) -> None:
        """End the work, the last begun first, and let another process take over."""
        self._stopping.set()
        if self._waiting.is_alive():
            self._waiting.join()
        while self._started:
            self._started.pop().stop()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def only_when_caring(self, check: Callable[[], None]) -> Callable[[], None]:
        """A readiness check that holds trivially while another process does what it is about."""

        def checked() -> None:
            if self.cares:
                check()

        return checked

    def _take(self) -> bool:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._descriptor = descriptor
            return True
        os.close(descriptor)
        return False

    def _begin(self) -> None:
        for background in self._background:
            background.start()
            self._started.append(background)

    def _wait(self) -> None:
        while not self._stopping.wait(_RETRY_SECONDS):
            if self._take():
                log.info("caretaker.takes_over")
                try:
                    self._begin()
                except Exception:
                    # Nobody is there to raise to; `/ready` tells that the work does not go on.
                    log.exception("caretaker.failed")
                return
