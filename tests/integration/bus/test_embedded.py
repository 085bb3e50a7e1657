import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from integration.bus.cases import (
    PATIENCE_SECONDS,
    QUICK,
    BusCases,
    Counted,
    Recorder,
    announce,
    eventually,
    ignore,
    messages,
    running,
    take,
)
from weave_nn.shared.bus import (
    Bus,
    BusCollector,
    EmbeddedBus,
    Event,
    Relay,
    Subscription,
    Worker,
    backlog,
    embedded,
    published,
)
from weave_nn.shared.bus import inbox as inbox_module
from weave_nn.shared.bus.models import delivery, event, inbox, relay_lease
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import InvalidInput


@pytest.fixture
def bus(database: Database) -> EmbeddedBus:
    return EmbeddedBus(database, poll_seconds=0.1)


class TestEmbeddedBus(BusCases):
    """The cases that hold for every bus."""


def test_a_claim_whose_holder_died_comes_back_alone_and_counts(bus: Bus) -> None:
    bus.declare([Subscription("q", ["#"], ignore)])
    sent = messages(1, 2, 3)
    bus.publish(sent)
    assert len(take(bus, lease_seconds=0.05)) == 3
    returned = take(bus)
    assert [(each.message, each.attempt) for each in returned] == [(sent[0], 2)]


def test_an_outdated_claim_settles_nothing(bus: Bus) -> None:
    bus.declare([Subscription("q", ["#"], ignore)])
    bus.publish(messages(1))
    (outdated,) = take(bus, lease_seconds=0.01)
    (current,) = take(bus)
    bus.ack([outdated])
    bus.retry(outdated, delay_seconds=0)
    bus.dead_letter(outdated, "late")
    assert bus.depths()["q"] == 1
    assert bus.dead_letter_count() == 0
    bus.ack([current])
    assert bus.depths()["q"] == 0


def test_what_kills_its_worker_each_time_ends_as_a_dead_letter(database: Database, bus: Bus) -> None:
    recorder = Recorder()
    bus.declare([Subscription("q", ["#"], recorder)])
    bus.publish(messages(1))
    for _ in range(QUICK.delivery_limit):
        assert take(bus, lease_seconds=0.01)
    with running(database, bus, Subscription("q", ["#"], recorder, retry=QUICK)):
        eventually(lambda: bus.dead_letter_count() == 1)
    assert recorder.seen == []


def test_another_process_finds_what_this_one_published(database: Database, bus: Bus) -> None:
    recorder = Recorder()
    elsewhere = EmbeddedBus(database, poll_seconds=0.02)
    with running(database, elsewhere, Subscription("q", ["#"], recorder)):
        bus.publish(messages(1))
        eventually(lambda: recorder.seen == [1])


def test_only_one_relay_works_and_another_takes_over_after_its_lease(database: Database, bus: Bus) -> None:
    first, second = Relay(database, bus, lease_seconds=60), Relay(database, bus, lease_seconds=60)
    announce(database, Counted(1))
    assert first._relay_batch() == 1
    announce(database, Counted(2))
    assert second._relay_batch() == 0
    with database.write() as work:
        work.session.execute(update(relay_lease).values(until=datetime.now(UTC)))
    assert second._relay_batch() == 1


def test_what_is_not_settled_is_not_published(bus: Bus) -> None:
    bus.declare([Subscription("q", ["#"], ignore)])

    def fail(session: Session) -> None:
        del session
        raise KeyError

    with pytest.raises(KeyError):
        bus.publish(messages(1), settle=fail)
    assert bus.depths() == {"q": 0}
    assert bus.tail() == []


def test_a_lease_from_before_the_clock_was_set_back_binds_nobody(database: Database, bus: Bus) -> None:
    with database.write() as work:
        far = datetime.now(UTC) + timedelta(hours=5)
        work.session.execute(update(relay_lease).values(owner="someone", until=far))
    announce(database, Counted(1))
    assert Relay(database, bus).drain() == 1


def test_a_delivery_from_before_the_clock_was_set_back_is_delivered(database: Database, bus: Bus) -> None:
    bus.declare([Subscription("q", ["#"], ignore)])
    bus.publish(messages(1))
    with database.write() as work:
        work.session.execute(update(delivery).values(available_at=datetime.now(UTC) + timedelta(days=400)))
    EmbeddedBus(database).publish(messages(2))
    assert len(take(bus)) == 2


