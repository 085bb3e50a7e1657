"""Signals between those who work on one database, in this process and in others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from tcp_proxy import proxy_to
from weave_nn.shared.db import Database, ServerLimits, signal

LIMIT_SECONDS = 60


@contextmanager
def opened(url: str, name: str = "weave-nn") -> Iterator[Database]:
    database = Database(url, limits=ServerLimits(name=name))
    try:
        yield database
    finally:
        database.close()


class Hearing:
    def __init__(self, database: Database, channel: str) -> None:
        self.count = 0
        self._changed = threading.Condition()
        database.signals.listen(channel, self)

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for_more_than(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count > count, LIMIT_SECONDS)


def say(database: Database, channel: str) -> None:
    with database.write() as work:
        work.session.execute(text("SELECT 1"))
        signal(work.session, channel)


def begin_to_hear(database: Database, hearing: Hearing) -> None:
    """Returns when the other processes are heard, which begins with a call, for what may have been missed."""
    with database.read() as work:
        work.session.execute(text("SELECT 1"))
    assert hearing.wait_for_more_than(0)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        pause.wait(0.05)


def test_this_process_hears_a_commit_at_once_and_no_rollback(database_url: str) -> None:
    with opened(database_url) as database:
        heard: list[str] = []
        database.signals.listen("outbox", lambda: heard.append("outbox"))
        database.signals.listen("other", lambda: heard.append("other"))

        def fail() -> None:
            with database.write() as work:
                signal(work.session, "outbox")
                raise RuntimeError("rolled back")

        with pytest.raises(RuntimeError):
            fail()
        before = heard.count("outbox")
        say(database, "outbox")
        assert heard.count("outbox") > before


def test_other_processes_on_the_same_tables_hear_it_and_nobody_else(
    make_database_url: Callable[[str], str],
) -> None:
    url, elsewhere = make_database_url("postgresql"), make_database_url("postgresql")
    with opened(url) as speaker, opened(url) as listener, opened(elsewhere) as stranger:
        mine, strange = Hearing(listener, "outbox"), Hearing(stranger, "outbox")
        begin_to_hear(listener, mine)
        begin_to_hear(stranger, strange)
        for _ in range(3):
            before = mine.count
            say(speaker, "outbox")
            assert mine.wait_for_more_than(before)
        assert strange.count == 1


def test_many_commits_share_a_notice_and_the_last_is_never_left_out(postgres_url: str) -> None:
    with opened(postgres_url) as speaker, opened(postgres_url) as listener:
        with speaker.write() as work:
            work.session.execute(text("CREATE TABLE said (number int)"))
        seen = 0

        def look() -> None:
            nonlocal seen
            with listener.read() as work:
                seen = max(seen, work.session.scalar(text("SELECT max(number) FROM said")) or 0)

        mine = Hearing(listener, "outbox")
        begin_to_hear(listener, mine)
        for number in range(1, 301):
            with speaker.write() as work:
                work.session.execute(text("INSERT INTO said VALUES (:number)"), {"number": number})
                signal(work.session, "outbox")
        while seen < 300:
            before = mine.count
            look()
            assert seen == 300 or mine.wait_for_more_than(before), "the last commit was not told"


def test_what_was_missed_while_the_network_was_cut_is_looked_for_afterwards(postgres_url: str) -> None:
    direct = Database(postgres_url)
    with proxy_to(direct.url.host or "127.0.0.1", direct.url.port or 5432) as proxy:
        through = direct.url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        with opened(through) as listener:
            mine = Hearing(listener, "outbox")
            begin_to_hear(listener, mine)
            before = mine.count
            proxy.cut()
            say(direct, "outbox")
            assert mine.count == before
            proxy.mend()
            assert mine.wait_for_more_than(before)
            before = mine.count
            say(direct, "outbox")
            assert mine.wait_for_more_than(before)
    direct.close()


def test_closing_leaves_no_connection_behind(postgres_url: str) -> None:
    with opened(postgres_url) as looking:

        def connections() -> int:
            with looking.read() as work:
                mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'passing%'"
                return work.session.scalar(text(mine)) or 0

        with opened(postgres_url, name="passing") as passing:
            begin_to_hear(passing, Hearing(passing, "outbox"))
            assert connections() > 0
        wait_until(lambda: connections() == 0)
