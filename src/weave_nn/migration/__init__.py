"""The live move of a database from SQLite to PostgreSQL, and back until it is retired.

It knows SQLAlchemy metadata and two databases, and no service: any schema will do whose tables have primary keys. Once
a deployment has moved, nothing else depends on this package.

How it works. Triggers in SQLite write the primary key of every changed row into a log, in the writer's own transaction;
so they see raw SQL too, and a change that is rolled back leaves no trace. An applier reads the *current* rows of the
logged keys and puts them into PostgreSQL, in batches. It reads only after it has locked the one state row over there,
and the backfill of older rows takes turns with it under the same lock: nothing is ever put over newer data, not even
by a transaction that outlived its killed process. For verifying, the log is first applied whole, so that the two
databases hold the same at one pair of snapshots, and must be equal there without any exception for rows in flight.

The rival is writing to both from the application and noting what failed: it loses whatever fails in between, and is
blind to raw SQL. See docs/decisions/0018-database-move.md.
"""

from weave_nn.migration.mover import Mover
from weave_nn.migration.tables import Derived, MovedTable, moved_tables

__all__ = ["Derived", "MovedTable", "Mover", "moved_tables"]
