"""Running Alembic over schema trees.

Imported only where a tree has to move: Alembic, with the template engine that it brings, costs a start 0.2 s, and
most starts have nothing to migrate.
"""

from collections.abc import Sequence
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from weave_nn.shared.db.dialects import dialect_of, translated
from weave_nn.shared.db.engine import Database
from weave_nn.shared.db.errors import DatabaseMoving, DatabaseTooNew
from weave_nn.shared.db.tree import SchemaTree


def migrate(database: Database, trees: Sequence[SchemaTree], target: str, *, up: bool) -> None:
    """Take every tree up or down to `target`; see `schema.upgrade` for what is raised.

    Each tree moves in one transaction that begins by reading where it stands, so that of several processes one moves
    it and the others find it moved.
    """
    with (
        translated(lambda: database.url),
        database.writer.connect() as connection,
        dialect_of(database.url).migrating(connection),
    ):
        scripts = [(tree, script_of(tree)) for tree in trees]
        for tree, script in scripts:
            _refuse_newer(connection, tree, script)
        if database.home.moving():
            raise DatabaseMoving(
                "The database is moving between SQLite and PostgreSQL, and its tables cannot change meanwhile.",
                hint="Finish it with `weave db retire`, or call it off with `weave db rollback`, then upgrade.",
            )
        connection.commit()
        for tree, script in scripts:
            _run(connection, tree, script, target, up=up)


def script_of(tree: SchemaTree) -> ScriptDirectory:
    """Alembic's view of a tree's revisions."""
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
        # Alembic would commit after every revision on SQLite, and another process could take the next one in between.
        transactional_ddl=True,
    )
    with environment.begin_transaction():
        environment.run_migrations()
    connection.commit()
