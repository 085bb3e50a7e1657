"""Consuming: each queue into a mailbox of this process, fetched ahead, from which any thread takes."""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import pika
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from weave_nn.shared.bus.rabbitmq.address import Address, explained
from weave_nn.shared.bus.rabbitmq.wire import Wire
from weave_nn.shared.errors import Unavailable, WeaveError

REOPEN_SECONDS = 1.0
LEAVE_SECONDS = 5.0
LARGEST_PREFETCH = 500


class Held(NamedTuple):
    """A message that the broker gave out to this process, over the channel of this `epoch`."""

    epoch: int
    tag: int
    redelivered: bool
    routing_key: str
    properties: BasicProperties
    body: bytes


@dataclass(slots=True)
class _Mailbox:
    """What was fetched of one queue; `waiting` is what nobody has taken yet."""

    queue: str
    prefetch: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: deque[Held] = field(default_factory=deque)
    unsettled: dict[int, None] = field(default_factory=dict)
    epoch: int = 0
    channel: Channel | None = None
    error: WeaveError | None = None
    wakes: int = 0
    opening: bool = False
    left: bool = False

    def lose(self, error: WeaveError | None) -> None:
        """Forget what the broker has taken back."""
        with self.changed:
            self.epoch += 1
            self.channel = None
            self.opening = False
            self.error = error
            self.waiting.clear()
            self.unsettled.clear()
            self.changed.notify_all()


class Consumer:
    """Consumes any number of queues on one connection; each has its own channel, and so its own limit."""

    def __init__(self, address: Address, *, missing: Callable[[], None]) -> None:
        self._address = address
        self._missing = missing
        self._wire = Wire(address, "consuming", opened=self._opened, lost=self._lost)
        self._guard = threading.Lock()
        self._mailboxes: dict[str, _Mailbox] = {}
        self._connection: pika.SelectConnection | None = None

    def take(self, queue: str, *, limit: int, wait_seconds: float) -> Sequence[Held]:
        """Up to `limit` messages, oldest first; waits for the first. Raises `Unavailable` if the broker is away."""
        mailbox = self._mailbox(queue, limit)
        deadline = time.monotonic() + wait_seconds
        with mailbox.changed:
            wakes = mailbox.wakes
            mailbox.changed.wait_for(
                lambda: mailbox.waiting or mailbox.wakes != wakes, max(0.0, deadline - time.monotonic())
            )
            if not mailbox.waiting and mailbox.wakes == wakes and mailbox.channel is None and wait_seconds:
                raise mailbox.error or self._wire.error or explained(self._address, None)
            taken = [mailbox.waiting.popleft() for _ in range(min(limit, len(mailbox.waiting)))]
            if mailbox.waiting:
                mailbox.changed.notify_all()
            return taken

    def put_back(self, queue: str, held: Sequence[Held]) -> None:
        """Let messages be taken again, here and before all others."""
        mailbox = self._mailboxes.get(queue)
        if mailbox is not None:
            with mailbox.changed:
                if not mailbox.left:
                    there = {each.tag for each in mailbox.waiting}
                    ours = [each for each in held if each.epoch == mailbox.epoch and each.tag not in there]
                    mailbox.waiting.extendleft(reversed(ours))
                    mailbox.changed.notify_all()

    def ack(self, queue: str, held: Iterable[Held]) -> None:
        """Settle what was handled; what a lost connection gave back to the broker is left alone."""
        mailbox = self._mailboxes.get(queue)
        if mailbox is None:
            return
        with mailbox.changed:
            channel = mailbox.channel
            tags = {each.tag for each in held if each.epoch == mailbox.epoch and each.tag in mailbox.unsettled}
            if channel is None or not tags:
                return
            oldest = _leading(mailbox.unsettled, tags)
            for tag in tags:
                del mailbox.unsettled[tag]
        self._wire.submit(partial(_acknowledge, channel, oldest, sorted(tag for tag in tags if tag > oldest)))

    def is_unsettled(self, queue: str, held: Held) -> bool:
        """Whether it is still ours to settle."""
        mailbox = self._mailboxes.get(queue)
        return mailbox is not None and held.epoch == mailbox.epoch and held.tag in mailbox.unsettled

    def held(self, queue: str) -> int:
        """How many messages of a queue this process has and has not settled."""
        mailbox = self._mailboxes.get(queue)
        return len(mailbox.unsettled) if mailbox else 0

    def untaken(self, queue: str) -> Sequence[Held]:
        """Fetch no more of a queue, and take everything that was fetched ahead, in order to give it back by `leave`."""
        mailbox = self._mailboxes.get(queue)
        if mailbox is None:
            return []
        # What is on its way comes before the answer to this.
        quiet = threading.Event()
        if self._wire.submit(lambda: _cancel(mailbox, quiet)):
            quiet.wait(LEAVE_SECONDS)
        with mailbox.changed:
            mailbox.left = True
            untaken = list(mailbox.waiting)
            mailbox.waiting.clear()
            return untaken

    def leave(self, queue: str) -> None:
        """Stop consuming a queue; the broker gives what was not settled to others. Returns when it has been told."""
        with self._guard:
            mailbox = self._mailboxes.pop(queue, None)
        if mailbox is None:
            return
        told = threading.Event()
        if self._wire.submit(lambda: self._close(mailbox, told)):
            told.wait(LEAVE_SECONDS)

    def queues(self) -> Sequence[str]:
        """The queues that are consumed here."""
        return list(self._mailboxes)

    def wake(self) -> None:
        """Make every waiting `take` return."""
        for mailbox in list(self._mailboxes.values()):
            with mailbox.changed:
                mailbox.wakes += 1
                mailbox.changed.notify_all()

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def _mailbox(self, queue: str, limit: int) -> _Mailbox:
        with self._guard:
            mailbox = self._mailboxes.get(queue)
            if mailbox is None:
                # As much again as is handled at once, so that nobody waits for the broker in between.
                prefetch = min(max(2 * limit, 4), LARGEST_PREFETCH)
                mailbox = self._mailboxes[queue] = _Mailbox(queue, prefetch)
                self._wire.start()
                self._wire.submit(lambda: self._open(mailbox))
        return mailbox

    # What follows runs in the connection's thread.

    def _opened(self, connection: pika.SelectConnection) -> None:
        self._connection = connection
        for mailbox in list(self._mailboxes.values()):
            self._open(mailbox)

    def _lost(self, error: WeaveError) -> None:
        self._connection = None
        for mailbox in list(self._mailboxes.values()):
            mailbox.lose(error)

    def _open(self, mailbox: _Mailbox) -> None:
        connection = self._connection
        wanted = self._mailboxes.get(mailbox.queue) is mailbox
        if connection is not None and connection.is_open and wanted and not mailbox.opening:
            mailbox.opening = True
            connection.channel(on_open_callback=partial(self._on_channel, mailbox))

    def _on_channel(self, mailbox: _Mailbox, channel: Channel) -> None:
        if mailbox.left:
            channel.close()
            return
        epoch = mailbox.epoch
        channel.add_on_close_callback(partial(self._on_channel_closed, mailbox))
        channel.add_on_cancel_callback(lambda _: channel.close())
        channel.basic_qos(prefetch_count=mailbox.prefetch)
        channel.basic_consume(
            mailbox.queue,
            partial(_deliver, mailbox, epoch),
            consumer_tag=f"{socket.gethostname()}-{os.getpid()}-{channel.channel_number}-{epoch}",
            callback=lambda _: self._on_consuming(mailbox, channel),
        )

    def _on_consuming(self, mailbox: _Mailbox, channel: Channel) -> None:
        with mailbox.changed:
            mailbox.channel = channel
            mailbox.error = None

    def _on_channel_closed(self, mailbox: _Mailbox, _channel: Channel, reason: Exception) -> None:
        connection = self._connection
        if mailbox.left or connection is None or not connection.is_open:
            return
        mailbox.lose(_channel_error(self._address, mailbox.queue, reason))
        if getattr(reason, "reply_code", None) == _NOT_FOUND:
            self._missing()
        connection.ioloop.call_later(REOPEN_SECONDS, partial(self._open, mailbox))

    def _close(self, mailbox: _Mailbox, told: threading.Event) -> None:
        mailbox.left = True
        channel = mailbox.channel
        mailbox.lose(None)
        if channel is None or not channel.is_open:
            told.set()
            return
        channel.add_on_close_callback(lambda *_: told.set())
        channel.close()


