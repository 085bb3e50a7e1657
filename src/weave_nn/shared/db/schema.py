"""Schema trees: every service owns its tables and their Alembic history, with a version table of its own.

The trees are run without an `env.py` each: what such a file would say is the same for all of them and stands here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import DateTime, Dialect, MetaData, TypeDecorator, column, inspect, select, table

from weave_nn.shared.db.engine import Database

_REVISION_FILE = re.compile(r"r?(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class SchemaTree:
    """One service's schema: its `name`, the `folder` of its Alembic revisions, and the tables they lead to."""

    name: str
    folder: Path
    metadata: MetaData

    @property
    def version_table(self) -> str:
        """The table that holds this tree's revision."""
        return f"alembic_version_{self.name}"

    @property
    def head(self) -> str:
        """The last revision: its files are numbered (`0002_shares.py`), and its revisions as well (`files_0002`)."""
        numbers = [match[1] for each in self.folder.iterdir() if (match := _REVISION_FILE.fullmatch(each.name))]
        return f"{self.name}_{max(numbers)}"


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware on the way in, UTC on the way out (SQLite itself keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store as UTC; a naive value is a defect of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read back as an aware UTC value."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def metadata() -> MetaData:
    """The metadata for one service's tables, which names constraints alike on every database."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )


def upgrade(database: Database, trees: Sequence[SchemaTree], target: str = "heads") -> None:
    """Bring every tree to `target` ("heads", or a revision); a tree that is there already costs a read.

    Raises `DatabaseTooNew`, before anything is changed, when a tree stands at a revision that this program lacks;
    `DatabaseBusy` or `DatabaseUnusable` when the database is locked or cannot be written.
    """
    if target == "heads" and _at_head(database, trees):
        return
    _migrate(database, trees, target, up=True)


def downgrade(database: Database, trees: Sequence[SchemaTree], target: str) -> None:
    """Take every tree down to `target` ("base", "-1", or a revision)."""
    _migrate(database, trees, target, up=False)


def _at_head(database: Database, trees: Sequence[SchemaTree]) -> bool:
    with database.read() as work:
        present = set(inspect(work.session.connection()).get_table_names())
        return all(
            tree.version_table in present
            and work.session.scalars(select(column("version_num")).select_from(table(tree.version_table))).all()
            == [tree.head]
            for tree in trees
        )


def _migrate(database: Database, trees: Sequence[SchemaTree], target: str, *, up: bool) -> None:
    from weave_nn.shared.db.migrating import migrate  # noqa: PLC0415 - most starts need no Alembic, which is slow to import

    migrate(database, trees, target, up=up)
