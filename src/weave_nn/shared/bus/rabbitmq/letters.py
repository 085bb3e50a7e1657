"""Dead letters in the queue `dlq`: how they are written there, looked at, and taken out.

Looking means to consume the queue without acknowledging and to give everything back: exclusively, so that two who look
at once do not each see a part of it.
"""

import heapq
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic, BasicProperties

from weave_nn.shared.bus.port import DeadLetter
from weave_nn.shared.bus.rabbitmq.address import Address, channel
from weave_nn.shared.bus.rabbitmq.envelope import message_of
from weave_nn.shared.bus.rabbitmq.topology import Names
from weave_nn.shared.errors import Conflict, InvalidInput

QUEUE_HEADER = "weave-queue"
ERROR_HEADER = "weave-error"
ATTEMPTS_HEADER = "weave-attempts"
PUBLISHED_HEADER = "weave-published-at"
DIED_HEADER = "weave-died-at"

BATCH = 200
LARGEST_LOOK = 65_000
"""More cannot be held at once; of more dead letters only the oldest are seen."""

_SILENCE_SECONDS = 5.0
_GIVE_BACK_SECONDS = 5.0
_TICK_SECONDS = 0.01

Found = tuple[int, DeadLetter]


def headers(queue: str, error: str, attempts: int, published_at: datetime) -> dict[str, Any]:
    """What a dead letter carries for an operator."""
    return {
        QUEUE_HEADER: queue,
        ERROR_HEADER: error,
        ATTEMPTS_HEADER: attempts,
        PUBLISHED_HEADER: published_at.isoformat(),
        DIED_HEADER: datetime.now(UTC).isoformat(),
    }


def headers_of(letter: DeadLetter) -> dict[str, Any]:
    """What a dead letter of another bus carries."""
    carried = headers(letter.queue, letter.error, letter.attempts, letter.published_at)
    return {**carried, DIED_HEADER: letter.died_at.isoformat()}


def newest(address: Address, names: Names, *, queue: str | None, limit: int) -> Sequence[DeadLetter]:
    """The most recent dead letters, newest first."""
    with _looking(address, names) as look:
        letters = (letter for _, letter in look.found() if queue is None or letter.queue == queue)
        return heapq.nlargest(limit, letters, key=_age)


def take_out(
    address: Address,
    names: Names,
    ids: Collection[str] | None,
    handle: Callable[[Sequence[DeadLetter]], None],
) -> int:
    """Remove the dead letters with these ids (`None`: all) after `handle` was called for them, the oldest first.

    Returns how many they were.
    """
    wanted = None if ids is None else {_checked(each) for each in ids}
    with _looking(address, names) as look:
        chosen = [each for each in look.found() if wanted is None or each[1].id in wanted]
        # What was looked at before comes back in any order.
        chosen.sort(key=lambda each: _age(each[1]))
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]
            handle([letter for _, letter in batch])
            look.remove([tag for tag, _ in batch])
    return len(chosen)


def _age(letter: DeadLetter) -> tuple[datetime, str]:
    return letter.died_at, letter.message.event_id


@contextmanager
def _looking(address: Address, names: Names) -> Iterator["_Look"]:
    with channel(address) as opened:
        look = _Look(opened, names)
        try:
            yield look
        finally:
            look.give_back()


class _Look:
    """An exclusive look at the dead letters, from the oldest to the newest that was there when it began."""

    def __init__(self, opened: BlockingChannel, names: Names) -> None:
        self._channel = opened
        self._names = names
        self._held: set[int] = set()

    def found(self) -> Iterator[Found]:
        """The dead letters, each with the tag by which `remove` knows it."""
        # What dies again while letters are replayed is left for the next time.
        left = min(self._waiting(), LARGEST_LOOK)
        if not left:
            return
        self._channel.basic_qos(prefetch_count=left)
        try:
            incoming = self._channel.consume(
                self._names.dead_letters, exclusive=True, inactivity_timeout=_SILENCE_SECONDS
            )
            for method, properties, body in islice(incoming, left):
                if method is None or properties is None or body is None:
                    return
                self._held.add(method.delivery_tag)
                yield method.delivery_tag, _letter(self._names, method, properties, body)
        except exceptions.ChannelClosedByBroker as error:
            if error.reply_code == _ACCESS_REFUSED:
                raise Conflict("Someone else is looking at the dead letters.", hint="Try again in a moment.") from error
            raise

    def remove(self, tags: Collection[int]) -> None:
        """Remove them for good."""
        for tag in tags:
            self._channel.basic_ack(tag)
        self._held -= set(tags)

    def give_back(self) -> None:
        """Put the others back where they were, and return when the next look can see them."""
        if not self._channel.is_open:
            return
        self._channel.cancel()
        if not self._held:
            return
        self._channel.basic_nack(0, multiple=True, requeue=True)
        deadline = time.monotonic() + _GIVE_BACK_SECONDS
        while self._waiting() < len(self._held) and time.monotonic() < deadline:
            self._channel.connection.sleep(_TICK_SECONDS)

    def _waiting(self) -> int:
        count: int = self._channel.queue_declare(self._names.dead_letters, passive=True).method.message_count
        return count


_ACCESS_REFUSED = 403


def _letter(names: Names, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> DeadLetter:
    message = message_of(properties, method.routing_key or "", body)
    found: dict[str, Any] = properties.headers or {}
    # What the broker itself gave up on has no headers of ours, but a record of where it died.
    death = (found.get("x-death") or [{}])[0]
    queue = str(found.get(QUEUE_HEADER) or str(death.get("queue") or method.routing_key).removeprefix(names.prefix))
    reason = {"delivery_limit": "It was given out too often without ever being settled."}.get(
        str(death.get("reason")), f"RabbitMQ gave it up: {death.get('reason', 'its queue does not exist')}."
    )
    published = properties.timestamp
    return DeadLetter(
        id=f"{message.event_id}@{queue}",
        queue=queue,
        message=message,
        error=str(found.get(ERROR_HEADER) or reason),
        attempts=int(found.get(ATTEMPTS_HEADER) or found.get("x-delivery-count") or death.get("count") or 1),
        published_at=_time(found.get(PUBLISHED_HEADER), published),
        died_at=_time(found.get(DIED_HEADER), death.get("time") or published),
    )


def _time(text: object, otherwise: object) -> datetime:
    if isinstance(text, str):
        return datetime.fromisoformat(text)
    if isinstance(otherwise, datetime):
        return otherwise if otherwise.tzinfo else otherwise.replace(tzinfo=UTC)
    return datetime.fromtimestamp(otherwise if isinstance(otherwise, int) else time.time(), UTC)


def _checked(text: str) -> str:
    event_id, at, queue = text.rpartition("@")
    if not (event_id and at and queue):
        raise InvalidInput(f"{text!r} is not the id of a dead letter.", hint="List them to see their ids.", field="id")
    return text
