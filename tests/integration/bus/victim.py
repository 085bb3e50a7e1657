"""A process that announces and consumes as fast as it can, to be killed by the tests."""

import logging
import os
import random
import threading
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import structlog
from sqlalchemy import text

from integration.bus.cases import PATIENCE_SECONDS, Counted
from weave_nn.shared.bus import (
    Bus,
    EmbeddedBus,
    Event,
    InvalidEvent,
    Outbox,
    Relay,
    RetryPolicy,
    Subscription,
    Worker,
    open_bus,
)
from weave_nn.shared.db import Database, UnitOfWork

LEASE_SECONDS = 0.1
# Every kill counts as an attempt of what was in flight, and nothing in these tests is to be given up on.
FAILURES = 0.1
POISON = 97
PATIENT = RetryPolicy(delivery_limit=1000, first_delay_seconds=0.01, longest_delay_seconds=0.05)


def quiet() -> None:
    """Log no failures: these tests make thousands, and to print one takes longer than to handle ten messages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def open_database(path: Path, rabbitmq_url: str | None = None) -> tuple[Database, Bus]:
    database = Database(f"sqlite:///{path}")
    if rabbitmq_url is not None:
        return database, open_bus(rabbitmq_url, database, vault_id="v")
    return database, EmbeddedBus(database, poll_seconds=0.02)


def prepare(database: Database) -> None:
    """Make the ledgers; neither refuses duplicates, so that they would be seen."""
    with database.write() as work:
        work.session.execute(text("CREATE TABLE change (number INTEGER)"))
        work.session.execute(text("CREATE TABLE effect (queue TEXT, number INTEGER, process INTEGER)"))


def subscriptions(
    *queues: str, batch_size: int = 20, lease_seconds: float = LEASE_SECONDS, failing: bool = False
) -> list[Subscription]:
    """Handlers that note what they were given; if `failing`, one of ten attempts fails, and `POISON` always."""

    def into(queue: str) -> Subscription:
        def record(work: UnitOfWork, event: Event) -> None:
            if failing and event.data["number"] % POISON == 0:
                raise InvalidEvent("poison")
            row = {"queue": queue, "number": event.data["number"], "process": os.getpid()}
            work.session.execute(text("INSERT INTO effect VALUES (:queue, :number, :process)"), row)
            if failing and random.random() < FAILURES:  # noqa: S311 - luck
                raise RuntimeError("no luck, after the effect")

        return Subscription(queue, ["test.#"], record, batch_size, lease_seconds, PATIENT)

    return [into(queue) for queue in queues]


def announce_and_consume(
    path: Path,
    acknowledgements: Path,
    first: int,
    rabbitmq_url: str | None = None,
    *,
    failing: bool = False,
    pace_seconds: float = 0.0,
) -> None:
    """Change, announce and commit, then note the number in a file; relay and consume meanwhile; until killed."""
    quiet()
    database, bus = open_database(path, rabbitmq_url)
    Worker(database, bus, subscriptions("one", "two", failing=failing)).start()
    Relay(database, bus, lease_seconds=LEASE_SECONDS if rabbitmq_url is None else 2.0).start()
    noted = os.open(acknowledgements, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    number, pace = first, threading.Event()
    while not pace.wait(pace_seconds):
        with database.write() as work:
            work.session.execute(text("INSERT INTO change VALUES (:number)"), {"number": number})
            Outbox(work.session, "test", "v").announce(Counted(number))
        os.write(noted, f"{number}\n".encode())
        number += 1


def consume(path: Path, ending: Signal) -> None:
    """Share the queue `one` with whoever else does, until `ending`."""
    database, bus = open_database(path)
    worker = Worker(database, bus, subscriptions("one", batch_size=10, lease_seconds=60))
    worker.start()
    ending.wait()
    assert worker.stop(PATIENCE_SECONDS)
