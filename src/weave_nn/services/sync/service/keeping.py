"""The thread that compares the index with the whole vault: at the start, and whenever that is asked for."""

import threading
import time

import structlog

from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.shared.ephemeral.turns import Turn, at_once
from weave_nn.shared.errors import Unavailable, WeaveError

_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 60.0

log = structlog.get_logger(__name__)


class IndexKeeper:
    """Reconciles in bulk beside requests and events; what is asked for while it is at work is done afterwards.

    Of several processes one does it at a time, by `turn`: the others then find little to do.
    """

    def __init__(self, indexer: Indexer, *, turn: Turn = at_once) -> None:
        self._indexer = indexer
        self._turn = turn
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._wake.set()
        self._complete = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="index-keeper", daemon=True)

    def start(self) -> None:
        """Begin with a reconciliation; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction at hand; the next start goes on where it was."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def request(self) -> None:
        """Have the whole vault compared soon; returns at once."""
        self._wake.set()

    def wait_complete(self, timeout_seconds: float) -> bool:
        """Wait until the vault was compared whole once; False if that has not happened in time."""
        return self._complete.wait(timeout_seconds)

    def check(self) -> None:
        """Raise `Unavailable` while the index cannot be kept true, or is not complete for the first time."""
        if self._failure is not None:
            raise Unavailable(f"The index does not follow the vault: {self._failure}")
        if not self._complete.is_set():
            raise Unavailable("The index is being made.", hint="Searches find what is indexed already.")
        if not self._thread.is_alive():
            raise Unavailable("The thread of the index has ended.", hint="Restart the server.")

    def _run(self) -> None:
        delay = _RETRY_SECONDS
        while True:
            self._wake.wait()
            if self._stop.is_set():
                return
            self._wake.clear()
            try:
                with self._turn(self._stop.is_set) as mine:
                    if mine:
                        self._reconcile()
            except WeaveError as error:
                if self._failure != error.detail:
                    log.warning("index.failed", reason=error.detail, hint=error.hint)
                self._failure = error.detail
                self._stop.wait(delay)
                delay = min(2 * delay, _LONGEST_RETRY_SECONDS)
                self._wake.set()
            else:
                self._failure = None
                delay = _RETRY_SECONDS

    def _reconcile(self) -> None:
        started = time.monotonic()
        done = self._indexer.reconcile(stop=self._stop.is_set)
        for path, reason in done.unreadable.items():
            log.warning("index.unreadable", path=path, reason=reason)
        if not self._stop.is_set():
            seconds = round(time.monotonic() - started, 2)
            log.info("index.reconciled", files=done.files, read=done.read, removed=done.removed, seconds=seconds)
            self._complete.set()
