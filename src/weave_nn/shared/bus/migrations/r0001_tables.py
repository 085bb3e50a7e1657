"""The outbox, the inbox, and the queues of the embedded bus."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from weave_nn.shared.db import UtcDateTime

revision = "bus_0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NAME = sa.String(255)


def upgrade() -> None:
    """Create the tables, and the one row of the relay's lease."""
    _create_outbox_and_inbox()
    _create_queues()


def _create_outbox_and_inbox() -> None:
    op.create_table(
        "bus_outbox",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("event_id", _NAME, nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("announced_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_bus_outbox"),
        sqlite_autoincrement=True,
    )
    lease = op.create_table(
        "bus_relay_lease",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_bus_relay_lease"),
    )
    op.bulk_insert(lease, [{"name": "relay", "owner": "", "until": datetime(1970, 1, 1, tzinfo=UTC)}])
    op.create_table(
        "bus_inbox",
        sa.Column("consumer", _NAME, nullable=False),
        sa.Column("event_id", _NAME, nullable=False),
        sa.Column("handled_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name="pk_bus_inbox"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_bus_inbox_consumer_handled_at", "bus_inbox", ["consumer", "handled_at"])


def _create_queues() -> None:
    op.create_table(
        "bus_binding",
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("topic", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("queue", "topic", name="pk_bus_binding"),
    )
    op.create_table(
        "bus_event",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("event_id", _NAME, nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_bus_event"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bus_delivery",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("available_at", UtcDateTime, nullable=False),
        sa.Column("lease", _NAME),
        sa.PrimaryKeyConstraint("id", name="pk_bus_delivery"),
        sa.ForeignKeyConstraint(["sequence"], ["bus_event.sequence"], name="fk_bus_delivery_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bus_delivery_sequence", "bus_delivery", ["sequence"])
    op.create_index("ix_bus_delivery_queue_available_at_id", "bus_delivery", ["queue", "available_at", "id"])
    op.create_table(
        "bus_dead_letter",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("event_id", _NAME, nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.Column("died_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bus_dead_letter"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bus_dead_letter_queue", "bus_dead_letter", ["queue"])


def downgrade() -> None:
    """Drop the tables, with whatever waits in them."""
    for table in ("dead_letter", "delivery", "event", "binding", "inbox", "relay_lease", "outbox"):
        op.drop_table(f"bus_{table}")
