"""The bus as the rest of the program sees it: what an implementation offers, and what a subscriber states.

Publishing and consuming are at-least-once: a message may arrive again, and out of order after a failure. `Worker`
makes of it an effect that happens once, by the inbox. Every method is synchronous and safe to call from any thread; an
implementation that needs an event loop runs one in a thread of its own. None may be called inside an open
transaction. When the store or the broker does not answer, methods raise `Unavailable` and the same call may succeed
later.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from weave_nn.shared.bus.event import Event
from weave_nn.shared.bus.topics import check_pattern
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failing message is tried, and how long it rests in between; other messages do not wait for it.

    The rest doubles from `first_delay_seconds` up to `longest_delay_seconds`, give or take half, so that what failed
    together does not return together.
    """

    delivery_limit: int = 5
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.delivery_limit < 1 or not 0 <= self.first_delay_seconds <= self.longest_delay_seconds:
            raise InvalidInput(f"{self} is not a usable retry policy.", field="retry")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue, the topic patterns that fill it, and the handler that empties it.

    `handle(work, event)` runs in a transaction that is committed together with the record that the event was handled:
    what it writes through `work` happens once. What it does elsewhere may be done again, so it must bear repeating.
    The transaction, and with it the only write lock, begins with the first SQL statement: do slow work before it, and
    let such a handler have a `batch_size` of 1, or it holds the lock of the messages that were handled before it.
    Any exception puts the message back; `InvalidEvent` makes it a dead letter at once.

    `lease_seconds` is how long a message belongs to the worker that took it: after a crash it waits that long for the
    next one, and a handler that needs longer is run twice at the same time.
    """

    queue: str
    topics: Sequence[str]
    handle: Callable[[UnitOfWork, Event], None]
    batch_size: int = 200
    lease_seconds: float = 30.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        for topic in self.topics:
            check_pattern(topic)
        if not self.queue or not self.topics or self.batch_size < 1 or self.lease_seconds <= 0:
            raise InvalidInput(f"The subscription of queue {self.queue!r} is not usable: {self}.", field="subscription")


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way: its id, the type that it is routed by, and the envelope, unparsed."""

    event_id: str
    type: str
    body: str


Settle = Callable[[Session], object]
"""What whoever publishes has to write when the messages are published, such as that they wait no longer."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was taken from a queue and must be settled: by `ack`, `retry`, `release` or `dead_letter`.

    `attempt` counts from 1 and includes those that ended with the death of their worker. `tag` is the
    implementation's own.
    """

    queue: str
    message: Message
    attempt: int
    tag: object


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a queue gave up on; `id` names it for `replay` and `discard`."""

    id: str
    queue: str
    message: Message
    error: str
    attempts: int
    published_at: datetime
    died_at: datetime


class Bus(Protocol):
    """Carries messages from the outbox to every queue whose topics match."""

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Create the queues, or give those that exist these topics; other queues are left as they are."""

    def forget(self, queue: str) -> None:
        """Delete a queue and what waits in it; for a service that is gone for good. Dead letters stay."""

    def publish(self, messages: Sequence[Message], *, settle: Settle | None = None) -> None:
        """Route the messages, in order; returns when they are durable. A failed call may have published some.

        `settle` is called in the transaction that keeps them for `tail`, after they are safe: what it writes is never
        committed for messages that could be lost.
        """

    def take(self, queue: str, *, limit: int, lease_seconds: float, wait_seconds: float) -> Sequence[Delivery]:
        """Up to `limit` messages, oldest first, each ours until the lease ends; waits for the first, may be empty.

        Settle what was taken before taking more: how much may be held at once is bounded, by twice the first limit.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove what was handled, after its transaction was committed."""

    def retry(self, delivery: Delivery, *, delay_seconds: float, counted: bool = True) -> None:
        """Put a message back, to be taken again after a rest; the queue does not wait for it.

        Without `counted` this attempt does not count, as if the message had not been taken.
        """

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Put back what was taken and not tried, as if it had not been taken; what is settled already is left alone."""

    def dead_letter(self, delivery: Delivery, error: str) -> None:
        """Take a message out of its queue for good, and keep it with the error for an operator."""

    def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """The most recent dead letters, newest first, of one queue or of all."""

    def replay(self, ids: Collection[str] | None = None) -> int:
        """Put dead letters (`None`: all) back into their own queues, with new attempts; returns how many."""

    def discard(self, ids: Collection[str] | None = None) -> int:
        """Delete dead letters (`None`: all) for good; returns how many."""

    def depths(self) -> Mapping[str, int]:
        """How many messages wait in each queue, those that are being handled included."""

    def dead_letter_count(self) -> int:
        """How many dead letters there are."""

    def tail(self, *, after: int | None = None, limit: int = 100) -> Sequence[tuple[int, Message]]:
        """Recently published messages with their positions, oldest first.

        Without `after` the last `limit`; with it those behind that position. Old ones disappear.
        """

    def wake(self) -> None:
        """Make every waiting `take` of this process return now."""

    def leave(self, queue: str) -> None:
        """Stop consuming a queue in this process, until the next `take`: what was fetched ahead goes to others."""

    def close(self) -> None:
        """Give back what was taken and end every connection; only then is the bus not usable any more."""
