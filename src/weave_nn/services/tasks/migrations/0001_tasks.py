"""Tasks, the notes they were read from, and the requests that made some of them."""

import sqlalchemy as sa
from alembic import op

revision = "tasks_0001"
down_revision = None
branch_labels = None
depends_on = None

_INDEXES = (
    ("note_path", "line"),
    ("status", "due_date"),
    ("due_date", "id"),
    ("project_id",),
    ("reference",),
    ("pending_edit",),
    ("anchor_id",),
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "task",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("vault_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("status_symbol", sa.String(4), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        *(sa.Column(f"{name}_date", sa.Date) for name in ("due", "scheduled", "start", "created", "done", "cancelled")),
        sa.Column("invalid_dates", sa.String(64), nullable=False),
        sa.Column("recurrence", sa.Text),
        sa.Column("on_completion", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("tags_folded", sa.Text, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("depends_on", sa.Text, nullable=False),
        sa.Column("note_path", sa.String(4096), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("indent", sa.Text, nullable=False),
        sa.Column("heading", sa.Text),
        sa.Column("block_id", sa.Text),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("noted_text", sa.Text),
        sa.Column("before_text", sa.Text),
        sa.Column("pending_edit", sa.String(36)),
        sa.Column("anchor_id", sa.String(36)),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    for columns in _INDEXES:
        op.create_index(f"ix_task_vault_id_{'_'.join(columns)}", "task", ["vault_id", *columns])
    op.create_table(
        "task_note",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("path", sa.String(4096), primary_key=True),
        sa.Column("etag", sa.String(64), nullable=False),
    )
    op.create_table(
        "task_request",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("task_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_task_request_vault_id_created_at", "task_request", ["vault_id", "created_at"])


def downgrade() -> None:
    """Take the tables away. Changes that have not reached the notes yet are lost with them."""
    op.drop_table("task_request")
    op.drop_table("task_note")
    op.drop_table("task")
