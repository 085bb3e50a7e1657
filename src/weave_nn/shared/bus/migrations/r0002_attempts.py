"""What was tried and not settled, of messages that a broker carries."""

import sqlalchemy as sa
from alembic import op

from weave_nn.shared.db import UtcDateTime

revision = "bus_0002"
down_revision = "bus_0001"
branch_labels = None
depends_on = None

_NAME = sa.String(255)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "bus_attempt",
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("event_id", _NAME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("resting", sa.Boolean, nullable=False),
        sa.Column("noted_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("queue", "event_id", name="pk_bus_attempt"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it; messages that were tried begin to count anew."""
    op.drop_table("bus_attempt")
