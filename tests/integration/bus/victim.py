"""A process that announces and consumes as fast as it can, to be killed by the tests."""

import os
from pathlib import Path

from sqlalchemy import text

from integration.bus.cases import Counted
from weave_nn.shared.bus import EmbeddedBus, Event, Outbox, Relay, RetryPolicy, Subscription, Worker
from weave_nn.shared.db import Database, UnitOfWork

LEASE_SECONDS = 0.1
# Every kill counts as an attempt of what was in flight, and nothing in these tests is to be given up on.
PATIENT = RetryPolicy(delivery_limit=1000, first_delay_seconds=0.01, longest_delay_seconds=0.05)


def open_bus(path: Path) -> tuple[Database, EmbeddedBus]:
    database = Database(f"sqlite:///{path}")
    return database, EmbeddedBus(database, poll_seconds=0.02)


def prepare(database: Database) -> None:
    """Make the ledgers; neither refuses duplicates, so that they would be seen."""
    with database.write() as work:
        work.session.execute(text("CREATE TABLE change (number INTEGER)"))
        work.session.execute(text("CREATE TABLE effect (queue TEXT, number INTEGER, process INTEGER)"))


def subscriptions(*queues: str, batch_size: int = 20, lease_seconds: float = LEASE_SECONDS) -> list[Subscription]:
    def into(queue: str) -> Subscription:
        def record(work: UnitOfWork, event: Event) -> None:
            row = {"queue": queue, "number": event.data["number"], "process": os.getpid()}
            work.session.execute(text("INSERT INTO effect VALUES (:queue, :number, :process)"), row)

        return Subscription(queue, ["test.#"], record, batch_size, lease_seconds, PATIENT)

    return [into(queue) for queue in queues]


def announce_and_consume(path: Path, acknowledgements: Path, first: int) -> None:
    """Change, announce and commit, then note the number in a file; relay and consume meanwhile; until killed."""
    database, bus = open_bus(path)
    Relay(database, bus, lease_seconds=LEASE_SECONDS).start()
    Worker(database, bus, subscriptions("one", "two")).start()
    noted = os.open(acknowledgements, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    number = first
    while True:
        with database.write() as work:
            work.session.execute(text("INSERT INTO change VALUES (:number)"), {"number": number})
            Outbox(work.session, "test", "v").announce(Counted(number))
        os.write(noted, f"{number}\n".encode())
        number += 1


def consume(path: Path, total: int) -> None:
    """Share the queue `one` with whoever else does, until `total` effects are there."""
    database, bus = open_bus(path)
    worker = Worker(database, bus, subscriptions("one", batch_size=10, lease_seconds=10))
    worker.start()
    count = 0
    while count < total:
        worker._loops[0].join(0.02)
        with database.read() as work:
            count = work.session.scalar(text("SELECT count(*) FROM effect")) or 0
    assert worker.stop()
