"""Publishing with confirms, many in flight, from any thread."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pika
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic, BasicProperties

from weave_nn.shared.bus.rabbitmq.address import Address, explained
from weave_nn.shared.bus.rabbitmq.wire import Connection, Wire
from weave_nn.shared.errors import Unavailable, WeaveError

READY_SECONDS = 5.0
CONFIRM_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is published; `must_arrive` says that a message which no queue takes is a failure."""

    exchange: str
    routing_key: str
    body: bytes
    properties: BasicProperties
    must_arrive: bool = False


@dataclass(slots=True)
class _Batch:
    """What one caller waits for."""

    unconfirmed: int
    settled: threading.Event = field(default_factory=threading.Event)
    error: WeaveError | None = None

    def confirmed(self, count: int) -> None:
        self.unconfirmed -= count
        if self.unconfirmed == 0:
            self.settled.set()

    def fail(self, error: WeaveError) -> None:
        self.error = self.error or error
        self.settled.set()


class Publisher:
    """Publishes on one confirming channel."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._wire = Wire(address, "publishing", opened=self._opened, lost=self._lost)
        self._closed = False
        self._ready = threading.Event()
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._tag = 0
        self._unconfirmed: dict[int, _Batch] = {}
        self._blocked: WeaveError | None = None
        self._overdue: _Batch | None = None

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish in order; returns when the broker has confirmed all, raises `Unavailable` when it has not."""
        if not messages:
            return
        if self._closed:
            raise Unavailable("The bus is closed.")
        self._wire.start()
        self._check_ready()
        batch = _Batch(len(messages))
        if not self._wire.submit(lambda: self._send(batch, messages)):
            raise self._why()
        if not batch.settled.wait(CONFIRM_SECONDS):
            # What is on its way may still arrive; sending more of it would only lengthen the way.
            self._overdue = batch
            raise Unavailable(
                f"RabbitMQ at {self._address} did not confirm what was published within {CONFIRM_SECONDS:g} s.",
                hint="Look at its log and its disk; publishing is tried again.",
            )
        if batch.error is not None:
            raise batch.error

    def close(self) -> None:
        """End the connection; nothing can be published any more."""
        self._closed = True
        self._wire.close()
        self._settle_all(Unavailable("The bus is closed."))

    def _check_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        if not self._ready.wait(READY_SECONDS):
            raise self._why()
        if self._blocked is not None:
            raise self._blocked
        overdue = self._overdue
        if overdue is not None and not overdue.settled.wait(max(0.0, deadline - time.monotonic())):
            raise Unavailable(f"RabbitMQ at {self._address} still does not confirm what was published.")
        self._overdue = None

    def _why(self) -> WeaveError:
        return self._wire.error or explained(self._address, None)

    # What follows runs in the connection's thread.

    def _opened(self, connection: Connection) -> None:
        self._connection = connection
        self._blocked = None
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(self._on_confirmed, callback=lambda _: self._on_ready(channel))

    def _on_ready(self, channel: Channel) -> None:
        self._tag = 0
        self._channel = channel
        self._ready.set()

    def _on_channel_closed(self, channel: Channel, reason: Exception) -> None:
        self._channel = None
        self._ready.clear()
        self._settle_all(explained(self._address, reason))
        if channel.connection.is_open:
            channel.connection.channel(on_open_callback=self._on_channel)

    def _on_blocked(self, _connection: object, method: Method[pika.spec.Connection.Blocked]) -> None:
        reason = method.method.reason or "it does not say why"
        self._blocked = Unavailable(
            f"RabbitMQ at {self._address} takes no messages at present: {reason}.",
            hint="Free disk space or memory there; what was announced waits in the database.",
        )
        # It may still take them later; whoever waits is not kept until then, and publishes them again.
        self._settle_all(self._blocked)

    def _on_unblocked(self, _connection: object, _method: object) -> None:
        self._blocked = None

    def _lost(self, error: WeaveError) -> None:
        self._connection = None
        self._channel = None
        self._ready.clear()
        self._settle_all(error)

    def _settle_all(self, error: WeaveError) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for batch in unconfirmed.values():
            batch.fail(error)

    def _send(self, batch: _Batch, messages: Sequence[Outgoing]) -> None:
        if self._connection is None:
            batch.fail(self._why())
            return
        with self._connection.gathering():
            self._send_each(batch, messages)

    def _send_each(self, batch: _Batch, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            if self._channel is None or not self._channel.is_open:
                batch.fail(self._why())
                return
            self._tag += 1
            self._unconfirmed[self._tag] = batch
            if message.must_arrive:
                # So is a message known that comes back: it comes before its confirmation.
                message.properties.correlation_id = str(self._tag)
            self._channel.basic_publish(
                message.exchange, message.routing_key, message.body, message.properties, mandatory=message.must_arrive
            )

    def _on_confirmed(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        confirmation = frame.method
        tag = confirmation.delivery_tag
        if confirmation.multiple:
            tags = []
            for each in self._unconfirmed:
                if each > tag:
                    break
                tags.append(each)
        else:
            tags = [tag] if tag in self._unconfirmed else []
        for each in tags:
            batch = self._unconfirmed.pop(each)
            if isinstance(confirmation, Basic.Nack):
                batch.fail(
                    Unavailable(
                        f"RabbitMQ at {self._address} refused a message.",
                        hint="One of its queues is full or has lost the majority of its nodes; see its log.",
                    )
                )
            batch.confirmed(1)

    def _on_returned(self, _channel: Channel, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        batch = self._unconfirmed.get(int(properties.correlation_id or 0))
        if batch is not None:
            batch.fail(Unavailable(f"No queue of RabbitMQ at {self._address} takes {method.routing_key!r}."))
