"""API keys."""

import sqlalchemy as sa
from alembic import op

from weave_nn.shared.db import UtcDateTime

revision = "identity_0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.String(255)


def upgrade() -> None:
    """Create the table of keys."""
    op.create_table(
        "identity_api_key",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("user_name", _NAME),
        sa.Column("scopes", _NAME, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_identity_api_key"),
    )
    op.create_index("ix_identity_api_key_name", "identity_api_key", ["name"])


def downgrade() -> None:
    """Drop it; every key of the database stops working."""
    op.drop_table("identity_api_key")