def test_old_events_go_and_those_that_somebody_waits_for_stay(
    database: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "KEPT_EVENTS", 3)
    monkeypatch.setattr(embedded, "_TIDY_SECONDS", 0.0)
    bus.publish(messages(*range(10)))
    assert len(bus.tail()) == 3
    bus.declare([Subscription("q", ["#"], ignore)])
    bus.publish(messages(*range(10)))
    bus.publish(messages(*range(10)))
    assert len(bus.tail()) == 20
    bus.ack(take(bus))
    bus.publish(messages(0))
    with database.read() as work:
        assert work.session.scalar(select(func.count()).select_from(event)) == 3


def test_the_inbox_forgets_what_is_old(database: Database) -> None:
    with database.write() as work:
        inbox_module.record(work.session, "q", ["a", "b", "c"])
        work.session.execute(
            update(inbox).where(inbox.c.event_id != "c").values(handled_at=datetime.now(UTC) - timedelta(days=8))
        )
        assert inbox_module.prune(work.session, "q", limit=1) == 1
        assert inbox_module.prune(work.session, "q") == 1
        assert inbox_module.handled(work.session, "q", ["a", "b", "c"]) == {"c"}


def test_a_handler_that_fails_leaves_nothing_of_its_own(database: Database, bus: Bus) -> None:
    with database.write() as work:
        work.session.execute(text("CREATE TABLE effect (number INTEGER)"))

    def effect(work: UnitOfWork, event: Event) -> None:
        work.session.execute(text("INSERT INTO effect VALUES (:number)"), {"number": event.data["number"]})
        if event.data["number"] % 2:
            raise RuntimeError("after its effect")

    with running(database, bus, Subscription("q", ["#"], effect, retry=QUICK)):
        bus.publish(messages(*range(10)))
        eventually(lambda: bus.depths()["q"] == 0)
    with database.read() as work:
        assert work.session.scalars(text("SELECT number FROM effect ORDER BY number")).all() == [0, 2, 4, 6, 8]
    assert bus.dead_letter_count() == 5


def test_a_worker_outlives_an_outage_of_the_database(database: Database, bus: Bus) -> None:
    recorder = Recorder()
    with running(database, bus, Subscription("q", ["#"], recorder)) as worker:
        with database.write() as work:
            work.session.execute(text("ALTER TABLE bus_delivery RENAME TO away"))
        bus.wake()
        eventually(lambda: list(worker.failing()) == ["bus-q"])
        assert worker.alive()
        with database.write() as work:
            work.session.execute(text("ALTER TABLE away RENAME TO bus_delivery"))
        announce(database, Counted(1))
        eventually(lambda: recorder.seen == [1] and not worker.failing())


def test_stopping_finishes_what_is_in_flight_and_puts_back_the_rest(database: Database, bus: Bus) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(work: UnitOfWork, event: Event) -> None:
        del work, event
        entered.set()
        assert leave.wait(PATIENCE_SECONDS)

    worker = Worker(database, bus, [Subscription("q", ["#"], slow)])
    worker.start()
    bus.publish(messages(1, 2, 3))
    assert entered.wait(PATIENCE_SECONDS)
    assert not worker.stop(timeout_seconds=0.1)
    leave.set()
    assert worker.stop(PATIENCE_SECONDS)
    assert not worker.alive()
    assert sorted(each.attempt for each in take(bus)) == [1] * bus.depths()["q"]


def test_the_collector_shows_depths_and_the_backlog(database: Database, bus: Bus) -> None:
    announce(database, Counted(1))
    with database.read() as work:
        assert backlog(work.session).count == 1
    bus.declare([Subscription("q", ["#"], ignore)])
    bus.publish(messages(1, 2))
    problems: list[Exception] = []
    collector = BusCollector(database, bus, problems.append)
    samples = {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}
    assert samples["weave_bus_queue_depth"] == 2
    assert samples["weave_bus_outbox_events"] == 1
    with database.write() as work:
        work.session.execute(text("DROP TABLE bus_outbox"))
    assert {metric.name for metric in collector.collect()} == {"weave_bus_queue_depth", "weave_bus_dead_letters"}
    assert len(problems) == 1
    with database.write() as work:
        work.session.execute(text("DROP TABLE bus_binding"))
    assert list(collector.collect()) == []


@pytest.mark.parametrize("bad", ["x", "-1", "1 OR 1", ""])
def test_an_id_that_is_none_is_refused(bus: Bus, bad: str) -> None:
    with pytest.raises(InvalidInput, match="not the id of a dead letter"):
        bus.replay([bad])
