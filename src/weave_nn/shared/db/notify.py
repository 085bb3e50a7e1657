"""Telling the other processes on one PostgreSQL that there is work, by `LISTEN` and `NOTIFY`.

A notice carries nothing but a channel's name: whoever hears it looks into the tables. It may be lost (its sender dies
right after the commit, a connection breaks), so whoever waits also looks by itself from time to time.

Notices are not sent by the transactions that they are about. PostgreSQL lets only one transaction at a time commit with
a notice in it, in the whole server, and every writer would queue for that. They are sent after the commit, by the one
connection that also listens, and many commits share one notice.
"""

import os
import random
import select
import threading
import time
from collections.abc import Callable, Collection
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import structlog
from sqlalchemy import Engine

from weave_nn.shared.db.errors import DatabaseUnusable

if TYPE_CHECKING:
    from psycopg import Connection

PROBE_SECONDS = 30.0
"""How long a silent connection is believed in."""

SHARING_SECONDS = 0.01
"""How long after a notice the next one waits at least, for others to share it; the first of a burst goes at once."""

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

_NAMED = "SELECT set_config('application_name', left(current_setting('application_name'), 55) || ' notices', false)"

log = structlog.get_logger(__name__)


class Notifier:
    """Sends and hears notices, in a thread with a connection of its own, which it takes from `engine()` and keeps.

    `heard` is called in that thread with the channel of each notice of another process, and with None when any may have
    been missed: after connecting, and after connecting again. It must return at once and never fail. Processes hear one
    another when they use the same schema of the same database.
    """

    def __init__(self, engine: Callable[[], Engine], heard: Callable[[str | None], None]) -> None:
        self._engine = engine
        self._heard = heard
        self._unsent: set[str] = set()
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="database-notices", daemon=True)
        self._thread.start()

    def send(self, channels: Collection[str]) -> None:
        """Tell the other processes, soon; never waits and never fails."""
        with self._guard:
            first = not self._unsent
            self._unsent.update(channels)
        if first:
            self._wake_up()

    def close(self) -> None:
        """End the thread and its connection; what was not sent yet is found by polling."""
        self._stopping.set()
        self._wake_up()
        self._thread.join()
        os.close(self._wake)
        os.close(self._woken)

    def _wake_up(self) -> None:
        os.write(self._wake, b"\0")

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with closing(self._connect()) as connection:
                    self._exchange(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait go on by polling
                failures = 1 if time.monotonic() - began > LONGEST_PAUSE_SECONDS else failures + 1
                longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
                log.warning("database.notices_off", error=_reason(error), failures=failures)
                self._stopping.wait(random.uniform(longest / 2, longest))  # noqa: S311 - jitter, not a secret

    def _connect(self) -> "Connection[Any]":
        taken = self._engine().raw_connection()
        taken.detach()
        connection = cast("Connection[Any]", taken.dbapi_connection)
        # What the connection's pool set up for transactions is of no use to one that only listens.
        connection.rollback()
        connection.autocommit = True
        return connection

    def _exchange(self, connection: "Connection[Any]") -> None:
        row = connection.execute("SELECT 'weave_' || md5(current_schema()), pg_backend_pid()").fetchone()
        if row is None or row[0] is None:
            raise DatabaseUnusable("The database has no schema in which tables are looked for.")
        listened, mine = row

        def hear(notice: Any) -> None:
            if notice.pid != mine:
                self._heard(notice.payload)

        connection.add_notify_handler(hear)
        connection.execute(_NAMED)
        connection.execute(f"LISTEN {listened}".encode())
        self._heard(None)
        while not self._stopping.is_set():
            self._send(connection, listened)
            readable, _, _ = select.select([connection.fileno(), self._woken], [], [], PROBE_SECONDS)
            if self._woken in readable:
                os.read(self._woken, 4096)
            elif not readable:
                connection.execute("SELECT 1")
            if connection.fileno() in readable:
                # Asking for nothing is how the driver takes what has come, and finds out that nothing will any more.
                connection.execute("")

    def _send(self, connection: "Connection[Any]", listened: str) -> None:
        with self._guard:
            channels, self._unsent = self._unsent, set()
        for channel in channels:
            connection.execute("SELECT pg_notify(%s, %s)", (listened, channel))
        if channels:
            self._stopping.wait(SHARING_SECONDS)


def _reason(error: Exception) -> str:
    """What the driver says, in one line and without the links of what stands above it."""
    return " ".join(str(getattr(error, "orig", error)).split())
