"""Whatever is done to SQLite, by whatever program: the two databases end up equal, at every point of the move."""

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.migration.stand import Stand

Statements = list[tuple[str, tuple[object, ...]]]
Series = list[tuple[Statements, bool]]

NUMBERS = st.integers(0, 5)
NAMES = st.sampled_from(["a", "B", "ä", "a b", "zz", "日本"])
VERBS = st.sampled_from(["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"])
CHANGES = st.one_of(
    st.builds(
        lambda verb, id_, name: (f"{verb} INTO folder VALUES (?, ?, 1, 0.1)", (id_, name)), VERBS, NUMBERS, NAMES
    ),
    st.builds(
        lambda verb, id_, name: (f"{verb} INTO page VALUES (?, ?, x'00ff', NULL)", (id_, name)), VERBS, NUMBERS, NAMES
    ),
    st.builds(
        lambda verb, key, place: (f"{verb} INTO label VALUES (?, ?, '2026-02-28', '[]')", (key, place)),
        VERBS,
        NAMES,
        NUMBERS,
    ),
    st.builds(lambda old, new: ("UPDATE folder SET id = ? WHERE id = ?", (new, old)), NUMBERS, NUMBERS),
    st.builds(lambda old, new: ("UPDATE OR REPLACE label SET key = ? WHERE key = ?", (new, old)), NAMES, NAMES),
    st.builds(lambda old, new: ("UPDATE OR REPLACE label SET place = ? WHERE place = ?", (new, old)), NUMBERS, NUMBERS),
    st.builds(lambda: ("UPDATE label SET place = 10 - place", ())),
    st.builds(
        lambda id_, name: ("UPDATE OR REPLACE page SET name = ? WHERE folder_id = ?", (name, id_)), NUMBERS, NAMES
    ),
    st.builds(lambda id_: ("DELETE FROM folder WHERE id = ?", (id_,)), NUMBERS),
    st.builds(lambda name: ("DELETE FROM page WHERE name = ?", (name,)), NAMES),
    st.just(("DELETE FROM label", ())),
)
TRANSACTIONS = st.lists(st.tuples(st.lists(CHANGES, min_size=1, max_size=5), st.booleans()), max_size=6)
STEPS = st.lists(st.sampled_from(["apply", "backfill", "nothing"]), min_size=6, max_size=6)


def run(connection: sqlite3.Connection, statements: Statements, *, commit: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement, values in statements:
        with suppress(sqlite3.IntegrityError):
            connection.execute(statement, values)
    connection.execute("COMMIT" if commit else "ROLLBACK")


def test_any_series_of_changes_leaves_both_sides_equal(tmp_path: Path, make_database_url: Callable[[str], str]) -> None:
    numbers = itertools.count()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(before=TRANSACTIONS, during=TRANSACTIONS, steps=STEPS, limit=st.integers(1, 4))
    def check(before: Series, during: Series, steps: list[str], limit: int) -> None:
        stand = Stand(tmp_path / f"{next(numbers)}.db", url)
        stand.clear_target()
        try:
            with stand.raw() as connection:
                for statements, commit in before:
                    run(connection, statements, commit=commit)
                stand.mover.begin()
                for (statements, commit), step in zip(during, steps, strict=False):
                    run(connection, statements, commit=commit)
                    if step == "apply":
                        stand.mover.apply(limit=limit)
                    elif step == "backfill":
                        stand.mover.forward.backfill(limit)
            stand.mover.backfill()
            stand.mover.catch_up()
            assert not stand.differences()
        finally:
            stand.close()

    url = make_database_url("postgresql")
    check()


def test_any_series_of_changes_after_the_cut_over_is_in_sqlite_too(
    tmp_path: Path, make_database_url: Callable[[str], str]
) -> None:
    numbers = itertools.count()
    changes = st.lists(st.tuples(st.lists(POSTGRES_CHANGES, min_size=1, max_size=5), st.booleans()), max_size=6)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(before=TRANSACTIONS, during=changes, limit=st.integers(1, 4))
    def check(before: Series, during: Series, limit: int) -> None:
        stand = Stand(tmp_path / f"{next(numbers)}.db", url)
        stand.clear_target()
        try:
            with stand.raw() as connection:
                for statements, commit in before:
                    run(connection, statements, commit=commit)
            stand.move()
            stand.mover.cut_over()
            for statements, commit in during:
                stand.change_postgres(statements, commit=commit)
                stand.mover.apply(limit=limit)
            stand.mover.catch_up()
            assert not stand.differences()
            stand.mover.roll_back()
            assert not stand.differences()
        finally:
            stand.close()

    url = make_database_url("postgresql")
    check()


POSTGRES_CHANGES = st.one_of(
    st.builds(lambda id_, name: ("INSERT INTO folder VALUES (%s, %s, true, 0.1)", (id_, name)), NUMBERS, NAMES),
    st.builds(lambda id_, name: ("INSERT INTO page VALUES (%s, %s, '\\x00ff', now())", (id_, name)), NUMBERS, NAMES),
    st.builds(
        lambda key, place: (
            "INSERT INTO label VALUES (%s, %s, NULL, '[1.50]') ON CONFLICT (key) DO UPDATE SET place = excluded.place",
            (key, place),
        ),
        NAMES,
        NUMBERS,
    ),
    st.builds(lambda old, new: ("UPDATE folder SET id = %s WHERE id = %s", (new, old)), NUMBERS, NUMBERS),
    st.builds(lambda old, new: ("UPDATE label SET key = %s WHERE key = %s", (new, old)), NAMES, NAMES),
    st.builds(lambda id_: ("DELETE FROM folder WHERE id = %s", (id_,)), NUMBERS),
    st.just(("DELETE FROM label", ())),
)
