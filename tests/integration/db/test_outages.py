"""A PostgreSQL that goes away and comes back, and a network that is cut or falls silent between it and us."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import URL, text

from postgres import OwnPostgres
from tcp_proxy import Proxy, proxy_to
from weave_nn.shared.db import Database, DatabaseUnusable, ServerLimits
from weave_nn.shared.errors import Unavailable

LIMIT_SECONDS = 60
IMPATIENT = ServerLimits(connect_timeout_seconds=2, statement_timeout_seconds=1, lock_timeout_seconds=1)


@contextmanager
def opened(url: URL | str, limits: ServerLimits = IMPATIENT) -> Iterator[Database]:
    text_url = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    database = Database(text_url, limits=limits)
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def server(own_postgres: OwnPostgres) -> OwnPostgres:
    with opened(own_postgres.url) as database, database.write() as work:
        work.session.execute(text("CREATE TABLE entry (name text)"))
    return own_postgres


@contextmanager
def through_proxy(url: str) -> Iterator[tuple[Database, Proxy]]:
    direct = Database(url)
    with direct.write() as work:
        work.session.execute(text("CREATE TABLE entry (name text)"))
    with (
        proxy_to(direct.url.host or "127.0.0.1", direct.url.port or 5432) as proxy,
        opened(direct.url.set(host="127.0.0.1", port=proxy.port)) as database,
    ):
        yield database, proxy
    direct.close()


def add(database: Database, name: str = "x") -> None:
    with database.write() as work:
        work.session.execute(text("INSERT INTO entry VALUES (:name)"), {"name": name})


def count(database: Database) -> int:
    with database.read() as work:
        return work.session.scalar(text("SELECT count(*) FROM entry")) or 0


def at_once(times: int, work: Callable[[], object]) -> list[Exception]:
    """Do this in so many threads; gives what they raised. All must end."""
    raised: list[Exception] = []

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            raised.append(error)

    threads = [threading.Thread(target=guarded, daemon=True) for _ in range(times)]
    deadline = time.monotonic() + LIMIT_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return raised


def test_a_server_that_stops_and_starts_is_used_again_by_whoever_asks_next(server: OwnPostgres) -> None:
    with opened(server.url) as database:
        add(database)
        assert at_once(8, lambda: count(database)) == []

        def interrupted() -> None:
            with database.write() as work:
                work.session.execute(text("INSERT INTO entry VALUES ('lost')"))
                server.stop()

        with pytest.raises(DatabaseUnusable):
            interrupted()
        refused = at_once(16, lambda: (add, count)[threading.get_ident() % 2](database))
        assert len(refused) == 16
        assert all(isinstance(each, DatabaseUnusable) for each in refused), refused
        server.start()
        assert at_once(16, lambda: add(database)) == []
        assert count(database) == 17


def test_a_network_that_is_cut_is_told_and_forgotten(postgres_url: str) -> None:
    with through_proxy(postgres_url) as (database, proxy):
        add(database)
        proxy.cut()
        for attempt in (add, count):
            with pytest.raises(DatabaseUnusable):
                attempt(database)
        proxy.mend()
        add(database)
        assert count(database) == 2


def test_nobody_waits_for_ever_on_a_network_that_has_fallen_silent(postgres_url: str) -> None:
    with through_proxy(postgres_url) as (database, proxy):
        assert at_once(8, lambda: count(database)) == []
        proxy.stall()
        refused = at_once(4, lambda: count(database))
        assert len(refused) == 4
        assert all(isinstance(each, Unavailable) for each in refused), refused
        proxy.mend()
        add(database)
        assert count(database) == 1


def test_a_transaction_that_meets_silence_ends_and_its_connection_is_not_used_again(postgres_url: str) -> None:
    with through_proxy(postgres_url) as (database, proxy):
        count(database)

        def interrupted() -> None:
            with database.read() as work:
                work.session.execute(text("SELECT 1"))
                proxy.stall()
                work.session.scalar(text("SELECT 'the answer to another question'"))

        (refusal,) = at_once(1, interrupted)
        assert isinstance(refusal, DatabaseUnusable)
        proxy.mend()
        assert [count(database) for _ in range(10)] == [0] * 10


def test_what_was_acknowledged_while_the_network_broke_is_there_once(postgres_url: str) -> None:
    acknowledged: list[str] = []
    with through_proxy(postgres_url) as (database, proxy):
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                name = uuid.uuid4().hex
                try:
                    add(database, name)
                except Unavailable:
                    over.wait(0.01)
                else:
                    acknowledged.append(name)

        def break_it() -> None:
            for _ in range(5):
                before = len(acknowledged)
                deadline = time.monotonic() + LIMIT_SECONDS
                while len(acknowledged) < before + 20:
                    assert time.monotonic() < deadline, "it did not recover"
                    over.wait(0.01)
                proxy.cut()
                proxy.mend()
            over.set()

        breaking = threading.Thread(target=break_it, daemon=True)
        breaking.start()
        assert at_once(4, write) == []
        breaking.join(LIMIT_SECONDS)
        with database.read() as work:
            found = work.session.scalars(text("SELECT name FROM entry")).all()
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)


def test_a_statement_that_takes_too_long_is_ended_and_its_connection_goes_on(postgres_url: str) -> None:
    with opened(postgres_url) as database:

        def slow() -> None:
            with database.read() as work:
                work.session.execute(text("SELECT pg_sleep(3600)"))

        (refusal,) = at_once(1, slow)
        assert isinstance(refusal, Unavailable)
        with database.read() as work:
            assert work.session.scalar(text("SELECT 1")) == 1


def test_more_requests_than_connections_wait_for_one(postgres_url: str) -> None:
    narrow = ServerLimits(reader_connections=2, writer_connections=1, name="narrow " + "n" * 100)
    with opened(postgres_url, narrow) as database:
        with database.write() as work:
            work.session.execute(text("CREATE TABLE entry (name text)"))
        assert at_once(12, lambda: add(database)) == []
        assert at_once(12, lambda: count(database)) == []
        with database.read() as work:
            mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'narrow%'"
            assert 1 <= (work.session.scalar(text(mine)) or 0) <= 3
