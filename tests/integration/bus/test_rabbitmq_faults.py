"""What brokers, networks and processes do to the bus on RabbitMQ, with ledgers outside of it to compare in the end."""

import functools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text

from integration.bus import victim
from integration.bus.cases import (
    PATIENCE_SECONDS,
    Counted,
    Recorder,
    announce,
    eventually,
    ignore,
    messages,
    running,
    take,
)
from rabbitmq import Node, remove
from tcp_proxy import Proxy, proxy_to
from weave_nn.shared.bus import SCHEMA, Relay, Subscription, Worker, backlog
from weave_nn.shared.bus.rabbitmq import RabbitBus, parse_address
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.errors import Unavailable

PREFIX = "faults."
PROCESSES = 2
PACE_SECONDS = 0.02
GROWTH_BYTES = 400
"""How far a ledger has to grow before it counts as going on: some fifty changes."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["weave_nn.shared.bus", "weave_nn.shared.bus.rabbitmq", "pytest"])


@dataclass
class Load:
    """Processes that change, announce, relay and consume as fast as they can, over a network that can fail."""

    folder: Path
    network: Proxy
    url: str
    running: list[ForkServerProcess] = field(default_factory=list)
    started: int = 0

    @property
    def database_path(self) -> Path:
        return self.folder / "weave.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "acknowledged.txt"

    def start(self) -> None:
        arguments = (self.database_path, self.ledger, self.started * 1_000_000 + 1, self.url)
        options = {"failing": True, "pace_seconds": PACE_SECONDS}
        process = processes.Process(target=victim.announce_and_consume, args=arguments, kwargs=options, daemon=True)
        process.start()
        self.started += 1
        self.running.append(process)

    def kill(self) -> None:
        process = self.running.pop(0)
        process.kill()
        process.join()
        assert process.exitcode == -9

    def goes_on(self) -> None:
        """Wait until more was changed: announcing needs no broker."""
        eventually(functools.partial(_has_grown, self.ledger, self.ledger.stat().st_size + GROWTH_BYTES))

    def handles(self) -> None:
        """Wait until more was handled."""
        database = Database(f"sqlite:///{self.database_path}")
        before = _effects(database)
        eventually(lambda: _effects(database) > before + PROCESSES * 50)
        database.close()


def _effects(database: Database) -> int:
    with database.read() as work:
        count: int = work.session.scalar(text("SELECT count(*) FROM effect")) or 0
        return count


def _has_grown(file: Path, size: int) -> bool:
    return file.stat().st_size > size


@pytest.fixture
def _quiet() -> Iterator[None]:
    victim.quiet()
    yield
    structlog.reset_defaults()


@pytest.fixture
def load(tmp_path: Path, rabbitmq_node: Node, _quiet: None) -> Iterator[Load]:
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [SCHEMA])
    victim.prepare(database)
    database.close()
    (tmp_path / "acknowledged.txt").touch()
    with ExitStack() as stack:
        network = stack.enter_context(proxy_to("127.0.0.1", rabbitmq_node.port))
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        url = f"amqp://guest:guest@127.0.0.1:{network.port}/%2F?heartbeat=2&prefix={PREFIX}"
        load = Load(tmp_path, network, url)
        yield load
        while load.running:
            load.kill()


def check(load: Load, broker_url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> tuple[int, int]:
    """Let the queues drain by themselves, and compare: nothing acknowledged is lost, no effect is doubled."""
    while load.running:
        load.kill()
    database, bus = victim.open_database(load.database_path, f"{broker_url}?prefix={PREFIX}")
    relay = Relay(database, bus, lease_seconds=2.0)
    worker = Worker(database, bus, victim.subscriptions("one", "two", failing=True))
    with database.read() as work:
        changes = set(work.session.scalars(text("SELECT number FROM change")))
    worker.start()
    relay.start()
    good = {number for number in changes if number % victim.POISON}
    effects = "SELECT count(*) FROM effect"

    def drained() -> bool:
        with database.read() as work:
            return (
                work.session.scalar(text(effects)) >= 2 * len(good)
                and not backlog(work.session).count
                and not any(bus.depths().values())
            )

    try:
        eventually(drained, patience_seconds=patience_seconds)
    except AssertionError as error:
        with database.read() as work:
            done, behind = work.session.scalar(text(effects)), backlog(work.session)
        state = f"{done} of {2 * len(good)} effects, {behind}, {bus.depths()}, failing {worker.failing()}"
        raise AssertionError(state) from error
    assert relay.stop(PATIENCE_SECONDS)
    assert worker.stop(PATIENCE_SECONDS)
    with database.read() as work:
        found = Counter((row.queue, row.number) for row in work.session.execute(text("SELECT * FROM effect")))
    acknowledged = {int(line) for line in load.ledger.read_text().split()}
    assert acknowledged <= changes
    assert found == Counter({(queue, number): 1 for queue in ("one", "two") for number in good})
    letters = {(letter.queue, letter.message.event_id) for letter in bus.dead_letters(limit=100_000)}
    assert len(letters) == 2 * (len(changes) - len(good))
    bus.close()
    database.close()
    return len(acknowledged), load.started


def test_whatever_fails_nothing_acknowledged_is_lost_and_no_effect_doubled(load: Load, rabbitmq_node: Node) -> None:
    for _ in range(PROCESSES):
        load.start()
    load.goes_on()
    for disturb, mend in (
        (load.network.cut, load.network.mend),
        (load.kill, load.start),
        (load.network.stall, load.network.mend),
        (rabbitmq_node.kill, rabbitmq_node.start),
        (load.kill, load.start),
        (rabbitmq_node.stop, rabbitmq_node.start),
    ):
        disturb()
        load.goes_on()
        mend()
        load.goes_on()
    acknowledged, started = check(load, rabbitmq_node.url)
    assert acknowledged
    assert started == PROCESSES + 2


@pytest.mark.skipif(not os.environ.get("WEAVE_TEST_SLOW"), reason="takes minutes; set WEAVE_TEST_SLOW=1")
def test_a_broker_that_is_away_for_half_a_minute(load: Load, rabbitmq_node: Node) -> None:
    load.start()
    load.goes_on()
    rabbitmq_node.stop()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        load.goes_on()
    rabbitmq_node.start()
    load.goes_on()
    acknowledged, _ = check(load, rabbitmq_node.url, patience_seconds=300)
    print(f"{acknowledged} changes acknowledged, each with one effect")  # noqa: T201 - shown with -s


def test_a_silent_broker_is_given_up_and_everything_goes_on_when_it_speaks_again(
    rabbitmq_node: Node, sqlite_database: Database
) -> None:
    recorder = Recorder()
    with ExitStack() as stack:
        network = stack.enter_context(proxy_to("127.0.0.1", rabbitmq_node.port))
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        url = f"amqp://guest:guest@127.0.0.1:{network.port}/%2F?heartbeat=1&prefix={PREFIX}"
        bus = RabbitBus(parse_address(url), sqlite_database, vault_id="v")
        stack.callback(bus.close)
        worker = stack.enter_context(running(sqlite_database, bus, Subscription("q", ["#"], recorder)))
        announce(sqlite_database, Counted(1))
        eventually(lambda: recorder.seen == [1])
        network.stall()
        announce(sqlite_database, Counted(2))
        eventually(lambda: list(worker.failing()) == ["bus-q"])
        assert recorder.seen == [1]
        network.mend()
        eventually(lambda: recorder.seen == [1, 2] and not worker.failing())


def test_a_broker_that_is_full_makes_events_wait_in_the_database(
    rabbitmq_node: Node, sqlite_database: Database
) -> None:
    recorder = Recorder()
    url = f"{rabbitmq_node.url}?prefix={PREFIX}"
    with ExitStack() as stack:
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        bus = RabbitBus(parse_address(url), sqlite_database, vault_id="v")
        stack.callback(bus.close)
        stack.enter_context(running(sqlite_database, bus, Subscription("q", ["#"], recorder)))
        announce(sqlite_database, Counted(1))
        eventually(lambda: recorder.seen == [1])
        stack.callback(rabbitmq_node.control, "set_disk_free_limit", "50MB")
        rabbitmq_node.control("set_disk_free_limit", "1000000GB")

        def refused() -> bool:
            try:
                bus.publish(messages(0))
            except Unavailable as error:
                return "takes no messages at present" in str(error)
            return False

        eventually(refused)
        announce(sqlite_database, Counted(2))
        rabbitmq_node.control("set_disk_free_limit", "50MB")
        eventually(lambda: 2 in recorder.seen)


def test_a_process_may_start_before_its_broker(rabbitmq_node: Node, sqlite_database: Database) -> None:
    recorder = Recorder()
    with ExitStack() as stack:
        network = stack.enter_context(proxy_to("127.0.0.1", rabbitmq_node.port))
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        network.cut()
        url = f"amqp://guest:guest@127.0.0.1:{network.port}/%2F?prefix={PREFIX}"
        bus = RabbitBus(parse_address(url), sqlite_database, vault_id="v")
        stack.callback(bus.close)
        stack.enter_context(running(sqlite_database, bus, Subscription("q", ["#"], recorder)))
        announce(sqlite_database, Counted(1))
        network.mend()
        eventually(lambda: recorder.seen == [1])


def test_tls_is_spoken_and_the_server_is_checked(rabbitmq_node: Node, sqlite_database: Database) -> None:
    place = f"amqps://guest:guest@localhost:{rabbitmq_node.tls_port}/%2F?prefix={PREFIX}"
    with pytest.raises(Unavailable, match="does not answer"):
        RabbitBus(parse_address(place), sqlite_database, vault_id="v").publish(messages(1))
    trusted = f"{place}&cacertfile={rabbitmq_node.certificate}"
    with ExitStack() as stack:
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        bus = RabbitBus(parse_address(trusted), sqlite_database, vault_id="v")
        stack.callback(bus.close)
        bus.declare([Subscription("q", ["#"], ignore)])
        bus.publish(messages(1))
        assert len(take(bus)) == 1


def test_of_several_hosts_one_that_answers_is_used(rabbitmq_node: Node, sqlite_database: Database) -> None:
    hosts = f"127.0.0.1:1,127.0.0.1:{rabbitmq_node.port},127.0.0.1:2"
    with ExitStack() as stack:
        stack.callback(remove, rabbitmq_node.url, PREFIX)
        url = f"amqp://guest:guest@{hosts}/%2F?prefix={PREFIX}"
        bus = RabbitBus(parse_address(url), sqlite_database, vault_id="v")
        stack.callback(bus.close)
        bus.declare([Subscription("q", ["#"], ignore)])
        bus.publish(messages(1))
        assert len(take(bus)) == 1
