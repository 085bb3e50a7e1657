"""The Alembic revisions of the identity table."""
