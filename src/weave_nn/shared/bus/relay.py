"""The relay: moves the outbox to the bus, in order, after the commit.

Each batch is published, confirmed and only then deleted. A crash in between publishes it again; the consumers' inboxes
know it. Of several processes on one database one holds the relay's lease and relays for all; when it dies, another one
takes over as soon as the lease has run out.
"""

import contextlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from weave_nn.shared.bus import metrics
from weave_nn.shared.bus.loop import Loop
from weave_nn.shared.bus.models import outbox, relay_lease
from weave_nn.shared.bus.outbox import ANNOUNCED
from weave_nn.shared.bus.port import Bus, Message
from weave_nn.shared.db import Database
from weave_nn.shared.errors import Unavailable

BATCH_EVENTS = 500
POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.02
LEASE_SECONDS = 5.0

_WAITING = (
    select(outbox.c.sequence, outbox.c.event_id, outbox.c.type, outbox.c.body)
    .order_by(outbox.c.sequence)
    .limit(BATCH_EVENTS)
)
_PUBLISHED = delete(outbox).where(outbox.c.sequence.in_(bindparam("sequences", expanding=True)))


class Relay:
    """Moves events from `database`'s outbox to `bus`, in a thread of its own.

    It is woken by what this process announces, on PostgreSQL also by what others do, and looks every `POLL_SECONDS`.
    """

    def __init__(self, database: Database, bus: Bus, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._bus = bus
        self._lease = timedelta(seconds=lease_seconds)
        self._held_until = self._renewed_until = 0.0
        self._last_batch = 0.0
        self._owner = str(uuid.uuid4())
        self._announced = threading.Event()
        self._loop = Loop("bus-relay", self._step, wake=self._announced.set)
        database.signals.listen(ANNOUNCED, self._announced.set)

    def start(self) -> None:
        """Begin to relay."""
        self._loop.start()

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """Finish the present batch and end, leaving the lease to others; false if that did not happen in time."""
        self._loop.stop()
        ended = self._loop.join(timeout_seconds)
        if ended:
            # If the database is away, the lease runs out by itself.
            with contextlib.suppress(Unavailable):
                self._give_up_lease()
        return ended

    def alive(self) -> bool:
        """Whether the thread runs; false says that the process should be restarted."""
        return self._loop.alive()

    def failing(self) -> bool:
        """Whether the last attempt failed (and will be repeated)."""
        return self._loop.failing

    def drain(self) -> int:
        """Publish what is in the outbox now, without the thread; returns how many. For tools that end soon."""
        published = 0
        while count := self._relay_batch():
            published += count
        self._give_up_lease()
        return published

    def _step(self) -> None:
        self._announced.wait(POLL_SECONDS)
        # The first event goes at once; under load, a short pause lets many share the cost of a batch.
        self._loop.stopping.wait(max(0.0, self._last_batch + PAUSE_SECONDS - time.monotonic()))
        self._announced.clear()
        while not self._loop.stopping.is_set():
            published = self._relay_batch()
            if published:
                self._last_batch = time.monotonic()
            if published < BATCH_EVENTS:
                return

    def _relay_batch(self) -> int:
        messages = self._waiting()
        if not messages:
            return 0
        if time.monotonic() >= self._held_until:
            if not self._take_lease():
                return 0
            # The one who held it until now may have published these.
            messages = self._waiting()
        if messages:
            self._bus.publish(list(messages.values()), settle=partial(self._settle, list(messages)))
            self._held_until = self._renewed_until
            for type_, count in Counter(message.type for message in messages.values()).items():
                metrics.PUBLISHED.labels(type_).inc(count)
        return len(messages)

    def _settle(self, sequences: Sequence[int], session: Session) -> None:
        """Remove what is published, and renew the lease; a crash before the commit has the batch published again."""
        asked = time.monotonic()
        session.execute(_PUBLISHED, {"sequences": sequences})
        self._renewed_until = self._safe_until(asked) if self._write_lease(session) else 0.0

    def _waiting(self) -> dict[int, Message]:
        with self._database.read() as work:
            return {
                sequence: Message(event_id, type_, body)
                for sequence, event_id, type_, body in work.session.execute(_WAITING)
            }

    def _take_lease(self) -> bool:
        asked = time.monotonic()
        with self._database.write() as work:
            taken = self._write_lease(work.session)
        self._held_until = self._safe_until(asked) if taken else 0.0
        return taken

    def _safe_until(self, asked: float) -> float:
        # Half of the lease is left unused, so that a batch that was begun in time also ends in time.
        return asked + self._lease.total_seconds() / 2

    def _write_lease(self, session: Session) -> bool:
        now = datetime.now(UTC)
        # An end that lies further ahead than any lease reaches was written before the clock was set back.
        free = or_(relay_lease.c.until <= now, relay_lease.c.until > now + 2 * self._lease)
        statement = (
            update(relay_lease)
            .where(relay_lease.c.name == "relay", or_(relay_lease.c.owner == self._owner, free))
            .values(owner=self._owner, until=now + self._lease)
        )
        return bool(session.connection().execute(statement).rowcount)

    def _give_up_lease(self) -> None:
        if self._held_until == 0.0:
            return
        self._held_until = 0.0
        mine = (relay_lease.c.name == "relay", relay_lease.c.owner == self._owner)
        with self._database.write() as work:
            work.session.execute(update(relay_lease).where(*mine).values(owner="", until=datetime.now(UTC)))