_NOT_FOUND = 404


def _cancel(mailbox: _Mailbox, quiet: threading.Event) -> None:
    channel = mailbox.channel
    if channel is None or not channel.is_open or not channel.consumer_tags:
        quiet.set()
        return
    channel.basic_cancel(channel.consumer_tags[0], callback=lambda _: quiet.set())


def _deliver(
    mailbox: _Mailbox, epoch: int, _channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
) -> None:
    held = Held(epoch, method.delivery_tag, method.redelivered, method.routing_key, properties, body)
    with mailbox.changed:
        # What comes before the consumer is known to be one, or after it was given up, belongs to its own epoch.
        if mailbox.epoch != epoch or mailbox.left:
            return
        mailbox.waiting.append(held)
        mailbox.unsettled[held.tag] = None
        # Whoever takes wakes the next one, if there is more than it takes.
        if len(mailbox.waiting) == 1:
            mailbox.changed.notify_all()


def _leading(unsettled: Iterable[int], tags: set[int]) -> int:
    """The last of the oldest that are all in `tags`, which can be acknowledged at once; 0 if there is none."""
    last = 0
    for tag in unsettled:
        if tag not in tags:
            break
        last = tag
    return last


def _acknowledge(channel: Channel, oldest: int, others: Sequence[int]) -> None:
    # A channel that has closed gave everything back; it will be delivered again.
    if channel.is_open:
        if oldest:
            channel.basic_ack(oldest, multiple=True)
        for tag in others:
            channel.basic_ack(tag)


def _channel_error(address: Address, queue: str, reason: Exception) -> WeaveError:
    return Unavailable(f"RabbitMQ at {address} ended the consumption of {queue!r}: {reason}.")
