"""The table of API keys."""

from pathlib import Path

from sqlalchemy import Column, Index, String, Table

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata

_metadata = metadata()
_NAME = String(255)

api_key = Table(
    "identity_api_key",
    _metadata,
    Column("id", String(16), primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("user_name", _NAME),
    Column("scopes", _NAME, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Index(None, "name"),
)
"""One row for each key that was ever made; those that were revoked or have expired stay, to tell who had access."""

SCHEMA = SchemaTree(name="identity", folder=Path(__file__).parent / "migrations", metadata=_metadata)
"""The Alembic revisions of the table."""
