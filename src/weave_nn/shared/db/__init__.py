"""The database: engines, the unit of work, schema trees.

One transaction per request or message is opened and committed at the edge with `Database.write` or `Database.read`;
repositories only use the session that they are given. Everything is synchronous and runs in worker threads: never
await inside a transaction.
"""

from weave_nn.shared.db.bulk import insert_rows
from weave_nn.shared.db.engine import Database, UnitOfWork, lock
from weave_nn.shared.db.errors import DatabaseBusy, DatabaseConflict, DatabaseTooNew, DatabaseUnusable
from weave_nn.shared.db.limits import ServerLimits
from weave_nn.shared.db.repeating import repeated
from weave_nn.shared.db.schema import upgrade
from weave_nn.shared.db.signals import signal
from weave_nn.shared.db.tree import SchemaTree, UtcDateTime, metadata

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseConflict",
    "DatabaseTooNew",
    "DatabaseUnusable",
    "SchemaTree",
    "ServerLimits",
    "UnitOfWork",
    "UtcDateTime",
    "insert_rows",
    "lock",
    "metadata",
    "repeated",
    "signal",
    "upgrade",
]
