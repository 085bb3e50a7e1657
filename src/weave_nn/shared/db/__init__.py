"""The database: engines, the unit of work, schema trees.

One transaction per request or message is opened and committed at the edge with `Database.write` or `Database.read`;
repositories only use the session that they are given. Everything is synchronous and runs in worker threads: never
await inside a transaction.
"""

from weave_nn.shared.db.engine import Database, DatabaseTooNew, UnitOfWork
from weave_nn.shared.db.schema import SchemaTree, UtcDateTime, metadata, upgrade

__all__ = ["Database", "DatabaseTooNew", "SchemaTree", "UnitOfWork", "UtcDateTime", "metadata", "upgrade"]
