"""Keeping the vectors true to the notes: a thread that looks which notes have none of their present content.

It works behind the index, from the texts that the index holds: the index need not wait for it, and what made the
vectors stale (an edit, another model, the extra just installed, a process that died) makes no difference.
"""

import threading
import time
from collections.abc import Callable

import structlog

from weave_nn.services.sync.repository.vectors import Vectors, VectorStore
from weave_nn.services.sync.service.meaning import Meaning
from weave_nn.shared.db import Database
from weave_nn.shared.ephemeral.turns import Turn, at_once
from weave_nn.shared.errors import WeaveError

BATCH_NOTES = 100
# Many edits come together, and each look compares all notes with their vectors.
_QUIET_SECONDS = 0.5
# Another process may have written to the index.
_LOOK_AGAIN_SECONDS = 60.0
_RETRY_SECONDS = 30.0

log = structlog.get_logger(__name__)


class VectorKeeper:
    """Makes the vectors of one vault, beside requests and events.

    It begins when `ready(timeout_seconds)` is true, so that the first index is not made slower by it. Of
    several processes one works at a time, by `turn`.
    """

    def __init__(
        self,
        database: Database,
        vault_id: str,
        meaning: Meaning,
        *,
        ready: Callable[[float], bool] = lambda _timeout_seconds: True,
        turn: Turn = at_once,
    ) -> None:
        self._database = database
        self._vault_id = vault_id
        self._meaning = meaning
        self._ready = ready
        self._turn = turn
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vector-keeper", daemon=True)

    def start(self) -> None:
        """Begin with what is missing; returns at once."""
        self._database.on_commit(self._wake.set)
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand; the next start goes on where it was."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def catch_up(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> int:
        """Make the vectors that are missing; gives of how many notes. Can be interrupted and begun again.

        `progress` is called with how many of how many notes are done.
        """
        model = self._meaning.embedder.model
        with self._database.read() as work:
            pending = VectorStore(work.session, self._vault_id).pending(model)
        done = 0
        for start in range(0, len(pending), BATCH_NOTES):
            if self._stop.is_set():
                break
            with self._database.read() as work:
                sources = VectorStore(work.session, self._vault_id).sources(pending[start : start + BATCH_NOTES])
            made = [
                Vectors(each.note_id, each.etag, self._meaning.vectors_of(each.title, each.text)) for each in sources
            ]
            with self._database.write() as work:
                VectorStore(work.session, self._vault_id).put(model, made)
            done += len(made)
            progress(done, len(pending))
        return done

    def _run(self) -> None:
        while not self._ready(_QUIET_SECONDS):
            if self._stop.is_set():
                return
        while True:
            self._wake.wait(_LOOK_AGAIN_SECONDS)
            if self._stop.wait(_QUIET_SECONDS):
                return
            self._wake.clear()
            started = time.monotonic()
            try:
                with self._turn(self._stop.is_set) as mine:
                    done = self.catch_up() if mine else 0
            except WeaveError as error:
                log.warning("vectors.failed", reason=error.detail, hint=error.hint)
                self._stop.wait(_RETRY_SECONDS)
            else:
                if done >= BATCH_NOTES:
                    log.info("vectors.made", notes=done, seconds=round(time.monotonic() - started, 2))
