"""The thread that catches up with the notes at the start, while requests and events are served already."""

import threading

import structlog

from weave_nn.services.tasks.service.synchronising import TaskSync
from weave_nn.shared.ephemeral.turns import Turn, at_once
from weave_nn.shared.errors import Unavailable, WeaveError

_RETRY_SECONDS = 2.0

log = structlog.get_logger(__name__)


class TaskKeeper:
    """Compares all notes with the tasks once, and again until that has worked; then events are enough.

    Of several processes one does it at a time, by `turn`.
    """

    def __init__(self, sync: TaskSync, *, turn: Turn = at_once) -> None:
        self._sync = sync
        self._turn = turn
        self._stop = threading.Event()
        self._complete = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="task-keeper", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End when the transaction at hand has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Raise `Unavailable` until the tasks are what the notes say for the first time."""
        if not self._complete.is_set():
            raise Unavailable(f"The tasks are being read: {self._failure or 'under way'}.")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._turn(self._stop.is_set) as mine:
                    if mine:
                        self._sync.reconcile_all()
            except WeaveError as error:
                if self._failure != error.detail:
                    log.warning("tasks.not_reconciled", reason=error.detail)
                self._failure = error.detail
                self._stop.wait(_RETRY_SECONDS)
            else:
                self._complete.set()
                return
