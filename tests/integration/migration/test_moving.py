from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update

from integration.migration.stand import Stand, folder, page


def fill(stand: Stand, folders: int = 20) -> None:
    with stand.source.write() as work:
        for number in range(folders):
            work.session.execute(insert(folder).values(name=f"f{number}", open=number % 2 == 0, weight=number / 3))
            work.session.execute(
                insert(page).values(
                    folder_id=number + 1, name="ä/1", body=b"\x00\xff", made=datetime(2026, 1, 2, tzinfo=UTC)
                )
            )
    with stand.raw() as raw:
        raw.execute("INSERT INTO label VALUES ('a', 1, '2026-02-28', '{\"a\": [1, 2.50]}'), ('B', 2, NULL, NULL)")


def test_a_move_there_and_back_loses_nothing(stand: Stand) -> None:
    fill(stand)
    stand.mover.begin()
    stand.mover.backfill()
    with stand.source.write() as work:
        work.session.execute(update(folder).where(folder.c.id == 3).values(name="changed"))
        work.session.execute(delete(folder).where(folder.c.id == 4))
    verified = stand.mover.verify()
    assert verified.differences == ()
    assert verified.rows == 19 + 19 + 2
    switched = stand.mover.cut_over()
    assert switched.pause_milliseconds > 0
    with stand.source.write() as work:
        assert work.session.get_bind().dialect.name == "postgresql"
        made = work.session.execute(insert(folder).values(name="after", open=False).returning(folder.c.id)).scalar_one()
        work.session.execute(delete(folder).where(folder.c.id == 5))
    assert made == 21
    stand.mover.catch_up()
    assert not stand.differences()
    stand.mover.roll_back()
    with stand.source.write() as work:
        assert work.session.get_bind().dialect.name == "sqlite"
        ids = work.session.scalars(select(folder.c.id)).all()
        assert set(ids) == set(range(1, 22)) - {4, 5}
        work.session.execute(update(folder).where(folder.c.id == 6).values(weight=1.5))
    stand.mover.catch_up()
    assert not stand.differences()
