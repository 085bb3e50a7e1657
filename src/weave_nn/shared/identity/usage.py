"""When keys were last used: written beside requests, at most once a minute for each key."""

import threading
import time
from datetime import UTC, datetime

import structlog

from weave_nn.shared.db import Database
from weave_nn.shared.errors import WeaveError
from weave_nn.shared.identity import repository

WRITE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Usage:
    """Takes note of uses for next to nothing; a thread that lives only while there is something to write writes them.

    What a crash or a busy database loses is a minute's truth of a column that people look at.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, float] = {}
        self._waiting: dict[str, datetime] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, id_: str) -> None:
        """The key of that id is used now."""
        now = time.monotonic()
        if now - self._noted.get(id_, -WRITE_SECONDS) < WRITE_SECONDS:
            return
        with self._guard:
            self._noted[id_] = now
            self._waiting[id_] = datetime.now(UTC)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="key-usage", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Wait until what was noted is written."""
        with self._guard:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _write(self) -> None:
        while True:
            with self._guard:
                waiting, self._waiting = self._waiting, {}
                if not waiting:
                    self._thread = None
                    return
            try:
                with self._database.write(durable=False) as work:
                    repository.note_use(work.session, waiting)
            except WeaveError as error:
                log.info("keys.use_not_written", reason=str(error))
