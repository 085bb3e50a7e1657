"""The Alembic revisions of the bus's tables."""
