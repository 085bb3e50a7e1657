"""How many events RabbitMQ carries for us, and how many it carries at all.

"bare" is the same client library on the same broker in the same run, one process that publishes persistent messages
into a quorum queue and one that consumes them: "one by one" as its documentation does it, each message confirmed before
the next and each acknowledged; "in flight" the fastest that we know to write, 500 unconfirmed at once, a prefetch of
200, and one acknowledgement for a hundred. "ours" is what an event goes through, in two processes as well: announced in
a transaction (100 in each), relayed, published with confirms, delivered, given to a handler that does nothing, in a
transaction that records it in the inbox, acknowledged. Processor time is that of both processes, without the broker's.

The broker is the one of RABBITMQ_URL, else the one on the usual port of this machine; without one there is no table.
"""

import gc
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue

import pika
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.frame import Method
from pika.spec import Basic
from sqlalchemy import text

from benchmarks.bus import Measured
from benchmarks.report import Options, Table, percentile
from weave_nn.shared.bus import SCHEMA, Event, Outbox, Relay, Subscription, Worker, open_bus
from weave_nn.shared.bus.rabbitmq import parse_address
from weave_nn.shared.bus.rabbitmq.topology import REST_SECONDS
from weave_nn.shared.db import Database, UnitOfWork, upgrade

NAME = "bus-rabbitmq"
ROUNDS = 3
QUEUE = "measured"
IN_FLIGHT = 500

processes = multiprocessing.get_context("forkserver")


Told = tuple[str, float, float, list[float]]
"""What a process tells in the end: its name, when it ended, its processor time, and a moment for each message."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one side."""

    events: int
    seconds: float
    processor_seconds: float
    latencies: list[float]

    def rate(self, *, processor: bool = False) -> float:
        """Events per second, or per second of processor time."""
        return self.events / (self.processor_seconds if processor else self.seconds)


