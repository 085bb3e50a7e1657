"""Every schema tree goes down and up again, revision by revision, with rows in every table, on both databases."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Table,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.types import TypeDecorator

from weave_nn.services.files import models as files
from weave_nn.services.git import models as git
from weave_nn.services.sync import models as sync
from weave_nn.services.tasks import models as tasks
from weave_nn.shared import bus
from weave_nn.shared.db import Database, DatabaseTooNew, SchemaTree, upgrade
from weave_nn.shared.db.backups import versions
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.identity import models as identity

TREES = [bus.SCHEMA, identity.SCHEMA, files.SCHEMA, sync.SCHEMA, tasks.SCHEMA, git.SCHEMA]


VALUES: dict[type[Any], Any] = {
    Boolean: True,
    Integer: 1,
    Float: 1.5,
    DateTime: datetime(2026, 1, 2, tzinfo=UTC),
    Date: date(2026, 1, 2),
    LargeBinary: b"\x00\xff",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database, TREES)
    yield database
    database.close()


def value(column: Column[Any]) -> Any:
    given: Any = column.type
    while isinstance(given, TypeDecorator):
        given = given.impl_instance
    return next((made for type_, made in VALUES.items() if isinstance(given, type_)), "x")


def fill(database: Database, tree: SchemaTree) -> None:
    with database.write() as work:
        for table in tree.metadata.sorted_tables:
            if not work.session.execute(select(table).limit(1)).first():
                work.session.execute(insert(table), [{column.name: value(column) for column in table.columns}])


def rows(database: Database, table: Table) -> int:
    with database.read() as work:
        return len(work.session.execute(select(*table.primary_key.columns)).all())


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_rows_survive_going_one_revision_down_and_up(database: Database, tree: SchemaTree) -> None:
    fill(database, tree)
    first = f"{tree.name}_0001"
    revisions = [tree.head]
    while revisions[-1] != first:
        downgrade(database, [tree], "-1")
        with database.read() as work:
            revisions.append(versions(work.session.connection(), [tree])[tree.name])
    assert revisions == sorted(revisions, reverse=True)
    upgrade(database, [tree])
    kept = [table for table in tree.metadata.sorted_tables if rows(database, table)]
    # A table that a later revision brings is empty after going below it; those of the first one keep what they hold.
    assert kept
    fill(database, tree)
    assert all(rows(database, table) for table in tree.metadata.sorted_tables)


def test_all_of_it_goes_down_to_nothing_and_up_again(database: Database) -> None:
    for tree in TREES:
        fill(database, tree)
    downgrade(database, TREES[::-1], "base")
    with database.read() as work:
        left = [name for name in inspect(work.session.connection()).get_table_names() if "alembic" not in name]
    assert left == []
    upgrade(database, TREES)
    for tree in TREES:
        fill(database, tree)


def test_a_database_that_is_newer_than_the_program_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as work:
        work.session.execute(text("UPDATE alembic_version_tasks SET version_num = 'tasks_9999'"))
    with pytest.raises(DatabaseTooNew, match="tasks_9999"):
        upgrade(database, TREES)
    with pytest.raises(DatabaseTooNew, match="tasks_9999"):
        downgrade(database, TREES, "-1")
    with database.read() as work:
        assert versions(work.session.connection(), TREES)["tasks"] == "tasks_9999"
