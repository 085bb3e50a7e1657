"""How many events the embedded bus carries, from announcing to three handlers' committed effects.

"steady" announces one event in each transaction, as a request does, and waits when 500 are on their way; "burst"
announces all at once in transactions of 100. The latency is from before the announcing transaction to the handler of
the slowest of the three consumers.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from benchmarks.report import Options, Table, percentile
from weave_nn.shared.bus import SCHEMA, Announcement, EmbeddedBus, Event, Outbox, Relay, Subscription, Worker
from weave_nn.shared.db import Database, UnitOfWork, upgrade

NAME = "bus"
CONSUMERS = 3
WINDOW = 500


@dataclass(frozen=True, slots=True)
class Measured(Announcement):
    TYPE = "bench.event.measured"

    number: int
    path: str = "Projects/2026/A note with a title of usual length.md"
    content_hash: str = "0123456789abcdef" * 4


class Run:
    """One run on a database of its own."""

    def __init__(self, folder: Path, events: int) -> None:
        self.events = events
        self.database = Database(f"sqlite:///{folder}/bench.db")
        upgrade(self.database, [SCHEMA])
        with self.database.write() as work:
            work.session.execute(text("CREATE TABLE effect (queue TEXT, number INTEGER)"))
        self._begun = [0.0] * events
        self._last = [0.0] * events
        self._handled = dict.fromkeys((f"consumer-{index}" for index in range(CONSUMERS)), 0)
        self._tick = threading.Event()

    def measure(self, announce: Callable[["Run"], None]) -> tuple[float, list[float]]:
        """Events per second until every effect is there, and the latencies in seconds, sorted."""
        bus = EmbeddedBus(self.database)
        relay = Relay(self.database, bus)
        worker = Worker(
            self.database, bus, [Subscription(queue, ["#"], self._handler(queue)) for queue in self._handled]
        )
        worker.start()
        relay.start()
        started = time.perf_counter()
        announce(self)
        self.wait_until_behind_by(0, self.events)
        elapsed_seconds = time.perf_counter() - started
        assert relay.stop()
        assert worker.stop()
        with self.database.read() as work:
            rows = work.session.execute(text("SELECT count(*), count(DISTINCT queue || number) FROM effect")).one()
        assert tuple(rows) == (CONSUMERS * self.events,) * 2, "an effect is missing or doubled"
        latencies = sorted(last - begun for begun, last in zip(self._begun, self._last, strict=True))
        return self.events / elapsed_seconds, latencies

    def announce(self, first: int, count: int) -> None:
        """Announce `count` events in one transaction."""
        now = time.perf_counter()
        self._begun[first : first + count] = [now] * count
        with self.database.write() as work:
            numbers = range(first, first + count)
            Outbox(work.session, "bench", "vault").announce(*[Measured(number) for number in numbers])

    def wait_until_behind_by(self, distance: int, announced: int) -> None:
        """Wait until the slowest consumer is at most `distance` behind what was announced."""
        # Looked at rather than notified: a handler that had to notify would hold the write lock meanwhile.
        while announced - min(self._handled.values()) > distance:
            self._tick.wait(0.002)

    def _handler(self, queue: str) -> Callable[[UnitOfWork, Event], None]:
        statement = text("INSERT INTO effect VALUES (:queue, :number)")

        def handle(work: UnitOfWork, event: Event) -> None:
            number = event.data["number"]
            work.session.execute(statement, {"queue": queue, "number": number})
            self._last[number] = time.perf_counter()
            self._handled[queue] += 1

        return handle


def steady(run: Run) -> None:
    for number in range(run.events):
        run.announce(number, 1)
        run.wait_until_behind_by(WINDOW, number + 1)


def burst(run: Run) -> None:
    for first in range(0, run.events, 100):
        run.announce(first, min(100, run.events - first))


def run(options: Options) -> list[Table]:
    events = 1_000 if options.quick else 10_000
    rows = []
    for name, announce in (("steady", steady), ("burst", burst)):
        with tempfile.TemporaryDirectory() as folder:
            rate, latencies = Run(Path(folder), events).measure(announce)
        shown = (percentile(latencies, 0.5), percentile(latencies, 0.99), latencies[-1])
        rows.append([name, f"{events:,}", f"{rate:,.0f}", *(f"{seconds * 1000:,.1f}" for seconds in shown)])
    columns = ["load", "events", "events/s", "p50, ms", "p99, ms", "max, ms"]
    return [Table(f"Embedded bus, {CONSUMERS} consumers", columns, rows)]
