import pytest
from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

from integration.migration.stand import TABLES, Stand
from weave_nn.migration import moved_tables
from weave_nn.migration.errors import MoveRefused
from weave_nn.migration.precheck import Finding, check_source, check_target

BAD = {
    "text in an integer": ("INSERT INTO label VALUES ('k', 'many', NULL, NULL)", "label", "place", "no integer"),
    "an integer beyond its size": (
        "INSERT INTO label VALUES ('k', 3000000000, NULL, NULL)",
        "label",
        "place",
        "32 bits",
    ),
    "an integer beyond 64 bits": (
        "INSERT INTO label VALUES ('k', 9223372036854775808, NULL, NULL)",
        "label",
        "place",
        "64",
    ),
    "a date that is none": ("INSERT INTO label VALUES ('k', 1, '2026-02-30', NULL)", "label", "day", "no date"),
    "a date of year 0": ("INSERT INTO label VALUES ('k', 1, '0000-02-03', NULL)", "label", "day", "no date"),
    "JSON that is none": ("INSERT INTO label VALUES ('k', 1, NULL, '{')", "label", "more", "no JSON"),
    "NUL in text": ("INSERT INTO folder VALUES (7, 'a' || char(0) || 'b', 1, 1)", "folder", "name", "NUL"),
    "no UTF-8": ("INSERT INTO folder VALUES (7, CAST(x'ff41' AS TEXT), 1, 1)", "folder", "name", "no UTF-8"),
    "a boolean of 2": ("INSERT INTO folder VALUES (7, 'a', 2, 1)", "folder", "open", "neither 0 nor 1"),
    "infinity": ("INSERT INTO folder VALUES (7, 'a', 1, 9e999)", "folder", "weight", "infinite"),
    "text as a number": ("INSERT INTO folder VALUES (7, 'a', 1, 'heavy')", "folder", "weight", "no number"),
    "a key that is too long": (
        "INSERT INTO label VALUES (hex(zeroblob(30)), 1, NULL, NULL)",
        "label",
        "key",
        "longer than 40",
    ),
    "text that no index takes": (
        "INSERT INTO folder VALUES (7, hex(randomblob(3000)), 1, 1)",
        "folder",
        "name",
        "in an index",
    ),
    "a time that is none": ("INSERT INTO page VALUES (7, 'a', NULL, '2026-13-01 10:00:00')", "page", "made", "no time"),
    "text as a blob": ("INSERT INTO page VALUES (7, 'a', 'text', NULL)", "page", "body", "no blob"),
    "a row without its parent": ("INSERT INTO page VALUES (99, 'a', NULL, NULL)", "page", None, "not there"),
}


def check(stand: Stand) -> list[Finding]:
    return check_source(stand.mover.ends, TABLES, lambda _done, _total: None)


@pytest.mark.parametrize("case", BAD)
def test_what_postgresql_refuses_is_found_with_its_key_and_mending(stand: Stand, case: str) -> None:
    statement, table, column, what = BAD[case]
    with stand.raw() as raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("INSERT INTO folder VALUES (1, 'fine', 1, 2.5)")
        if table != "folder":
            raw.execute("INSERT INTO folder VALUES (7, 'fine', 0, NULL)")
        raw.execute(statement)
    (finding,) = check(stand)
    assert (finding.table, finding.column, finding.rows) == (table, column, 1)
    assert what in finding.what
    assert finding.mending
    assert len(finding.keys) == 1


def test_what_both_can_keep_is_let_through(stand: Stand) -> None:
    with stand.raw() as raw:
        raw.execute("INSERT INTO folder VALUES (1, 'ä日本\U0001f600', 0, -1.5e300), (9223372036854775807, '', 1, NULL)")
        raw.execute(
            "INSERT INTO page VALUES (1, 'a', x'00ff', '2026-01-02 03:04:05.000678'),"
            " (1, 'b', NULL, '0001-01-01 00:00:00')"
        )
        raw.execute("INSERT INTO label VALUES ('k', -2147483648, '2024-02-29', '[1.5, null]')")
    assert check(stand) == []
    stand.move()
    assert not stand.differences()


def test_a_row_that_came_later_and_fits_no_index_is_no_outage_and_goes_once_it_is_mended(stand: Stand) -> None:
    stand.move()
    with stand.raw() as raw:
        raw.execute("INSERT INTO folder VALUES (7, hex(randomblob(9000)), 1, 1), (8, 'fine', 1, 1)")
        with pytest.raises(MoveRefused, match="refuses a row"):
            stand.mover.apply()
        raw.execute("UPDATE folder SET name = 'short' WHERE id = 7")
    stand.mover.apply()
    assert not stand.differences()
    assert stand.postgres_rows("SELECT count(*) FROM folder") == [(2,)]


def test_an_index_on_an_expression_is_refused_where_it_would_hide_what_is_replaced() -> None:
    made = MetaData()
    Table(
        "odd",
        made,
        Column("id", Integer, primary_key=True),
        Column("a", Text),
        Index("u", text("lower(a)"), unique=True),
    )
    with pytest.raises(MoveRefused, match="expression"):
        moved_tables([made])


def test_a_server_that_will_not_do_is_told_of(stand: Stand) -> None:
    assert check_target(stand.mover.ends, TABLES) == []
    with stand.connect_postgres() as target:
        target.execute('CREATE TABLE label (key text COLLATE "und-x-icu" PRIMARY KEY, place int, day date, more json)')
    (finding,) = check_target(stand.mover.ends, TABLES)
    assert "collation" in finding.what
