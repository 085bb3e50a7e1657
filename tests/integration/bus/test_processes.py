"""What real processes do to the bus: they are killed at any moment, and they share it."""

import functools
import multiprocessing
import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from integration.bus import victim
from integration.bus.cases import PATIENCE_SECONDS, eventually, messages
from weave_nn.shared.bus import SCHEMA, Bus, Relay, Worker
from weave_nn.shared.db import Database, upgrade

KILLS = 30

# The fork server has imported what takes long; a new process runs within milliseconds of being asked for.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["weave_nn.shared.bus", "pytest"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weave.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database, [SCHEMA])
    victim.prepare(database)
    database.close()
    return path


def _has_grown(file: Path, size: int) -> bool:
    return file.stat().st_size > size


def _effects(database: Database) -> list[tuple[str, int]]:
    with database.read() as work:
        return [(row.queue, row.number) for row in work.session.execute(text("SELECT queue, number FROM effect"))]


def test_killed_at_any_moment_every_committed_change_has_exactly_one_effect(tmp_path: Path, path: Path) -> None:
    acknowledgements = tmp_path / "acknowledged.txt"
    acknowledgements.touch()
    moments = random.Random(20261123)  # noqa: S311 - moments to kill at
    survived_by_work = 0
    for round_number in range(KILLS):
        before = acknowledgements.stat().st_size
        arguments = (path, acknowledgements, round_number * 1_000_000)
        process = processes.Process(target=victim.announce_and_consume, args=arguments, daemon=True)
        process.start()
        if round_number % 5:
            # Mostly in the middle of the work, now and then while it is only starting.
            eventually(functools.partial(_has_grown, acknowledgements, before))
        process.join(moments.uniform(0.0, 0.25))
        process.kill()
        process.join()
        assert process.exitcode == -9
        survived_by_work += acknowledgements.stat().st_size > before
    assert survived_by_work >= KILLS * 4 // 5

    database, bus = victim.open_database(path)
    relay = Relay(database, bus, lease_seconds=victim.LEASE_SECONDS)
    worker = Worker(database, bus, victim.subscriptions("one", "two"))
    with database.read() as work:
        changes = set(work.session.scalars(text("SELECT number FROM change")))
    relay.start()
    worker.start()
    eventually(lambda: len(set(_effects(database))) == 2 * len(changes))
    eventually(lambda: not any(bus.depths().values()))
    assert relay.stop(PATIENCE_SECONDS)
    assert worker.stop(PATIENCE_SECONDS)

    acknowledged = {int(line) for line in acknowledgements.read_text().split()}
    assert acknowledged
    assert acknowledged <= changes
    assert Counter(_effects(database)) == Counter(
        {(queue, number): 1 for queue in ("one", "two") for number in changes}
    )
    assert bus.dead_letter_count() == 0
    database.close()


def test_two_processes_share_a_queue_and_nothing_is_done_twice(path: Path) -> None:
    database, bus = victim.open_database(path)
    bus.declare(victim.subscriptions("one"))
    ending = processes.Event()
    consumers = [processes.Process(target=victim.consume, args=(path, ending), daemon=True) for _ in range(2)]
    for each in consumers:
        each.start()
    total = 0
    # On a busy machine one of them may be there long before the other: there is work until both have done some.
    while total < 1000 or _consumers(database) < len(consumers):
        bus.publish(messages(*range(total, total + 100)))
        total += 100
        eventually(functools.partial(_has_room, bus))
    eventually(lambda: len(_effects(database)) >= total and not any(bus.depths().values()))
    ending.set()
    for each in consumers:
        each.join(PATIENCE_SECONDS)
    assert [each.exitcode for each in consumers] == [0, 0]
    assert Counter(_effects(database)) == Counter({("one", number): 1 for number in range(total)})
    database.close()


def _consumers(database: Database) -> int:
    with database.read() as work:
        return work.session.scalar(text("SELECT count(DISTINCT process) FROM effect")) or 0


def _has_room(bus: Bus) -> bool:
    return bus.depths()["one"] < 500
