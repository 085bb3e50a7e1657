"""Rollouts with their history, the gateway processes, and what was compared."""

import sqlalchemy as sa
from alembic import op

from weave_nn.shared.db import UtcDateTime

revision = "gateway_0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NAME = sa.String(255)
_VAULT = sa.String(64)


def upgrade() -> None:
    """Create the tables."""
    _create_rollouts()
    _create_nodes()
    _create_comparisons()


def _create_rollouts() -> None:
    op.create_table(
        "gateway_rollout",
        sa.Column("id", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("vault_id", _VAULT, nullable=False),
        sa.Column("service", _NAME, nullable=False),
        sa.Column("active", _NAME),
        sa.Column("stable", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("salt", _NAME, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("shadow_percent", sa.Integer, nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
        sa.Column("paused_from", _NAME),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stepped_at", UtcDateTime, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_rollout"),
    )
    op.create_index("ix_gateway_rollout_vault_id_service_id", "gateway_rollout", ["vault_id", "service", "id"])
    op.create_index("ix_gateway_rollout_vault_id_active", "gateway_rollout", ["vault_id", "active"], unique=True)
    op.create_table(
        "gateway_history",
        sa.Column("id", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("rollout_id", _SEQUENCE, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("who", _NAME, nullable=False),
        sa.Column("action", _NAME, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("from_state", _NAME),
        sa.Column("to_state", _NAME, nullable=False),
        sa.Column("from_percent", sa.Integer, nullable=False),
        sa.Column("to_percent", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_history"),
        sa.ForeignKeyConstraint(["rollout_id"], ["gateway_rollout.id"], name="fk_gateway_history_rollout_id"),
    )
    op.create_index("ix_gateway_history_rollout_id_id", "gateway_history", ["rollout_id", "id"])


def _create_nodes() -> None:
    op.create_table(
        "gateway_version",
        sa.Column("vault_id", _VAULT, nullable=False),
        sa.Column("version", _SEQUENCE, nullable=False),
        sa.PrimaryKeyConstraint("vault_id", name="pk_gateway_version"),
    )
    op.create_table(
        "gateway_node",
        sa.Column("vault_id", _VAULT, nullable=False),
        sa.Column("node", _NAME, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("version", _SEQUENCE, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("demanded", sa.JSON, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("vault_id", "node", name="pk_gateway_node"),
    )


def _create_comparisons() -> None:
    rollout = ["gateway_rollout.id"]
    op.create_table(
        "gateway_window",
        sa.Column("rollout_id", _SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("stepped_at", UtcDateTime, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("verdict", _NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", name="pk_gateway_window"),
        sa.ForeignKeyConstraint(["rollout_id"], rollout, name="fk_gateway_window_rollout_id"),
    )
    op.create_table(
        "gateway_comparison",
        sa.Column("rollout_id", _SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("route", _NAME, nullable=False),
        sa.Column("compared", sa.Integer, nullable=False),
        sa.Column("mismatched", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "route", name="pk_gateway_comparison"),
        sa.ForeignKeyConstraint(["rollout_id"], rollout, name="fk_gateway_comparison_rollout_id"),
    )
    op.create_table(
        "gateway_mismatch",
        sa.Column("id", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("rollout_id", _SEQUENCE, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("route", _NAME, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("difference", sa.Text, nullable=False),
        sa.Column("stable", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("milliseconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_mismatch"),
        sa.ForeignKeyConstraint(["rollout_id"], rollout, name="fk_gateway_mismatch_rollout_id"),
    )
    op.create_index("ix_gateway_mismatch_rollout_id_id", "gateway_mismatch", ["rollout_id", "id"])


def downgrade() -> None:
    """Drop the tables, with the history of all rollouts."""
    for table in ("mismatch", "comparison", "window", "node", "version", "history", "rollout"):
        op.drop_table(f"gateway_{table}")
