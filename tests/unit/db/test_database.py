import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Integer, String, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import Database, DatabaseUnusable, UtcDateTime, metadata
from weave_nn.shared.errors import InvalidInput


class Base(DeclarativeBase):
    metadata = metadata()


class Counter(Base):
    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    with database.write() as work:
        Base.metadata.create_all(work.session.connection())
        work.session.add(Counter(name="one", value=0))
    return database


def test_no_update_is_lost_between_threads(database: Database) -> None:
    def add() -> None:
        for _ in range(50):
            with database.write() as work:
                # The lock comes with the first statement, so what is read stays true until the commit.
                row = work.session.get_one(Counter, "one")
                row.value += 1

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as work:
        assert work.session.get_one(Counter, "one").value == 400


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    def failing() -> None:
        with database.write() as work:
            work.session.execute(update(Counter).values(value=7))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    with database.read() as work:
        assert work.session.get_one(Counter, "one").value == 0


def test_reading_transactions_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnusable, match="readonly"), database.read() as work:
        work.session.execute(update(Counter).values(value=7))


def test_a_reader_sees_one_state_while_a_writer_commits(database: Database) -> None:
    with database.read() as reader:
        before = reader.session.get_one(Counter, "one").value
        with database.write() as writer:
            writer.session.execute(update(Counter).values(value=9))
        reader.session.expire_all()
        assert reader.session.get_one(Counter, "one").value == before


def test_a_transaction_inside_a_transaction_is_refused(database: Database) -> None:
    with pytest.raises(RuntimeError, match="events"), database.write(), database.write():
        pass


def test_commits_are_told_and_rollbacks_are_not(database: Database) -> None:
    told: list[int] = []
    database.on_commit(lambda: told.append(1))
    with database.write() as work:
        work.session.execute(update(Counter).values(value=1))
    with database.read():
        pass
    assert told == [1]


def test_every_commit_is_synced_and_journaled(database: Database) -> None:
    with database.write() as work:
        assert work.session.scalar(text("PRAGMA synchronous")) == 2
        assert work.session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert work.session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_transaction_that_need_not_last_takes_nothing_from_the_next_one(database: Database) -> None:
    def synced(*, durable: bool) -> Any:
        with database.write(durable=durable) as work:
            work.session.execute(update(Counter).values(value=Counter.value + 1))
            return work.session.scalar(text("PRAGMA synchronous"))

    def fails() -> None:
        with database.write(durable=False) as work:
            work.session.execute(update(Counter).values(value=7))
            raise ValueError("no")

    assert [synced(durable=durable) for durable in (True, False, True, False)] == [2, 1, 2, 1]
    with pytest.raises(ValueError, match="no"):
        fails()
    assert synced(durable=True) == 2
    with database.read() as work:
        assert work.session.get_one(Counter, "one").value == 5


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    summer = datetime(2026, 7, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as work:
        work.session.add(Counter(name="time", value=1, at=summer))
    with database.read() as work:
        found = work.session.get_one(Counter, "time").at
    assert found == summer
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://"])
def test_a_url_that_cannot_be_served_is_named(url: str) -> None:
    with pytest.raises(InvalidInput, match="DATABASE_URL"):
        Database(url)


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/test.db")
    with pytest.raises(DatabaseUnusable, match="unable to open"), database.write() as work:
        work.session.execute(text("SELECT 1"))
