"""Schema trees: every service owns its tables and their Alembic history, with a version table of its own.

The trees are run without an `env.py` each: what such a file would say is the same for all of them and stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, DateTime, Dialect, MetaData, TypeDecorator

from weave_nn.shared.db.engine import Database, DatabaseTooNew, translated


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
    _migrate(database, trees, target, up=True)


def downgrade(database: Database, trees: Sequence[SchemaTree], target: str) -> None:
    """Take every tree down to `target` ("base", "-1", or a revision)."""
    _migrate(database, trees, target, up=False)


def _migrate(database: Database, trees: Sequence[SchemaTree], target: str, *, up: bool) -> None:
    with translated(database.url), database.writer.connect() as connection:
        # Batch mode copies a table and drops the old one; with foreign keys on, the drop would delete child rows.
        # SQLite ignores the pragma inside a transaction, and a statement through SQLAlchemy would begin one.
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            scripts = [(tree, _script(tree)) for tree in trees]
            for tree, script in scripts:
                _refuse_newer(connection, tree, script)
            connection.commit()
            for tree, script in scripts:
                _run(connection, tree, script, target, up=up)
        finally:
            connection.rollback()
            raw.execute("PRAGMA foreign_keys=ON")


def _script(tree: SchemaTree) -> ScriptDirectory:
    return ScriptDirectory(str(tree.folder), version_locations=[str(tree.folder)])


def _refuse_newer(connection: Connection, tree: SchemaTree, script: ScriptDirectory) -> None:
    context = MigrationContext.configure(connection, opts={"version_table": tree.version_table})
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = set(context.get_current_heads()) - known
    if unknown:
        raise DatabaseTooNew(
            f"The database is of a newer version (schema {tree.name} at {', '.join(sorted(unknown))}).",
            hint="Upgrade weave-nn, or restore a backup made by this version.",
        )


def _run(connection: Connection, tree: SchemaTree, script: ScriptDirectory, target: str, *, up: bool) -> None:
    def revisions(current: Any, _context: object) -> Any:
        # Alembic's commands use these two; without an env.py there is no public way to them.
        steps = script._upgrade_revs if up else script._downgrade_revs  # noqa: SLF001 - see above
        return steps(target, current)

    environment = EnvironmentContext(Config(), script, fn=revisions)
    environment.configure(
        connection=connection,
        target_metadata=tree.metadata,
        version_table=tree.version_table,
        render_as_batch=True,
    )
    with environment.begin_transaction():
        environment.run_migrations()
    connection.commit()
