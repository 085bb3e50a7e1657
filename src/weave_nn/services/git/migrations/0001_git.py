"""What waits to be committed, and what the last attempts led to."""

import sqlalchemy as sa
from alembic import op

revision = "git_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "git_pending",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("path", sa.String(4096), primary_key=True),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_git_pending_vault_id_last_at", "git_pending", ["vault_id", "last_at"])
    op.create_table(
        "git_state",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("problem", sa.Text),
        sa.Column("sync_problem", sa.Text),
        sa.Column("findings", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take the tables away; what waited is committed after the next look through the vault."""
    op.drop_table("git_state")
    op.drop_table("git_pending")