def run(options: Options) -> Iterator[Table]:
    url = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    try:
        pika.BlockingConnection(parse_address(url).parameters[0]).close()
    except AMQPError:
        yield Table("RabbitMQ: there is no broker to measure", ["set", "to"], [["RABBITMQ_URL", "a broker"]])
        return
    events = 1_000 if options.quick else 10_000
    single, bare, ours = [], [], []
    # In turns, so that what else the machine does meets all of them.
    for _ in range(1 if options.quick else ROUNDS):
        single.append(_bare(url, events // 10, one_by_one=True))
        bare.append(_bare(url, events, one_by_one=False))
        ours.append(_ours(url, events))
    notes = [
        f"Ours in shares of {name}, by events per second: {_shares(other, ours)}; by the processor time of both "
        f"processes: {_shares(other, ours, processor=True)}."
        for name, other in (("one by one", single), ("in flight", bare))
    ]
    yield Table(
        "RabbitMQ, a burst of events, one consumer",
        ["side", "events", "events/s", "processor, us/event", "p50, ms", "p99, ms"],
        [
            _row("bare, one by one", single),
            _row("bare, in flight", bare),
            _row("ours: outbox, inbox", ours),
        ],
        [*notes, f"Ours: all {len(ours) * events:,} were handled, each once. {_LATENCY}"],
    )


_LATENCY = (
    "Latency is from before the announcing transaction (or the publishing) until the handler is done (or the message "
    "is there): in a burst, the time that the queue takes to drain."
)


def _shares(others: list[Figures], ours: list[Figures], *, processor: bool = False) -> str:
    pairs = zip(others, ours, strict=True)
    shares = [mine.rate(processor=processor) / other.rate(processor=processor) for other, mine in pairs]
    return f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"


def _row(name: str, runs: list[Figures]) -> list[str]:
    middle = sorted(runs, key=Figures.rate)[len(runs) // 2]
    latencies = (percentile(middle.latencies, 0.5), percentile(middle.latencies, 0.99))
    processor = 1e6 / middle.rate(processor=True)
    shown = (f"{middle.rate():,.0f}", f"{processor:,.0f}", *(f"{each * 1000:,.0f}" for each in latencies))
    return [name, f"{middle.events:,}", *shown]


def _measured(publish: Callable[..., None], consume: Callable[..., None], *arguments: object) -> Figures:
    """Run both processes; each tells when it is ready, and in the end what it took."""
    told: Queue[Told] = processes.Queue()
    go = processes.Event()
    started = [
        processes.Process(target=_started, args=(target, told, go, *arguments), daemon=True)
        for target in (publish, consume)
    ]
    for each in started:
        each.start()
    for _ in started:
        assert told.get(timeout=60)[0] == "ready"
    begun = time.monotonic()
    go.set()
    results = {each[0]: each for each in (told.get(timeout=300) for _ in started)}
    for each in started:
        each.join(30)
        assert each.exitcode == 0
    (_, _, publishing, sent), (_, ended, consuming, arrived) = results["sent"], results["arrived"]
    latencies = sorted(after - before for before, after in zip(sent, arrived, strict=True))
    return Figures(len(sent), ended - begun, publishing + consuming, latencies)


def _started(target: Callable[..., None], *arguments: object) -> None:
    # As a process of ours does before it serves: collections need not look at what was imported.
    gc.freeze()
    target(*arguments)


def _bare(url: str, events: int, *, one_by_one: bool) -> Figures:
    queue = f"bench-{uuid.uuid4().hex}"
    connection = pika.BlockingConnection(parse_address(url).parameters[0])
    connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    connection.close()
    try:
        if one_by_one:
            return _measured(_single_publish, _single_consume, url, queue, events)
        return _measured(_bare_publish, _bare_consume, url, queue, events)
    finally:
        connection = pika.BlockingConnection(parse_address(url).parameters[0])
        connection.channel().queue_delete(queue)
        connection.close()


def _properties(number: int) -> pika.BasicProperties:
    return pika.BasicProperties(delivery_mode=2, message_id=str(number))  # type: ignore[no-untyped-call]


def _single_publish(told: "Queue[Told]", go: threading.Event, url: str, queue: str, events: int) -> None:
    connection = pika.BlockingConnection(parse_address(url).parameters[0])
    channel = connection.channel()
    channel.confirm_delivery()
    body = _body(0)
    told.put(("ready", 0.0, 0.0, []))
    go.wait()
    used = time.process_time()
    sent = []
    for number in range(events):
        sent.append(time.monotonic())
        channel.basic_publish("", queue, body, _properties(number))
    told.put(("sent", time.monotonic(), time.process_time() - used, sent))
    connection.close()


def _single_consume(told: "Queue[Told]", go: threading.Event, url: str, queue: str, events: int) -> None:
    connection = pika.BlockingConnection(parse_address(url).parameters[0])
    channel = connection.channel()
    channel.basic_qos(prefetch_count=200)
    arrived: list[float] = []
    told.put(("ready", 0.0, 0.0, []))
    go.wait()
    used = time.process_time()
    for method, _, _ in channel.consume(queue):
        arrived.append(time.monotonic())
        channel.basic_ack(0 if method is None else method.delivery_tag)
        if len(arrived) == events:
            break
    told.put(("arrived", time.monotonic(), time.process_time() - used, arrived))
    connection.close()


def _body(number: int) -> bytes:
    return Measured(number).to_event(source="bench", vault_id="vault", request_id=None).to_json().encode()


def _bare_publish(told: "Queue[Told]", go: threading.Event, url: str, queue: str, events: int) -> None:
    body = _body(0)
    sent: list[float] = []
    confirmed, used = 0, 0.0

    def on_channel(channel: Channel) -> None:
        def pump() -> None:
            while len(sent) < events and len(sent) - confirmed < IN_FLIGHT:
                number = len(sent)
                sent.append(time.monotonic())
                channel.basic_publish("", queue, body, _properties(number))

        def on_confirmed(frame: Method[Basic.Ack | Basic.Nack]) -> None:
            nonlocal confirmed
            tag = frame.method.delivery_tag
            confirmed = tag if frame.method.multiple else confirmed + 1
            if confirmed >= events:
                channel.connection.close()
            pump()

        def begin(_frame: object) -> None:
            nonlocal used
            told.put(("ready", 0.0, 0.0, []))
            go.wait()
            used = time.process_time()
            pump()

        channel.confirm_delivery(on_confirmed, callback=begin)

    _serve(url, on_channel)
    told.put(("sent", time.monotonic(), time.process_time() - used, sent))


def _bare_consume(told: "Queue[Told]", go: threading.Event, url: str, queue: str, events: int) -> None:
    arrived: list[float] = []
    used = 0.0

    def on_channel(channel: Channel) -> None:
        def on_message(_channel: object, method: Basic.Deliver, _properties: object, _body: bytes) -> None:
            arrived.append(time.monotonic())
            if len(arrived) % 100 == 0 or len(arrived) == events:
                channel.basic_ack(method.delivery_tag, multiple=True)
            if len(arrived) == events:
                channel.connection.close()

        def begin(_frame: object) -> None:
            nonlocal used
            told.put(("ready", 0.0, 0.0, []))
            go.wait()
            used = time.process_time()

        channel.basic_qos(prefetch_count=200)
        channel.basic_consume(queue, on_message, callback=begin)

    _serve(url, on_channel)
    told.put(("arrived", arrived[-1], time.process_time() - used, arrived))


def _serve(url: str, on_channel: Callable[[Channel], None]) -> None:
    def opened(connection: pika.connection.Connection) -> None:
        connection.channel(on_open_callback=on_channel)

    connection = pika.SelectConnection(
        parse_address(url).parameters[0],
        on_open_callback=opened,
        on_close_callback=lambda closed, _reason: closed.ioloop.stop(),
    )
    connection.ioloop.start()


def _ours(url: str, events: int) -> Figures:
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    prefixed = f"{url}{'&' if '?' in url else '?'}prefix={prefix}"
    with tempfile.TemporaryDirectory() as folder, _removed(url, prefix):
        place = f"sqlite:///{folder}/bench.db"
        database = Database(place)
        upgrade(database, [SCHEMA])
        bus = open_bus(prefixed, database, vault_id="vault")
        bus.declare(_subscriptions(lambda _work, _event: None))
        bus.close()
        figures = _measured(_publish, _consume, prefixed, place, events)
        with database.read() as work:
            handled = work.session.scalar(text("SELECT count(*) FROM bus_inbox"))
        assert handled == events, "an event was not handled, or more were than were announced"
        database.close()
    return figures


def _subscriptions(handle: Callable[[UnitOfWork, Event], None]) -> list[Subscription]:
    return [Subscription(QUEUE, ["bench.#"], handle)]


def _publish(told: "Queue[Told]", go: threading.Event, url: str, place: str, events: int) -> None:
    database = Database(place)
    bus = open_bus(url, database, vault_id="vault")
    relay = Relay(database, bus)
    relay.start()
    told.put(("ready", 0.0, 0.0, []))
    go.wait()
    used = time.process_time()
    sent: list[float] = []
    for first in range(0, events, 100):
        count = min(100, events - first)
        sent += [time.monotonic()] * count
        with database.write() as work:
            Outbox(work.session, "bench", "vault").announce(*[Measured(first + each) for each in range(count)])
    tick = threading.Event()
    while _waiting(database):
        tick.wait(0.05)
    assert relay.stop()
    bus.close()
    database.close()
    told.put(("sent", time.monotonic(), time.process_time() - used, sent))


def _waiting(database: Database) -> bool:
    with database.read() as work:
        return work.session.scalar(text("SELECT sequence FROM bus_outbox LIMIT 1")) is not None


def _consume(told: "Queue[Told]", go: threading.Event, url: str, place: str, events: int) -> None:
    database = Database(place)
    bus = open_bus(url, database, vault_id="vault")
    arrived, handled = [0.0] * events, set[int]()

    def handle(_work: UnitOfWork, event: Event) -> None:
        number = event.data["number"]
        arrived[number] = time.monotonic()
        handled.add(number)

    worker = Worker(database, bus, _subscriptions(handle))
    worker.start()
    told.put(("ready", 0.0, 0.0, []))
    go.wait()
    used = time.process_time()
    tick = threading.Event()
    while len(handled) < events or any(bus.depths().values()):
        tick.wait(0.01)
    assert worker.stop()
    bus.close()
    database.close()
    told.put(("arrived", max(arrived), time.process_time() - used, arrived))


@contextmanager
def _removed(url: str, prefix: str) -> Iterator[None]:
    try:
        yield
    finally:
        connection = pika.BlockingConnection(parse_address(url).parameters[0])
        channel = connection.channel()
        for queue in (QUEUE, "dlq", *(f"weave-nn.rest.{level}" for level in REST_SECONDS)):
            channel.queue_delete(prefix + queue)
        for exchange in ("events", "queues", "rest", "dead", "vault"):
            channel.exchange_delete(f"{prefix}weave-nn.{exchange}")
        connection.close()
