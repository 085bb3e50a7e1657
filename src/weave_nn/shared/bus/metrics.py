"""The bus's metrics, in the process-wide Prometheus registry."""

from collections.abc import Callable, Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from weave_nn.shared.bus.outbox import backlog
from weave_nn.shared.bus.port import Bus
from weave_nn.shared.db import Database

PUBLISHED = Counter("weave_bus_published", "Events that the relay moved from the outbox to the bus.", ["type"])
HANDLED = Counter("weave_bus_handled", "Messages whose effects were committed.", ["queue"])
DUPLICATES = Counter("weave_bus_duplicates", "Messages that were skipped because they had been handled.", ["queue"])
RETRIED = Counter("weave_bus_retried", "Failed attempts that will be repeated.", ["queue"])
DEAD = Counter("weave_bus_dead", "Messages that became dead letters.", ["queue"])
HANDLING_SECONDS = Histogram(
    "weave_bus_handling_seconds",
    "Time that one handler took for one message.",
    ["queue"],
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)


class BusCollector(Collector):
    """Asks for queue depths, dead letters and the outbox's backlog at each scrape; register one for each process.

    `on_error` is told when they cannot be read; the scrape then goes without them, so that the other metrics of a
    process with a broken database can still be seen.
    """

    def __init__(self, database: Database, bus: Bus, on_error: Callable[[Exception], None]) -> None:
        self._database = database
        self._bus = bus
        self._on_error = on_error

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the database is not asked at registration."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as they are now."""
        # The outbox is of most interest while the broker is away.
        for measure in (self._outbox, self._queues):
            try:
                yield from measure()
            except Exception as error:  # noqa: BLE001 - see the class
                self._on_error(error)

    def _outbox(self) -> list[GaugeMetricFamily]:
        with self._database.read() as work:
            behind = backlog(work.session)
        return [
            GaugeMetricFamily("weave_bus_outbox_events", "Events that await the relay.", value=behind.count),
            GaugeMetricFamily(
                "weave_bus_outbox_oldest_seconds",
                "Age of the oldest event that awaits the relay.",
                value=behind.oldest_seconds,
            ),
        ]

    def _queues(self) -> list[GaugeMetricFamily]:
        depth = GaugeMetricFamily("weave_bus_queue_depth", "Messages that wait or are being handled.", labels=["queue"])
        for queue, count in self._bus.depths().items():
            depth.add_metric([queue], count)
        return [
            depth,
            GaugeMetricFamily("weave_bus_dead_letters", "Dead letters.", value=self._bus.dead_letter_count()),
        ]
