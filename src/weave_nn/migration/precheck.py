"""What SQLite lets in and PostgreSQL does not, found before anything starts: each value with the way to mend it."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from weave_nn.migration.ends import Ends
from weave_nn.migration.tables import Kind, MovedColumn, MovedTable, quoted

EXAMPLES = 5
PIECE_ROWS = 2_000
KEY_BYTES = 2_600
"""What fits into an index of PostgreSQL for sure, whatever else is in its entry."""

OLDEST_SERVER = 120_000
_DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_TIME = "[012][0-9]:[0-5][0-9]:[0-5][0-9]"
_FRACTION = ".[0-9][0-9][0-9][0-9][0-9][0-9]"
_RANGES = {16: (-(2**15), 2**15 - 1), 32: (-(2**31), 2**31 - 1)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way: how many rows of a table have it, the keys of some, and how to mend it."""

    table: str
    column: str | None
    what: str
    rows: int
    keys: tuple[str, ...]
    mending: str


@dataclass(frozen=True, slots=True)
class _Rule:
    what: str
    condition: str
    mending: str


def check_source(ends: Ends, tables: Sequence[MovedTable], progress: Callable[[int, int], None]) -> list[Finding]:
    """Everything in SQLite that cannot move, on one snapshot, in a few passes over every table."""
    found: list[Finding] = []
    with ends.snapshot() as source:
        for number, table in enumerate(tables):
            progress(number, len(tables))
            found += _shape(source, table) or [*_values(source, table), *_texts(source, table), *_links(source, table)]
    progress(len(tables), len(tables))
    return found


