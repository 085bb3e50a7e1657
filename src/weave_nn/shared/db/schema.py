"""Schema trees: every service owns its tables and their Alembic history, with a version table of its own.

The trees are run without an `env.py` each: what such a file would say is the same for all of them and stands here.
"""

from collections.abc import Sequence

from sqlalchemy import column, inspect, select, table

from weave_nn.shared.db.engine import Database
from weave_nn.shared.db.tree import SchemaTree


def upgrade(database: Database, trees: Sequence[SchemaTree], target: str = "heads") -> None:
    """Bring every tree to `target` ("heads", or a revision); a tree that is there already costs a read.

    Raises `DatabaseTooNew`, before anything is changed, when a tree stands at a revision that this program lacks;
    `DatabaseBusy` or `DatabaseUnusable` when the database is locked or cannot be written.
    """
    if target == "heads" and _at_head(database, trees):
        return
    _migrate(database, trees, target, up=True)


def upgrade_to(database: Database, trees: Sequence[SchemaTree], revisions: dict[str, str]) -> None:
    """Bring each tree that is named to the revision given for it: to what a backup holds."""
    for tree in trees:
        if tree.name in revisions:
            _migrate(database, [tree], revisions[tree.name], up=True)


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
