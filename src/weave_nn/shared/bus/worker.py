"""Workers: empty the queues into the handlers, each effect once.

What was taken is handled in few transactions, each of which also records in the inbox what it handled, and is
acknowledged after its commit. A crash anywhere leaves either nothing or a record by which the redelivery is skipped.
When a handler fails, what shared its transaction is done again, each message in a transaction of its own, so that a
bad message harms only itself.
"""

import errno
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from weave_nn.shared import context
from weave_nn.shared.bus import inbox, metrics
from weave_nn.shared.bus.event import Event, InvalidEvent
from weave_nn.shared.bus.loop import Loop
from weave_nn.shared.bus.port import Bus, Delivery, Subscription
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import Conflict, Unavailable, WeaveError

WAIT_SECONDS = 1.0
TRANSACTION_SECONDS = 0.05
"""How long a transaction goes on taking further messages in: others wait for the write lock meanwhile."""

PASSING_SECONDS = 3.0
"""The rest of a message, give or take half, that fails for what is not its own fault."""

ERROR_LENGTH = 4000
_PRUNE_SECONDS = 600.0

_log = structlog.get_logger(__name__)


class ForeignEvent(Conflict):
    """An event of another vault."""

    code = "foreign_event"
    title = "An event of another vault"


class Worker:
    """Runs the `subscriptions`, each in a thread of its own; several workers and processes may share a queue.

    With a `vault_id`, events of other vaults are not handled but become dead letters: their coming here says that two
    vaults share queues, and that each takes away what the other needs.
    """

    def __init__(
        self, database: Database, bus: Bus, subscriptions: Sequence[Subscription], *, vault_id: str | None = None
    ) -> None:
        self._bus = bus
        self._subscriptions = subscriptions
        self._declared = False
        self._declaring = threading.Lock()
        self._loops = []
        for subscription in subscriptions:
            consumer = _Consumer(database, bus, subscription, vault_id, self._declare)
            consumer.loop = Loop(f"bus-{subscription.queue}", consumer.step, wake=bus.wake)
            self._loops.append(consumer.loop)

    def start(self) -> None:
        """Declare the queues and begin to consume; raises what `Bus.declare` raises.

        If the broker or the database does not answer now, that is done as soon as it does.
        """
        try:
            self._declare()
        except Unavailable as error:
            _log.warning("bus_away", error=str(error), reason="its queues are declared when it answers")
        for loop in self._loops:
            loop.start()

    def _declare(self) -> None:
        with self._declaring:
            if not self._declared:
                self._bus.declare(self._subscriptions)
                self._declared = True

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """Finish what is in flight, put back the rest, and end; false if that did not happen in time."""
        for loop in self._loops:
            loop.stop()
        deadline = time.monotonic() + timeout_seconds
        ended = [loop.join(max(0.0, deadline - time.monotonic())) for loop in self._loops]
        for subscription, has_ended in zip(self._subscriptions, ended, strict=True):
            if has_ended:
                self._bus.leave(subscription.queue)
        return all(ended)

    def alive(self) -> bool:
        """Whether every thread runs; false says that the process should be restarted."""
        return all(loop.alive() for loop in self._loops)

    def failing(self) -> Sequence[str]:
        """The threads that cannot work at present (the database or the broker is away) and keep trying."""
        return [loop.name for loop in self._loops if loop.failing]


@dataclass(frozen=True, slots=True)
class _Work:
    """A delivery that could be read."""

    delivery: Delivery
    event: Event