def check_target(ends: Ends, tables: Sequence[MovedTable]) -> list[Finding]:
    """What PostgreSQL lacks; raises `TargetAway` when it cannot be reached."""

    def finding(what: str, mending: str) -> Finding:
        return Finding("", None, what, 0, (), mending)

    found = []
    with ends.postgres() as target:
        if target.info.server_version < OLDEST_SERVER:
            found.append(finding(f"PostgreSQL {target.info.server_version // 10000} is too old", "Use 12 or later."))
        encoding = _one(target, "SHOW server_encoding")
        if encoding != "UTF8":
            found.append(finding(f"its encoding is {encoding}", "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"))
        if not _one(target, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
            found.append(finding("its user may not create tables", "GRANT CREATE ON SCHEMA … TO …"))
        if _one(target, "SHOW transaction_read_only") == "on":
            found.append(finding("it takes no writes (a standby?)", "Name the primary server."))
        found += [each for table in tables for each in _collations(target, table)]
    return found


def _one(target: "psycopg.Connection[Any]", query: str) -> Any:
    row = target.execute(query).fetchone()
    return row[0] if row else None


def _collations(target: "psycopg.Connection[Any]", table: MovedTable) -> Iterator[Finding]:
    """Ranges of keys are compared in both databases, so text has to be in the order of its code points in both."""
    query = (
        "SELECT c.collname, c.collcollate FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation"
        " WHERE a.attrelid = to_regclass(%s) AND a.attname = %s"
    )
    for key in (key for key in table.keys if key.kind is Kind.TEXT):
        row = target.execute(query, (table.quoted, key.name)).fetchone()
        if row is not None and row[0] not in {"C", "POSIX", "ucs_basic"}:
            mending = f'ALTER TABLE {table.quoted} ALTER {key.quoted} TYPE text COLLATE "C"'
            yield Finding(table.name, key.name, f"sorts by the collation {row[0]} in PostgreSQL", 0, (), mending)


def _shape(source: sqlite3.Connection, table: MovedTable) -> list[Finding]:
    present = {row[1] for row in source.execute(f"PRAGMA table_info({table.quoted})")}
    lacking = [column.name for column in table.columns if column.name not in present]
    if not present:
        return [Finding(table.name, None, "is not in SQLite", 0, (), "weave db upgrade")]
    return [Finding(table.name, name, "is not in SQLite", 0, (), "weave db upgrade") for name in lacking]


def _values(source: sqlite3.Connection, table: MovedTable) -> Iterator[Finding]:
    rules = [(column, rule) for column in table.columns for rule in _rules(table, column)]
    sums = ",".join(f"sum({rule.condition})" for _, rule in rules)
    counts = source.execute(f"SELECT {sums} FROM {table.quoted}").fetchone()
    for (column, rule), count in zip(rules, counts, strict=True):
        if count:
            keys = _examples(source, table, rule.condition)
            yield Finding(table.name, column.name, rule.what, count, keys, rule.mending)
    for column in (key for key in table.keys if key.kind is Kind.TEXT):
        for (name,) in source.execute(
            "SELECT x.coll FROM pragma_index_list(?) l JOIN pragma_index_xinfo(l.name) x"
            " WHERE l.origin = 'pk' AND x.name = ? AND x.coll <> 'BINARY'",
            (table.name, column.name),
        ):
            mending = "Make the table anew without COLLATE on its key."
            yield Finding(table.name, column.name, f"its key compares by {name}", 0, (), mending)


def _rules(table: MovedTable, column: MovedColumn) -> Iterator[_Rule]:
    name = column.quoted
    update = f"UPDATE {table.quoted} SET {name} ="
    if not column.nullable:
        yield _Rule("is NULL, and must not be", f"{name} IS NULL", f"{update} … WHERE {name} IS NULL")
    match column.kind:
        case Kind.TEXT:
            yield from _text_rules(table, column, update)
        case Kind.DATE | Kind.DATETIME:
            yield _calendar_rule(column, update)
        case Kind.INTEGER:
            yield _Rule(
                "is no integer of 64 bits",
                f"typeof({name}) NOT IN ('integer','null')",
                f"{update} CAST({name} AS INTEGER) …",
            )
            if column.bits in _RANGES:
                low, high = _RANGES[column.bits]
                beyond = f"typeof({name}) = 'integer' AND {name} NOT BETWEEN {low} AND {high}"
                yield _Rule(f"is beyond {column.bits} bits", beyond, f"{update} min({high}, max({low}, {name})) …")
        case Kind.BOOLEAN:
            odd = f"{name} IS NOT NULL AND (typeof({name}) <> 'integer' OR {name} NOT IN (0, 1))"
            yield _Rule("is neither 0 nor 1", odd, f"{update} {name} IN (1, 'true', 't', 'yes') …")
        case Kind.REAL:
            yield _Rule("is no number", f"typeof({name}) NOT IN ('real','integer','null')", f"{update} NULL …")
            yield _Rule("is infinite", f"abs({name}) = 9e999", f"{update} NULL …")
        case Kind.BLOB:
            yield _Rule("is no blob", f"typeof({name}) NOT IN ('blob','null')", f"{update} CAST({name} AS BLOB) …")
        case Kind.JSON:
            yield _Rule(
                "is no JSON", f"{name} IS NOT NULL AND NOT json_valid({name})", f"{update} json_quote({name}) …"
            )


def _calendar_rule(column: MovedColumn, update: str) -> _Rule:
    # Without a modifier SQLite gives back what it was given, the 30th of February too.
    name, year = column.quoted, f"substr({column.quoted},1,4)"
    if column.kind is Kind.DATE:
        bad = f"({name} NOT GLOB '{_DAY}' OR date({name}, '+0 days') IS NOT {name} OR {year} = '0000')"
        return _Rule("is no date (YYYY-MM-DD)", f"{name} IS NOT NULL AND {bad}", f"{update} date({name}) …")
    forms = f"({name} GLOB '{_DAY} {_TIME}{_FRACTION}' OR {name} GLOB '{_DAY} {_TIME}')"
    bad = f"(NOT {forms} OR datetime({name}, '+0 days') IS NOT substr({name},1,19) OR {year} = '0000')"
    mending = f"{update} strftime('%Y-%m-%d %H:%M:%S.000000', {name}) …"
    return _Rule("is no time (YYYY-MM-DD HH:MM:SS)", f"{name} IS NOT NULL AND {bad}", mending)


def _text_rules(table: MovedTable, column: MovedColumn, update: str) -> Iterator[_Rule]:
    name = column.quoted
    yield _Rule("is no text", f"typeof({name}) NOT IN ('text','null')", f"{update} CAST({name} AS TEXT) …")
    if column.chars:
        mending = f"{update} substr({name}, 1, {column.chars}) …"
        yield _Rule(f"is longer than {column.chars} characters", f"length({name}) > {column.chars}", mending)
    if column in table.keys or column.name in table.indexed:
        long = f"length(CAST({name} AS BLOB)) > {KEY_BYTES}"
        yield _Rule(f"is in an index, and of more than {KEY_BYTES} bytes", long, "Shorten it, or delete the row.")


def _texts(source: sqlite3.Connection, table: MovedTable) -> Iterator[Finding]:
    """NUL, and what is no UTF-8: looked for in whole pieces of the table, and by value only where there is some."""
    columns = [column for column in table.columns if column.kind in {Kind.TEXT, Kind.JSON}]
    if not columns:
        return
    joined = "||".join(f"coalesce(CAST({column.quoted} AS BLOB),'')" for column in columns)
    rows = source.execute(f"SELECT CAST({joined} AS BLOB) FROM {table.quoted}")
    while piece := rows.fetchmany(PIECE_ROWS):
        together = b"".join(row[0] or b"" for row in piece)
        if b"\0" in together or not _is_utf8(together):
            source.create_function("is_utf8", 1, _is_utf8, deterministic=True)
            for column in columns:
                yield from _odd_text(source, table, column)
            return


def _odd_text(source: sqlite3.Connection, table: MovedTable, column: MovedColumn) -> Iterator[Finding]:
    name, update = column.quoted, f"UPDATE {table.quoted} SET {column.quoted} ="
    for what, condition, mending in (
        ("holds NUL", f"instr(CAST({name} AS BLOB), x'00') > 0", f"{update} replace({name}, char(0), char(65533)) …"),
        (
            "is no UTF-8",
            f"NOT is_utf8(CAST({name} AS BLOB))",
            "Write it anew from where it came from, or delete the row.",
        ),
    ):
        count = source.execute(f"SELECT count(*) FROM {table.quoted} WHERE {condition}").fetchone()[0]
        if count:
            yield Finding(table.name, column.name, what, count, _examples(source, table, condition), mending)


def _links(source: sqlite3.Connection, table: MovedTable) -> Iterator[Finding]:
    orphans = source.execute(f"PRAGMA foreign_key_check({table.quoted})").fetchall()
    if orphans:
        parents = ", ".join(sorted({row[2] for row in orphans}))
        lost = f"SELECT rowid FROM pragma_foreign_key_check({quoted(table.name)})"
        mending = f"DELETE FROM {table.quoted} WHERE rowid IN ({lost})"
        keys = tuple(str(row[1]) for row in orphans[:EXAMPLES])
        yield Finding(table.name, None, f"refers to rows of {parents} that are not there", len(orphans), keys, mending)


def _examples(source: sqlite3.Connection, table: MovedTable, condition: str) -> tuple[str, ...]:
    keys = ",".join(f"CAST({key.quoted} AS BLOB)" for key in table.keys)
    found = source.execute(f"SELECT {keys} FROM {table.quoted} WHERE {condition} LIMIT {EXAMPLES}")
    return tuple(", ".join((value or b"NULL").decode(errors="replace") for value in row) for row in found)


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
