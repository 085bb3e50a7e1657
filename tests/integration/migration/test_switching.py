"""What happens to the switch when something is in its way, and who finds the home afterwards."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update

from integration.migration.stand import Stand, folder, label
from weave_nn.migration.ends import LOCK_SECONDS, Ends
from weave_nn.migration.errors import Diverged, MoveRefused, TargetAway
from weave_nn.migration.state import Phase, peek
from weave_nn.migration.status import status_of
from weave_nn.shared.db import Database, DatabaseUnusable
from weave_nn.shared.db.dialects import parse_url
from weave_nn.shared.db.errors import DatabaseMoving
from weave_nn.shared.db.home import read_target, target_file, write_target
from weave_nn.shared.db.schema import downgrade

LONG_SECONDS = 90


def fill(stand: Stand) -> None:
    with stand.source.write() as work:
        work.session.execute(insert(folder), [{"name": f"f{n}", "open": True, "weight": n / 7} for n in range(30)])
        work.session.execute(insert(label), [{"key": f"k{n}", "place": n} for n in range(30)])


def home_of(database: Database) -> str:
    with database.write() as work:
        return work.session.get_bind().dialect.name


def test_a_writer_that_does_not_end_keeps_the_home_where_it_is(stand: Stand) -> None:
    fill(stand)
    stand.move()
    with stand.raw() as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(MoveRefused, match="stays the home"):
            stand.mover.cut_over(limit_seconds=0.2)
        writer.execute("INSERT INTO folder VALUES (77, 'late', 1, NULL)")
        writer.execute("COMMIT")
    assert home_of(stand.source) == "sqlite"
    stand.mover.cut_over()
    assert home_of(stand.source) == "postgresql"
    assert stand.postgres_rows("SELECT name FROM folder WHERE id = 77") == [("late",)]


def test_a_transaction_on_postgresql_that_does_not_end_keeps_the_home_there(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    begun, end = threading.Event(), threading.Event()

    def write() -> None:
        with stand.source.write() as work:
            work.session.execute(update(folder).where(folder.c.id == 1).values(name="slow"))
            begun.set()
            assert end.wait(LONG_SECONDS)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(LONG_SECONDS)
    with pytest.raises(MoveRefused, match="stays the home"):
        stand.mover.roll_back(limit_seconds=0.2)
    end.set()
    writer.join()
    assert home_of(stand.source) == "postgresql"
    stand.mover.roll_back()
    assert home_of(stand.source) == "sqlite"
    assert stand.sqlite_rows("SELECT name FROM folder WHERE id = 1") == [("slow",)]


def test_what_differs_is_named_by_table_key_and_column_and_mended(stand: Stand) -> None:
    fill(stand)
    stand.move()
    with stand.connect_postgres() as target:
        target.execute("SET weave.mover = 'on'")
        target.execute("UPDATE folder SET weight = weight + 0.1 WHERE id = 9")
        target.execute("DELETE FROM label WHERE key = 'k3'")
        target.execute("INSERT INTO label (key, place) VALUES ('risen', 99)")
    found = stand.mover.verify().differences
    assert {(each.table, each.key, each.column) for each in found} == {
        ("folder", (9,), "weight"),
        ("label", ("k3",), None),
        ("label", ("risen",), None),
    }
    with pytest.raises(MoveRefused, match="verified"):
        stand.mover.cut_over()
    assert stand.mover.verify(repair=True).repaired
    assert stand.mover.verify().differences == ()
    stand.mover.cut_over()


def test_a_change_that_is_not_applied_rightly_stops_the_cut_over(stand: Stand) -> None:
    fill(stand)
    stand.move()
    with stand.connect_postgres() as target:
        target.execute("ALTER TABLE folder ADD CHECK (name <> 'x')")
        target.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.weight = 1; RETURN NEW; END'"
        )
        target.execute("CREATE TRIGGER spoil BEFORE INSERT ON folder FOR EACH ROW EXECUTE FUNCTION spoil()")
    with stand.source.write() as work:
        work.session.execute(update(folder).where(folder.c.id == 2).values(weight=5))
    with pytest.raises(Diverged, match=r"folder 2, column weight"):
        stand.mover.cut_over()
    # What was found stays found, whoever found it: a second attempt has nothing new to compare.
    with pytest.raises(Diverged, match="verify --repair"):
        stand.mover.cut_over()
    assert home_of(stand.source) == "sqlite"
    with pytest.raises(Diverged, match="anew"):
        stand.mover.verify(repair=True)
    with stand.connect_postgres() as target:
        target.execute("DROP TRIGGER spoil ON folder")
    assert stand.mover.verify(repair=True).repaired
    stand.mover.cut_over()


def test_a_difference_that_was_applied_after_the_cut_over_stops_the_way_back_until_it_is_mended(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    with stand.raw() as raw:
        raw.execute("CREATE TRIGGER spoil AFTER INSERT ON folder BEGIN UPDATE folder SET weight = 1; END")
    with stand.source.write() as work:
        work.session.execute(update(folder).where(folder.c.id == 2).values(weight=5))
    stand.mover.catch_up()
    with pytest.raises(Diverged, match="verify --repair"):
        stand.mover.roll_back()
    assert home_of(stand.source) == "postgresql"
    with stand.raw() as raw:
        raw.execute("DROP TRIGGER spoil")
    assert stand.mover.verify(repair=True).repaired
    stand.mover.roll_back()
    assert stand.sqlite_rows("SELECT weight FROM folder WHERE id = 2") == [(5.0,)]


def test_a_lock_on_postgresql_does_not_keep_the_fence_closed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(stand)
    stand.move()
    with stand.connect_postgres() as other:
        # Adding triggers and foreign keys waits for whoever writes the table.
        other.execute("LOCK TABLE page IN ROW EXCLUSIVE MODE")
        with pytest.raises(MoveRefused, match="holds PostgreSQL's tables"):
            stand.mover.cut_over(limit_seconds=0.5)
    with stand.connect_postgres() as other, monkeypatch.context() as patched:
        lock = "LOCK TABLE page IN ROW EXCLUSIVE MODE"
        patched.setattr("weave_nn.migration.switching._shorten", lambda _apply, _where: other.execute(lock))
        with pytest.raises(TargetAway):
            stand.mover.cut_over(limit_seconds=0.5)
        assert home_of(stand.source) == "sqlite"
    stand.mover.cut_over()
    assert home_of(stand.source) == "postgresql"


def test_a_server_that_answers_no_more_does_not_keep_the_fence_closed(stand: Stand) -> None:
    stand.mover.begin()

    def ask() -> None:
        with stand.mover.ends.postgres() as target:
            stand.mover.ends.answer_within(target, 0.3)
            target.execute("SET LOCAL statement_timeout = 0")
            target.execute("SELECT pg_sleep(%s)", (LOCK_SECONDS,))

    with pytest.raises(TargetAway):
        ask()
    with stand.mover.ends.postgres() as target:
        assert target.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_lost_right_after_the_moment_does_not_make_it_a_failure(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stand)
    stand.move()

    def lost(_ends: Ends, _pause: float | None = None) -> None:
        raise TargetAway("PostgreSQL is away.")

    with monkeypatch.context() as patched:
        patched.setattr("weave_nn.migration.switching.finish_cut_over", lost)
        assert stand.mover.cut_over().pause_milliseconds > 0
    assert home_of(stand.source) == "postgresql"
    assert stand.mover.settle().phase is Phase.REVERSIBLE


def test_a_lock_on_sqlite_does_not_keep_postgresql_fenced(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    assert home_of(stand.source) == "postgresql"
    with stand.raw() as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(MoveRefused, match="cannot be written"):
            stand.mover.roll_back(limit_seconds=0.5)
        assert time.monotonic() - began < LOCK_SECONDS
        assert home_of(stand.source) == "postgresql"
        other.execute("ROLLBACK")
    stand.mover.roll_back()


def test_a_move_begins_again_over_what_an_earlier_one_left(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.call_off()
    with stand.raw() as raw:
        # The place goes to a key that is copied before the one that has it over there.
        raw.execute("DELETE FROM label WHERE key = 'k9'")
        raw.execute("INSERT INTO label (key, place) VALUES ('a', 9)")
    stand.mover.begin()
    while stand.mover.forward.backfill(1)[1]:
        pass
    stand.mover.backfill()
    assert stand.mover.verify().differences == ()


def test_emptying_a_table_of_postgresql_empties_it_in_sqlite(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    with stand.connect_postgres() as target:
        target.execute("TRUNCATE label")
    stand.mover.catch_up()
    assert stand.sqlite_rows("SELECT count(*) FROM label") == [(0,)]
    assert not stand.differences()


def test_a_retirement_that_is_run_again_names_the_backup_that_it_made(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    kept = tmp_path / "kept"

    class Killed(BaseException):
        pass

    def kill(_ends: Ends) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("weave_nn.migration.retiring._leave_signpost", kill)
        with pytest.raises(Killed):
            stand.mover.retire(kept)
    (made,) = kept.iterdir()
    assert stand.mover.retire(kept) == made
    with sqlite3.connect(made) as copy:
        assert copy.execute("SELECT count(*) FROM folder").fetchone() == (30,)
    copy.close()
    assert home_of(stand.source) == "postgresql"


def test_whoever_was_killed_right_after_the_moment_is_finished_by_others(stand: Stand) -> None:
    fill(stand)
    stand.move()
    stand.mover.cut_over()
    with stand.connect_postgres() as target:
        target.execute("UPDATE database_home SET epoch = 0")
    for url in (f"sqlite:///{stand.path}", stand.postgres_url):
        late = Database(url)
        assert home_of(late) == "postgresql"
        late.close()
    stand.mover.roll_back()
    with stand.raw() as raw:
        raw.execute("PRAGMA user_version=3")
    for url in (stand.postgres_url, f"sqlite:///{stand.path}"):
        late = Database(url)
        assert home_of(late) == "sqlite"
        late.close()
    stand.mover.settle()
    assert peek(stand.path)[1] == 2


def test_before_the_cut_over_a_process_on_postgresql_finds_sqlite(stand: Stand) -> None:
    fill(stand)
    stand.mover.begin()
    eager = Database(stand.postgres_url)
    assert home_of(eager) == "sqlite"
    with pytest.raises(DatabaseMoving):
        downgrade(eager, [], "base")
    eager.close()
    with stand.connect_postgres() as target:
        target.execute("UPDATE database_home SET sqlite_path = '/elsewhere/weave.db'")
    stranger = Database(stand.postgres_url)
    with pytest.raises(DatabaseUnusable, match="not on this machine"), stranger.read() as work:
        work.session.execute(text("SELECT 1"))
    stranger.close()


def test_the_url_of_the_target_is_for_the_owner_alone(tmp_path: Path) -> None:
    url = parse_url("postgresql://me:secret@somewhere/weave")
    write_target(tmp_path / "weave.db", url)
    assert read_target(tmp_path / "weave.db") == url
    assert target_file(tmp_path / "weave.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(DatabaseUnusable, match="cannot tell where"):
        read_target(tmp_path / "other.db")


def test_a_move_that_is_called_off_leaves_nothing_in_sqlite(stand: Stand) -> None:
    fill(stand)
    before = stand.sqlite_rows("SELECT type, name, sql FROM sqlite_master ORDER BY name")
    stand.move()
    stand.mover.call_off()
    after = stand.sqlite_rows("SELECT type, name, sql FROM sqlite_master ORDER BY name")
    assert after == before
    assert home_of(stand.source) == "sqlite"
    with stand.source.write() as work:
        work.session.execute(update(folder).values(name="later"))
    stand.move()
    stand.mover.cut_over()
    with stand.source.read() as work:
        assert work.session.scalar(select(func.count()).where(folder.c.name == "later")) == 30
    # What was taken off while PostgreSQL was filled is back, also after a second beginning.
    mine = "connamespace = current_schema()::regnamespace AND contype = 'f' AND convalidated"
    assert stand.postgres_rows(f"SELECT conname FROM pg_constraint WHERE {mine}") == [("fk_page_folder_id",)]  # noqa: S608 - a constant


def test_postgresql_that_is_away_harms_no_write_and_the_status_tells_the_lag(stand: Stand) -> None:
    fill(stand)
    stand.move()
    away = stand.mover.ends.postgres_url.set(port=1)
    mover = type(stand.mover)(stand.path, away, stand.mover.tables)
    with stand.source.write() as work:
        work.session.execute(update(folder).values(name="meanwhile"))
    with pytest.raises(TargetAway):
        mover.apply()
    told = status_of(mover, stand.path)
    assert (told["postgresql_answers"], told["phase"], told["home"]) == (False, "verified", "sqlite")
    assert told["lag_rows"] == 30
    mover.close()
    stand.mover.catch_up()
    assert not stand.differences()
    assert status_of(stand.mover, stand.path)["lag_rows"] == 0
