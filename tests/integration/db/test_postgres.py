"""What only PostgreSQL does, or does in its own way; what holds on every database is in the rooms' own tests."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text, update
from structlog.testing import capture_logs

from weave_nn.services.files import models as files
from weave_nn.services.git import models as git
from weave_nn.services.sync import models as sync
from weave_nn.services.tasks import models as tasks
from weave_nn.shared import bus
from weave_nn.shared.contracts import command, database_only, local
from weave_nn.shared.db import (
    Database,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseUnusable,
    UnitOfWork,
    lock,
    upgrade,
)
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.paths import PATH_LIMIT_BYTES

TREES = [bus.SCHEMA, files.SCHEMA, sync.SCHEMA, tasks.SCHEMA, git.SCHEMA]
COUNTER = Table("counter", MetaData(), Column("name", String(20), primary_key=True), Column("value", Integer))


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.write() as work:
        COUNTER.create(work.session.connection())
        work.session.execute(insert(COUNTER), [{"name": "a", "value": 0}, {"name": "b", "value": 0}])
    yield database
    database.close()


def run(*works: Callable[[], None]) -> list[Exception]:
    """Run these at the same time; gives what they raised."""
    raised: list[Exception] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def value_of(database: Database, name: str) -> int:
    with database.read() as work:
        value: int = work.session.execute(select(COUNTER.c.value).where(COUNTER.c.name == name)).scalar_one()
        return value


def test_no_update_is_lost_between_those_who_lock_a_name(database: Database) -> None:
    def add() -> None:
        for _ in range(10):
            with database.write() as work:
                lock(work.session, "counter")
                found = work.session.execute(select(COUNTER.c.value).where(COUNTER.c.name == "a")).scalar_one()
                work.session.execute(update(COUNTER).where(COUNTER.c.name == "a").values(value=found + 1))

    assert run(*[add] * 6) == []
    assert value_of(database, "a") == 60


def test_a_reader_sees_one_state_and_cannot_write(database: Database) -> None:
    with database.read() as reading:
        before = reading.session.execute(select(COUNTER.c.value)).scalars().all()
        with database.write() as work:
            work.session.execute(update(COUNTER).values(value=9))
        assert reading.session.execute(select(COUNTER.c.value)).scalars().all() == before
    with pytest.raises(DatabaseUnusable, match="read-only"), database.read() as work:
        work.session.execute(update(COUNTER).values(value=7))


def test_who_waits_too_long_for_a_lock_is_told_so(postgres_url: str, database: Database) -> None:
    impatient = Database(postgres_url + "%20-c%20lock_timeout%3D50ms")
    with database.write() as work:
        lock(work.session, "x")

        def wait() -> None:
            with impatient.write() as other:
                lock(other.session, "x")

        (refusal,) = run(wait)
    impatient.close()
    assert isinstance(refusal, DatabaseBusy)


def test_one_of_two_in_a_deadlock_is_told_to_try_again(database: Database) -> None:
    both = threading.Barrier(2)

    def change(first: str, second: str) -> Callable[[], None]:
        def changing() -> None:
            with database.write() as work:
                work.session.execute(update(COUNTER).where(COUNTER.c.name == first).values(value=1))
                both.wait(10)
                work.session.execute(update(COUNTER).where(COUNTER.c.name == second).values(value=1))

        return changing

    (loser,) = run(change("a", "b"), change("b", "a"))
    assert isinstance(loser, DatabaseConflict)


class Counting(Protocol):
    @command
    @database_only
    def add(self, first: str, second: str) -> None: ...


def test_both_in_a_deadlock_succeed_where_the_edge_may_repeat_and_each_counts_once(database: Database) -> None:
    both = threading.Barrier(2)
    attempts: list[str] = []

    class Counter:
        def __init__(self, work: UnitOfWork) -> None:
            self._session = work.session

        def add(self, first: str, second: str) -> None:
            attempts.append(first)
            for name in (first, second):
                self._session.execute(update(COUNTER).where(COUNTER.c.name == name).values(value=COUNTER.c.value + 1))
                if len(attempts) <= 2 and name == first:
                    both.wait(60)

    counting = local(Counting, Counter, database)
    assert run(lambda: counting.add("a", "b"), lambda: counting.add("b", "a")) == []
    assert len(attempts) == 3
    assert (value_of(database, "a"), value_of(database, "b")) == (2, 2)


def test_connections_that_the_server_closed_are_replaced(database: Database) -> None:
    assert value_of(database, "a") == 0
    with database.write() as work:
        mine = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        mine = text(f"{mine.text} AND datname = current_database() AND application_name LIKE 'weave-nn%'")
        work.session.execute(mine)
    assert value_of(database, "a") == 0


def test_only_what_may_be_lost_does_not_wait_for_the_disk(database: Database) -> None:
    with database.write(durable=False) as work:
        assert work.session.scalar(text("SHOW synchronous_commit")) == "off"
    with database.write() as work:
        assert work.session.scalar(text("SHOW synchronous_commit")) != "off"


def test_text_is_compared_by_code_points_and_may_hold_nul(database: Database) -> None:
    names = ["a/b", "a.b", "B", "ä", "a b"]
    with database.write() as work:
        work.session.execute(insert(COUNTER), [{"name": name, "value": 1} for name in names])
        work.session.execute(insert(COUNTER).values(name="x\x00y", value=2))
    with database.read() as work:
        ordered = work.session.scalars(select(COUNTER.c.name).where(COUNTER.c.value == 1).order_by(COUNTER.c.name))
        assert ordered.all() == sorted(names)
        assert work.session.scalars(select(COUNTER.c.name).where(COUNTER.c.value == 2)).all() == ["x\ufffdy"]


def test_processes_that_start_together_migrate_once(postgres_url: str) -> None:
    def start() -> None:
        each = Database(postgres_url)
        try:
            upgrade(each, TREES)
        finally:
            each.close()

    assert run(*[start] * 4) == []


def test_every_tree_goes_down_and_up_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    upgrade(database, TREES)
    long = "/".join(os.urandom(100).hex() for _ in range(20))[:PATH_LIMIT_BYTES]
    with database.write() as work:
        for statement in (
            "INSERT INTO vault VALUES ('v', now())",
            "INSERT INTO file VALUES (repeat('v', 64), :path, repeat('e', 64), 1, 1, 1, 1)",
            "INSERT INTO indexed_file VALUES (1, 'v', :path, 'a', 'a', true, 1, 1, 1, 1, 'e')",
            "INSERT INTO note_search VALUES (1, 0, 'word')",
            "INSERT INTO task_note VALUES ('v', :path, 'e')",
            "INSERT INTO git_pending VALUES ('v', :path, 'e', now(), now())",
        ):
            work.session.execute(text(statement), {"path": long})
    downgrade(database, TREES[::-1], "base")
    with database.read() as work:
        left = work.session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")).all()
        assert not [name for name in left if not name.startswith("alembic_version")]
    upgrade(database, TREES)
    database.close()


def test_a_server_that_is_away_is_one_clear_error() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnusable, match=r"127\.0\.0\.1") as refusal, database.read() as work:
        work.session.execute(text("SELECT 1"))
    assert "secret" not in str(refusal.value)


def test_a_missing_driver_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidInput, match=r"weave-nn\[postgres\]"):
        Database("postgres://somewhere/weave")


def test_the_usual_spellings_of_a_url_are_taken() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert Database(f"{scheme}://somewhere/weave").url.drivername == "postgresql+psycopg"


def test_plans_are_made_for_what_is_there_as_soon_as_much_was_written(database: Database) -> None:
    with database.write() as work:
        work.session.execute(insert(COUNTER), [{"name": f"c{number}", "value": number} for number in range(5000)])
    database.tend(["counter"])
    with database.read() as work:
        counted = work.session.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'counter'::regclass"))
        assert counted.scalar_one() == 5002


def test_that_tables_cannot_be_looked_at_stops_nobody(database: Database) -> None:
    with capture_logs() as logged:
        database.tend(["nowhere"])
    assert [each["event"] for each in logged] == ["database.not_tended"]