class _Consumer:
    """One queue's consumer."""

    loop: Loop

    def __init__(
        self,
        database: Database,
        bus: Bus,
        subscription: Subscription,
        vault_id: str | None,
        declare: Callable[[], None],
    ) -> None:
        self._vault_id = vault_id
        self._declare = declare
        self._database = database
        self._bus = bus
        self._subscription = subscription
        self._queue = subscription.queue
        self._handling_seconds = metrics.HANDLING_SECONDS.labels(self._queue)
        self._prune_due = 0.0

    def step(self) -> None:
        """Take a batch and settle every delivery of it."""
        self._declare()
        subscription = self._subscription
        deliveries = self._bus.take(
            self._queue,
            limit=subscription.batch_size,
            lease_seconds=subscription.lease_seconds,
            wait_seconds=WAIT_SECONDS,
        )
        try:
            self._settle(deliveries)
        except BaseException:
            # What is not settled would stay with this process, where nobody takes it again.
            with suppress(Unavailable):
                self._bus.release(deliveries)
            raise
        self._prune()

    def _settle(self, deliveries: Sequence[Delivery]) -> None:
        subscription = self._subscription
        # After half of the lease nothing further is begun, so that it is not handled here and elsewhere at once.
        deadline = time.monotonic() + subscription.lease_seconds / 2
        waiting = self._unhandled(self._readable(deliveries))
        while waiting:
            if self.loop.stopping.is_set() or time.monotonic() > deadline:
                self._bus.release([each.delivery for each in waiting])
                break
            waiting = waiting[self._handle(waiting) :]

    def _readable(self, deliveries: Sequence[Delivery]) -> list[_Work]:
        readable = []
        for delivery in deliveries:
            if delivery.attempt > self._subscription.retry.delivery_limit:
                self._bury(
                    delivery, "Its worker died or lost its lease in each attempt, the last one without an error."
                )
                continue
            try:
                readable.append(_Work(delivery, self._own(Event.from_json(delivery.message.body))))
            except (InvalidEvent, ForeignEvent) as error:
                _log.error("message_dead", queue=self._queue, event_id=delivery.message.event_id, error=str(error))
                self._bury(delivery, _text(error))
        return readable

    def _own(self, event: Event) -> Event:
        if self._vault_id is not None and event.vault_id != self._vault_id:
            raise ForeignEvent(
                f"The event belongs to the vault {event.vault_id!r}, and this process serves {self._vault_id!r}.",
                hint="Two vaults share the queues: give each a virtual host (or a prefix) of its own in RABBITMQ_URL.",
            )
        return event

    def _unhandled(self, batch: Sequence[_Work]) -> list[_Work]:
        """Those that have to be handled; the others are acknowledged."""
        if not batch:
            return []
        with self._database.read() as work:
            known = inbox.handled(work.session, self._queue, {each.event.id for each in batch})
        unhandled: list[_Work] = []
        duplicates: list[_Work] = []
        for each in batch:
            (duplicates if each.event.id in known else unhandled).append(each)
            known.add(each.event.id)
        if duplicates:
            self._bus.ack([each.delivery for each in duplicates])
            metrics.DUPLICATES.labels(self._queue).inc(len(duplicates))
        return unhandled

    def _handle(self, batch: Sequence[_Work]) -> int:
        """Handle the first of `batch`, in one transaction if all goes well, and settle them; returns how many."""
        begun = 0
        started = time.monotonic()
        try:
            with self._database.write() as work:
                for each in batch:
                    begun += 1
                    self._call_handler(work, each.event)
                    if time.monotonic() - started > TRANSACTION_SECONDS:
                        break
                inbox.record(work.session, self._queue, [each.event.id for each in batch[:begun]])
        except Exception as error:
            # Whatever a handler raises concerns its message, not the thread.
            if begun == 0:
                raise
            if begun == 1:
                self._failed(batch[0], error)
            else:
                for each in batch[:begun]:
                    self._handle([each])
            return begun
        self._bus.ack([each.delivery for each in batch[:begun]])
        metrics.HANDLED.labels(self._queue).inc(begun)
        return begun

    def _call_handler(self, work: UnitOfWork, event: Event) -> None:
        token = context.request_id.set(event.request_id)
        began = time.perf_counter()
        try:
            self._subscription.handle(work, event)
        finally:
            self._handling_seconds.observe(time.perf_counter() - began)
            context.request_id.reset(token)

    def _failed(self, failed: _Work, error: Exception) -> None:
        policy, attempt = self._subscription.retry, failed.delivery.attempt
        log = _log.bind(queue=self._queue, event_id=failed.event.id, type=failed.event.type, attempt=attempt)
        if _passes(error):
            delay_seconds = PASSING_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
            log.warning("message_waits", request_id=failed.event.request_id, reason=_text(error))
            self._bus.retry(failed.delivery, delay_seconds=delay_seconds, counted=False)
            metrics.RETRIED.labels(self._queue).inc()
            return
        if isinstance(error, InvalidEvent) or attempt >= policy.delivery_limit:
            log.error("message_dead", request_id=failed.event.request_id, exc_info=error)
            self._bury(failed.delivery, _text(error))
            return
        delay_seconds = min(policy.longest_delay_seconds, policy.first_delay_seconds * 2 ** (attempt - 1))
        delay_seconds *= random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
        log.warning("message_failed", request_id=failed.event.request_id, delay_seconds=delay_seconds, exc_info=error)
        self._bus.retry(failed.delivery, delay_seconds=delay_seconds)
        metrics.RETRIED.labels(self._queue).inc()

    def _bury(self, delivery: Delivery, reason: str) -> None:
        self._bus.dead_letter(delivery, reason)
        metrics.DEAD.labels(self._queue).inc()

    def _prune(self) -> None:
        if time.monotonic() < self._prune_due:
            return
        with self._database.write() as work:
            pruned = inbox.prune(work.session, self._queue)
        if pruned < inbox.PRUNE_ROWS:
            self._prune_due = time.monotonic() + _PRUNE_SECONDS


def _passes(error: Exception) -> bool:
    """Whether what is in the way (a server that is away, a full disk) concerns all messages, and ends some time.

    Such a message is tried until it succeeds: an outage of an hour must not turn everything into dead letters.
    """
    if isinstance(error, WeaveError):
        return error.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE}
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:ERROR_LENGTH]
