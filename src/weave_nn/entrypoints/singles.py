"""What must be single among all processes of a vault: the watcher, the writer of git.

A lease decides who does it. Whoever does not get it asks again every half second, so that another process takes over
soon after its holder has died; a holder that loses it (Redis was away for long) stops, and asks again like the others.
"""

import threading
from collections.abc import Callable, Sequence

import structlog

from weave_nn.entrypoints.composition import Background
from weave_nn.shared.ephemeral.leases import Lease, Leases

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5


class Single:
    """Runs what `make` makes while this process holds the lease `name`; made anew each time that it is taken."""

    def __init__(self, leases: Leases, name: str, make: Callable[[], Sequence[Background]]) -> None:
        self._leases = leases
        self._name = name
        self._make = make
        self._lease: Lease | None = None
        self._running: list[Background] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"single-{name}", daemon=True)

    @property
    def works(self) -> bool:
        """Whether it is this process that does it."""
        lease = self._lease
        return lease is not None and lease.held

    def start(self) -> None:
        """Begin, or wait for the process that does it now; raises what the work's start raises."""
        if not self._take():
            log.info("single.stands_by", single=self._name, reason="another process does it")
        self._thread.start()

    def stop(self) -> None:
        """End the work, the last begun first, and let another process take over."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._end()

    def only_when_working(self, check: Callable[[], None]) -> Callable[[], None]:
        """A readiness check that holds trivially while another process does what it is about."""

        def checked() -> None:
            if self.works:
                check()

        return checked

    def _take(self) -> bool:
        self._lease = self._leases.hold(self._name)
        if self._lease is None:
            return False
        try:
            for background in self._make():
                background.start()
                self._running.append(background)
        except BaseException:
            self._end()
            raise
        return True

    def _end(self) -> None:
        while self._running:
            self._running.pop().stop()
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def _run(self) -> None:
        while not self._stopping.wait(RETRY_SECONDS):
            try:
                self._look()
            except Exception:
                # Nobody is there to raise to; it is tried again, here or in another process.
                log.exception("single.failed", single=self._name)

    def _look(self) -> None:
        if self._lease is not None:
            if self._lease.held:
                return
            log.warning("single.lost", single=self._name)
            self._end()
        if self._take():
            log.info("single.taken_over", single=self._name)
