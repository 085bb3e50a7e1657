"""The embedded bus: durable queues as tables of the application's own database.

It needs nothing to install and survives `kill -9`, and any number of processes may share it. Publishing writes each
event once and one narrow row for every queue whose topics match; consuming claims rows for the time of a lease.
Rivals: kombu's SQL transport was eighty times slower and its memory transport loses what it holds; a broker is another
server to run, and stands behind the same port.

Waiting consumers are woken by what this process publishes, on PostgreSQL also by what others do, and look for work
every `POLL_SECONDS`; looking only reads, so an idle bus never takes the write lock.
"""

import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from weave_nn.shared.bus import models, published
from weave_nn.shared.bus.port import DeadLetter, Delivery, Message, Settle, Subscription
from weave_nn.shared.bus.topics import matches
from weave_nn.shared.db import Database, insert_rows, lock, signal
from weave_nn.shared.errors import InvalidInput

POLL_SECONDS = 1.0

_ENQUEUED = "bus"
_TIDY_SECONDS = 60.0
_DEAD_LETTER_BATCH = 200
# No lease and no rest is longer; what waits for a later time was written before the clock was set back.
_HORIZON = timedelta(days=1)


class EmbeddedBus:
    """A `Bus` in `database`; see there for what each method promises."""

    def __init__(self, database: Database, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._database = database
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._changes = 0
        self._wakes = 0
        self._tidy_due = 0.0
        database.signals.listen(_ENQUEUED, self._notify)

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Create the queues, or give those that exist these topics; other queues are left as they are."""
        rows = [{"queue": each.queue, "topic": topic} for each in subscriptions for topic in dict.fromkeys(each.topics)]
        with self._database.write() as work:
            lock(work.session, "bus-bindings")
            work.session.execute(
                delete(models.binding).where(models.binding.c.queue.in_({row["queue"] for row in rows}))
            )
            if rows:
                work.session.execute(insert(models.binding), rows)

    def forget(self, queue: str) -> None:
        """Delete a queue and what waits in it; for a service that is gone for good. Dead letters stay."""
        with self._database.write() as work:
            work.session.execute(delete(models.binding).where(models.binding.c.queue == queue))
            work.session.execute(delete(models.delivery).where(models.delivery.c.queue == queue))

    def publish(self, messages: Sequence[Message], *, settle: Settle | None = None) -> None:
        """Route the messages, in order, in one transaction."""
        if not messages:
            return
        # What a loss of power undoes, it undoes together with what `settle` has written.
        with self._database.write(durable=settle is None) as work:
            topics = [
                tuple(row) for row in work.session.execute(select(models.binding.c.queue, models.binding.c.topic))
            ]
            queues = {
                type_: sorted({queue for queue, topic in topics if matches(topic, type_)})
                for type_ in {message.type for message in messages}
            }
            _enqueue(work.session, [(message, queues[message.type]) for message in messages])
            self._tidy(work.session)
            if settle is not None:
                settle(work.session)
            signal(work.session, _ENQUEUED)

    def take(self, queue: str, *, limit: int, lease_seconds: float, wait_seconds: float) -> Sequence[Delivery]:
        """Up to `limit` messages, oldest first, each ours until the lease ends; waits for the first, may be empty.

        What a worker died with is taken alone: if it was this message that killed it, it shall not count against
        others again.
        """
        deadline = time.monotonic() + wait_seconds
        wakes = self._wakes
        while True:
            changes = self._changes
            due_seconds = self._next_due(queue)
            if due_seconds == 0 and (taken := self._claim(queue, limit, timedelta(seconds=lease_seconds))):
                return taken
            rest_seconds = min(deadline - time.monotonic(), self._poll_seconds, due_seconds or self._poll_seconds)
            if rest_seconds <= 0 or wakes != self._wakes:
                return []
            self._wait_for_change(changes, rest_seconds)

    def _wait_for_change(self, seen: int, timeout_seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, timeout_seconds)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove what was handled, after its transaction was committed."""
        if deliveries:
            # What is lost of it is delivered again, and the inbox knows it.
            with self._database.write(durable=False) as work:
                work.session.execute(_ACK, _tags(deliveries))

    def retry(self, delivery: Delivery, *, delay_seconds: float, counted: bool = True) -> None:
        """Put a message back, to be taken again after a rest; the queue does not wait for it."""
        available_at = datetime.now(UTC) + timedelta(seconds=delay_seconds)
        uncounted = {} if counted else {"attempts": models.delivery.c.attempts - 1}
        self._put_back([delivery], available_at=available_at, lease=None, **uncounted)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Put back what was taken and not tried, as if it had not been taken."""
        if deliveries:
            attempts = models.delivery.c.attempts - 1
            self._put_back(deliveries, available_at=datetime.now(UTC), lease=None, attempts=attempts)

    def _put_back(self, deliveries: Sequence[Delivery], **values: object) -> None:
        with self._database.write() as work:
            work.session.connection().execute(update(models.delivery).where(*_HELD).values(values), _tags(deliveries))
        self._notify()

    def dead_letter(self, delivery: Delivery, error: str) -> None:
        """Take a message out of its queue for good, and keep it with the error for an operator."""
        columns = (*published.COLUMNS, models.event.c.published_at, models.delivery.c.queue, models.delivery.c.attempts)
        statement = select(*columns).join_from(models.delivery, models.event).where(*_HELD)
        with self._database.write() as work:
            # There is no row if the lease ran out and another worker has the message now: then it is not ours to bury.
            for row in work.session.execute(statement, _tags([delivery])).mappings():
                values = {**row, "error": error, "died_at": datetime.now(UTC)}
                work.session.execute(insert(models.dead_letter).values(values))
            work.session.execute(_ACK, _tags([delivery]))

    def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """The most recent dead letters, newest first, of one queue or of all."""
        letters = models.dead_letter
        statement = select(letters).order_by(letters.c.id.desc()).limit(limit)
        if queue is not None:
            statement = statement.where(letters.c.queue == queue)
        with self._database.read() as work:
            return [_dead_letter(row) for row in work.session.execute(statement)]

    def replay(self, ids: Collection[str] | None = None) -> int:
        """Put dead letters (`None`: all) back into their own queues, with new attempts; returns how many."""
        letters = models.dead_letter
        replayed = 0
        for batch in self._dead_letter_batches(ids):
            with self._database.write() as work:
                chosen = select(letters).where(letters.c.id.in_(batch)).order_by(letters.c.id)
                rows = [_dead_letter(row) for row in work.session.execute(chosen)]
                _enqueue(work.session, [(letter.message, [letter.queue]) for letter in rows])
                work.session.execute(delete(letters).where(letters.c.id.in_(batch)))
                signal(work.session, _ENQUEUED)
            replayed += len(rows)
        return replayed

    def discard(self, ids: Collection[str] | None = None) -> int:
        """Delete dead letters (`None`: all) for good; returns how many."""
        letters = models.dead_letter
        discarded = 0
        for batch in self._dead_letter_batches(ids):
            with self._database.write() as work:
                deleted = work.session.connection().execute(delete(letters).where(letters.c.id.in_(batch)))
            discarded += deleted.rowcount
        return discarded

    def _dead_letter_batches(self, ids: Collection[str] | None) -> Iterator[list[int]]:
        if ids is None:
            # The ids are fixed before the first batch: what dies again during a replay is not replayed once more.
            with self._database.read() as work:
                chosen = list(work.session.scalars(select(models.dead_letter.c.id).order_by(models.dead_letter.c.id)))
        else:
            chosen = sorted({_dead_letter_id(each) for each in ids})
        for start in range(0, len(chosen), _DEAD_LETTER_BATCH):
            yield chosen[start : start + _DEAD_LETTER_BATCH]

    def depths(self) -> Mapping[str, int]:
        """How many messages wait in each queue, those that are being handled included."""
        waiting = select(models.delivery.c.queue, func.count().label("depth")).group_by(models.delivery.c.queue)
        with self._database.read() as work:
            depths = dict.fromkeys(work.session.scalars(select(models.binding.c.queue).distinct()), 0)
            return depths | {row.queue: row.depth for row in work.session.execute(waiting)}

    def dead_letter_count(self) -> int:
        """How many dead letters there are."""
        with self._database.read() as work:
            return work.session.scalar(select(func.count()).select_from(models.dead_letter)) or 0

    def tail(self, *, after: int | None = None, limit: int = 100) -> Sequence[tuple[int, Message]]:
        """Recently published messages with their positions, oldest first; see `Bus.tail`."""
        with self._database.read() as work:
            return published.tail(work.session, after=after, limit=limit)

    def wake(self) -> None:
        """Make every waiting `take` of this process return now."""
        with self._changed:
            self._wakes += 1
        self._notify()

    def put(self, queue: str, message: Message, *, attempts: int) -> None:
        """Put a message that was tried so often elsewhere into one queue: for moving from another bus to this one."""
        with self._database.write() as work:
            _enqueue(work.session, [(message, [queue])], attempts=attempts)
            signal(work.session, _ENQUEUED)

    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters of another bus."""
        with self._database.write() as work:
            for each in letters:
                values = {
                    "queue": each.queue,
                    "event_id": each.message.event_id,
                    "type": each.message.type,
                    "body": each.message.body,
                    "error": each.error,
                    "attempts": each.attempts,
                    "published_at": each.published_at,
                    "died_at": each.died_at,
                }
                work.session.execute(insert(models.dead_letter).values(values))

    def end_rests(self) -> bool:
        """Let everything that rests be taken now; whether anything waits in any queue at all."""
        resting = (models.delivery.c.lease.is_(None), models.delivery.c.available_at > datetime.now(UTC))
        with self._database.read() as work:
            if work.session.scalar(select(models.delivery.c.id).limit(1)) is None:
                return False
        with self._database.write() as work:
            work.session.execute(update(models.delivery).where(*resting).values(available_at=datetime.now(UTC)))
        return True

    def leave(self, queue: str) -> None:
        """Stop consuming a queue in this process; nothing is fetched ahead here."""

    def close(self) -> None:
        """Nothing to give back: the database is closed by who opened it."""

    def _notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _next_due(self, queue: str) -> float | None:
        """Seconds until the queue's next message may be taken, 0 if there is one now, `None` if it is empty."""
        with self._database.read() as work:
            due = work.session.scalar(_NEXT_DUE, {"in_queue": queue})
        return None if due is None else max(0.0, (due - datetime.now(UTC)).total_seconds())

    def _claim(self, queue: str, limit: int, lease: timedelta) -> list[Delivery]:
        now = datetime.now(UTC)
        token = str(uuid.uuid4())
        # A claim that is lost with the power has lost its worker as well.
        with self._database.write(durable=False) as work:
            due = work.session.execute(_DUE, {"in_queue": queue, "now": now, "max_rows": limit}).all()
            rows = due[:1] if due and due[0].lease else list(takewhile(lambda row: row.lease is None, due))
            claim = {"ids": [row.id for row in rows], "until": now + lease, "token": token}
            work.session.connection().execute(_CLAIM, claim)
        return [
            Delivery(queue, Message(event_id, type_, body), attempts + 1, _Tag(id_, token))
            for id_, attempts, _, event_id, type_, body in rows
        ]

    def _tidy(self, session: Session) -> None:
        if time.monotonic() < self._tidy_due:
            return
        if published.tidy(session):
            self._tidy_due = time.monotonic() + _TIDY_SECONDS
        now = datetime.now(UTC)
        stranded = models.delivery.c.available_at > now + _HORIZON
        session.execute(update(models.delivery).where(stranded).values(available_at=now))


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a delivery of this bus is known by: the row, and the lease that it was taken under."""

    id: int
    lease: str


# The statements of the consuming path are made once: building them anew for each batch costs more than running them.
_delivery = models.delivery.c
_HELD = (
    _delivery.id.in_(bindparam("ids", expanding=True)),
    _delivery.lease.in_(bindparam("leases", expanding=True)),
)
_NEXT_DUE = select(func.min(_delivery.available_at)).where(_delivery.queue == bindparam("in_queue"))
_DUE = (
    select(_delivery.id, _delivery.attempts, _delivery.lease, *published.COLUMNS)
    .join_from(models.delivery, models.event)
    .where(_delivery.queue == bindparam("in_queue"), _delivery.available_at <= bindparam("now"))
    .order_by(_delivery.available_at, _delivery.id)
    .limit(bindparam("max_rows"))
    .with_for_update(of=models.delivery, skip_locked=True)
)
_CLAIM = (
    update(models.delivery)
    .where(_delivery.id.in_(bindparam("ids", expanding=True)))
    .values(attempts=_delivery.attempts + 1, available_at=bindparam("until"), lease=bindparam("token"))
)
_ACK = delete(models.delivery).where(*_HELD)


def _tags(deliveries: Sequence[Delivery]) -> dict[str, list[int] | list[str]]:
    tags = [each.tag for each in deliveries if isinstance(each.tag, _Tag)]
    return {"ids": [tag.id for tag in tags], "leases": list({tag.lease for tag in tags})}


def _enqueue(session: Session, routed: Sequence[tuple[Message, Sequence[str]]], *, attempts: int = 0) -> None:
    if not routed:
        return
    now = datetime.now(UTC)
    sequences = published.append_returning(session, [message for message, _ in routed])
    deliveries = [
        (queue, sequence, attempts, now)
        for sequence, (_, queues) in zip(sequences, routed, strict=True)
        for queue in queues
    ]
    insert_rows(session, models.delivery, ("queue", "sequence", "attempts", "available_at"), deliveries)


def _dead_letter(row: Row[*tuple[Any, ...]]) -> DeadLetter:
    return DeadLetter(
        id=str(row.id),
        queue=row.queue,
        message=published.message_of(row),
        error=row.error,
        attempts=row.attempts,
        published_at=row.published_at,
        died_at=row.died_at,
    )


def _dead_letter_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(f"{text!r} is not the id of a dead letter.", hint="List them to see their ids.", field="id")
    return int(text)
