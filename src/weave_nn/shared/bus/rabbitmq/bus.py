"""The `Bus` on RabbitMQ."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pika.spec import BasicProperties

from weave_nn.shared.bus import published
from weave_nn.shared.bus.embedded import EmbeddedBus
from weave_nn.shared.bus.port import DeadLetter, Delivery, Message, Settle, Subscription
from weave_nn.shared.bus.rabbitmq import attempts, bindings, letters, moving
from weave_nn.shared.bus.rabbitmq.address import Address, channel
from weave_nn.shared.bus.rabbitmq.consumer import Consumer, Held
from weave_nn.shared.bus.rabbitmq.envelope import AGAIN_HEADER, message_of, properties_of, was_tried
from weave_nn.shared.bus.rabbitmq.publisher import Outgoing, Publisher
from weave_nn.shared.bus.rabbitmq.topology import REST_HEADER, Declaration, Names, ready_counts, rest_level
from weave_nn.shared.db import Database
from weave_nn.shared.errors import Unavailable

TIDY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a delivery of this bus is known by; `tried` says that the database knows of attempts."""

    held: Held
    tried: bool


class RabbitBus:
    """A `Bus` on the broker at `address`, for one vault; see `Bus` for what each method promises.

    `database` is that of the consumers: it holds how often messages were tried, which topics belong to which queue, and
    the latest events. A message belongs to the connection that it was given to, not to a lease: it goes to others as
    soon as that is lost, and `lease_seconds` has no meaning here.
    """

    def __init__(self, address: Address, database: Database, *, vault_id: str) -> None:
        self._address = address
        self._database = database
        self._vault_id = vault_id
        self._names = Names(address.prefix)
        self._publisher = Publisher(address)
        self._consumer = Consumer(address, missing=self._topology_is_missing)
        self._embedded = EmbeddedBus(database)
        self._declared: dict[str, Collection[str]] = {}
        self._prepared = False
        self._preparing = threading.Lock()
        self._tidy_due = 0.0

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Create the queues, or give those that exist these topics; other queues are left as they are.

        Raises `ForeignVault` if the virtual host belongs to another vault, `TopologyConflict` if a queue of ours exists
        and is of another kind.
        """
        wanted = {each.queue: list(dict.fromkeys(each.topics)) for each in subscriptions}
        # Topics are noted before they are bound, and forgotten after they are unbound: the broker does not tell them.
        stale = bindings.note(self._database, wanted, forget=False)
        with self._preparing:
            self._declared |= wanted
            self._prepare(stale)
        bindings.note(self._database, wanted, forget=True)
        self._fetch_leftovers()

    def _fetch_leftovers(self) -> None:
        """Move here what still waits in the queues of the embedded bus, which was used before."""
        moved = moving.to_broker(self._embedded, self._put, self._put_dead)
        if moved:
            _log.info("rabbitmq.moved", messages=moved, reason="they waited in the embedded bus")

    def _put(self, queue: str, deliveries: Sequence[Delivery]) -> None:
        with self._database.write() as work:
            tried = {each.message.event_id: each.attempt - 1 for each in deliveries if each.attempt > 1}
            attempts.note(work.session, queue, tried)
        self._send_to_queues([(queue, each.message, each.attempt > 1) for each in deliveries])

    def _put_dead(self, found: Sequence[DeadLetter]) -> None:
        self._send(
            [
                Outgoing(
                    self._names.dead,
                    "",
                    each.message.body.encode(),
                    properties_of(each.message, letters.headers_of(each)),
                    must_arrive=True,
                )
                for each in found
            ]
        )

    def _send_to_queues(self, messages: Sequence[tuple[str, Message, bool]]) -> None:
        self._send(
            [
                Outgoing(
                    self._names.queues,
                    self._names.queue(queue),
                    message.body.encode(),
                    properties_of(message, {AGAIN_HEADER: 1} if tried else None),
                    must_arrive=True,
                )
                for queue, message, tried in messages
            ]
        )

    def move_to(self, embedded: EmbeddedBus) -> int:
        """Move everything that waits, rests or is dead into the embedded bus; returns how many messages that were.

        Nothing else may use the broker meanwhile.
        """
        self._ensure_topology()
        moved = 0
        for queue in sorted(bindings.topics(self._database)):
            while taken := self.take(queue, limit=letters.BATCH, lease_seconds=60, wait_seconds=moving.SILENCE_SECONDS):
                for each in taken:
                    embedded.put(queue, each.message, attempts=each.attempt - 1)
                self.ack(taken)
                moved += len(taken)
            self.leave(queue)

        def put(queue: str, message: Message) -> None:
            with self._database.write() as work:
                known = attempts.known(work.session, queue, [message.event_id])
                attempts.forget(work.session, queue, [message.event_id])
            embedded.put(queue, message, attempts=known.get(message.event_id, 0))

        moved += moving.from_rest(self._address, self._names, put)
        return moved + letters.take_out(self._address, self._names, None, embedded.put_dead)

    def _prepare(self, stale: Mapping[str, Collection[str]]) -> None:
        """Declare what there is once, and every queue that this process or the database knows."""
        queues = bindings.topics(self._database)
        with channel(self._address) as opened:
            declaration = Declaration(opened, self._names)
            declaration.base(self._vault_id)
            for queue, topics in {**queues, **self._declared}.items():
                declaration.queue(queue, topics, stale.get(queue, ()))
        self._prepared = True

    def _ensure_topology(self) -> None:
        with self._preparing:
            if not self._prepared:
                self._prepare({})

    def _topology_is_missing(self) -> None:
        self._prepared = False

    def forget(self, queue: str) -> None:
        """Delete a queue and what waits in it; for a service that is gone for good. Dead letters stay."""
        self._consumer.untaken(queue)
        self._consumer.leave(queue)
        self._declared.pop(queue, None)
        with self._database.write() as work:
            bindings.forget(work.session, queue)
            attempts.forget_queue(work.session, queue)
        with channel(self._address) as opened:
            opened.queue_delete(self._names.queue(queue))

    def publish(self, messages: Sequence[Message], *, settle: Settle | None = None) -> None:
        """Route the messages, in order; returns when the broker has them safely. A failed call may have sent some."""
        if not messages:
            return
        self._ensure_topology()
        exchange = self._names.events
        self._send([Outgoing(exchange, each.type, each.body.encode(), properties_of(each)) for each in messages])
        # What is lost of this with the power is not shown by `tail`, and published again if it is not settled.
        with self._database.write(durable=False) as work:
            published.append(work.session, messages)
            if settle is not None:
                settle(work.session)
            tidied = time.monotonic() >= self._tidy_due and published.tidy(work.session)
            if tidied:
                self._tidy_due = time.monotonic() + TIDY_SECONDS
                attempts.prune(work.session)
        if tidied:
            # What a dead process of the embedded bus had taken is free by now.
            self._fetch_leftovers()

    def _send(self, messages: Sequence[Outgoing]) -> None:
        try:
            self._publisher.publish(messages)
        except Exception:
            # Perhaps it was the exchange that is not there any more.
            self._prepared = False
            raise

    def take(self, queue: str, *, limit: int, lease_seconds: float, wait_seconds: float) -> Sequence[Delivery]:
        """Up to `limit` messages, oldest first, each ours until it is settled or the connection is lost.

        What a worker died with is taken alone: if it was this message that killed it, it shall not count against
        others again.
        """
        del lease_seconds
        self._ensure_topology()
        name = self._names.queue(queue)
        held = self._consumer.take(name, limit=limit, wait_seconds=wait_seconds)
        deliveries = [
            Delivery(
                queue,
                message_of(each.properties, each.routing_key, each.body),
                1,
                _Tag(each, was_tried(each.properties, redelivered=each.redelivered)),
            )
            for each in held
        ]
        if not any(_tag(each).tried for each in deliveries):
            return deliveries
        try:
            return self._taken_again(queue, deliveries)
        except BaseException:
            self._consumer.put_back(name, held)
            raise

    def _taken_again(self, queue: str, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Give those that were tried their number of attempts, and note the attempt that begins now."""
        tried = [each.message.event_id for each in deliveries if _tag(each).tried]
        with self._database.read() as work:
            known = attempts.known(work.session, queue, tried)
        counted = [
            Delivery(queue, each.message, 1 + known.get(each.message.event_id, 1), each.tag)
            if _tag(each).tried
            else each
            for each in deliveries
        ]
        taken = counted
        for index, each in enumerate(counted):
            if each.attempt > 1:
                taken = counted[: index or 1]
                break
        self._consumer.put_back(self._names.queue(queue), [_tag(each).held for each in counted[len(taken) :]])
        begun = {each.message.event_id: each.attempt for each in taken if _tag(each).tried}
        if begun:
            with self._database.write(durable=False) as work:
                attempts.note(work.session, queue, begun)
        return taken

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove what was handled, after its transaction was committed."""
        self._settle(deliveries)

    def _settle(self, deliveries: Sequence[Delivery], *, forget: bool = True) -> None:
        queues: dict[str, list[Delivery]] = {}
        for each in deliveries:
            queues.setdefault(each.queue, []).append(each)
        for queue, group in queues.items():
            tried = [each.message.event_id for each in group if _tag(each).tried]
            if tried and forget:
                with self._database.write(durable=False) as work:
                    attempts.forget(work.session, queue, tried)
            self._consumer.ack(self._names.queue(queue), [_tag(each).held for each in group])

    def retry(self, delivery: Delivery, *, delay_seconds: float, counted: bool = True) -> None:
        """Put a message back, to be taken again after a rest; the queue does not wait for it."""
        tried = delivery.attempt if counted else delivery.attempt - 1
        with self._database.write() as work:
            noted = {delivery.message.event_id: tried}
            attempts.note(work.session, delivery.queue, noted, resting=True)
        copy = properties_of(
            delivery.message,
            {AGAIN_HEADER: tried, REST_HEADER: rest_level(delay_seconds)},
            timestamp=_tag(delivery).held.properties.timestamp,
            expiration=str(round(delay_seconds * 1000)),
        )
        body = delivery.message.body.encode()
        name = self._names.queue(delivery.queue)
        try:
            self._send([Outgoing(self._names.rest, name, body, copy, must_arrive=True)])
        except BaseException:
            with suppress(Unavailable):
                self._note_awake(delivery)
            raise
        self._settle([delivery], forget=False)

    def _note_awake(self, delivery: Delivery) -> None:
        """What could not be put to rest does not rest; it is still ours."""
        with self._database.write() as work:
            if _tag(delivery).tried:
                attempts.note(work.session, delivery.queue, {delivery.message.event_id: delivery.attempt})
            else:
                attempts.forget(work.session, delivery.queue, [delivery.message.event_id])

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Put back what was taken and not tried, as if it had not been taken."""
        queues: dict[str, list[Delivery]] = {}
        for each in deliveries:
            queues.setdefault(each.queue, []).append(each)
        for queue, group in queues.items():
            name = self._names.queue(queue)
            ours = [each for each in group if self._consumer.is_unsettled(name, _tag(each).held)]
            try:
                self._note_untried(queue, [each for each in ours if _tag(each).tried])
            finally:
                self._consumer.put_back(name, [_tag(each).held for each in ours])

    def _note_untried(self, queue: str, deliveries: Sequence[Delivery]) -> None:
        counts = {each.message.event_id: each.attempt - 1 for each in deliveries}
        if counts:
            with self._database.write(durable=False) as work:
                attempts.note(work.session, queue, counts)

    def dead_letter(self, delivery: Delivery, error: str) -> None:
        """Take a message out of its queue for good, and keep it with the error for an operator."""
        published_at = _published_at(_tag(delivery).held.properties)
        headers = letters.headers(delivery.queue, error, delivery.attempt, published_at)
        letter = properties_of(delivery.message, headers)
        self._send([Outgoing(self._names.dead, "", delivery.message.body.encode(), letter, must_arrive=True)])
        self._settle([delivery])

    def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """The most recent dead letters, newest first, of one queue or of all."""
        self._ensure_topology()
        return letters.newest(self._address, self._names, queue=queue, limit=limit)

    def replay(self, ids: Collection[str] | None = None) -> int:
        """Put dead letters (`None`: all) back into their own queues, with new attempts; returns how many."""
        self._ensure_topology()

        def put_back(chosen: Sequence[DeadLetter]) -> None:
            with self._database.write() as work:
                for each in chosen:
                    attempts.forget(work.session, each.queue, [each.message.event_id])
            self._send_to_queues([(each.queue, each.message, False) for each in chosen])

        return letters.take_out(self._address, self._names, ids, put_back)

    def discard(self, ids: Collection[str] | None = None) -> int:
        """Delete dead letters (`None`: all) for good; returns how many."""
        self._ensure_topology()
        return letters.take_out(self._address, self._names, ids, lambda _: None)

    def depths(self) -> Mapping[str, int]:
        """How many messages wait in each queue: in the broker, resting, or held by this process.

        What other processes hold at this moment, the broker does not tell.
        """
        queues = set(bindings.topics(self._database))
        with self._database.read() as work:
            resting = attempts.resting(work.session)
        ready = ready_counts(self._address, [self._names.queue(queue) for queue in queues])
        held = {queue: self._consumer.held(self._names.queue(queue)) for queue in queues}
        # A message that went to its rest meanwhile was counted nowhere; one that is counted twice does no harm.
        with self._database.read() as work:
            resting_now = attempts.resting(work.session)
        return {
            queue: ready.get(self._names.queue(queue), 0)
            + held[queue]
            + max(resting.get(queue, 0), resting_now.get(queue, 0))
            for queue in sorted(queues)
        }

    def dead_letter_count(self) -> int:
        """How many dead letters there are; less while someone looks at them."""
        return ready_counts(self._address, [self._names.dead_letters]).get(self._names.dead_letters, 0)

    def tail(self, *, after: int | None = None, limit: int = 100) -> Sequence[tuple[int, Message]]:
        """Recently published messages with their positions, oldest first; see `Bus.tail`."""
        with self._database.read() as work:
            return published.tail(work.session, after=after, limit=limit)

    def wake(self) -> None:
        """Make every waiting `take` of this process return now."""
        self._consumer.wake()

    def leave(self, queue: str) -> None:
        """Stop consuming a queue in this process, until the next `take`: what was fetched ahead goes to others."""
        name = self._names.queue(queue)
        untaken = self._consumer.untaken(queue=name)
        fresh = [
            Delivery(queue, message_of(each.properties, each.routing_key, each.body), 1, _Tag(each, tried=False))
            for each in untaken
            if not was_tried(each.properties, redelivered=each.redelivered)
        ]
        # What was noted already stays as it is; the others would count as tried when they come again.
        try:
            self._note_untried(queue, fresh)
        except Unavailable as error:
            _log.warning("rabbitmq.left", queue=queue, messages=len(fresh), error=str(error))
        finally:
            self._consumer.leave(name)

    def close(self) -> None:
        """Give back what was taken and end every connection."""
        for name in self._consumer.queues():
            self.leave(name.removeprefix(self._address.prefix))
        self._consumer.close()
        self._publisher.close()


def _tag(delivery: Delivery) -> _Tag:
    if not isinstance(delivery.tag, _Tag):
        raise TypeError("the delivery is not one of this bus")
    return delivery.tag


def _published_at(properties: BasicProperties) -> datetime:
    stamp = properties.timestamp
    if isinstance(stamp, datetime):
        return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return datetime.fromtimestamp(stamp or time.time(), UTC)
